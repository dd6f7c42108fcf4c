//! R2, R17, R18, R19, section 4 of the specification, and the defects D9 to D14: where settings come from.

use std::path::PathBuf;
use std::time::Duration;

use headwater::mongodb::options::{Acknowledgment, AuthMechanism, ClientOptions, Credential, Tls};
use headwater::{CertificateCheck, Config, ConfigBuilder, Error, ErrorKind, Headwater};

/// The variables of a complete set of single parameters, and others.
fn parts(more: &[(&str, &str)]) -> ConfigBuilder {
    let base = [("MONGO_HOST", "db.example.net"), ("MONGO_DB", "shop")];
    Config::builder().environment(base.into_iter().chain(more.iter().copied()))
}

fn refused(builder: ConfigBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    error.to_string()
}

/// What the driver makes of it.
async fn options(config: Config) -> ClientOptions {
    let headwater = Headwater::from_config(config).await.unwrap();
    let options = ClientOptions::parse(headwater.uri()).await.unwrap();
    headwater.close().await;
    options
}

/// A file that goes when the test ends.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &str) -> TempFile {
        let name = format!("headwater-it-config-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        TempFile(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn r2_builder_then_uri_then_environment_then_file_then_default() {
    let file = TempFile::new(
        "precedence.env",
        "MONGO_MAX_POOL_SIZE=5\n# a comment\nexport MONGO_RETRY_ATTEMPTS=\"7\"\n",
    );
    let config = Config::builder().uri("mongodb://h/").build().unwrap();
    assert_eq!((config.max_pool_size(), config.resilience().retry.attempts), (100, 3));

    let with_file = || Config::builder().env_file(&file.0);
    let config = with_file().uri("mongodb://h/").build().unwrap();
    assert_eq!((config.max_pool_size(), config.resilience().retry.attempts), (5, 7));

    let with_both = || with_file().environment([("MONGO_MAX_POOL_SIZE", "6")]);
    let config = with_both().uri("mongodb://h/").build().unwrap();
    assert_eq!((config.max_pool_size(), config.resilience().retry.attempts), (6, 7));

    let config = with_both().uri("mongodb://h/?maxPoolSize=8").build().unwrap();
    assert_eq!(config.max_pool_size(), 8);

    let config = with_both().uri("mongodb://h/?maxPoolSize=8").max_pool_size(9).build().unwrap();
    assert_eq!(config.max_pool_size(), 9);
}

#[test]
fn r2_a_value_that_cannot_be_parsed_is_named_with_what_is_expected() {
    for (name, value, expected) in [
        ("MONGO_PORT", "abc", "1 to 65535"),
        ("MONGO_PORT", "0", "1 to 65535"),
        ("MONGO_PORT", "70000", "1 to 65535"),
        ("MONGO_USE_SSL", "yes", "`true` or `false`"),
        ("MONGO_SSL_CERT_REQS", "maybe", "`required`, `optional` or `none`"),
        ("MONGO_MAX_POOL_SIZE", "-1", "1 or more"),
        ("MONGO_MAX_POOL_SIZE", "0", "1 or more"),
        ("MONGO_MIN_POOL_SIZE", "many", "0 or more"),
        ("MONGO_MAX_IDLE_TIME_MS", "30s", "milliseconds"),
        ("MONGO_WAIT_QUEUE_TIMEOUT_MS", "1.5", "milliseconds"),
        ("MONGO_CONNECT_TIMEOUT_MS", "", ""),
        ("MONGO_CONNECT_TIMEOUT_MS", "soon", "milliseconds"),
        ("MONGO_SOCKET_TIMEOUT_MS", "99999999999999999999", "milliseconds"),
        ("MONGO_SERVER_SELECTION_TIMEOUT_MS", "x", "milliseconds"),
        ("MONGO_HEARTBEAT_FREQUENCY_MS", "499", "500 or more"),
        ("MONGO_W", "-2", "majority"),
        ("MONGO_JOURNAL", "1", "`true` or `false`"),
        ("MONGO_WTIMEOUT_MS", "x", "milliseconds"),
        ("MONGO_RETRY_ATTEMPTS", "0", "1 to 100"),
        ("MONGO_RETRY_BASE_MS", "x", "milliseconds"),
        ("MONGO_RETRY_MAX_MS", "x", "milliseconds"),
        ("MONGO_RETRY_DEADLINE_MS", "0", "1 or more"),
        ("MONGO_BREAKER_FAILURES", "x", "number"),
        ("MONGO_BREAKER_WINDOW_MS", "x", "milliseconds"),
        ("MONGO_BREAKER_OPEN_MS", "x", "milliseconds"),
    ] {
        if value.is_empty() {
            // A variable without a value counts as not set.
            parts(&[(name, value)]).build().unwrap();
            continue;
        }
        let message = refused(parts(&[(name, value)]));
        assert!(message.starts_with(name), "{message}");
        assert!(message.contains(&format!("`{value}`")) && message.contains(expected), "{message}");
    }
}

