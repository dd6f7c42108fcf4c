//! What a program says of its configuration, and the configuration that all sources together make.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mongodb::options::{Acknowledgment, AuthMechanism, ReadConcern, ReadPreference};

use super::connection_string::{ConnectionString, Parts, check_database};
use super::layer::{CertificateCheck, Layer};
use super::secret::Secret;
use super::{Config, CredentialSource, Place, Target, environment, resilience, variables};
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};
use crate::resilience::settings::ResilienceSettings;

const FOLDER: &str = "./headwater-data";
const IN_MEMORY: &str = ":memory:";
const ENV_FILE: &str = ".env";
const HEARTBEAT_MIN: Duration = Duration::from_millis(500);

/// Settings of the program, which win over those of all other sources. Made by [`Config::builder`].
///
/// ```
/// use headwater::Config;
///
/// let variables = [("MONGO_HOST", "db.example.net"), ("MONGO_DB", "shop"), ("MONGO_MAX_POOL_SIZE", "20")];
/// let config = Config::builder().environment(variables).max_pool_size(40).build()?;
/// assert_eq!(config.uri(), "mongodb://db.example.net:27017/shop");
/// assert_eq!(config.max_pool_size(), 40);
///
/// let wrong = Config::builder().environment([("MONGO_PORT", "many")]).build().unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "MONGO_PORT in the environment has the value `many`, but is to be a number from 1 to 65535",
/// );
/// # Ok::<(), headwater::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct ConfigBuilder {
    explicit: Layer,
    resilience: ResilienceSettings,
    environment: Option<BTreeMap<String, String>>,
    env_file: Option<PathBuf>,
    needs_server: bool,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($kind:ty);)*) => {
        impl ConfigBuilder {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $kind) -> ConfigBuilder {
                self.explicit.$name = Some($name.into());
                self
            })*
        }
    };
}

setters! {
    /// The host to connect to, a name or an address without a port; for several use [`ConfigBuilder::uri`].
    host(impl Into<String>);
    /// The port of the host. 27017.
    port(u16);
    /// The database that collections belong to unless another one is named.
    database(impl Into<String>);
    /// The user. Used when there is a password too, or with the mechanism MONGODB-X509.
    username(impl Into<String>);
    /// The database that knows the user. `admin`, or what the mechanism needs.
    auth_source(impl Into<String>);
    /// How to authenticate. What the server prefers, if not set.
    auth_mechanism(AuthMechanism);
    /// The name of the replica set.
    replica_set(impl Into<String>);
    /// Whether to talk to the given host only, whatever set it belongs to.
    direct_connection(bool);
    /// The name under which the server's log shows this program.
    app_name(impl Into<String>);
    /// Whether to encrypt. `mongodb+srv` does unless this says no.
    tls(bool);
    /// How the server's certificate is checked. [`CertificateCheck::None`] lets anyone in between read and change
    /// everything, and warns each time.
    certificates(CertificateCheck);
    /// The file with the certificates that are trusted.
    ca_file(impl Into<PathBuf>);
    /// The file with the client's certificate, and with its key unless that has a file of its own.
    certificate_file(impl Into<PathBuf>);
    /// The file with the client's key.
    key_file(impl Into<PathBuf>);
    /// Most connections to one server. 100.
    max_pool_size(u32);
    /// Connections to one server that are kept open. 0.
    min_pool_size(u32);
    /// Connections to one server that are made at the same time. 2.
    max_connecting(u32);
    /// How long a connection may be idle before it is closed; zero for ever. 30 s.
    max_idle_time(Duration);
    /// How long an operation waits for a connection. 5 s.
    wait_queue_timeout(Duration);
    /// How long making a connection may take. 20 s.
    connect_timeout(Duration);
    /// How long a server may take to answer one attempt; zero for no limit but the deadline. 20 s.
    socket_timeout(Duration);
    /// How long to look for a suitable server. 30 s, within the deadline.
    server_selection_timeout(Duration);
    /// How often servers are looked at; at least 500 ms. 10 s.
    heartbeat_frequency(Duration);
    /// Who has to confirm a write.
    w(impl Into<Acknowledgment>);
    /// Whether a write is confirmed only when it is on disk.
    journal(bool);
    /// How long a write waits for other members, wherever it waits for any. 10 s.
    w_timeout(Duration);
    /// What reads may see.
    read_concern(ReadConcern);
    /// Which members reads may ask.
    read_preference(ReadPreference);
    /// Attempts of one call in all, the first included. 3.
    retry_attempts(u32);
    /// The ceiling of the first pause between attempts. 100 ms.
    retry_base(Duration);
    /// The ceiling of every pause between attempts. 5 s.
    retry_max(Duration);
    /// How long a whole call may take. 30 s.
    deadline(Duration);
    /// Failures of the connection that open the circuit; 0 for never. 5.
    breaker_failures(u32);
    /// How long a failure counts. 30 s.
    breaker_window(Duration);
    /// How long the circuit stays open before a call probes. 10 s.
    breaker_open(Duration);
}

