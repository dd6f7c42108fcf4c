//! The embedded database through the connector: start, stop, sharing, and what its values tell.

#[cfg(feature = "embedded")]
mod embedded;
mod remote;