#[test]
fn r2_every_variable_of_the_table_takes_effect() {
    let config = parts(&[
        ("MONGO_PORT", "27018"),
        ("MONGO_MAX_POOL_SIZE", "11"),
        ("MONGO_WAIT_QUEUE_TIMEOUT_MS", "12"),
        ("MONGO_SOCKET_TIMEOUT_MS", "13"),
        ("MONGO_RETRY_ATTEMPTS", "4"),
        ("MONGO_RETRY_BASE_MS", "14"),
        ("MONGO_RETRY_MAX_MS", "15"),
        ("MONGO_RETRY_DEADLINE_MS", "16"),
        ("MONGO_BREAKER_FAILURES", "17"),
        ("MONGO_BREAKER_WINDOW_MS", "18"),
        ("MONGO_BREAKER_OPEN_MS", "19"),
        ("MONGO_REPLICA_SET", "rs0"),
    ]);
    let config = config.build().unwrap();
    assert_eq!(config.uri(), "mongodb://db.example.net:27018/shop?replicaSet=rs0");
    assert_eq!((config.database(), config.max_pool_size()), ("shop", 11));
    let millis = Duration::from_millis;
    let resilience = config.resilience();
    assert_eq!(resilience.bulkhead.max_wait, millis(12));
    assert_eq!(resilience.retry.attempt_timeout, Some(millis(13)));
    assert_eq!((resilience.retry.attempts, resilience.retry.base), (4, millis(14)));
    assert_eq!((resilience.retry.max, resilience.retry.deadline), (millis(15), millis(16)));
    assert_eq!((resilience.breaker.failures, resilience.breaker.window), (17, millis(18)));
    assert_eq!(resilience.breaker.open, millis(19));
    let none = parts(&[("MONGO_SOCKET_TIMEOUT_MS", "0")]).build().unwrap();
    assert_eq!(none.resilience().retry.attempt_timeout, None);
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}

#[tokio::test]
async fn r2_settings_reach_the_driver() {
    let config = parts(&[
        ("MONGO_MIN_POOL_SIZE", "2"),
        ("MONGO_MAX_IDLE_TIME_MS", "3000"),
        ("MONGO_CONNECT_TIMEOUT_MS", "4000"),
        ("MONGO_SERVER_SELECTION_TIMEOUT_MS", "5000"),
        ("MONGO_HEARTBEAT_FREQUENCY_MS", "6000"),
        ("MONGO_W", "majority"),
        ("MONGO_JOURNAL", "TRUE"),
        ("MONGO_WTIMEOUT_MS", "7000"),
    ]);
    let options = config.app_name("it").build().unwrap().driver().await.unwrap();
    let millis = |time| Some(Duration::from_millis(time));
    assert_eq!((options.min_pool_size, options.max_pool_size), (Some(2), Some(100)));
    assert_eq!((options.max_idle_time, options.connect_timeout), (millis(3000), millis(4000)));
    assert_eq!(options.server_selection_timeout, millis(5000));
    assert_eq!((options.heartbeat_freq, options.app_name.as_deref()), (millis(6000), Some("it")));
    let concern = options.write_concern.unwrap();
    assert_eq!((concern.w, concern.journal), (Some(Acknowledgment::Majority), Some(true)));
    assert_eq!(concern.w_timeout, millis(7000));
    assert_eq!(options.default_database.as_deref(), Some("shop"));
    // A write that waits for nobody has no limit; one that waits has always one.
    let concern = |w: u32| async move {
        let config = parts(&[]).w(w).build().unwrap();
        config.driver().await.unwrap().write_concern.unwrap().w_timeout
    };
    assert_eq!((concern(1).await, concern(2).await), (None, millis(10_000)));
}