impl ConfigBuilder {
    /// The connection string. Settings of the builder win over its options, those over all other sources.
    #[must_use]
    pub fn uri(mut self, uri: impl Into<String>) -> ConfigBuilder {
        self.explicit.uri = Some(Secret::new(uri));
        self
    }

    /// The user's password.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> ConfigBuilder {
        self.explicit.password = Some(Secret::new(password));
        self
    }

    /// The password of the client's encrypted key.
    #[must_use]
    pub fn key_password(mut self, password: impl Into<String>) -> ConfigBuilder {
        self.explicit.key_password = Some(Secret::new(password));
        self
    }

    /// A database inside this process with its data in a folder, `:memory:` for none. Wins over a server that the
    /// environment names.
    #[must_use]
    pub fn embedded(mut self, folder: impl Into<PathBuf>) -> ConfigBuilder {
        self.explicit.data = Some(folder.into());
        self
    }

    /// Refuses to fall back on the embedded database where no source names a server.
    #[must_use]
    pub fn needs_server(mut self) -> ConfigBuilder {
        self.needs_server = true;
        self
    }

    /// All settings of the resilience layer at once, also those that have no method of their own here. Later calls of
    /// single methods change them.
    #[must_use]
    pub fn resilience(mut self, settings: ResilienceSettings) -> ConfigBuilder {
        self.explicit.retry_attempts = Some(settings.retry.attempts);
        self.explicit.retry_base = Some(settings.retry.base);
        self.explicit.retry_max = Some(settings.retry.max);
        self.explicit.deadline = Some(settings.retry.deadline);
        self.explicit.socket_timeout = Some(settings.retry.attempt_timeout.unwrap_or_default());
        self.explicit.breaker_failures = Some(settings.breaker.failures);
        self.explicit.breaker_window = Some(settings.breaker.window);
        self.explicit.breaker_open = Some(settings.breaker.open);
        self.explicit.wait_queue_timeout = Some(settings.bulkhead.max_wait);
        self.resilience = settings;
        self
    }

    /// Adds variables, in place of those of this process.
    #[must_use]
    pub fn environment<I, K, V>(mut self, variables: I) -> ConfigBuilder
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let text = |(name, value): (K, V)| (name.into(), value.into());
        self.environment = Some(variables.into_iter().map(text).collect());
        self
    }

    /// Adds a file of variables, which are weaker than those of the environment. No file is no error.
    #[must_use]
    pub fn env_file(mut self, path: impl Into<PathBuf>) -> ConfigBuilder {
        self.env_file = Some(path.into());
        self
    }

    /// Adds the variables of this process and, unless another one is named, the file `.env` in the working directory.
    #[must_use]
    pub fn process_environment(mut self) -> ConfigBuilder {
        self.environment = Some(environment::of_process());
        self.env_file.get_or_insert_with(|| ENV_FILE.into());
        self
    }

    /// Reads all sources and checks what they say together. Contacts no server.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn build(self) -> Result<Config> {
        let mut warnings = Vec::new();
        let file = match &self.env_file {
            Some(path) => environment::of_file(path).map_err(wrong)?,
            None => BTreeMap::new(),
        };
        let place = format!("in {}", self.env_file.clone().unwrap_or_default().display());
        let file = variables::read(&file, &place, &mut warnings).map_err(wrong)?;
        let variables = self.environment.unwrap_or_default();
        let environment = variables::read(&variables, "in the environment", &mut warnings);
        let outside = environment.map_err(wrong)?.over(file);
        let target = target(&self.explicit, &outside, self.needs_server)?;
        let Aimed { target, settings, credential, secrets } = match target {
            Aim::Uri(uri) => of_uri(&uri, self.explicit, outside)?,
            Aim::Parts => of_parts(self.explicit.over(outside))?,
            Aim::Embedded(place) => {
                let settings = self.explicit.over(outside).over(Layer::defaults());
                let (target, credential) = (Target::Embedded(place), CredentialSource::Parts);
                Aimed { target, settings, credential, secrets: Vec::new() }
            }
        };
        check(&settings)?;
        if settings.tls == Some(true) && settings.certificates == Some(CertificateCheck::None) {
            warnings.push(
                "TLS CERTIFICATES ARE NOT CHECKED: anyone between this program and the server can read and change \
                 everything, passwords included"
                    .to_owned(),
            );
        }
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let resilience = resilience(&settings, self.resilience);
        resilience.validate().map_err(wrong)?;
        Ok(Config { target, settings, resilience, credential, secrets, warnings })
    }
}

