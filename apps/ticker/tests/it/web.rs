//! WEB: the page, the snapshot and the pushed updates.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::market::{Market, alone, beside_others};
use crate::process::{PATIENCE, Running};

/// Starts WEB on a free port; gives it and its address.
fn start(market: &Market) -> (Running, String) {
    let web = Running::on(market.path(), &["web", "--listen", "127.0.0.1:0"]);
    let line = web.line_where(|line| line.contains("http://"));
    let address = line.split("http://").nth(1).unwrap().trim_end_matches('/').to_owned();
    (web, address)
}

fn get(address: &str, path: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    BufReader::new(stream)
}

fn whole(address: &str, path: &str) -> String {
    let mut text = String::new();
    get(address, path).read_to_string(&mut text).unwrap();
    text
}

fn line_where(viewer: &mut impl BufRead, fits: impl Fn(&str) -> bool) -> (Instant, String) {
    loop {
        let mut line = String::new();
        assert!(viewer.read_line(&mut line).unwrap() > 0, "the stream ended");
        if fits(&line) {
            return (Instant::now(), line);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t14_web_display_and_trace_show_the_same_price() {
    let _quiet = alone().await;
    let market = Market::loaded(5).await;
    let (_web, address) = start(&market);
    let display = Running::on(market.path(), &["display"]);
    display.line_where(|line| line.starts_with("SAP   : "));
    let trace = Running::on(market.path(), &["trace"]);
    trace.line_where(|line| line.contains("in collection"));
    let mut viewer = get(&address, "/events");
    line_where(&mut viewer, |line| line.starts_with("event: board"));
    let mut late = Vec::new();
    for price in 1_001..1_006 {
        let begun = Instant::now();
        market.set("IBM", price).await;
        let text = format!("Stock IBM \ttick: {price} ");
        let (shown, _) = display.timed_line_where(|line| line.starts_with(&text));
        let (traced, _) = trace.timed_line_where(|line| line.starts_with(&text));
        let (pushed, _) =
            line_where(&mut viewer, |line| line.contains(&format!("\"price\":{price},")));
        late.push(shown.max(traced).max(pushed) - begun);
    }
    // The median: other work on the machine may hold up single prices.
    late.sort_unstable();
    assert!(late[late.len() / 2] < Duration::from_millis(250), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b21_page_snapshot_and_errors() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    let (web, address) = start(&market);
    let page = whole(&address, "/");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("new EventSource(\"events\")"));
    market.set("IBM", 1_001).await;
    let begun = Instant::now();
    while !whole(&address, "/api/prices").contains(
        "\"symbol\":\"IBM\",\"company\":\"International Business Machines Corp.\",\"price\":1001,",
    ) {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(whole(&address, "/other").starts_with("HTTP/1.1 404 "));
    web.signal("INT");
    assert_eq!(web.end().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn b21_a_hundred_viewers_get_every_price() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    let (_web, address) = start(&market);
    let mut viewers: Vec<_> = (0..100).map(|_| get(&address, "/events")).collect();
    for viewer in &mut viewers {
        line_where(viewer, |line| line.starts_with("data: {\"state\""));
    }
    market.set("MDB", 1_234).await;
    for viewer in &mut viewers {
        line_where(viewer, |line| line.contains("\"symbol\":\"MDB\"") && line.contains("1234"));
    }
}