#[test]
fn r2_unknown_names_are_told_with_the_nearest_known_one() {
    let config = parts(&[("MONGO_MAX_POOLSIZE", "5"), ("MONGO_FROBNICATE", "x"), ("OTHER", "x")]);
    let config = config.build().unwrap();
    let warnings = config.warnings().join("\n");
    assert_eq!(config.warnings().len(), 2, "{warnings}");
    assert!(warnings.contains("did you mean MONGO_MAX_POOL_SIZE?"), "{warnings}");
    assert!(warnings.contains("MONGO_FROBNICATE"), "{warnings}");
    assert_eq!(config.max_pool_size(), 100);
}

#[test]
fn section_4_missing_variables_are_named_in_the_words_of_the_specification() {
    let message = |names: &str| {
        format!(
            "Missing required config variables: {names}. Either provide MONGO_URI or individual connection parameters."
        )
    };
    let of = |variables: &[(&str, &str)]| Config::builder().environment(variables.iter().copied());
    assert_eq!(refused(of(&[]).needs_server()), message("MONGO_HOST, MONGO_DB"));
    assert_eq!(refused(of(&[("MONGO_HOST", "h")])), message("MONGO_DB"));
    assert_eq!(refused(of(&[("MONGO_DB", "d")])), message("MONGO_HOST"));
    assert_eq!(refused(of(&[("MONGO_USERNAME", "u")])), message("MONGO_HOST, MONGO_DB"));
}

