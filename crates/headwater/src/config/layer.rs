//! What one source of settings says: every setting that it gives, nothing of those that it does not.

use std::path::PathBuf;
use std::time::Duration;

use mongodb::options::{Acknowledgment, AuthMechanism, ReadConcern, ReadPreference};

use super::secret::Secret;

/// How a server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateCheck {
    /// It must be valid and name the host.
    Required,
    /// It is not looked at: anyone between client and server can read and change everything.
    None,
}

macro_rules! layer {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// The settings of one source.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(super) struct Layer {
            $($(#[$doc])* pub(super) $name: Option<$kind>,)*
        }

        impl Layer {
            /// These settings, and those of a weaker source where there are none.
            pub(super) fn over(self, weaker: Layer) -> Layer {
                Layer { $($name: self.$name.or(weaker.$name),)* }
            }
        }
    };
}

layer! {
    uri: Secret,
    /// Where the embedded database has its data; without a server only.
    data: PathBuf,
    host: String,
    port: u16,
    database: String,
    username: String,
    password: Secret,
    auth_source: String,
    auth_mechanism: AuthMechanism,
    replica_set: String,
    direct_connection: bool,
    app_name: String,
    tls: bool,
    certificates: CertificateCheck,
    ca_file: PathBuf,
    certificate_file: PathBuf,
    key_file: PathBuf,
    key_password: Secret,
    max_pool_size: u32,
    min_pool_size: u32,
    max_connecting: u32,
    max_idle_time: Duration,
    wait_queue_timeout: Duration,
    connect_timeout: Duration,
    /// Zero for none.
    socket_timeout: Duration,
    server_selection_timeout: Duration,
    heartbeat_frequency: Duration,
    w: Acknowledgment,
    journal: bool,
    w_timeout: Duration,
    read_concern: ReadConcern,
    read_preference: ReadPreference,
    retry_attempts: u32,
    retry_base: Duration,
    retry_max: Duration,
    deadline: Duration,
    breaker_failures: u32,
    breaker_window: Duration,
    breaker_open: Duration,
}

impl Layer {
    /// The settings that hold where no source says otherwise.
    pub(super) fn defaults() -> Layer {
        Layer {
            port: Some(27017),
            tls: Some(false),
            certificates: Some(CertificateCheck::Required),
            max_pool_size: Some(100),
            min_pool_size: Some(0),
            max_idle_time: Some(Duration::from_secs(30)),
            wait_queue_timeout: Some(Duration::from_secs(5)),
            connect_timeout: Some(Duration::from_secs(20)),
            socket_timeout: Some(Duration::from_secs(20)),
            server_selection_timeout: Some(Duration::from_secs(30)),
            heartbeat_frequency: Some(Duration::from_secs(10)),
            w_timeout: Some(Duration::from_secs(10)),
            retry_attempts: Some(3),
            retry_base: Some(Duration::from_millis(100)),
            retry_max: Some(Duration::from_secs(5)),
            deadline: Some(Duration::from_secs(30)),
            breaker_failures: Some(5),
            breaker_window: Some(Duration::from_secs(30)),
            breaker_open: Some(Duration::from_secs(10)),
            ..Layer::default()
        }
    }
}
