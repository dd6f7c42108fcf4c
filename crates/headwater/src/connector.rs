//! The connector: a client of the driver, the layer of resilience around it, and the embedded database if there is
//! one. Knows nothing of documents.

use std::fmt;
#[cfg(feature = "embedded")]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, DatabaseOptions, WriteConcern,
};

use crate::collection::Collection;
#[cfg(feature = "embedded")]
use crate::config::Place;
use crate::config::{Config, Joined};
use crate::database::Database;
#[cfg(feature = "embedded")]
use crate::embedded;
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};
use crate::operation::{Operation, Safety};
use crate::pool::{PoolStats, PoolWatch};
use crate::resilience::breaker::CircuitState;
use crate::resilience::settings::ResilienceSettings;
use crate::resilience::{Resilience, selection_limit};
use crate::servers::ServerWatch;
use crate::statistics::OperationStats;
use crate::uri;

/// The driver's pool size unless it is told another, from its documentation.
const POOL_SIZE: u32 = 100;
/// How long the driver looks for a server unless it is told otherwise, from its documentation.
pub(crate) const SELECTION_TIME: Duration = Duration::from_secs(30);
/// How long a write concern above one waits for other members unless it says so itself.
const WRITE_CONCERN_TIME: Duration = Duration::from_secs(10);
const DEFAULT_DATABASE: &str = "test";

/// A connection to a database: one inside this process, or any MongoDB deployment.
///
/// Clones share the connection. The embedded database stops when [`Headwater::close`] is called or the last clone,
/// [`Database`] or [`Collection`] is dropped; what was acknowledged before is on disk.
#[derive(Clone)]
pub struct Headwater(pub(crate) Arc<Shared>);

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) resilience: Resilience,
    pub(crate) pool: Arc<PoolWatch>,
    uri: String,
    default_database: String,
    /// What the client reads again when it finds new servers.
    files: Option<Joined>,
    // After the client: connections end before their server.
    #[cfg(feature = "embedded")]
    pub(crate) node: Option<embedded::Node>,
}

