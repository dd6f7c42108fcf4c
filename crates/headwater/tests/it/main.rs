//! The connector: the embedded database, remote deployments, and both under the faults of a network.

#[cfg(all(feature = "blocking", feature = "embedded"))]
mod blocking;
#[cfg(feature = "embedded")]
mod bulk;
mod changes;
mod chunks;
#[cfg(feature = "embedded")]
mod collection;
#[cfg(feature = "embedded")]
mod concurrent;
mod config;
#[cfg(feature = "embedded")]
mod embedded;
mod exactly_once;
#[cfg(feature = "embedded")]
mod examples;
mod faults;
#[cfg(feature = "embedded")]
mod gridfs;
#[cfg(feature = "http")]
mod http;
mod json;
mod object_id;
mod patience;
#[cfg(feature = "http")]
mod process;
mod program;
mod proxy;
mod remote;
mod resilience;
mod sanitize;
mod sent;
mod serve;
mod tailable;
mod tls;
mod transaction;
