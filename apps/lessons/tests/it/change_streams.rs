//! The fifth lecture as it was: all events, and a warning for each sale. And what a restart of the server does to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use headwater::Headwater;
use headwater::bson::doc;

use crate::binary::run;
use crate::inventory::{Inventory, Node, warning, watched_by};
use crate::process::{PATIENCE, Running};
use crate::serve::Serve;

/// Whether runs are to be as long as the requirements say.
fn is_long() -> bool {
    std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1")
}

/// The time between two sales of a run that is bounded, and of the one that is required.
fn interval() -> &'static str {
    if is_long() { "100ms" } else { "10ms" }
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_watch_prints_ten_updates_beside_the_shop() {
    let node = Node::start().await;
    node.inventory().fill([100, 100, 100]).await;
    let watch = Running::on(node.uri(), &["watch", "--events", "10"]);
    let first = watch.line();
    assert!(first.contains(r#""type":"strawberries","quantity":100"#), "{first}");
    let shop = Running::on(node.uri(), &["shop", "--interval", "100ms", "--verbose"]);
    let output = watch.end();
    assert_eq!(output.code, Some(0), "{output:?}");
    let sold = shop.interrupt();
    let sold: Vec<&str> = sold.stderr.lines().filter(|line| line.starts_with("sold ")).collect();
    let lines = output.lines();
    assert_eq!(lines.len(), 12, "{output:?}");
    for (event, sale) in lines[2..].iter().zip(&sold) {
        for field in ["_id", "clusterTime", "wallTime", "documentKey", "fullDocument"] {
            assert!(event.contains(&format!("\"{field}\":")), "{event}");
        }
        assert!(event.contains(r#""operationType":"update""#), "{event}");
        assert!(event.contains(r#""ns":{"db":"lessons","coll":"inventory"}"#), "{event}");
        // `sold 4 of apples, 96 left`
        let left: Vec<&str> = sale.split(' ').collect();
        let update = format!(
            r#""updateDescription":{{"updatedFields":{{"quantity":{}}},"removedFields":[],"truncatedArrays":[]}}"#,
            left[4]
        );
        assert!(event.contains(&update), "{event} {sale}");
    }
}

/// The warnings of each fruit have the properties of the lecture's sample run.
fn check_every(lines: &[String]) {
    let mut fruits: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in lines {
        let (fruit, quantity) = warning(line);
        fruits.entry(fruit).or_default().push(quantity);
    }
    assert_eq!(fruits.len(), 3, "{lines:?}");
    for (fruit, quantities) in fruits {
        assert!((1..=10).contains(&quantities.len()), "{fruit} {quantities:?}");
        assert!(quantities.is_sorted_by(|one, next| one > next), "{fruit} {quantities:?}");
        let (first, last) = (quantities[0], *quantities.last().unwrap());
        assert!((3..=19).contains(&first) && first >= 12, "{fruit} {quantities:?}");
        assert!((3..=10).contains(&last), "{fruit} {quantities:?}");
    }
}

/// The sales below 20 that a shop told of, as the lines that they are to become.
fn told(shop: &str) -> Vec<String> {
    let sales = shop.lines().filter_map(|line| line.strip_prefix("sold "));
    let sales = sales.filter_map(|sale| {
        let words: Vec<&str> = sale.split([' ', ',']).collect();
        let left: i64 = words[4].parse().unwrap();
        (left < 20).then(|| format!("There are only {left} units left of {}!", words[2]))
    });
    sales.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_every_sale_below_twenty_is_reported_once() {
    let node = Node::start().await;
    node.inventory().fill([100, 100, 100]).await;
    let low = Running::on(node.uri(), &["low-stock", "--every"]);
    node.watched_by(1).await;
    let mut words = vec!["shop", "--reset", "--interval", interval(), "--verbose"];
    if is_long() {
        words.extend(["--for", "60"]);
    }
    let shop = Running::on(node.uri(), &words);
    shop.line_where(|line| line == "sold out of everything");
    // For its whole time, if that is given: nothing more is sold, and nothing more is to be told.
    let shop = if is_long() { shop.end() } else { shop.interrupt() };
    let expected = told(&shop.stderr);
    let mut lines: Vec<String> = (0..=expected.len()).map(|_| low.line()).collect();
    assert_eq!(lines.remove(0), "inventory was dropped, watching the new one");
    check_every(&lines);
    assert_eq!(lines, expected);
    assert_eq!(low.interrupt().stdout, "Interrupted");
}

/// One fruit after the other goes down to where the shop would stop; each step is taken for certain, whatever happens
/// to the server meanwhile.
async fn sell_everything(uri: &str) -> Vec<String> {
    let headwater = Headwater::connect(uri).await.unwrap();
    let inventory =
        headwater.database("lessons").collection::<headwater::bson::Document>("inventory");
    let mut expected = Vec::new();
    let begun = Instant::now();
    for quantity in [60, 30, 21, 19, 18, 16, 14, 12, 11, 9] {
        for fruit in ["strawberries", "bananas", "apples"] {
            let update = doc! { "$set": { "quantity": quantity } };
            while let Err(error) =
                inventory.update_one(doc! { "type": fruit }, update.clone()).await
            {
                // The server is away. The same value again is no second event.
                assert!(begun.elapsed() < PATIENCE, "{error}");
            }
            if quantity < 20 {
                expected.push(format!("There are only {quantity} units left of {fruit}!"));
            }
            tokio::time::sleep(Duration::from_millis(if is_long() { 1_500 } else { 100 })).await;
        }
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_a5_a_restart_of_the_server_changes_no_line() {
    let mut serve = Serve::start(&[]);
    let uri = format!("{}&serverSelectionTimeoutMS=5000", serve.uri());
    let headwater = Headwater::connect(&uri).await.unwrap();
    Inventory(headwater.database("lessons").collection("inventory")).fill([100, 100, 100]).await;
    let every = Running::on(&uri, &["low-stock", "--every"]);
    let once = Running::on(&uri, &["low-stock"]);
    watched_by(&headwater, 2).await;
    let sales = {
        let uri = uri.clone();
        tokio::spawn(async move { sell_everything(&uri).await })
    };
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(900)).await;
        serve.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        serve.restart();
    }
    let expected = sales.await.unwrap();
    let last = expected.last().unwrap();
    let mut lines = Vec::new();
    while lines.last() != Some(last) {
        lines.push(every.line());
    }
    assert_eq!(lines, expected);
    assert!(every.lines_for(Duration::from_millis(500)).is_empty());
    let output = every.interrupt();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(
        once.interrupt().lines(),
        [
            "There are only 19 units left of strawberries!",
            "There are only 19 units left of bananas!",
            "There are only 19 units left of apples!",
            "Interrupted",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_l14_a_document_deleted_right_after_an_update_is_no_failure() {
    let node = Node::start().await;
    let inventory = node.inventory();
    inventory.fill([100, 100, 100]).await;
    let low = Running::on(node.uri(), &["low-stock"]);
    let watch = Running::on(node.uri(), &["watch"]);
    watch.line_where(|line| line.contains("apples"));
    node.watched_by(2).await;
    inventory.set("apples", 15).await;
    inventory.0.delete_one(doc! { "type": "apples" }).await.unwrap();
    inventory.set("bananas", 14).await;
    watch.line_where(|line| line.contains(r#""operationType":"delete""#));
    watch.line_where(|line| line.contains(r#""quantity":14"#));
    low.line_where(|line| line == "There are only 14 units left of bananas!");
    for command in [low, watch] {
        assert_eq!(command.interrupt().code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_stops_each_fruit_and_says_so_once() {
    let node = Node::start().await;
    let shop = Running::on(node.uri(), &["shop", "--interval", "1ms", "--seed", "3"]);
    node.inventory().sold_out().await;
    shop.line_where(|line| line == "sold out of everything");
    assert!(shop.lines_for(Duration::from_millis(300)).is_empty());
    let sum = node.inventory().sum().await;
    assert!((9..=30).contains(&sum), "{sum}");
    assert_eq!(shop.interrupt().code, Some(0));
    let bounded = run(node.uri(), &["shop", "--reset", "--interval", "1ms", "--events", "5"]);
    assert_eq!((bounded.code, bounded.stdout.as_str()), (Some(0), ""));
    assert!(node.inventory().sum().await < 300);
}
