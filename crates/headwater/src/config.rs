//! The connector's configuration: one type, from five sources, checked before use and never printed with its secrets.
//! Knows no operations.

mod builder;
mod connection_string;
mod environment;
mod layer;
mod secret;
mod tls;
mod variables;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ClientOptions, Credential, SelectionCriteria, Tls, WriteConcern,
};

pub use self::builder::ConfigBuilder;
pub use self::layer::CertificateCheck;
use self::layer::Layer;
use self::secret::Secret;
pub(crate) use self::tls::Joined;
use crate::connector::SELECTION_TIME;
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};
use crate::resilience::settings::ResilienceSettings;
use crate::uri;

/// How to reach a database, and how much trouble to put up with.
///
/// Each setting comes from the first of these that gives it: the builder, an option written in the connection string,
/// the environment, a `.env` file, the default. A configuration belongs to one connector; a process may have several.
/// No print of it shows a secret.
///
/// ```
/// use std::time::Duration;
/// use headwater::Config;
///
/// let config = Config::builder()
///     .uri("mongodb://db.example.net/shop?maxPoolSize=50")
///     .username("ada")
///     .password("p@:/x")
///     .deadline(Duration::from_secs(5))
///     .build()?;
/// assert_eq!(config.database(), "shop");
/// assert_eq!(config.max_pool_size(), 50);
/// assert!(!format!("{config:?}").contains("p@:/x"));
/// # Ok::<(), headwater::Error>(())
/// ```
#[derive(Clone)]
pub struct Config {
    target: Target,
    /// What all sources together say.
    settings: Layer,
    resilience: ResilienceSettings,
    credential: CredentialSource,
    /// What no message may hold.
    secrets: Vec<Secret>,
    warnings: Vec<String>,
}

#[derive(Clone)]
enum Target {
    /// As the driver is to parse it.
    Server(Secret),
    Embedded(Place),
}

/// Where an embedded database keeps its data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    Memory,
    Folder(PathBuf),
}

/// Who says how to authenticate.
#[derive(Clone, Copy, PartialEq)]
enum CredentialSource {
    /// The connection string; the builder may add to it.
    Uri,
    /// Name and password of the other sources.
    Parts,
}

