//! The demonstration as a shell without a terminal sees it.

use std::net::TcpListener;
use std::time::Duration;

use ticker::init::{self, Load};
use ticker::market::Market;

use crate::process::{Folder, Running, output};

#[test]
fn it_prints_its_uri_and_changes_and_ends_in_time() {
    let ended = output(&["demo", "--port", "0", "--seconds", "8"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains("-- Any MongoDB driver can connect to mongodb://127.0.0.1:"), "{text}");
    let changes = text.lines().filter(|line| line.starts_with("Stock ")).count();
    assert!((2..=33).contains(&changes), "{text}");
    let folder = text.split("-- Data is in ").nth(1).unwrap().split(" (removed").next().unwrap();
    assert!(!std::path::Path::new(folder).exists(), "{folder} is left behind");
}

#[test]
fn it_keeps_a_named_folder_and_goes_on_with_it() {
    let folder = Folder::new("demo");
    for first in [true, false] {
        let data = folder.data();
        let ended = output(&["demo", "--port", "0", "--seconds", "1", "--data", &data]);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let text = String::from_utf8(ended.stdout).unwrap();
        assert!(text.contains(&format!("-- Data is in {data} (kept)")), "{text}");
        assert_eq!(text.contains("Initialising"), first, "{text}");
    }
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = output(&["demo", "--port", &port, "--seconds", "1"]);
    assert_ne!(ended.status.code(), Some(0), "{ended:?}");
    assert!(String::from_utf8(ended.stderr).unwrap().contains(&port));
}

#[test]
fn without_a_port_a_taken_one_is_no_trouble() {
    // Whether or not something else listens there, one of the two finds it taken.
    let _taken = TcpListener::bind("127.0.0.1:27017");
    let ended = output(&["demo", "--seconds", "1"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains("-- Port 27017 is taken, so this is port "), "{text}");
}

#[tokio::test]
async fn the_market_loads_through_a_router_that_has_no_shards() {
    let listen = ["--data", ":memory:", "--listen", "127.0.0.1:0", "--as", "mongos"];
    let server = Running::start(&listen, &[]);
    let uri = format!("mongodb://{}/", server.address);
    let market = Market::connect(&uri, Duration::from_secs(5)).await.unwrap();
    assert!(market.is_router());
    let load = Load { numbers: 10, batch: 1_000, resume: false, force: false, terminal: false };
    init::run(&market, load).await.unwrap();
    let all = market.stocks().count(Default::default()).await.unwrap();
    assert_eq!(all, 53);
    market.close().await;
}