/// What a configuration is of.
enum Aim {
    Uri(Secret),
    Parts,
    Embedded(Place),
}

fn target(explicit: &Layer, outside: &Layer, needs_server: bool) -> Result<Aim> {
    let place = |data: &PathBuf| match data.to_str() {
        Some(IN_MEMORY) => Place::Memory,
        _ => Place::Folder(data.clone()),
    };
    if let Some(uri) = &explicit.uri {
        return Ok(Aim::Uri(uri.clone()));
    }
    if let (Some(data), None) = (&explicit.data, &explicit.host) {
        return Ok(Aim::Embedded(place(data)));
    }
    if let (Some(uri), None) = (&outside.uri, &explicit.host) {
        return Ok(Aim::Uri(uri.clone()));
    }
    let both = explicit.clone().over(outside.clone());
    if both.host.is_some() && both.database.is_some() {
        return Ok(Aim::Parts);
    }
    if let (Some(data), None, false) = (&outside.data, &both.host, needs_server) {
        return Ok(Aim::Embedded(place(data)));
    }
    let means_server = needs_server
        || cfg!(not(feature = "embedded"))
        || both.host.is_some()
        || both.database.is_some()
        || both.port.is_some()
        || both.username.is_some()
        || both.password.is_some()
        || both.replica_set.is_some()
        || both.tls.is_some();
    if !means_server {
        return Ok(Aim::Embedded(Place::Folder(FOLDER.into())));
    }
    let missing = [("MONGO_HOST", both.host.is_none()), ("MONGO_DB", both.database.is_none())];
    let names: Vec<&str> =
        missing.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
    Err(wrong(format!(
        "Missing required config variables: {}. Either provide MONGO_URI or individual connection parameters.",
        names.join(", ")
    )))
}

/// A target and what holds there.
struct Aimed {
    target: Target,
    settings: Layer,
    credential: CredentialSource,
    secrets: Vec<Secret>,
}