impl Config {
    /// A configuration from what the program says, without the environment unless [`ConfigBuilder::environment`] or
    /// [`ConfigBuilder::process_environment`] adds one.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// A configuration from the variables of this process and the `.env` file in the working directory.
    ///
    /// Without a `MONGO_URI` and any other variable that says where a server is, it is that of an embedded database in
    /// the folder that `HEADWATER_DATA` names, or in `./headwater-data`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]: a variable that cannot be understood, with its name, its value unless that is secret, and
    /// what it is to be; `MONGO_HOST` without `MONGO_DB` or the other way round; settings that contradict each other.
    ///
    /// ```no_run
    /// # fn main() -> headwater::Result<()> {
    /// let config = headwater::Config::from_env()?;
    /// println!("connecting to {}", config.uri());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env() -> Result<Config> {
        Config::builder().process_environment().build()
    }

    /// The connection string without its secrets; `embedded:` and the folder for an embedded database.
    pub fn uri(&self) -> String {
        match &self.target {
            Target::Server(uri) => uri::redacted(uri.reveal()),
            Target::Embedded(Place::Memory) => "embedded::memory:".to_owned(),
            Target::Embedded(Place::Folder(folder)) => format!("embedded:{}", folder.display()),
        }
    }

    /// The hosts that the connection string names, with their ports where it says one; none for an embedded database.
    ///
    /// ```
    /// let config = headwater::Config::builder().uri("mongodb://me:s3cret@one,two:2/shop").build()?;
    /// assert_eq!(config.hosts(), ["one", "two:2"]);
    /// # Ok::<(), headwater::Error>(())
    /// ```
    pub fn hosts(&self) -> Vec<String> {
        uri::hosts(self.full_uri())
    }

    /// Whether it is that of a database inside this process.
    pub fn is_embedded(&self) -> bool {
        matches!(self.target, Target::Embedded(_))
    }

    /// The database that collections belong to unless another one is named; `test` if no source names one.
    pub fn database(&self) -> &str {
        self.settings.database.as_deref().unwrap_or("test")
    }

    /// Most connections to one server.
    pub fn max_pool_size(&self) -> u32 {
        self.settings.max_pool_size.unwrap_or(100)
    }

    /// How long to look for a suitable server.
    pub fn server_selection_timeout(&self) -> Duration {
        self.settings.server_selection_timeout.unwrap_or(SELECTION_TIME)
    }

    /// The settings of the layer that every operation passes through.
    pub fn resilience(&self) -> &ResilienceSettings {
        &self.resilience
    }

    /// What is suspicious but no error: unknown variables, certificates that are not checked. Each is logged when the
    /// configuration is built.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The options of the driver that this leads to; resolves `mongodb+srv` names. For programs that make a client of
    /// their own.
    ///
    /// # Errors
    /// A name that cannot be resolved, or TLS files that make no sense. A certificate and key in two files
    /// are for [`Headwater::from_config`](crate::Headwater::from_config) only, which joins them for as long as it lives.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// let config = headwater::Config::builder().uri("mongodb://127.0.0.1/").max_pool_size(5).build()?;
    /// assert_eq!(config.driver().await?.max_pool_size, Some(5));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn driver(&self) -> Result<ClientOptions> {
        let (options, joined) = self.driver_options().await?;
        match joined {
            Some(_) => Err(Error::new(
                ErrorKind::Config,
                "a certificate and key in two files need Headwater::from_config",
            )),
            None => Ok(options),
        }
    }

    #[cfg(feature = "embedded")]
    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.target {
            Target::Embedded(place) => Some(place),
            Target::Server(_) => None,
        }
    }

    /// The connection string with its secrets, as the driver takes it; empty for an embedded database.
    pub(crate) fn full_uri(&self) -> &str {
        match &self.target {
            Target::Server(uri) => uri.reveal(),
            Target::Embedded(_) => "",
        }
    }

    /// The driver's options, and the files that must stay as long as the client does. Resolves `mongodb+srv` names.
    pub(crate) async fn driver_options(&self) -> Result<(ClientOptions, Option<Joined>)> {
        let mut options = ClientOptions::parse(self.full_uri()).await.map_err(|error| {
            // The driver's message may quote what it did not understand.
            let message = "the driver does not accept the connection string or cannot resolve it";
            let shown = Error::from(error).to_string();
            let safe = !self.secrets.iter().any(|secret| shown.contains(secret.reveal()));
            let message = if safe { format!("{message}: {shown}") } else { message.to_owned() };
            Error::new(ErrorKind::Config, message)
        })?;
        let joined = self.encrypt(&mut options)?;
        self.apply(&mut options);
        options.credential = self.credential(options.credential.take());
        Ok((options, joined))
    }

    /// Every setting that is not one of TLS or of authentication.
    pub(crate) fn apply(&self, options: &mut ClientOptions) {
        let settings = &self.settings;
        options.default_database = Some(self.database().to_owned());
        options.max_pool_size = settings.max_pool_size;
        options.min_pool_size = settings.min_pool_size;
        options.max_idle_time = settings.max_idle_time.filter(|time| !time.is_zero());
        options.connect_timeout = settings.connect_timeout;
        options.server_selection_timeout = settings.server_selection_timeout;
        options.heartbeat_freq = settings.heartbeat_frequency;
        options.write_concern = self.write_concern();
        if settings.max_connecting.is_some() {
            options.max_connecting = settings.max_connecting;
        }
        if let Some(name) = &settings.app_name {
            options.app_name = Some(name.clone());
        }
        if let Some(name) = &settings.replica_set {
            options.repl_set_name = Some(name.clone());
        }
        if let Some(direct) = settings.direct_connection {
            options.direct_connection = Some(direct);
        }
        if let Some(concern) = &settings.read_concern {
            options.read_concern = Some(concern.clone());
        }
        if let Some(preference) = &settings.read_preference {
            let criteria = SelectionCriteria::ReadPreference(preference.clone());
            options.selection_criteria = Some(criteria);
        }
    }

    fn write_concern(&self) -> Option<WriteConcern> {
        let Layer { w, journal, w_timeout, .. } = &self.settings;
        if w.is_none() && journal.is_none() {
            return None;
        }
        let mut concern = WriteConcern::default();
        concern.w = w.clone();
        concern.journal = *journal;
        let waits = match w {
            Some(Acknowledgment::Nodes(nodes)) => *nodes > 1,
            Some(_) => true,
            None => false,
        };
        concern.w_timeout = w_timeout.filter(|_| waits);
        Some(concern)
    }

    fn encrypt(&self, options: &mut ClientOptions) -> Result<Option<Joined>> {
        if self.settings.tls != Some(true) {
            options.tls = Some(Tls::Disabled);
            return Ok(None);
        }
        let (tls, joined) = tls::options(&self.settings)?;
        options.tls = Some(tls);
        Ok(joined)
    }

    fn credential(&self, of_uri: Option<Credential>) -> Option<Credential> {
        let settings = &self.settings;
        match (of_uri, self.credential) {
            (Some(credential), CredentialSource::Uri) => Some(credential),
            _ => {
                let certificate =
                    settings.auth_mechanism == Some(mongodb::options::AuthMechanism::MongoDbX509);
                let both = settings.username.is_some() && settings.password.is_some();
                if !both && !certificate {
                    return None;
                }
                let mut credential = Credential::default();
                credential.username = settings.username.clone();
                credential.password =
                    settings.password.as_ref().map(|password| password.reveal().to_owned());
                credential.mechanism = settings.auth_mechanism.clone();
                credential.source = match (&settings.auth_source, certificate) {
                    // Certificates are known to no database.
                    (_, true) => {
                        credential.password = None;
                        None
                    }
                    (source, false) => Some(source.clone().unwrap_or_else(|| "admin".to_owned())),
                };
                Some(credential)
            }
        }
    }
}

/// The settings of the resilience layer that a source of settings leads to.
fn resilience(settings: &Layer, base: ResilienceSettings) -> ResilienceSettings {
    let mut resilience = base;
    let set = |value: &mut Duration, given: Option<Duration>| *value = given.unwrap_or(*value);
    resilience.retry.attempts = settings.retry_attempts.unwrap_or(resilience.retry.attempts);
    set(&mut resilience.retry.base, settings.retry_base);
    set(&mut resilience.retry.max, settings.retry_max);
    set(&mut resilience.retry.deadline, settings.deadline);
    if let Some(time) = settings.socket_timeout {
        resilience.retry.attempt_timeout = Some(time).filter(|time| !time.is_zero());
    }
    resilience.breaker.failures = settings.breaker_failures.unwrap_or(resilience.breaker.failures);
    set(&mut resilience.breaker.window, settings.breaker_window);
    set(&mut resilience.breaker.open, settings.breaker_open);
    set(&mut resilience.bulkhead.max_wait, settings.wait_queue_timeout);
    resilience
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("uri", &self.uri())
            .field("database", &self.database())
            .field("tls", &self.settings.tls.unwrap_or(false))
            .field("max_pool_size", &self.max_pool_size())
            .field("resilience", &self.resilience)
            .finish_non_exhaustive()
    }
}
