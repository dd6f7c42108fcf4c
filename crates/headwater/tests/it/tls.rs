//! R17: real handshakes with a stub that ends TLS in front of the embedded server, those that succeed and those that
//! must not.

mod certificates;
mod stub;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::{CertificateCheck, Config, ConfigBuilder, ConnectionFailure, Error, ErrorKind};
use headwater::{Headwater, Result};
use tokio::net::TcpListener;

use self::certificates::{Authority, FUTURE, Files, Identity, NOW, PAST};
use self::stub::Stub;
use crate::patience::PATIENCE;
use crate::proxy::Proxy;

/// What the certificates of these tests are for: the stub is reached by its address.
const HOST: &str = "127.0.0.1";

fn config(address: SocketAddr) -> ConfigBuilder {
    let uri = format!("mongodb://{address}/?directConnection=true&tls=true");
    let soon = Duration::from_millis(500);
    Config::builder().uri(uri).server_selection_timeout(soon).breaker_failures(0)
}

async fn open(config: ConfigBuilder) -> Result<Headwater> {
    Headwater::from_config(config.build()?).await
}

/// Connects, writes and reads.
async fn agreed(config: ConfigBuilder) {
    let headwater = open(config.server_selection_timeout(PATIENCE)).await.unwrap();
    let things = headwater.collection::<Document>("things");
    let id = things.insert_one(doc! { "n": 1 }).await.unwrap();
    assert_eq!(things.count(doc! { "_id": id }).await.unwrap(), 1);
    headwater.close().await;
}

/// The error of a call where TLS cannot be agreed on.
async fn refused(config: ConfigBuilder) -> Error {
    let headwater = open(config).await.unwrap();
    let begun = Instant::now();
    loop {
        let ping = tokio::time::timeout(PATIENCE, headwater.ping());
        let error = ping.await.expect("the call hangs").expect_err("the handshake succeeds");
        if error.kind() == ErrorKind::Connection(ConnectionFailure::Tls) {
            headwater.close().await;
            return error;
        }
        // Nothing was heard of the server yet.
        assert_eq!(error.kind(), ErrorKind::ServerSelection, "{error:?}");
        assert!(begun.elapsed() < PATIENCE, "{error:?}");
    }
}

/// The text of an error and of all that it came from.
fn whole(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source {
        text.push_str(&format!(" {deeper} {deeper:?}"));
        source = deeper.source();
    }
    text
}

#[tokio::test]
async fn r17_only_the_right_authority_is_trusted() {
    let (files, proxy) = (Files::new("authority"), Proxy::start());
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let stub = Stub::start(proxy.address(), &ours.sign(HOST, NOW)).await;
    let right = files.write("right.pem", ours.pem());
    let wrong = files.write("wrong.pem", other.pem());
    agreed(config(stub.address()).ca_file(&right)).await;
    assert!(stub.agreed() > 0 && proxy.requests("insert") == 1);
    // Several authorities in one file.
    agreed(
        config(stub.address()).ca_file(files.write("two.pem", &[other.pem(), ours.pem()].concat())),
    )
    .await;

    proxy.reset_counts();
    let error = refused(config(stub.address()).ca_file(&wrong)).await;
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert!(error.to_string().contains(&stub.address().to_string()), "{error}");
    assert!(!error.is_retryable() && !error.is_outcome_unknown());
    // The world's authorities do not know it either.
    let error = refused(config(stub.address())).await;
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert_eq!(proxy.connections().made, 0, "nothing gets through before TLS is agreed on");
    // Who wants no check gets none, and was warned.
    agreed(config(stub.address()).certificates(CertificateCheck::None)).await;
}

#[tokio::test]
async fn r17_the_name_of_the_host_is_checked() {
    let (files, proxy) = (Files::new("host"), Proxy::start());
    let ours = Authority::new("ours");
    let ca = files.write("ca.pem", ours.pem());
    let stub = Stub::start(proxy.address(), &ours.sign("db.example.net", NOW)).await;
    let error = refused(config(stub.address()).ca_file(&ca)).await;
    assert!(error.to_string().to_lowercase().contains("not valid for name"), "{error}");
    assert_eq!(proxy.connections().made, 0);
    agreed(config(stub.address()).certificates(CertificateCheck::None)).await;
}

#[tokio::test]
async fn r17_a_certificate_out_of_its_time_is_refused() {
    let (files, proxy) = (Files::new("time"), Proxy::start());
    let ours = Authority::new("ours");
    let ca = files.write("ca.pem", ours.pem());
    for (valid, needle) in [(PAST, "expired"), (FUTURE, "not valid yet")] {
        let stub = Stub::start(proxy.address(), &ours.sign(HOST, valid)).await;
        let error = refused(config(stub.address()).ca_file(&ca)).await;
        assert!(error.to_string().contains(needle), "{error}");
    }
    assert_eq!(proxy.connections().made, 0);
}

/// A server that wants certificates of its clients, and what it takes to please it.
struct Demanding {
    files: Files,
    proxy: Proxy,
    stub: Stub,
    ours: Authority,
    client: Identity,
    ca: PathBuf,
}

impl Demanding {
    async fn start(test: &str) -> Demanding {
        let (files, proxy) = (Files::new(test), Proxy::start());
        let ours = Authority::new("ours");
        let stub = Stub::demanding(proxy.address(), &ours.sign(HOST, NOW), &ours).await;
        let (client, ca) = (ours.sign("client", NOW), files.write("ca.pem", ours.pem()));
        Demanding { files, proxy, stub, ours, client, ca }
    }

    fn config(&self) -> ConfigBuilder {
        config(self.stub.address()).ca_file(&self.ca)
    }

