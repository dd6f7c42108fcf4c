//! The deployment that the scenarios run on: by URI, by environment, or embedded. Knows no scenario.

use std::time::Duration;

use headwater::bson::{Document, doc};
use headwater::options::ClientOptions;
use headwater::{Collection, Config, ConfigBuilder, Database, Headwater};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::arguments::Arguments;
use crate::error::Result;

/// How long the end waits for what is under way, and for cursors to be closed on the server.
const SHUTDOWN_MAX: Duration = Duration::from_secs(3);

/// An open connection, and what is needed to open more.
#[derive(Debug, Clone)]
pub struct Deployment {
    headwater: Headwater,
    database: String,
    seed: Option<u64>,
    timeout: Duration,
}

impl Deployment {
    /// Opens what the command line names: `--uri`, else what the environment names (`MONGO_URI` and its kin), else the
    /// embedded database in `--data` or `./headwater-data`.
    ///
    /// # Errors
    /// No server answers within the time limit, or it refuses us: exit code 4.
    pub async fn open(arguments: &Arguments) -> Result<Deployment> {
        let mut config = Config::builder()
            .process_environment()
            .app_name("headwater-lessons")
            .server_selection_timeout(arguments.timeout);
        if let Some(uri) = &arguments.uri {
            config = config.uri(uri);
        } else if let Some(folder) = &arguments.data {
            config = config.embedded(folder);
        }
        let headwater = Headwater::from_config(config.build()?).await?;
        headwater.ping().await?;
        let database = arguments.database.clone();
        Ok(Deployment { headwater, database, seed: arguments.seed, timeout: arguments.timeout })
    }

    /// The connection that the scenarios share.
    pub fn headwater(&self) -> &Headwater {
        &self.headwater
    }

    /// The database of the scenarios.
    pub fn database(&self) -> Database {
        self.headwater.database(&self.database)
    }

    /// A collection of the scenarios.
    pub fn collection(&self, name: &str) -> Collection<Document> {
        self.database().collection(name)
    }

    /// Random numbers: the same ones for the same `--seed` and `salt`.
    pub fn random(&self, salt: u64) -> StdRng {
        match self.seed {
            Some(seed) => StdRng::seed_from_u64(seed.wrapping_add(salt)),
            None => StdRng::from_os_rng(),
        }
    }

    /// A client of its own on the same deployment, with its own settings.
    ///
    /// # Errors
    /// The settings contradict each other.
    pub async fn another(
        &self,
        settings: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
    ) -> Result<Headwater> {
        let config = Config::builder()
            .uri(self.headwater.uri())
            .app_name("headwater-lessons")
            .server_selection_timeout(self.timeout);
        Ok(Headwater::from_config(settings(config).build()?).await?)
    }

    /// The driver's options that lead to the same deployment.
    ///
    /// # Errors
    /// A name cannot be resolved.
    pub async fn options(&self) -> Result<ClientOptions> {
        Ok(Config::builder().uri(self.headwater.uri()).build()?.driver().await?)
    }

    /// What the server says about itself.
    ///
    /// # Errors
    /// It does not answer, or does not allow it.
    pub async fn server_status(&self) -> Result<Document> {
        let admin = self.headwater.database("admin");
        Ok(admin.run_command(doc! { "serverStatus": 1 }).await?)
    }

    /// Lets go of everything on the server, then closes the connection, and the embedded database if this process
    /// runs it.
    pub async fn close(self) {
        self.headwater.shutdown(SHUTDOWN_MAX).await;
    }
}
