//! Warnings once per crossing: through drops, restarts, races of start-up, slow readers.

use std::collections::BTreeSet;
use std::time::Duration;

use headwater::bson::doc;

use crate::binary::lessons;
use crate::inventory::{Node, warning};
use crate::process::Running;

/// In which a line that should not be there would have come.
const SILENCE: Duration = Duration::from_millis(700);
const DROPPED: &str = "inventory was dropped, watching the new one";

/// Warnings of one round: one per fruit, the first value below 20.
fn check_round(lines: &[String]) {
    let warnings: Vec<_> = lines.iter().map(|line| warning(line)).collect();
    let fruits: BTreeSet<_> = warnings.iter().map(|(fruit, _)| fruit.as_str()).collect();
    assert_eq!((warnings.len(), fruits.len()), (3, 3), "{lines:?}");
    assert!(warnings.iter().all(|(_, left)| (12..=19).contains(left)), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a4_l10_l11_three_lines_a_round_through_drops() {
    let node = Node::start().await;
    let low = Running::on(node.uri(), &["low-stock"]);
    node.watched_by(1).await;
    // The first round fills a collection that was not there; the others drop it under the watcher.
    for round in 0..3 {
        let shop = Running::on(node.uri(), &["shop", "--reset", "--interval", "5ms"]);
        if round > 0 {
            assert_eq!(low.line(), DROPPED);
        }
        let lines: Vec<String> = (0..3).map(|_| low.line()).collect();
        check_round(&lines);
        shop.line_where(|line| line == "sold out of everything");
        assert_eq!(shop.interrupt().code, Some(0));
    }
    let output = low.interrupt();
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "Interrupted"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_l15_a_state_file_repeats_nothing_and_misses_nothing() {
    let node = Node::start().await;
    let inventory = node.inventory();
    inventory.fill([100, 100, 100]).await;
    let file = std::env::temp_dir().join(format!("lessons-it-state-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let words = ["low-stock", "--state", file.to_str().unwrap()];

    let low = Running::on(node.uri(), &words);
    node.watched_by(1).await;
    inventory.set("apples", 12).await;
    assert_eq!(low.line(), "There are only 12 units left of apples!");
    assert_eq!(low.interrupt().stdout, "Interrupted");

    // What happens in between is not missed: bananas cross, apples are restocked and cross again.
    inventory.set("bananas", 18).await;
    inventory.set("apples", 11).await;
    let low = Running::on(node.uri(), &words);
    assert_eq!(low.line(), "There are only 18 units left of bananas!");
    assert!(low.lines_for(SILENCE).is_empty());
    assert_eq!(low.interrupt().stdout, "Interrupted");
    inventory.set("apples", 111).await;
    inventory.set("apples", 17).await;
    let low = Running::on(node.uri(), &words);
    assert_eq!(low.line(), "There are only 17 units left of apples!");
    assert_eq!(low.interrupt().stdout, "Interrupted");

    // Without the file those that are low are told at the start, once.
    let low = Running::on(node.uri(), &["low-stock"]);
    let told = [low.line(), low.line()];
    assert_eq!(
        told,
        ["There are only 18 units left of bananas!", "There are only 17 units left of apples!"]
    );
    inventory.set("apples", 16).await;
    assert!(low.lines_for(SILENCE).is_empty());
    assert_eq!(low.interrupt().stdout, "Interrupted");

    // A file of another collection is refused.
    let other = Running::on(node.uri(), &[&words[..], &["--db", "other"]].concat()).end();
    assert_eq!(other.code, Some(1));
    assert!(other.stderr.contains("it belongs to \"lessons.inventory\""), "{other:?}");
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_fruit_that_is_restocked_is_warned_about_again() {
    let node = Node::start().await;
    let low = Running::on(node.uri(), &["low-stock"]);
    node.watched_by(1).await;
    let shop = Running::on(node.uri(), &["shop", "--restock", "--interval", "2ms"]);
    let lines: Vec<String> = (0..9).map(|_| low.line()).collect();
    for line in &lines {
        assert!((12..=19).contains(&warning(line).1), "{lines:?}");
    }
    assert_eq!(shop.interrupt().stdout, "Interrupted");
    assert_eq!(low.interrupt().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn l16_thresholds_and_json() {
    let node = Node::start().await;
    let inventory = node.inventory();
    inventory.fill([100, 100, 45]).await;
    let words = ["low-stock", "--below", "50", "--below", "apples=30", "--json"];
    let low = Running::on(node.uri(), &words);
    node.watched_by(1).await;
    for (fruit, quantity) in [("bananas", 49), ("apples", 31), ("apples", 29)] {
        inventory.set(fruit, quantity).await;
    }
    assert_eq!(low.line(), r#"{"type":"bananas","quantity":49}"#);
    assert_eq!(low.line(), r#"{"type":"apples","quantity":29}"#);
    assert_eq!(low.interrupt().stdout, "Interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn l17_nothing_is_missed_or_repeated_while_the_watcher_starts() {
    let node = Node::start().await;
    let inventory = node.inventory();
    inventory.fill([30_000, 30_000, 30_000]).await;
    let below = ["low-stock", "--every", "--below", "30000", "--json"];
    let quantity = |line: &str| -> i32 {
        line.split("\"quantity\":").nth(1).unwrap().trim_end_matches('}').parse().unwrap()
    };
    let writer = {
        let inventory = node.inventory();
        tokio::spawn(async move {
            for units in (0..30_000).rev() {
                inventory.set("apples", units).await;
            }
        })
    };
    for _ in 0..5 {
        let low = Running::on(node.uri(), &below);
        let mut last = quantity(&low.line());
        for _ in 0..200 {
            let next = quantity(&low.line());
            assert_eq!(next, last - 1, "behind {last}");
            last = next;
        }
    }
    writer.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn l18_a_reader_that_stops_loses_nothing_and_holds_the_stream_back() {
    let node = Node::start().await;
    let inventory = node.inventory();
    inventory.fill([100, 100, 100]).await;
    // A shell that reads what the inventory holds and then nothing for a while: the pipe fills up, and the watcher waits.
    let mut command = std::process::Command::new("sh");
    let program = lessons(&[]).get_program().to_str().unwrap().to_owned();
    let held = "for i in 1 2 3; do read -r line; echo \"$line\"; done";
    let line =
        format!("{program} watch --events 2000 --uri '{}' | ({held}; sleep 2; cat)", node.uri());
    command.args(["-c", &line]);
    let shell = Running::start(command);
    // What is changed while the watcher reads the inventory is no event of its own.
    (0..3).for_each(|_| drop(shell.line()));
    for units in 0..2_000 {
        inventory.set("apples", 1_000 + units).await;
    }
    for units in 0..2_000 {
        let line = shell.line();
        let update = format!(r#""updatedFields":{{"quantity":{}}}"#, 1_000 + units);
        assert!(line.contains(&update), "{line}");
    }
    assert_eq!(shell.end().code, Some(0));
    assert_eq!(inventory.0.count(doc! {}).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn l13_a_position_that_the_server_forgot_leads_to_a_new_reading_and_a_line() {
    let node = Node::start().await;
    let inventory = node.inventory();
    inventory.fill([100, 15, 100]).await;
    let file = std::env::temp_dir().join(format!("lessons-it-lost-{}", std::process::id()));
    let place = doc! { "_data": "8200" };
    let kept = doc! { "namespace": "lessons.inventory", "fruits": [], "place": place };
    std::fs::write(&file, headwater::bson::serialize_to_vec(&kept).unwrap()).unwrap();
    let low = Running::on(node.uri(), &["low-stock", "--state", file.to_str().unwrap()]);
    assert_eq!(low.line(), "the history of changes is lost, reading the inventory anew");
    assert_eq!(low.line(), "There are only 15 units left of bananas!");
    inventory.set("apples", 14).await;
    assert_eq!(low.line(), "There are only 14 units left of apples!");
    assert_eq!(low.interrupt().code, Some(0));
    std::fs::remove_file(&file).unwrap();
}
