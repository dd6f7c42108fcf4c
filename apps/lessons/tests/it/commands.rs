//! Exit codes, usage, interrupts.

use crate::binary::{lessons, run};
use crate::inventory::{Node, until};
use crate::process::Running;

#[test]
fn exit_codes_are_as_documented() {
    let end = |words: &[&str]| Running::start(lessons(words)).end();
    let help = end(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("low-stock") && help.stdout.contains("--restock"), "{help:?}");
    let wrong = end(&["dance"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
    assert!(wrong.stderr.starts_with("Error: there is no command dance\nUsage:"), "{wrong:?}");
    let nobody = "mongodb://127.0.0.1:1/?directConnection=true";
    let away = run(nobody, &["shipments", "--timeout", "0.5"]);
    assert_eq!((away.code, away.stdout.as_str()), (Some(4), ""), "{away:?}");
    assert_eq!(away.stderr.lines().count(), 1, "{away:?}");
}

#[test]
fn least_privilege_says_what_is_missing() {
    let output = Running::start(lessons(&["least-privilege"])).end();
    assert_eq!((output.code, output.stdout.as_str()), (Some(3), ""));
    assert_eq!(
        output.stderr,
        "least-privilege needs users and roles, which this version cannot show yet\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_an_interrupt_ends_each_command_and_leaves_no_cursor() {
    let node = Node::start().await;
    node.inventory().fill([100, 100, 100]).await;
    for words in [
        &["watch"][..],
        &["watch", "--database"],
        &["watch", "--deployment"],
        &["low-stock"],
        &["low-stock", "--every"],
    ] {
        let command = Running::on(node.uri(), words);
        until("an open cursor", || async { node.open_cursors().await > 0 }).await;
        // Once in the middle of a question, once with events on their way.
        node.inventory().set("apples", 50).await;
        let output = command.interrupt();
        assert_eq!(output.code, Some(0), "{words:?} {output:?}");
        assert_eq!(output.lines().last(), Some(&"Interrupted"), "{words:?} {output:?}");
        assert_eq!(node.open_cursors().await, 0, "{words:?}");
    }
    let before = node.inventory().sum().await;
    for words in [&["shop", "--interval", "50ms"][..], &["pooling"], &["all"]] {
        let command = Running::on(node.uri(), words);
        if words[0] == "shop" {
            until("a sale", || async { node.inventory().sum().await < before }).await;
        } else {
            command.line();
        }
        let output = command.interrupt();
        assert_eq!(output.code, Some(0), "{words:?} {output:?}");
        assert_eq!(output.lines().last(), Some(&"Interrupted"), "{words:?} {output:?}");
        assert_eq!(node.open_cursors().await, 0, "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_collections_and_databases_are_left_alone() {
    let node = Node::start().await;
    let there = headwater::bson::doc! { "_id": 1 };
    node.collection("own").insert_one(&there).await.unwrap();
    let other =
        node.headwater.database("other").collection::<headwater::bson::Document>("shipments");
    other.insert_one(&there).await.unwrap();
    assert_eq!(run(node.uri(), &["shipments", "--db", "elsewhere"]).code, Some(0));
    assert_eq!(run(node.uri(), &["shipments"]).code, Some(0));
    assert_eq!(node.collection("own").count(headwater::bson::doc! {}).await.unwrap(), 1);
    assert_eq!(other.count(headwater::bson::doc! {}).await.unwrap(), 1);
    let elsewhere = node.headwater.database("elsewhere");
    assert!(elsewhere.collection_exists("shipments").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_shows_every_scenario() {
    let node = Node::start().await;
    let output = run(node.uri(), &["all", "--for", "3", "--seed", "1"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    for line in [
        "default maximum pool size: 100",
        "write concern: w=majority wtimeout=2500",
        "truck_id_1",
        "skipped: least-privilege needs users and roles, which this version cannot show yet",
    ] {
        assert!(output.lines().contains(&line), "{line}: {output:?}");
    }
    assert!(output.stdout.contains(r#""operationType":"update""#), "{output:?}");
}