#[test]
fn section_4_a_uri_names_its_database_or_it_is_test() {
    let of = |uri: &str, more: &[(&str, &str)]| {
        let builder = Config::builder().environment(more.iter().copied()).uri(uri);
        builder.build().unwrap().database().to_owned()
    };
    assert_eq!(of("mongodb://h/shop", &[("MONGO_DB", "other")]), "shop");
    assert_eq!(of("mongodb://h", &[]), "test");
    assert_eq!(of("mongodb://h/", &[("MONGO_DB", "other")]), "other");
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn without_a_server_the_embedded_database_is_opened() {
    let config = Config::builder().environment([("HEADWATER_DATA", ":memory:")]).build().unwrap();
    assert!(config.is_embedded());
    let headwater = Headwater::from_config(config).await.unwrap();
    headwater.ping().await.unwrap();
    headwater.close().await;

    let nothing = Config::builder().environment([("MONGO_MAX_POOL_SIZE", "3")]).build().unwrap();
    assert_eq!((nothing.uri().as_str(), nothing.max_pool_size()), ("embedded:./headwater-data", 3));
    // The program's word wins over a server in the environment, a server over a folder there.
    let variables = [("MONGO_URI", "mongodb://h/"), ("HEADWATER_DATA", ":memory:")];
    assert!(!Config::builder().environment(variables).build().unwrap().is_embedded());
    let own = Config::builder().environment(variables).embedded(":memory:").build().unwrap();
    assert!(own.is_embedded());
}

#[test]
fn r17_tls_settings_count_only_with_tls() {
    let missing = [("MONGO_SSL_CA_CERTS", "/nonexistent.pem"), ("MONGO_SSL_CERT_REQS", "none")];
    assert!(parts(&missing).build().unwrap().warnings().is_empty());
    let on: Vec<_> = missing.into_iter().chain([("MONGO_USE_SSL", "True")]).collect();
    let message = refused(parts(&on));
    assert!(message.contains("/nonexistent.pem"), "{message}");
}

#[tokio::test]
async fn r17_tls_settings_reach_the_driver() {
    let ca = TempFile::new("ca.pem", "x");
    let both = TempFile::new("both.pem", "x");
    let builder = || parts(&[("MONGO_USE_SSL", "true")]).ca_file(&ca.0);
    let tls = |options: ClientOptions| match options.tls {
        Some(Tls::Enabled(options)) => options,
        other => panic!("{other:?}"),
    };
    let config = builder().certificate_file(&both.0).key_password("s3cret").build().unwrap();
    let options = tls(config.driver().await.unwrap());
    assert_eq!(options.ca_file_path, Some(ca.0.clone()));
    assert_eq!(options.cert_key_file_path, Some(both.0.clone()));
    assert_eq!(options.tls_certificate_key_file_password.as_deref(), Some(&b"s3cret"[..]));
    assert_eq!(options.allow_invalid_certificates, None);

    let config = builder().build().unwrap();
    assert!(tls(config.driver().await.unwrap()).cert_key_file_path.is_none());
    // Off unless something says otherwise; a DNS record says so.
    assert_eq!(parts(&[]).build().unwrap().driver().await.unwrap().tls, Some(Tls::Disabled));
    let srv = Config::builder().uri("mongodb+srv://db.example.net/").build().unwrap();
    assert!(format!("{srv:?}").contains("tls: true"), "{srv:?}");
}

#[test]
fn r17_unchecked_certificates_are_warned_about_loudly() {
    let config = parts(&[("MONGO_USE_SSL", "true"), ("MONGO_SSL_CERT_REQS", "NONE")]);
    let config = config.build().unwrap();
    assert!(config.warnings()[0].contains("NOT CHECKED"), "{:?}", config.warnings());
    let checked = parts(&[("MONGO_USE_SSL", "true"), ("MONGO_SSL_CERT_REQS", "optional")]);
    assert!(checked.build().unwrap().warnings().is_empty());
    let program =
        Config::builder().uri("mongodb://h/?tls=true").certificates(CertificateCheck::None);
    assert_eq!(program.build().unwrap().warnings().len(), 1);
}

#[test]
fn r18_the_whole_grammar_is_checked_before_use() {
    for uri in [
        "mongodb://h",
        "mongodb://h/",
        "mongodb://h:1,i:65535,[::1]:3/db?w=majority&readPreferenceTags=dc:ny&readPreferenceTags=",
        "mongodb://%2Ftmp%2Fa.sock/",
        "mongodb://u:p%40%3A%2F@h/db",
        "mongodb://h?retryWrites=false",
        "mongodb+srv://db.example.net/shop",
    ] {
        Config::builder().uri(uri).build().unwrap_or_else(|error| panic!("{uri}: {error}"));
    }
    for (uri, needle) in [
        ("garbage", "no scheme"),
        ("http://h/", "mongodb://"),
        ("mongodb://", "empty"),
        ("mongodb:///db", "empty"),
        ("mongodb://h,,i/", "number 2"),
        ("mongodb://h:0/", "port"),
        ("mongodb://h:99999/", "port"),
        ("mongodb://h:+1/", "port"),
        ("mongodb://h:/", "port"),
        ("mongodb://[::1/", "]"),
        ("mongodb://[nonsense]/", "IPv6"),
        ("mongodb://a b/", "no name"),
        ("mongodb://%2Ftmp%2Fa/", ".sock"),
        ("mongodb://h%zz/", "percent-encoded"),
        ("mongodb://u:p@ss@h/", "percent-encoded"),
        ("mongodb://u:p/ss@h/", "percent-encoded"),
        ("mongodb://u:p?ss@h/", "percent-encoded"),
        ("mongodb://u:p%1é@h/", "percent-encoded"),
        ("mongodb://u:p%ff@h/", "percent-encoded"),
        ("mongodb://@h/", "no user name"),
        ("mongodb://h/a.b", "database"),
        ("mongodb://h/a%2Fb", "database"),
        ("mongodb://h/?maxPoolSize", "without `=`"),
        ("mongodb://h/?maxPoolSize=", "number"),
        ("mongodb://h/?maxPoolSize=many", "`many`"),
        ("mongodb://h/?maxPoolSize=1&maxpoolsize=2", "twice"),
        ("mongodb://h/?maxPoolSiz=1", "maxPoolSize"),
        ("mongodb://h/?frob=1", "unknown option"),
        ("mongodb://h/?tls=yes", "`true` or `false`"),
        ("mongodb://h/?tls=true&ssl=false", "different"),
        ("mongodb://h/?tls=false&tlsInsecure=true", "tls=false"),
        ("mongodb://h/?readPreference=nearby", "primaryPreferred"),
        ("mongodb://h/?authMechanism=NONE", "SCRAM-SHA-256"),
        ("mongodb://h,i/?directConnection=true", "one host"),
        ("mongodb://h,i/?loadBalanced=true", "one host"),
        ("mongodb://h/?loadBalanced=true&replicaSet=r", "replicaSet"),
        ("mongodb://h/?srvMaxHosts=2", "mongodb+srv"),
        ("mongodb+srv://h:27017/", "port"),
        ("mongodb+srv://h,i/", "one host"),
        ("mongodb://h/?tlsAllowInvalidHostnames=true", "not supported"),
        ("mongodb://h/?w=-1", "negative"),
        ("mongodb://h/?heartbeatFrequencyMS=10", "500 ms"),
        ("mongodb://h/?minPoolSize=5&maxPoolSize=2", "above"),
    ] {
        let message = refused(Config::builder().uri(uri));
        assert!(message.contains(needle), "{uri}: {message}");
    }
}

#[tokio::test]
async fn r18_no_print_shows_a_secret() {
    let secrets = |shown: &str| {
        for secret in ["s3cret", "hush", "ada"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    };
    let config = parts(&[("MONGO_USERNAME", "ada"), ("MONGO_PASSWORD", "s3cret")]);
    secrets(&format!("{config:?}"));
    let config = config.key_password("hush").build().unwrap();
    secrets(&format!("{config:?} {} {}", config.uri(), config.warnings().join(" ")));
    let headwater = Headwater::from_config(config).await.unwrap();
    secrets(&format!("{headwater:?}"));
    headwater.close().await;

    let shown = |error: Error| secrets(&format!("{error} {error:?}"));
    for uri in [
        "mongodb://ada:s3cret",
        "mongodb://ada:s3c/ret@h/?hush=1",
        "ada:s3cret",
        "mongodb://ada:s3cret@h:port/",
        "mongodb://ada:s3cret@h/?hush=1",
        "mongodb://ada:s3cret@h/?authMechanismProperties=hush",
        "mongodb://ada:s3cret@h/?authMechanism=PLAIN&authMechanismProperties=hush",
    ] {
        let result = Config::builder().environment([("MONGO_URI", uri)]).build();
        match result {
            Err(error) => {
                assert!(error.to_string().contains("MONGO_URI"), "{error}");
                shown(error);
            }
            Ok(config) => match Headwater::from_config(config).await {
                Err(error) => shown(error),
                Ok(headwater) => secrets(&format!("{headwater:?}")),
            },
        }
    }
    let file = TempFile::new("wrong.env", "MONGO_HOST=h\nMONGO_PASSWORD='s3cret\nMONGO_DB=d e f\n");
    let error = Config::builder().env_file(&file.0).build().unwrap_err();
    assert!(error.to_string().contains("line"), "{error}");
    shown(error);
}

async fn credential(config: ConfigBuilder) -> Option<Credential> {
    config.build().unwrap().driver().await.unwrap().credential
}

#[tokio::test]
async fn r19_mechanisms_have_their_source() {
    let user = [("MONGO_USERNAME", "ada"), ("MONGO_PASSWORD", "pw")];
    let found = credential(parts(&user)).await.unwrap();
    assert_eq!((found.username.as_deref(), found.source.as_deref()), (Some("ada"), Some("admin")));
    assert_eq!(found.mechanism, None);

    for mechanism in [AuthMechanism::ScramSha1, AuthMechanism::ScramSha256] {
        let more = [user[0], user[1], ("MONGO_AUTH_SOURCE", "people")];
        let found = credential(parts(&more).auth_mechanism(mechanism.clone())).await.unwrap();
        assert_eq!((found.mechanism, found.source.as_deref()), (Some(mechanism), Some("people")));
    }
    let found = credential(parts(&[("MONGO_AUTH_MECHANISM", "MONGODB-X509")])).await.unwrap();
    assert_eq!((found.mechanism, found.password), (Some(AuthMechanism::MongoDbX509), None));
    // Used when both are set.
    assert!(credential(parts(&[("MONGO_USERNAME", "ada")])).await.is_none());
    // What the connection string says about it stays as the driver reads it.
    let uri = || Config::builder().environment(user).uri("mongodb://eve:pw2@h/shop");
    let found = credential(uri()).await.unwrap();
    assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("eve"), Some("pw2")));
    let found = credential(Config::builder().environment(user).uri("mongodb://h/")).await.unwrap();
    assert_eq!(found.username.as_deref(), Some("ada"));
    let found = credential(uri().username("bob").password("pw3")).await.unwrap();
    assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("bob"), Some("pw3")));
}

