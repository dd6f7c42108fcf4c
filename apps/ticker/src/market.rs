//! The server that holds the market: which one is meant, whether it answers and what it can do.

use std::path::PathBuf;
use std::time::Duration;

use headwater::bson::doc;
use headwater::{Collection, Config, ConfigBuilder, Database, ErrorKind, Headwater};

use crate::arguments::Arguments;
use crate::error::{Error, Result, one_line};
use crate::stock::Stock;

/// The database of the ticker.
pub const DATABASE: &str = "market";
/// The collection of the ticker.
pub const COLLECTION: &str = "stocksymbols";

/// How soon the server is asked again after it seemed to be away: a live view does not wait long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long the end waits for what is under way.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

/// An open connection to the server that holds the market.
#[derive(Debug, Clone)]
pub struct Market {
    headwater: Headwater,
    hosts: String,
    router: bool,
    streams: bool,
}

impl Market {
    /// Opens what the command line names: `--uri`, else the environment's `MONGODB_URL`, else the embedded server
    /// on `--data`, which is started unless another process already serves that folder.
    ///
    /// # Errors
    /// Exit code 4 with the hosts, never the credentials, if no server answers within the timeout or it refuses us.
    pub async fn open(arguments: &Arguments) -> Result<Market> {
        let uri = arguments.uri.clone().or_else(|| non_empty("MONGODB_URL"));
        match uri {
            Some(uri) => Market::connect(&uri, arguments.timeout).await,
            None => {
                let folder = arguments.data.clone().unwrap_or_else(default_folder);
                let config = settings(arguments.timeout).embedded(folder).build()?;
                let headwater = Headwater::from_config(config).await?;
                Ok(Market::greet(headwater, "the embedded server".to_owned()).await?)
            }
        }
    }

    /// Opens the deployment at `uri`.
    ///
    /// # Errors
    /// As [`Market::open`].
    pub async fn connect(uri: &str, timeout: Duration) -> Result<Market> {
        let config = settings(timeout).uri(uri).build()?;
        let hosts = config.hosts().join(", ");
        let headwater = Headwater::from_config(config).await?;
        let opened = async {
            // Longer by a little, so that the error is that of looking for a server, which says more.
            headwater.ping_within(timeout + timeout / 20).await?;
            Market::greet(headwater.clone(), hosts.clone()).await
        };
        opened.await.map_err(|error| unreachable_at(&hosts, timeout, error))
    }

    async fn greet(headwater: Headwater, hosts: String) -> headwater::Result<Market> {
        let hello = headwater.database("admin").run_command(doc! { "hello": 1 }).await?;
        let router = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        let streams = router || hello.get_str("setName").is_ok();
        let market = Market { headwater, hosts, router, streams };
        // `hello` needs no rights; this tells at once whether we are let in.
        market.stocks().find_one(doc! {}).await?;
        Ok(market)
    }

    /// The collection of the ticker.
    pub fn stocks(&self) -> Collection<Stock> {
        self.database().collection(COLLECTION)
    }

    /// The database of the ticker.
    pub fn database(&self) -> Database {
        self.headwater.database(DATABASE)
    }

    /// A database that is not the ticker's own.
    pub fn other(&self, name: &str) -> Database {
        self.headwater.database(name)
    }

    /// True if the server is a router of a sharded cluster.
    pub fn is_router(&self) -> bool {
        self.router
    }

    /// True if the collection holds no document or does not exist.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.stocks().find_one(doc! {}).await?.is_none())
    }

    /// Refuses a server that has no change streams.
    ///
    /// # Errors
    /// Exit code 3, naming the cause.
    pub fn require_streams(&self) -> Result<()> {
        if self.streams {
            return Ok(());
        }
        Err(Error::refused(format!(
            "Error: {} offers no change streams because it is a standalone server; use a replica set, a sharded \
             cluster or the embedded server",
            self.hosts
        )))
    }

    /// Lets what is under way end, then closes the connection, and the embedded server if this process runs it.
    pub async fn close(self) {
        self.headwater.shutdown(SHUTDOWN_MAX).await;
    }
}

fn settings(timeout: Duration) -> ConfigBuilder {
    Config::builder()
        .app_name("headwater-ticker")
        .server_selection_timeout(timeout)
        .connect_timeout(timeout)
        .breaker_open(ASK_AGAIN)
}

/// Where the embedded server keeps its data unless told: one folder per user, so that the commands find each other
/// from any working directory.
pub fn default_folder() -> PathBuf {
    if let Some(folder) = non_empty("TICKER_DATA") {
        return folder.into();
    }
    let base = match (non_empty("XDG_DATA_HOME"), non_empty("HOME")) {
        (Some(data), _) => PathBuf::from(data),
        (None, Some(home)) => PathBuf::from(home).join(".local/share"),
        (None, None) => PathBuf::from("."),
    };
    base.join("headwater-ticker")
}

fn non_empty(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.trim().is_empty())
}

fn unreachable_at(hosts: &str, timeout: Duration, error: headwater::Error) -> Error {
    let (kind, text) = (error.kind(), one_line(&error));
    if kind == ErrorKind::ServerSelection {
        let limit = timeout.as_secs_f64();
        return Error::unreachable(format!(
            "no server reachable at {hosts} within {limit} s: {text}"
        ));
    }
    let message = format!("{hosts}: {text}");
    if Error::from(error).is_unreachable() {
        Error::unreachable(message)
    } else {
        Error::failed(message)
    }
}