impl Headwater {
    /// Connects to the deployment at a `mongodb://` or `mongodb+srv://` URI.
    ///
    /// No server is contacted yet: one that is away shows in the first operation.
    ///
    /// # Errors
    /// The URI makes no sense, or its `mongodb+srv` name cannot be resolved.
    ///
    /// ```no_run
    /// # async fn example() -> headwater::Result<()> {
    /// let headwater = headwater::Headwater::connect("mongodb://127.0.0.1:27017/shop").await?;
    /// headwater.ping().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(uri: impl AsRef<str>) -> Result<Headwater> {
        Headwater::from_config(Config::builder().uri(uri.as_ref()).build()?).await
    }

    /// Connects as a configuration says: to a server, or to a database inside this process.
    ///
    /// No server is contacted yet: one that is away shows in the first operation.
    ///
    /// # Errors
    /// A `mongodb+srv` name that cannot be resolved, a TLS file that makes no sense, or an embedded database that cannot
    /// start.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::{Config, Headwater};
    ///
    /// let config = Config::builder().embedded(":memory:").database("shop").build()?;
    /// let headwater = Headwater::from_config(config).await?;
    /// headwater.ping().await?;
    /// assert_eq!(headwater.default_database().name(), "shop");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn from_config(config: Config) -> Result<Headwater> {
        #[cfg(feature = "embedded")]
        if let Some(place) = config.place() {
            let node = match place {
                Place::Memory => embedded::Node::open_in_memory().await?,
                Place::Folder(folder) => embedded::Node::open_shared(folder).await?,
            };
            return Headwater::embedded_as(node, &config).await;
        }
        let (options, files) = config.driver_options().await?;
        let uri = config.full_uri().to_owned();
        let mut shared = Shared::new(options, config.resilience().clone(), uri)?;
        shared.files = files;
        Ok(Headwater(Arc::new(shared)))
    }

    /// Connects as the environment says, see [`Config::from_env`]; without a server there it opens the embedded
    /// database.
    ///
    /// # Errors
    /// As [`Config::from_env`] and [`Headwater::from_config`].
    ///
    /// ```no_run
    /// # async fn example() -> headwater::Result<()> {
    /// let headwater = headwater::Headwater::from_env().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn from_env() -> Result<Headwater> {
        Headwater::from_config(Config::from_env()?).await
    }

    /// Connects with the driver's own options, where a URI does not say enough.
    ///
    /// The connector owns what is tried again: it turns the driver's repetition of reads off, and that of writes too
    /// where only one attempt is allowed.
    ///
    /// # Errors
    /// The options contradict each other.
    pub fn connect_with(options: ClientOptions) -> Result<Headwater> {
        Headwater::connect_with_settings(options, ResilienceSettings::default())
    }

    /// As [`Headwater::connect_with`], with settings of the layer that every operation passes through.
    ///
    /// # Errors
    /// The options or the settings contradict each other.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::mongodb::options::ClientOptions;
    /// use headwater::{Headwater, ResilienceSettings};
    ///
    /// let options = ClientOptions::parse("mongodb://127.0.0.1:27017").await?;
    /// let mut settings = ResilienceSettings::default();
    /// settings.retry.attempts = 2;
    /// let headwater = Headwater::connect_with_settings(options, settings)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_with_settings(
        options: ClientOptions,
        settings: ResilienceSettings,
    ) -> Result<Headwater> {
        let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
        let uri = format!("mongodb://{}/", hosts.join(","));
        Headwater::build(options, settings, uri)
    }

    fn build(
        options: ClientOptions,
        settings: ResilienceSettings,
        uri: String,
    ) -> Result<Headwater> {
        Ok(Headwater(Arc::new(Shared::new(options, settings, uri)?)))
    }

    /// The driver's client. What goes through it is not tried again, apart from single writes by the driver.
    pub fn driver(&self) -> &Client {
        &self.0.client
    }

    /// The driver's client; the same as [`Headwater::driver`].
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// A database by name.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// assert_eq!(headwater.database("shop").name(), "shop");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn database(&self, name: &str) -> Database {
        Database::new(self.clone(), self.0.client.database(name))
    }

    /// A database with a read concern, write concern or read preference of its own.
    pub fn database_with(&self, name: &str, mut options: DatabaseOptions) -> Database {
        limit_wait(&mut options.write_concern);
        Database::new(self.clone(), self.0.client.database_with_options(name, options))
    }

    /// The database that the URI or the configuration names; `test` if neither does.
    pub fn default_database(&self) -> Database {
        self.database(&self.0.default_database)
    }

    /// A collection of the default database. Nothing is sent.
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.default_database().collection(name)
    }

    /// A collection of the default database with a read concern, write concern or read preference of its own.
    pub fn collection_with<T: Send + Sync>(
        &self,
        name: &str,
        options: CollectionOptions,
    ) -> Collection<T> {
        self.default_database().collection_with(name, options)
    }

    /// Asks a server for an answer.
    ///
    /// # Errors
    /// Why there was none.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// headwater::Headwater::open_in_memory().await?.ping().await
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn ping(&self) -> Result<()> {
        self.ping_within(None).await
    }

    /// As [`Headwater::ping`], within a time of its own.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn ping_within(&self, deadline: impl Into<Option<Duration>> + Send) -> Result<()> {
        let operation =
            Operation::new("ping", "admin", None, Safety::Read).deadline(deadline.into());
        self.run_command(operation, doc! { "ping": 1 }).await.map(drop)
    }

    /// What the server says about itself (`buildInfo`).
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn server_info(&self) -> Result<Document> {
        let operation = Operation::new("server_info", "admin", None, Safety::Read);
        self.run_command(operation, doc! { "buildInfo": 1 }).await
    }

    /// The names of the databases.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn database_names(&self) -> Result<Vec<String>> {
        let operation = Operation::new("database_names", "admin", None, Safety::Read);
        let call = || self.0.client.list_database_names().into_future();
        self.0.resilience.run(operation, call).await
    }

    pub(crate) async fn run_command(
        &self,
        operation: Operation<'_>,
        command: Document,
    ) -> Result<Document> {
        let database = self.0.client.database(operation.database);
        let call = || database.run_command(command.clone()).into_future();
        self.0.resilience.run(operation, call).await
    }

    /// The connection pools right now.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// headwater.ping().await?;
    /// assert_eq!(headwater.pool_stats().created(), 1);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn pool_stats(&self) -> PoolStats {
        self.0.pool.stats()
    }

    /// Counts and latencies of the operations since the start, sorted by name.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// headwater.ping().await?;
    /// let stats = headwater.operation_stats();
    /// assert_eq!((stats[0].operation, stats[0].success), ("ping", 1));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn operation_stats(&self) -> Vec<OperationStats> {
        self.0.resilience.statistics().read()
    }

    /// The state of the circuit breaker.
    pub fn circuit_state(&self) -> CircuitState {
        self.0.resilience.circuit()
    }

    /// Puts the circuit breaker into a state, for tests and operators. Half-open lets the next call probe.
    pub fn set_circuit_state(&self, state: CircuitState) {
        self.0.resilience.set_circuit(state);
    }

    /// The settings of the layer that every operation passes through.
    pub fn resilience_settings(&self) -> &ResilienceSettings {
        self.0.resilience.settings()
    }

    /// The URI under which a driver reaches the same database: as it was given, credentials included, or that of the
    /// embedded database's socket. After [`Headwater::connect_with`] it names the hosts only.
    pub fn uri(&self) -> &str {
        &self.0.uri
    }

    /// Closes the connections and stops the embedded database, if this process runs it: commands that have arrived
    /// are finished, clones of this value and of its client stop working.
    pub async fn close(self) {
        self.0.client.clone().shutdown().immediate(true).await;
        #[cfg(feature = "embedded")]
        if let Some(node) = &self.0.node {
            node.stop().await;
        }
    }
}