#[tokio::test]
async fn d9_the_replica_set_comes_behind_the_database() {
    let config = parts(&[("MONGO_REPLICA_SET", "rs0")]).build().unwrap();
    assert_eq!(config.uri(), "mongodb://db.example.net:27017/shop?replicaSet=rs0");
    let options = options(config).await;
    assert_eq!(options.repl_set_name.as_deref(), Some("rs0"));
    assert_eq!(options.default_database.as_deref(), Some("shop"));
}

#[tokio::test]
async fn d10_names_and_passwords_may_hold_any_character() {
    for password in ["p@:/x", "100%", "a?b#c[d]", "ü &=+"] {
        let variables = [("MONGO_USERNAME", "a@b:c/d"), ("MONGO_PASSWORD", password)];
        let options = options(parts(&variables).build().unwrap()).await;
        let credential = options.credential.unwrap();
        assert_eq!(credential.username.as_deref(), Some("a@b:c/d"));
        assert_eq!(credential.password.as_deref(), Some(password));
        assert_eq!(options.hosts[0].to_string(), "db.example.net:27017");
    }
}

#[tokio::test]
async fn d11_certificate_settings_do_not_fail_at_start() {
    let pem = TempFile::new("d11.pem", "x");
    let path = pem.0.to_str().unwrap();
    let config = parts(&[("MONGO_USE_SSL", "true"), ("MONGO_SSL_CA_CERTS", path)]).build().unwrap();
    Headwater::from_config(config).await.unwrap().close().await;
}

