//! The connector: the embedded database, remote deployments, and both under the faults of a network.

#[cfg(feature = "embedded")]
mod embedded;
mod faults;
mod proxy;
mod remote;
mod serve;
