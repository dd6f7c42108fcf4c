//! Interrupts, collisions, and servers that die.

use std::process::Command;
use std::time::{Duration, Instant};

use headwater::Headwater;
use headwater::bson::{Document, doc};

use crate::binary::{run, ticker};
use crate::market::{Folder, Market, beside_others};
use crate::process::Running;

fn is_long() -> bool {
    std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn t12_an_interrupted_change_loses_no_document() {
    let _quiet = beside_others().await;
    let market = Market::loaded(50).await;
    let rounds = if is_long() { 200 } else { 25 };
    for round in 0..rounds {
        let change = Running::on(market.path(), &["change", "--rate", "1"]);
        change.line_where(|line| line.contains("in collection"));
        std::thread::sleep(Duration::from_millis(round * 7 % 50));
        change.signal(if round % 2 == 0 { "INT" } else { "TERM" });
        let output = change.end();
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(market.count().await, 213, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_two_changes_collide_without_harm() {
    let _quiet = beside_others().await;
    // Few keys, so that they meet often.
    let market = Market::loaded(3).await;
    let seconds = if is_long() { "60" } else { "5" };
    let words = ["change", "--rate", "2", "--seconds", seconds];
    let both = [Running::on(market.path(), &words), Running::on(market.path(), &words)];
    std::thread::sleep(Duration::from_secs(seconds.parse().unwrap()));
    for change in both {
        let output = change.end();
        assert_eq!(output.code, Some(0), "{output:?}");
    }
    assert_eq!(market.count().await, 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_missing_documents_are_reported_and_put_back() {
    let _quiet = beside_others().await;
    let market = Market::loaded(20).await;
    let keys = ["Z10003", "Z10007"];
    market.stocks().delete_many(doc! { "_id": { "$in": keys } }).await.unwrap();
    let words = ["change", "--rate", "60000", "--seconds", "1"];
    let output = run(market.path(), &words);
    assert!(output.stderr.contains("2 missing \"Z\" documents: Z10003, Z10007"), "{output:?}");
    assert!(market.count().await <= 92);
    let output = run(market.path(), &[&words[..], &["--repair"]].concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(market.count().await, 93);
}

/// A server in a process of its own, as this test binary again.
struct Server {
    process: Running,
    uri: String,
}

impl Server {
    fn start(data: &std::path::Path) -> Server {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["failures::serve", "--exact", "--ignored", "--nocapture"]);
        command.env("TICKER_TEST_DATA", data);
        let process = Running::start(command);
        let line = process.line_where(|line| line.contains("mongodb://"));
        let uri = line[line.find("mongodb://").unwrap()..].to_owned();
        Server { process, uri }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the server process of another test"]
async fn serve() {
    let Some(data) = std::env::var_os("TICKER_TEST_DATA") else { return };
    let headwater = Headwater::open_shared(data).await.unwrap();
    println!("\n{}", headwater.uri());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_trace_misses_and_repeats_nothing_when_the_server_is_killed() {
    let _quiet = beside_others().await;
    let folder = Folder::new();
    let mut server = Server::start(folder.path());
    let uri = server.uri.clone();
    let by_uri = |words: &[&str]| {
        let mut command = ticker(words);
        command.args(["--uri", &uri]);
        Running::start(command)
    };
    let init = by_uri(&["init", "--numbers", "50"]).end();
    assert_eq!(init.code, Some(0), "{init:?}");
    let mut trace = by_uri(&["trace"]);
    trace.line_where(|line| line.contains("in collection"));
    let mut change = by_uri(&["change"]);
    change.line_where(|line| line.contains("in collection"));

    // Every update of our own is either acknowledged or, if the server died under it, in doubt.
    let writer = tokio::spawn(write_until_done(uri.clone()));
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        server.process.kill();
        tokio::time::sleep(Duration::from_millis(500)).await;
        server = Server::start(folder.path());
        assert_eq!(server.uri, uri);
    }
    let (acknowledged, in_doubt) = writer.await.unwrap();
    assert!(acknowledged.len() > 10, "{acknowledged:?}");
    assert!(trace.is_running() && change.is_running());

    let last = acknowledged.last().unwrap();
    let mut shown = Vec::new();
    let begun = Instant::now();
    while shown.last() != Some(last) {
        assert!(begun.elapsed() < crate::process::PATIENCE, "{last} is missing after {shown:?}");
        for line in trace.lines_for(Duration::from_millis(200)) {
            let price = line.split("tick: ").nth(1).and_then(|rest| rest.split(' ').next());
            shown.extend(price.and_then(|price| price.parse::<i32>().ok()).filter(|p| *p >= 1_000));
        }
    }
    shown.retain(|price| !in_doubt.contains(price));
    assert_eq!(shown, acknowledged);
}

/// Counts a price up for a while; gives the prices that were acknowledged and those in doubt.
async fn write_until_done(uri: String) -> (Vec<i32>, Vec<i32>) {
    let headwater =
        Headwater::connect(&format!("{uri}&serverSelectionTimeoutMS=5000")).await.unwrap();
    let stocks = headwater.database("market").collection::<Document>("stocksymbols");
    let (mut acknowledged, mut in_doubt) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    for price in 1_000.. {
        if begun.elapsed() > Duration::from_secs(7) {
            break;
        }
        let update = doc! { "$set": { "price": price } };
        match stocks.update_one(doc! { "_id": "IBM" }, update).await {
            Ok(result) => {
                assert_eq!(result.modified_count, 1, "{price}");
                acknowledged.push(price);
            }
            Err(_) => in_doubt.push(price),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (acknowledged, in_doubt)
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_commands_share_the_embedded_server_and_take_it_over() {
    let _quiet = beside_others().await;
    let folder = Folder::new();
    assert_eq!(run(folder.path(), &["init", "--numbers", "50"]).code, Some(0));
    // CHANGE comes first and runs the database; TRACE joins, and goes on when CHANGE is killed.
    let mut change = Running::on(folder.path(), &["change"]);
    change.line_where(|line| line.contains("in collection"));
    let mut trace = Running::on(folder.path(), &["trace"]);
    trace.line_where(|line| line.starts_with("Stock "));
    change.kill();
    let change = Running::on(folder.path(), &["change"]);
    change.line_where(|line| line.contains("in collection"));
    for _ in 0..8 {
        trace.line_where(|line| line.starts_with("Stock "));
    }
    assert!(trace.is_running());
}
