//! The server that holds the market: which one is meant, whether it answers and what it can do.

use std::path::PathBuf;
use std::time::Duration;

use headwater::Headwater;
use headwater::mongodb::bson::{Document, doc};
use headwater::mongodb::error::ErrorKind;
use headwater::mongodb::options::ClientOptions;
use headwater::mongodb::{Collection, Database};

use crate::arguments::Arguments;
use crate::error::{Error, Result, one_line};

/// The database of the ticker.
pub const DATABASE: &str = "market";
/// The collection of the ticker.
pub const COLLECTION: &str = "stocksymbols";

/// An open connection to the server that holds the market.
#[derive(Debug, Clone)]
pub struct Market {
    node: Headwater,
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
                Market::on(Headwater::open_shared(folder).await?).await
            }
        }
    }

    /// Opens the deployment at `uri`.
    ///
    /// # Errors
    /// As [`Market::open`].
    pub async fn connect(uri: &str, timeout: Duration) -> Result<Market> {
        let mut options = ClientOptions::parse(uri).await.map_err(|error| {
            Error::failed(format!("the URI is not usable: {}", one_line(&error)))
        })?;
        options.app_name.get_or_insert_with(|| "headwater-ticker".to_owned());
        options.server_selection_timeout = Some(timeout);
        options.connect_timeout = Some(timeout);
        let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
        let hosts = hosts.join(", ");
        let node = Headwater::connect_with(options)?;
        Market::greet(node, hosts.clone())
            .await
            .map_err(|error| unreachable_at(&hosts, timeout, error))
    }

    /// Uses a server that is already open.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn on(node: Headwater) -> Result<Market> {
        Market::greet(node, "the embedded server".to_owned()).await.map_err(Error::from)
    }

    async fn greet(node: Headwater, hosts: String) -> headwater::mongodb::error::Result<Market> {
        let hello = node.client().database("admin").run_command(doc! { "hello": 1 }).await?;
        let router = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        let streams = router || hello.get_str("setName").is_ok();
        let market = Market { node, hosts, router, streams };
        // `hello` needs no rights; this tells at once whether we are let in.
        market.stocks().find_one(doc! {}).await?;
        Ok(market)
    }

    /// The collection of the ticker.
    pub fn stocks(&self) -> Collection<Document> {
        self.database().collection(COLLECTION)
    }

    /// The database of the ticker.
    pub fn database(&self) -> Database {
        self.node.client().database(DATABASE)
    }

    /// A database that is not the ticker's own.
    pub fn other(&self, name: &str) -> Database {
        self.node.client().database(name)
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

    /// Closes the connection, and the embedded server if this process runs it.
    pub async fn close(self) {
        self.node.close().await;
    }
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

fn unreachable_at(
    hosts: &str,
    timeout: Duration,
    error: headwater::mongodb::error::Error,
) -> Error {
    let text = one_line(&error);
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. } => Error::unreachable(format!(
            "no server reachable at {hosts} within {} s: {text}",
            timeout.as_secs_f64()
        )),
        _ => match Error::from(error) {
            plain if plain.exit_code() == 4 => Error::unreachable(format!("{hosts}: {text}")),
            _ => Error::failed(format!("{hosts}: {text}")),
        },
    }
}
