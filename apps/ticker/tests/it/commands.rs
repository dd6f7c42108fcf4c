//! INIT, CLEAN, the refusals and the command line.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use headwater::bson::{Bson, Document, doc};

use crate::binary::{run, ticker};
use crate::market::{Folder, Market, beside_others};

#[tokio::test(flavor = "multi_thread")]
async fn t1_init_loads_the_market() {
    let _quiet = beside_others().await;
    let market = Market::empty().await;
    assert_eq!(run(market.path(), &["clean"]).code, Some(0));
    let output = run(market.path(), &["init"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(
        output.stdout,
        format!(
            "\n-- Initialising collection \"market.stocksymbols\" with stock price values\n\n{}\n\n",
            ".".repeat(50)
        )
    );
    assert_eq!(market.count().await, 20_013);
    let mut prices: HashMap<String, Vec<i32>> = HashMap::new();
    let mut familiar = HashMap::new();
    for document in everything(&market).await {
        assert_eq!(document.len(), 2, "{document}");
        let id = document.get_str("_id").unwrap();
        let Some(Bson::Int32(price)) = document.get("price") else { panic!("{document}") };
        match id.strip_prefix(['A', 'K', 'S', 'Z']).filter(|rest| rest.parse::<u32>().is_ok()) {
            Some(number) => prices.entry(number.to_owned()).or_default().push(*price),
            None => {
                familiar.insert(id.to_owned(), *price);
            }
        }
    }
    assert_eq!(prices.len(), 5_000);
    for (number, four) in &prices {
        assert!((10_000..15_000).contains(&number.parse::<u32>().unwrap()));
        assert_eq!(four.len(), 4, "{number}");
        assert!(four.iter().all(|price| *price == four[0]), "{number}: {four:?}");
        assert!((10..=19).contains(&four[0]), "{number}: {four:?}");
    }
    assert_eq!(familiar.len(), 13);
    for (symbol, price) in familiar {
        let range = if symbol == "MDB" { 90..=99 } else { 20..=89 };
        assert!(range.contains(&price), "{symbol}: {price}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_init_again_is_refused_and_changes_nothing() {
    let _quiet = beside_others().await;
    let market = Market::loaded(20).await;
    let before: Vec<Document> = everything(&market).await;
    let output = run(market.path(), &["init"]);
    assert_eq!(output.code, Some(3));
    assert_eq!(output.stdout, "\n");
    assert_eq!(
        output.stderr,
        "-- Initialisation of collection \"market.stocksymbols\" not performed because\n   collection \
         already exists (run with command \"CLEAN\" first)\n"
    );
    assert_eq!(everything(&market).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_commands_are_refused_after_clean() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    assert_eq!(run(market.path(), &["clean"]).code, Some(0));
    for command in ["change", "trace", "display", "web"] {
        let output = run(market.path(), &[command]);
        assert_eq!(output.code, Some(3), "{command}: {output:?}");
        assert!(output.stderr.contains("(run with command \"INIT\" first)"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_usage_errors_and_a_sloppy_command() {
    let _quiet = beside_others().await;
    let folder = Folder::new();
    let none = run(folder.path(), &[]);
    assert_eq!(none.code, Some(2));
    assert_eq!(none.stdout, "\n");
    assert!(none.stderr.starts_with("Error: No command argument provided\n\nUsage:\n\n $ ticker"));
    let unknown = run(folder.path(), &["FOO"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.starts_with("Error: Illegal command argument provided: \"FOO\"\n"));
    assert!(unknown.stderr.ends_with(" * DISPLAY\n * WEB\n \n"), "{}", unknown.stderr);
    assert_eq!(run(folder.path(), &[" init ", "--numbers", "3"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_init_is_fast() {
    let _quiet = crate::market::alone().await;
    let market = Market::empty().await;
    let begun = Instant::now();
    assert_eq!(run(market.path(), &["init"]).code, Some(0));
    // One second is for the release build; this one may be a plain build on a busy machine.
    let limit = if cfg!(debug_assertions) { 10 } else { 1 };
    assert!(begun.elapsed() < Duration::from_secs(limit), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_a_partial_load_is_named_completed_or_replaced() {
    let _quiet = beside_others().await;
    let market = Market::loaded(100).await;
    let stocks = market.stocks();
    stocks.delete_many(doc! { "_id": { "$gte": "K10050", "$lt": "L" } }).await.unwrap();
    stocks.delete_one(doc! { "_id": "IBM" }).await.unwrap();
    let refused = run(market.path(), &["init", "--numbers", "100"]);
    assert_eq!(refused.code, Some(3));
    assert!(refused.stderr.contains("362 of 413 documents"), "{refused:?}");
    let kept = stocks.find_one(doc! { "_id": "A10050" }).await.unwrap();

    let resumed = run(market.path(), &["init", "--numbers", "100", "--resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(market.count().await, 413);
    assert_eq!(stocks.find_one(doc! { "_id": "A10050" }).await.unwrap(), kept);
    let sibling = stocks.find_one(doc! { "_id": "K10050" }).await.unwrap().unwrap();
    assert_eq!(sibling.get("price"), kept.as_ref().unwrap().get("price"));
    assert_eq!(run(market.path(), &["init", "--resume"]).code, Some(3), "complete");

    let forced = run(market.path(), &["init", "--numbers", "7", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert_eq!(market.count().await, 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_clean_says_what_it_dropped() {
    let _quiet = beside_others().await;
    let market = Market::loaded(10).await;
    let other = market.headwater.database("market").collection::<Document>("other");
    other.insert_one(doc! {}).await.unwrap();
    let output = run(market.path(), &["clean", "--collection-only"]);
    assert!(output.stdout.contains("Dropped collection \"market.stocksymbols\" with 53 documents"));
    assert_eq!(other.count(doc! {}).await.unwrap(), 1);
    let output = run(market.path(), &["clean"]);
    assert_eq!(
        output.stdout,
        "\n-- Dropping collection \"market.stocksymbols\" and all its documents\n\n   Dropped database \
         \"market\" with 1 collection and 1 document\n"
    );
    let output = run(market.path(), &["clean"]);
    assert_eq!(output.code, Some(0));
    assert!(output.stdout.contains("Nothing to drop"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_an_absent_server_is_named_soon_and_without_credentials() {
    let _quiet = beside_others().await;
    let uri = "mongodb://user:s3cret@127.0.0.1:1/?authSource=admin";
    let told = || {
        let begun = Instant::now();
        (ticker(&["init", "--uri", uri, "--timeout", "1"]).output().unwrap(), begun.elapsed())
    };
    // The best of three: other work on the machine may hold up single ones. Without the option it takes five seconds.
    let [(output, one), (_, two), (_, three)] = [told(), told(), told()];
    assert!(one.min(two).min(three) < Duration::from_secs(5), "{one:?} {two:?} {three:?}");
    assert_eq!(output.status.code(), Some(4));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("Error: no server reachable at 127.0.0.1:1 within 1 s: "),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(!stderr.contains("s3cret") && !stderr.contains("user"), "{stderr}");
}

async fn everything(market: &Market) -> Vec<Document> {
    market.stocks().find_many(doc! {}).sort(doc! { "_id": 1 }).await.unwrap()
}