#[test]
fn d12_a_pool_size_holds_wherever_it_is_set() {
    assert_eq!(parts(&[("MONGO_MAX_POOL_SIZE", "7")]).build().unwrap().max_pool_size(), 7);
    let both = Config::builder().environment([("MONGO_MAX_POOL_SIZE", "7")]);
    let both = both.uri("mongodb://h/?maxPoolSize=8").build().unwrap();
    assert_eq!(both.max_pool_size(), 8);
}

#[test]
fn d13_nonsense_is_refused_with_a_name() {
    let message = refused(Config::builder().environment([("MONGO_URI", "garbage")]));
    assert!(message.starts_with("MONGO_URI"), "{message}");
    let message = refused(parts(&[("MONGO_PORT", "27o17")]));
    assert!(message.starts_with("MONGO_PORT") && message.contains("27o17"), "{message}");
    let message =
        refused(Config::builder().environment([("MONGO_HOST", "h:1"), ("MONGO_DB", "d")]));
    assert!(message.starts_with("MONGO_HOST"), "{message}");
    let message =
        refused(Config::builder().environment([("MONGO_HOST", "h"), ("MONGO_DB", "a b")]));
    assert!(message.starts_with("MONGO_DB"), "{message}");
}

#[tokio::test]
async fn d14_several_configurations_live_in_one_process() {
    let one = parts(&[("MONGO_MAX_POOL_SIZE", "1")]).build().unwrap();
    let two =
        Config::builder().uri("mongodb://other.example.net/b").deadline(Duration::from_secs(1));
    let two = two.build().unwrap();
    let one = Headwater::from_config(one).await.unwrap();
    let two = Headwater::from_config(two).await.unwrap();
    assert_eq!(one.default_database().name(), "shop");
    assert_eq!(two.default_database().name(), "b");
    assert_eq!(one.resilience_settings().retry.deadline, Duration::from_secs(30));
    assert_eq!(two.resilience_settings().retry.deadline, Duration::from_secs(1));
    one.close().await;
    two.close().await;
}
