//! A resilient connector to MongoDB deployments that brings its own database.
//!
//! [`Headwater::open`] starts a whole database inside the process; [`Headwater::connect`] gives the same type on any
//! deployment, so growing out of one machine means changing a URI. Every operation passes through one layer: deadline,
//! bulkhead, circuit breaker, retry where it is safe. The official driver stays reachable by [`Headwater::driver`].
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # #[tokio::main]
//! # async fn main() -> headwater::Result<()> {
//! use headwater::Headwater;
//! use headwater::bson::doc;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Book {
//!     title: String,
//!     year: i32,
//! }
//!
//! let headwater = Headwater::open_in_memory().await?;
//! let books = headwater.collection::<Book>("books");
//! books.insert_one(&Book { title: "Walden".into(), year: 1854 }).await?;
//! let found = books.find_one(doc! { "year": { "$lt": 1900 } }).await?;
//! assert_eq!(found.unwrap().title, "Walden");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```

#[cfg(feature = "blocking")]
pub mod blocking;
mod bulk;
pub mod changes;
pub mod collection;
mod concurrent;
mod config;
mod connector;
mod cursor;
mod database;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod events;
mod exposition;
mod gridfs;
#[cfg(all(doctest, feature = "embedded"))]
mod guides;
mod histogram;
#[cfg(feature = "http")]
pub mod http;
mod json;
mod object_id;
mod observe;
mod operation;
mod pool;
mod resilience;
mod sanitize;
mod servers;
mod shutdown;
mod statistics;
mod stream;
mod transaction;
mod uri;

pub use bulk::{BulkLoad, BulkProgress};
pub use changes::{ChangeEvent, ChangeStream, FileTokenStore, ResumeToken, TokenStore};
pub use collection::Collection;
pub use concurrent::{Concurrent, DataOperation, DataResult};
pub use config::{CertificateCheck, Config, ConfigBuilder};
pub use connector::Headwater;
pub use cursor::Cursor;
pub use database::Database;
pub use error::details::{BulkCounts, BulkFailure, BulkItem, DuplicateKey, WriteConcernFailure};
pub use error::kind::{ChangeStreamFailure, ConnectionFailure, ErrorKind, GridFsFailure};
pub use error::{Error, Result};
pub use gridfs::{Download, FileInfo, FileReader, GridFs, Upload, UploadStream};
pub use json::{JsonMode, ToJson};
pub use mongodb;
/// Documents and their values: the `bson` crate of the driver.
pub use mongodb::bson;
/// The driver's options that builders of the connector take: concerns, collations, preferences.
pub use mongodb::options;
pub use object_id::{is_valid_object_id, object_id};
pub use pool::{ClosedConnections, PoolStats, ServerPool};
pub use resilience::breaker::CircuitState;
pub use resilience::settings::{
    BreakerSettings, BulkheadSettings, ResilienceSettings, RetrySettings,
};
pub use sanitize::{Cleaned, Refused, Sanitizer};
#[cfg(feature = "http")]
pub use shutdown::shutdown_signal;

pub use statistics::OperationStats;
pub use stream::{ChunkStream, Chunks};

/// A future that a builder becomes when it is awaited.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The snippets of the documentation are compiled, so that they stay right.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../../../docs/snippets.md")]
struct Snippets;