    /// A file with the client's certificate and what is to be its key.
    fn both(&self, name: &str, key: &str) -> PathBuf {
        self.files.write(name, &[&self.client.certificate_pem(), key].concat())
    }
}

#[tokio::test]
async fn r17_a_server_that_wants_certificates_lets_no_other_client_in() {
    let server = Demanding::start("client").await;
    agreed(server.config().certificate_file(server.both("both.pem", &server.client.key_pem())))
        .await;
    server.proxy.reset_counts();

    let without = refused(server.config()).await;
    assert!(without.to_string().contains("CertificateRequired"), "{without}");
    for (name, of_another) in [
        ("stranger", Authority::new("other").sign("client", NOW)),
        ("expired", server.ours.sign("client", PAST)),
    ] {
        let pem = [of_another.certificate_pem(), of_another.key_pem()].concat();
        let both = server.files.write(name, &pem);
        let error = refused(server.config().certificate_file(both)).await;
        assert!(error.to_string().contains("alert"), "{name}: {error}");
    }
    assert_eq!(server.proxy.connections().made, 0);
}

#[tokio::test]
async fn r17_certificate_and_key_may_be_one_file_or_two() {
    let server = Demanding::start("two").await;
    let certificate = server.files.write("client.crt", &server.client.certificate_pem());
    let key = server.files.write("client.key", &server.client.key_pem());
    agreed(server.config().certificate_file(&certificate).key_file(&key)).await;
    let both = server.both("both.pem", &server.client.key_pem());
    agreed(server.config().certificate_file(&both).key_file(&both)).await;
    // As variables of the environment.
    let file = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let variables = [
        ("MONGO_USE_SSL", "true".to_owned()),
        ("MONGO_HOST", HOST.to_owned()),
        ("MONGO_PORT", server.stub.address().port().to_string()),
        ("MONGO_DB", "test".to_owned()),
        ("MONGO_SSL_CA_CERTS", file(&server.ca)),
        ("MONGO_SSL_CERTFILE", file(&certificate)),
        ("MONGO_SSL_KEYFILE", file(&key)),
    ];
    agreed(Config::builder().environment(variables).direct_connection(true)).await;

    // The key of someone else.
    let wrong = server.files.write("wrong.key", &server.ours.sign("x", NOW).key_pem());
    let error = open(server.config().certificate_file(&certificate).key_file(&wrong)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    // A key that is none.
    let none = server.files.write("none.key", "no key");
    let error = open(server.config().certificate_file(&certificate).key_file(&none)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn r17_encrypted_keys_need_their_password_and_no_error_shows_it() {
    const PASSWORD: &str = "correct horse";
    let server = Demanding::start("encrypted").await;
    let encrypted = server.client.encrypted_key_pem(PASSWORD);
    let both = server.both("both.pem", &encrypted);
    agreed(server.config().certificate_file(&both).key_password(PASSWORD)).await;
    let certificate = server.files.write("client.crt", &server.client.certificate_pem());
    let key = server.files.write("client.key", &encrypted);
    let two = || server.config().certificate_file(&certificate).key_file(&key);
    agreed(two().key_password(PASSWORD)).await;

    let plain = server.both("plain.pem", &server.client.key_pem());
    // The form of OpenSSL before PKCS#8.
    let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
               DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    let old = server.both("old.pem", old);
    for (config, needle) in [
        (server.config().certificate_file(&both).key_password("wrong horse"), "decrypt"),
        (two().key_password("wrong horse"), "decrypt"),
        (server.config().certificate_file(&both), "both.pem is encrypted and needs a password"),
        (two(), "client.key is encrypted and needs a password"),
        (
            server.config().certificate_file(&plain).key_password(PASSWORD),
            "No encrypted private key",
        ),
        (
            server.config().certificate_file(&old).key_password(PASSWORD),
            "old.pem is encrypted in a",
        ),
    ] {
        let error = open(config).await.unwrap_err();
        let text = whole(&error);
        assert!(text.contains(needle), "{needle}: {text}");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(!text.contains("horse") && !text.contains("PRIVATE KEY"), "{text}");
    }
}

#[tokio::test]
async fn r17_a_server_that_does_not_shake_hands_is_left() {
    let proxy = Proxy::start();
    // One that speaks no TLS.
    let plain = open(config(proxy.address())).await.unwrap();
    let error = tokio::time::timeout(PATIENCE, plain.ping()).await.expect("it hangs").unwrap_err();
    assert!(error.is_unreachable() && !error.is_outcome_unknown(), "{error:?}");
    plain.close().await;
    // One that says nothing at all.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connected = open(config(silent.local_addr().unwrap())).await.unwrap();
    let error = tokio::time::timeout(PATIENCE, connected.ping()).await.expect("it hangs");
    let error = error.unwrap_err();
    assert!(error.is_unreachable() && error.is_timeout(), "{error:?}");
    connected.close().await;
}

#[tokio::test]
async fn r17_the_joined_file_is_private_and_goes_with_the_connector() {
    use std::os::unix::fs::PermissionsExt;
    let server = Demanding::start("joined").await;
    let certificate = server.files.write("client.crt", &server.client.certificate_pem());
    let key = server.files.write("client.key", &server.client.key_pem());
    let headwater = open(server.config().certificate_file(&certificate).key_file(&key)).await;
    let headwater = headwater.unwrap();
    let joined = || {
        let folders = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        folders.map(|folder| folder.path().join("client.pem")).find(|path| {
            std::fs::read_to_string(path).is_ok_and(|pem| pem.contains(&server.client.key_pem()))
        })
    };
    let path = joined().expect("the driver reads one file");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    headwater.close().await;
    assert!(joined().is_none(), "{path:?} stays");
    assert!(server.files.folder().exists());
}