impl Shared {
    fn new(
        mut options: ClientOptions,
        settings: ResilienceSettings,
        uri: String,
    ) -> Result<Shared> {
        settings.validate().map_err(|demand| Error::new(ErrorKind::Config, demand))?;
        let connections = match options.max_pool_size {
            // The driver takes zero for "no limit".
            Some(0) => u32::MAX,
            size => size.unwrap_or(POOL_SIZE),
        };
        let selection = options.server_selection_timeout.unwrap_or(SELECTION_TIME);
        options.server_selection_timeout =
            Some(selection_limit(selection, settings.retry.deadline));
        options.retry_reads = Some(false);
        if settings.retry.attempts == 1 {
            options.retry_writes = Some(false);
        }
        // Failures to connect come back at once, for the connector to count.
        options.max_adaptive_retries = Some(0);
        limit_wait(&mut options.write_concern);
        let default_database =
            options.default_database.clone().unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
        let pool = PoolWatch::listen(&mut options);
        let servers = ServerWatch::listen(&mut options);
        Ok(Shared {
            client: Client::with_options(options).map_err(wrong)?,
            resilience: Resilience::new(settings, connections, servers),
            pool,
            uri,
            default_database,
            files: None,
            #[cfg(feature = "embedded")]
            node: None,
        })
    }
}

/// Gives a write concern that waits for other members a limit, if it has none (R28).
pub(crate) fn limit_wait(concern: &mut Option<WriteConcern>) {
    if let Some(concern) = concern {
        let waits = match &concern.w {
            Some(Acknowledgment::Nodes(nodes)) => *nodes > 1,
            Some(_) => true,
            None => false,
        };
        if waits && concern.w_timeout.is_none() {
            concern.w_timeout = Some(WRITE_CONCERN_TIME);
        }
    }
}

fn wrong(error: mongodb::error::Error) -> Error {
    Error::from(error).with_kind(ErrorKind::Config)
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
        self.0.node.as_ref().is_some_and(|node| node.is_owner())
    }

    async fn embedded(node: embedded::Node) -> Result<Headwater> {
        Headwater::embedded_as(node, &Config::builder().embedded(":memory:").build()?).await
    }

    async fn embedded_as(node: embedded::Node, config: &Config) -> Result<Headwater> {
        let uri = node.uri();
        let mut options = ClientOptions::parse(&uri).await.map_err(wrong)?;
        config.apply(&mut options);
        // Discovery leads nowhere: the socket is all there is.
        options.direct_connection = Some(true);
        options.repl_set_name = None;
        let mut shared = Shared::new(options, config.resilience().clone(), uri)?;
        shared.node = Some(node);
        Ok(Headwater(Arc::new(shared)))
    }
}

impl fmt::Debug for Headwater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headwater")
            .field("uri", &uri::redacted(&self.0.uri))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r28_a_write_concern_above_one_always_has_a_limit() {
        let waiting = |w| WriteConcern::builder().w(w).build();
        for w in [
            Acknowledgment::Majority,
            Acknowledgment::Nodes(2),
            Acknowledgment::Custom("dc".into()),
        ] {
            let mut concern = Some(waiting(w));
            limit_wait(&mut concern);
            assert_eq!(concern.unwrap().w_timeout, Some(WRITE_CONCERN_TIME));
        }
        let mut own = Some(waiting(Acknowledgment::Majority));
        own.as_mut().unwrap().w_timeout = Some(Duration::from_secs(1));
        limit_wait(&mut own);
        assert_eq!(own.unwrap().w_timeout, Some(Duration::from_secs(1)));
        let mut one = Some(waiting(Acknowledgment::Nodes(1)));
        limit_wait(&mut one);
        assert_eq!(one.unwrap().w_timeout, None);
    }
}
