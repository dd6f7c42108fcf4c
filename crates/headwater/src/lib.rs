//! A connector to MongoDB deployments that brings its own database.
//!
//! [`Headwater::open`] starts a whole database inside the process and hands out the official driver's client on it;
//! [`Headwater::connect`] gives the same type on any deployment, so growing out of one machine means changing a URI.
//!
//! Knows the driver and how to start a server; everything about documents and queries belongs to the driver.

#[cfg(feature = "embedded")]
mod embedded;
mod error;
#[cfg(all(doctest, feature = "embedded"))]
mod guides;
mod json;
mod object_id;
mod resilience;
mod sanitize;
mod uri;

use std::fmt;
#[cfg(feature = "embedded")]
use std::path::Path;
use std::sync::Arc;

use mongodb::Client;
use mongodb::options::ClientOptions;

pub use error::{Error, Result};
pub use json::{JsonMode, ToJson};
pub use mongodb;
pub use object_id::{is_valid_object_id, object_id};
pub use resilience::settings::{
    BreakerSettings, BulkheadSettings, ResilienceSettings, RetrySettings,
};
pub use sanitize::{Cleaned, Refused, Sanitizer};

/// A connection to a database: one inside this process, or any MongoDB deployment.
///
/// Clones share the connection. The embedded database stops when [`Headwater::close`] is called or the last clone is
/// dropped; what was acknowledged before is on disk.
#[derive(Clone)]
pub struct Headwater {
    client: Client,
    uri: Arc<str>,
    #[cfg(feature = "embedded")]
    node: Option<Arc<embedded::Node>>,
}

impl Headwater {
    /// Connects to the deployment at a `mongodb://` or `mongodb+srv://` URI.
    ///
    /// No server is contacted yet: one that is away shows in the first operation, after the time that the URI's
    /// `serverSelectionTimeoutMS` gives (30 s unless set).
    ///
    /// # Errors
    /// The URI makes no sense, or its `mongodb+srv` name cannot be resolved.
    pub async fn connect(uri: impl AsRef<str>) -> Result<Headwater> {
        let uri = uri.as_ref();
        let options = ClientOptions::parse(uri).await?;
        Headwater::on(Client::with_options(options)?, uri)
    }

    /// Connects with the driver's own options, where a URI does not say enough.
    ///
    /// # Errors
    /// The options contradict each other.
    pub fn connect_with(options: ClientOptions) -> Result<Headwater> {
        let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
        let uri = format!("mongodb://{}/", hosts.join(","));
        Headwater::on(Client::with_options(options)?, &uri)
    }

    fn on(client: Client, uri: &str) -> Result<Headwater> {
        Ok(Headwater {
            client,
            uri: uri.into(),
            #[cfg(feature = "embedded")]
            node: None,
        })
    }

    /// The driver's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The URI under which a driver reaches the same database: as it was given, credentials included, or that of the
    /// embedded database's socket. After [`Headwater::connect_with`] it names the hosts only.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Closes the connections and stops the embedded database, if this process runs it: commands that have arrived
    /// are finished, clones of this value and of its client stop working.
    pub async fn close(self) {
        self.client.shutdown().immediate(true).await;
        #[cfg(feature = "embedded")]
        if let Some(node) = &self.node {
            node.stop().await;
        }
    }
}

#[cfg(feature = "embedded")]
impl Headwater {
    /// Starts a database on a data folder inside this process, and makes the folder if there is none.
    ///
    /// Only this process reaches it: it listens on a Unix socket with a random name in a folder of mode 0700, which is
    /// removed when the database stops. The database runs on threads of its own, whatever the caller's runtime does.
    ///
    /// # Errors
    /// Another process has the folder open ([`Error::is_folder_in_use`]), its format is of another version, or the
    /// disk fails.
    pub async fn open(folder: impl AsRef<Path>) -> Result<Headwater> {
        Headwater::embedded(embedded::Node::open(folder.as_ref()).await?).await
    }

    /// Starts an empty database inside this process that keeps its data in memory only.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub async fn open_in_memory() -> Result<Headwater> {
        Headwater::embedded(embedded::Node::open_in_memory().await?).await
    }

    /// Starts a database on a data folder that several processes of one user share.
    ///
    /// The first process runs the database, on a socket that the others find by the folder's name. When that process
    /// ends, another one takes over on the same socket; the driver reconnects and acknowledged data stays. Meant for a
    /// handful of tools on one machine, not as a cluster.
    ///
    /// # Errors
    /// As [`Headwater::open`], but a folder in use is an error only if its owner does not share it.
    pub async fn open_shared(folder: impl AsRef<Path>) -> Result<Headwater> {
        Headwater::embedded(embedded::Node::open_shared(folder.as_ref()).await?).await
    }

    /// True if this process runs the database right now.
    pub fn is_owner(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.is_owner())
    }

    async fn embedded(node: embedded::Node) -> Result<Headwater> {
        let uri = node.uri();
        let mut headwater = Headwater::connect(&uri).await?;
        headwater.node = Some(Arc::new(node));
        Ok(headwater)
    }
}

impl fmt::Debug for Headwater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headwater").field("uri", &uri::redacted(&self.uri)).finish_non_exhaustive()
    }
}

/// The snippets of the documentation are compiled, so that they stay right.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../../../docs/snippets.md")]
struct Snippets;
