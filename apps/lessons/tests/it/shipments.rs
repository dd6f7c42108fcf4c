//! The lines of the third lecture, and the race.

use std::collections::BTreeSet;

use headwater::bson::doc;

use crate::binary::run;
use crate::inventory::Node;
use crate::process::Output;

const CITIES: [&str; 7] =
    ["Atlanta", "New York", "Miami", "Chicago", "Los Angeles", "Seattle", "Dallas"];
const BUSY: &str = "Truck #4 is currently performing a shipment.";

#[tokio::test(flavor = "multi_thread")]
async fn l4_l5_shipments_exactly_as_in_the_lecture() {
    let node = Node::start().await;
    let output = run(node.uri(), &["shipments", "--verbose"]);
    check_steps(&output);
    assert!(output.stderr.contains("2 attempts"), "{output:?}");
    assert_eq!(node.collection("shipments").count(doc! {}).await.unwrap(), 50);
}

/// The lines of the lecture, exactly.
pub(crate) fn check_steps(output: &Output) {
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines = output.lines();
    assert_eq!(lines.len(), 28, "{output:?}");
    assert_eq!(lines[0], "30");
    let first = lines[1].strip_prefix("{ _id: ObjectId(\"").unwrap();
    let (id, rest) = first.split_once("\"), truck_id: 0, source: \"").unwrap();
    assert!(headwater::is_valid_object_id(id));
    let source = rest.split('"').next().unwrap();
    let destination = rest.split("destination: \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(CITIES.contains(&source) && CITIES.contains(&destination) && source != destination);
    assert!(rest.contains(", product: \"") && rest.contains(", quantity: "), "{rest}");
    assert_eq!(lines[2], "truck_id_1");
    assert_eq!(lines[3], format!("{BUSY} Please select another truck."));
    assert_eq!(lines[4], "50");
    let license = lines[5].strip_prefix("{ _id: 0, license: \"").unwrap();
    assert_eq!(license.strip_suffix("\" }").unwrap().len(), 7);
    let trucks: BTreeSet<u32> = lines[6..26]
        .iter()
        .map(|line| {
            let rest = line.strip_prefix(&format!("{BUSY} Truck #")).unwrap();
            rest.strip_suffix(" has been sent out instead.").unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(trucks, (30..50).collect());
    assert_eq!(lines[26], format!("{BUSY} Could not find another truck."));
    assert!(headwater::is_valid_object_id(lines[27]), "{}", lines[27]);
    assert!(output.stderr.contains("Truck #50 does not exist."), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_makes_chance_repeatable() {
    let node = Node::start().await;
    let goods = |output: &Output| {
        let lines: Vec<String> = output.lines().iter().map(|line| (*line).to_owned()).collect();
        (lines[1].split("truck_id").nth(1).map(str::to_owned), lines[5..27].to_vec())
    };
    let one = run(node.uri(), &["shipments", "--seed", "7"]);
    let two = run(node.uri(), &["shipments", "--seed", "7"]);
    let three = run(node.uri(), &["shipments", "--seed", "8"]);
    assert_eq!(goods(&one), goods(&two));
    assert_ne!(goods(&one), goods(&three));
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_two_hundred_clients_want_the_same_truck() {
    let node = Node::start().await;
    for (words, sent) in [
        (&["--clients", "200", "--trucks", "50"][..], "20 shipments sent, 180 without a truck"),
        (&["--clients", "10", "--trucks", "50"], "10 shipments sent, 0 without a truck"),
        (
            &["--clients", "30", "--trucks", "20", "--busy", "0"],
            "20 shipments sent, 10 without a truck",
        ),
        (
            &["--clients", "5", "--trucks", "20", "--busy", "20"],
            "0 shipments sent, 5 without a truck",
        ),
    ] {
        let output = run(node.uri(), &[&["shipments"], words].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(output.lines(), [sent, "every truck at most once: yes"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_duplicates_that_are_there_already_are_named() {
    let node = Node::start().await;
    let shipments = node.collection("shipments");
    for truck in [4, 4, 9, 9, 9, 1] {
        shipments.insert_one(doc! { "truck_id": truck }).await.unwrap();
    }
    let output = run(node.uri(), &["shipments", "--complete", "4"]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    let message = "no unique index on truck_id: truck 4 has 2 shipments, truck 9 has 3 shipments";
    assert!(output.stderr.contains(message), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l6_a_truck_is_free_as_soon_as_its_shipment_is_done() {
    let node = Node::start().await;
    assert_eq!(run(node.uri(), &["shipments"]).code, Some(0));
    let output = run(node.uri(), &["shipments", "--complete", "4"]);
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(0), "Truck #4 has completed its shipment.")
    );
    node.collection("shipments").insert_one(doc! { "truck_id": 4 }).await.unwrap();
    assert_eq!(run(node.uri(), &["shipments", "--complete", "4"]).code, Some(0));
    let again = run(node.uri(), &["shipments", "--complete", "4"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("Truck #4 is not performing a shipment."), "{again:?}");
}
