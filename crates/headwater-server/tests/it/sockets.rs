//! Addresses: Unix sockets, what a client is told it dialled, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use headwater_server::Server;

use crate::fixture::{Fake, Fixture, int};
use crate::raw::{Raw, command, msg};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("headwater-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_client_learns_the_address_that_it_dialled() {
    let fixture = Fixture::start();
    for id in 1..3 {
        let mut raw = fixture.connect();
        let reply = raw.ask(&msg(1, 0, &command("whoami", 1)));
        let text = |name| reply.as_doc().get(name).unwrap().as_str().unwrap().to_owned();
        assert_eq!(int(reply.as_doc(), "id"), id);
        assert_eq!(text("local"), fixture.address.to_string());
        assert_eq!(text("peer"), raw.0.local_addr().unwrap().to_string());
    }
}

#[test]
fn an_advertised_address_stands_for_all() {
    let fixture = Fixture::with(|b| b.advertise("db.example:9"));
    let reply = fixture.connect().ask(&msg(1, 0, &command("whoami", 1)));
    assert_eq!(reply.as_doc().get("local").unwrap().as_str(), Some("db.example:9"));
}

#[test]
fn a_unix_socket_answers_and_its_file_goes_with_the_server() {
    let folder = Folder::new("socket");
    let path = folder.0.join("headwater.sock");
    // A file that a killed server left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut fixture = Fixture::with(|b| b.unix(&path));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let mut raw = Raw(UnixStream::connect(&path).unwrap());
    let reply = raw.ask(&msg(1, 0, &command("whoami", 1)));
    assert_eq!(reply.as_doc().get("local").unwrap().as_str(), path.to_str());
    let taken = Server::builder().unix(&path).serve(Arc::new(Fake::default()));
    assert!(fixture.runtime.block_on(taken).unwrap_err().to_string().contains("in use"));
    raw.expect_ping();
    let server = fixture.server.take().unwrap();
    assert!(fixture.runtime.block_on(server.shutdown(std::time::Duration::from_secs(60))));
    raw.expect_closed();
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = Folder::new("file");
    let path = folder.0.join("precious");
    std::fs::write(&path, "data").unwrap();
    let fixture = Fixture::start();
    let refused = Server::builder().unix(&path).serve(Arc::new(Fake::default()));
    assert!(fixture.runtime.block_on(refused).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
}

#[test]
fn addresses_that_others_can_reach_are_refused() {
    let fixture = Fixture::start();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let refused = Server::builder().tcp(address.parse().unwrap());
        let error = fixture.runtime.block_on(refused.serve(Arc::new(Fake::default()))).unwrap_err();
        assert!(error.is_not_loopback(), "{error}");
        assert!(error.to_string().contains("authentication"), "{error}");
    }
    let mapped = Server::builder().tcp("[::ffff:127.0.0.1]:0".parse().unwrap());
    let mapped = fixture.runtime.block_on(mapped.serve(Arc::new(Fake::default())));
    assert!(mapped.is_ok_and(|server| server.tcp_addresses().len() == 1));
}