fn of_uri(uri: &Secret, explicit: Layer, outside: Layer) -> Result<Aimed> {
    let from_program = explicit.uri.is_some();
    let parsed = ConnectionString::parse(uri.reveal()).map_err(|why| {
        let name = if from_program { "" } else { "MONGO_URI (not shown): " };
        wrong(format!("{name}the connection string {why}"))
    })?;
    let own = explicit.username.is_some() || explicit.auth_mechanism.is_some();
    let credential = match parsed.authenticates && !own {
        true => CredentialSource::Uri,
        false => CredentialSource::Parts,
    };
    // A record in DNS implies encryption, as if the string said so.
    let mut written = parsed.layer;
    written.tls = written.tls.or(parsed.is_srv.then_some(true));
    let settings = explicit.over(written).over(outside).over(Layer::defaults());
    let target = Target::Server(parsed.for_driver);
    Ok(Aimed { target, settings, credential, secrets: parsed.secrets })
}

fn of_parts(given: Layer) -> Result<Aimed> {
    let settings = given.over(Layer::defaults());
    let host = settings.host.as_deref().unwrap_or_default();
    let database = settings.database.as_deref().unwrap_or_default();
    let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
    if host.contains([',', '@']) || host.contains(':') && !is_address {
        return Err(wrong(
            "MONGO_HOST is to be the name or address of one host without a port: use MONGO_PORT, or MONGO_URI for \
             several hosts"
                .to_owned(),
        ));
    }
    check_database(database).map_err(|why| wrong(format!("MONGO_DB is a name that {why}")))?;
    let certificate = settings.auth_mechanism == Some(AuthMechanism::MongoDbX509);
    let credentials = match (&settings.username, &settings.password) {
        (Some(name), _) if certificate => Some((name.as_str(), None)),
        (Some(name), Some(password)) => Some((name.as_str(), Some(password))),
        _ => None,
    };
    let source = settings.auth_source.as_deref().unwrap_or("admin");
    let uri = Parts {
        host,
        port: settings.port.unwrap_or(27017),
        database,
        credentials,
        auth_source: credentials.filter(|_| !certificate).map(|_| source),
        auth_mechanism: settings.auth_mechanism.as_ref().map(AuthMechanism::as_str),
        replica_set: settings.replica_set.as_deref(),
    }
    .build();
    let parsed = ConnectionString::parse(uri.reveal())
        .map_err(|why| wrong(format!("the connection string of the single parameters {why}")))?;
    let (target, credential) = (Target::Server(parsed.for_driver), CredentialSource::Parts);
    Ok(Aimed { target, settings, credential, secrets: parsed.secrets })
}

/// Settings that make no sense, alone or together.
fn check(settings: &Layer) -> Result<()> {
    let (min, max) = (settings.min_pool_size, settings.max_pool_size);
    if max == Some(0) {
        return Err(wrong("the largest pool size is to be 1 or more".to_owned()));
    }
    if settings.max_connecting == Some(0) {
        let message = "the number of connections made at the same time is to be 1 or more";
        return Err(wrong(message.to_owned()));
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let message = format!("the smallest pool size ({min}) is above the largest one ({max})");
        return Err(wrong(message));
    }
    if settings.heartbeat_frequency.is_some_and(|time| time < HEARTBEAT_MIN) {
        return Err(wrong("the heartbeat frequency is to be 500 ms or more".to_owned()));
    }
    if settings.w == Some(Acknowledgment::Nodes(0)) && settings.journal == Some(true) {
        return Err(wrong("writes cannot be unacknowledged (w 0) and journaled".to_owned()));
    }
    if let Some(database) = &settings.database {
        check_database(database)
            .map_err(|why| wrong(format!("the database has a name that {why}")))?;
    }
    if settings.tls == Some(true) {
        super::tls::check_files(settings)?;
    }
    Ok(())
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

impl fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Any of the settings may be a secret, and the environment holds those of other programs too.
        f.debug_struct("ConfigBuilder").field("env_file", &self.env_file).finish_non_exhaustive()
    }
}
