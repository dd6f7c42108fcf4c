//! CHANGE against a recorder, TRACE beside CHANGE, DISPLAY through drops and missing symbols.

use std::collections::HashMap;
use std::time::Duration;

use headwater::ChangeEvent;
use headwater::bson::{Document, doc};
use headwater::changes::OperationType;
use tokio::sync::mpsc;

use crate::binary::{run, ticker};
use crate::market::{Market, alone, beside_others};
use crate::process::Running;

const FAMILIAR: [&str; 13] = [
    "ADBE", "IBM", "AAPL", "MULE", "FB", "AMZN", "MSFT", "GOOGL", "MDB", "CSCO", "ORCL", "VMW",
    "SAP",
];

type Event = ChangeEvent<Document>;

/// Records every event of the collection from now on.
async fn record(market: &Market) -> mpsc::UnboundedReceiver<Event> {
    let mut stream = market.stocks().watch().await.unwrap();
    let (sender, events) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = stream.next().await {
            if sender.send(event.unwrap()).is_err() {
                return;
            }
        }
    });
    events
}

fn key(event: &Event) -> String {
    event.document_key.as_ref().unwrap().get_str("_id").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_change_runs_forty_cycles_in_ten_seconds() {
    let _quiet = alone().await;
    let market = Market::loaded(5_000).await;
    let mut events = record(&market).await;
    let output = run(market.path(), &["change", "--seconds", "10"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let last = doc! { "_id": "last" };
    market.stocks().insert_one(&last).await.unwrap();
    let mut pairs = Vec::new();
    let mut open = None;
    loop {
        let event = events.recv().await.unwrap();
        let key = key(&event);
        if key == "last" {
            break;
        }
        assert!(!key.starts_with('K') && !is_resting(&key), "{key}");
        match event.operation {
            OperationType::Delete => assert_eq!(open.replace(key), None, "delete after delete"),
            OperationType::Insert => {
                assert_eq!(open.take().as_ref(), Some(&key));
                assert!(key.starts_with('Z'));
                pairs.push(key);
            }
            OperationType::Update => {
                assert!(key.starts_with('A') || FAMILIAR.contains(&key.as_str()), "{key}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((39..=41).contains(&pairs.len()), "{} cycles", pairs.len());
    assert_eq!(market.count().await, 20_013 + 1);
}

fn is_resting(key: &str) -> bool {
    key.strip_prefix('S').is_some_and(|rest| rest.parse::<u32>().is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_trace_beside_change() {
    let _quiet = alone().await;
    let market = Market::loaded(5_000).await;
    let trace = Running::on(market.path(), &["trace"]);
    trace.line_where(|line| line.contains("key stock symbols in collection"));
    let change = Running::on(market.path(), &["change"]);
    change.line_where(|line| line.contains("in collection"));
    let lines = trace.lines_for(Duration::from_secs(10));
    assert!((35..=41).contains(&lines.len()), "{} lines: {lines:#?}", lines.len());
    for line in &lines {
        let parts: Vec<&str> = line.split('\t').collect();
        let symbol = parts[0].strip_prefix("Stock ").unwrap().strip_suffix(' ').unwrap();
        assert!(FAMILIAR.contains(&symbol), "{line}");
        let price = parts[1].strip_prefix("tick: ").unwrap().strip_suffix(' ').unwrap();
        assert!((20..=99).contains(&price.parse::<u32>().unwrap()), "{line}");
        let time = parts[2].strip_prefix(" time: ").unwrap();
        assert_eq!(time.len(), "13:05:09.1234".len(), "{line}");
        assert_eq!(parts.len(), 3, "{line}");
    }
    for running in [trace, change] {
        running.signal("INT");
        let output = running.end();
        assert_eq!(output.code, Some(0));
        assert!(output.stdout.ends_with("Interrupted\n"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_display_and_trace_live_through_clean_and_init() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    let mut display = Running::on(market.path(), &["display"]);
    display.line_where(|line| line.starts_with("SAP   : "));
    let mut trace = Running::on(market.path(), &["trace", "--all"]);
    trace.line_where(|line| line.contains("in collection"));
    assert_eq!(run(market.path(), &["clean"]).code, Some(0));
    display.line_where(|line| line == "-- collection dropped");
    assert_eq!(run(market.path(), &["init", "--numbers", "5"]).code, Some(0));
    for running in [&mut display, &mut trace] {
        for symbol in FAMILIAR {
            running.line_where(|line| line.starts_with(&format!("Stock {symbol} \tinsert: ")));
        }
        assert!(running.is_running());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_display_shows_a_missing_symbol_and_picks_it_up() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    market.stocks().delete_one(doc! { "_id": "IBM" }).await.unwrap();
    let display = Running::on(market.path(), &["display"]);
    let line = display.line_where(|line| line.starts_with("IBM"));
    assert!(line.starts_with("IBM   : --"), "{line}");
    market.stocks().insert_one(doc! { "_id": "IBM", "price": 44 }).await.unwrap();
    display.line_where(|line| line.starts_with("Stock IBM \tinsert: 44 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn b12_display_shows_prices_without_any_event() {
    let _quiet = alone().await;
    let market = Market::loaded(5).await;
    let shown = || {
        let begun = std::time::Instant::now();
        let display = Running::on(market.path(), &["display"]);
        display.timed_line_where(|line| line.starts_with("SAP   : ")).0 - begun
    };
    // The best of three: other work on the machine may hold up single ones.
    let took = [shown(), shown(), shown()];
    assert!(took.iter().any(|took| *took < Duration::from_secs(2)), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b13_no_price_goes_backwards_after_the_snapshot() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    let stocks = market.stocks();
    let writer = tokio::spawn(async move {
        for price in 1_000_i32.. {
            let update = doc! { "$set": { "price": price } };
            stocks.update_one(doc! { "_id": "IBM" }, update).await.unwrap();
        }
    });
    for _ in 0..5 {
        let display = Running::on(market.path(), &["display"]);
        let row = display.line_where(|line| line.starts_with("IBM   : "));
        let mut shown: i32 = row[8..13].trim().parse().unwrap();
        for _ in 0..20 {
            let line = display.line_where(|line| line.starts_with("Stock IBM"));
            let price = line.split("tick: ").nth(1).unwrap().split(' ').next().unwrap();
            let price: i32 = price.parse().unwrap();
            assert!(price > shown, "{price} after {shown}");
            shown = price;
        }
    }
    writer.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn b22_trace_as_json_with_everything() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    let trace = Running::on(market.path(), &["trace", "--json", "--all", "--seconds", "20"]);
    let stocks = market.stocks();
    // There is no heading to wait for: prices change until the first one shows.
    let mut price = 1_000;
    let first = loop {
        price += 1;
        market.set("IBM", price).await;
        if let Some(line) = trace.lines_for(Duration::from_millis(100)).into_iter().next() {
            break line;
        }
    };
    assert!(
        first.starts_with("{\"symbol\":\"IBM\",\"operation\":\"update\",\"price\":10"),
        "{first}"
    );
    assert!(first.contains("\"clusterTime\":{\"t\":") && first.contains("\"delayMs\":"), "{first}");
    stocks.replace_one(doc! { "_id": "SAP" }, doc! { "price": 51 }).await.unwrap();
    stocks.delete_one(doc! { "_id": "SAP" }).await.unwrap();
    stocks.insert_one(doc! { "_id": "SAP", "price": 52 }).await.unwrap();
    for (operation, price) in [("replace", "51"), ("delete", "null"), ("insert", "52")] {
        let line = trace.line_where(|line| line.contains("SAP"));
        let expected =
            format!("{{\"symbol\":\"SAP\",\"operation\":\"{operation}\",\"price\":{price},");
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b25_trace_continues_from_its_resume_file() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    let file = market.path().join("position");
    let file = file.to_str().unwrap();
    let words = ["trace", "--resume-file", file];
    let trace = Running::on(market.path(), &words);
    trace.line_where(|line| line.contains("in collection"));
    market.set("IBM", 1_001).await;
    trace.line_where(|line| line.starts_with("Stock IBM \ttick: 1001 "));
    trace.signal("INT");
    assert_eq!(trace.end().code, Some(0));
    market.set("IBM", 1_002).await;
    market.set("SAP", 1_003).await;
    let trace = Running::on(market.path(), &words);
    let mut seen = HashMap::new();
    for expected in ["Stock IBM \ttick: 1002 ", "Stock SAP \ttick: 1003 "] {
        let line = trace.line_where(|line| line.starts_with("Stock"));
        assert!(line.starts_with(expected), "{line}");
        seen.insert(expected, line);
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_a_reader_that_leaves_is_no_failure() {
    let _quiet = beside_others().await;
    let market = Market::loaded(5).await;
    let mut command = std::process::Command::new("sh");
    let line = format!(
        "{} trace --data {} | head -n 4 >/dev/null; exit ${{PIPESTATUS:-0}}",
        ticker(&[]).get_program().to_str().unwrap(),
        market.path().display()
    );
    command.args(["-c", &line]).env_remove("MONGODB_URL");
    let mut shell = Running::start(command);
    let begun = std::time::Instant::now();
    let mut price = 1_000;
    while shell.is_running() {
        assert!(begun.elapsed() < crate::process::PATIENCE);
        price += 1;
        market.set("IBM", price).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let output = shell.end();
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
}
