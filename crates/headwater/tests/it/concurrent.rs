//! R20, D7, D8: operations at once, their order, their failures, and what may be named.

use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::{Config, DataOperation, ErrorKind, Headwater};

use crate::proxy::{Fault, Proxy};

async fn memory() -> Headwater {
    let headwater = Headwater::open_in_memory().await.unwrap();
    let users = headwater.collection::<Document>("users");
    users.insert_many((0..20).map(|i| doc! { "_id": i, "team": i % 4 })).await.unwrap();
    headwater
}

async fn through(proxy: &Proxy) -> Headwater {
    let config = Config::builder().uri(proxy.uri()).retry_attempts(1).build().unwrap();
    Headwater::from_config(config).await.unwrap()
}

#[tokio::test]
async fn r20_results_come_in_the_order_of_the_input() {
    let headwater = memory().await;
    let results = headwater
        .concurrent([
            DataOperation::count("users", doc! { "team": 1 }),
            DataOperation::find_one("users", doc! { "_id": 7 }),
            DataOperation::distinct("users", "team", doc! {}),
            DataOperation::find_many("users", doc! { "team": 2 }),
            DataOperation::aggregate("users", [doc! { "$group": { "_id": "$team" } }]),
            DataOperation::insert_one("other", doc! { "_id": 5 }),
            DataOperation::insert_many("other", [doc! { "_id": 6 }, doc! { "_id": 7 }], true),
            DataOperation::update_one(
                "users",
                doc! { "_id": 0 },
                doc! { "$set": { "x": 1 } },
                false,
            ),
            DataOperation::update_many(
                "users",
                doc! { "team": 3 },
                doc! { "$set": { "x": 1 } },
                false,
            ),
            DataOperation::replace_one("third", doc! { "_id": 1 }, doc! { "x": 1 }, true),
            DataOperation::delete_one("users", doc! { "_id": 19 }),
            DataOperation::delete_many("fourth", doc! {}),
        ])
        .await;
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(results[0].count(), Some(5));
    assert_eq!(results[1].document().unwrap().get_i32("team").unwrap(), 3);
    assert_eq!(results[2].values().len(), 4);
    assert_eq!((results[3].documents().len(), results[4].documents().len()), (5, 4));
    assert_eq!(results[5].id(), Some(&5.into()));
    assert_eq!(results[7].updated().unwrap().modified_count, 1);
    assert!(results[8].updated().unwrap().matched_count >= 4);
    assert_eq!(results[9].updated().unwrap().upserted_id, Some(1.into()));
    assert_eq!((results[10].count(), results[11].count()), (Some(1), Some(0)));
}

#[tokio::test]
async fn d7_one_failure_loses_no_other_result() {
    let headwater = memory().await;
    let results = headwater
        .concurrent([
            DataOperation::insert_one("users", doc! { "_id": 100 }),
            DataOperation::insert_one("users", doc! { "_id": 1 }),
            DataOperation::find_many("users", doc! { "$frobnicate": 1 }),
            DataOperation::count("users", doc! { "_id": { "$lt": 20 } }),
        ])
        .await;
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().kind(), ErrorKind::DuplicateKey);
    assert_eq!(results[2].as_ref().unwrap_err().kind(), ErrorKind::Query);
    assert_eq!(results[3].as_ref().unwrap().count(), Some(20));
}

#[tokio::test]
async fn r20_no_more_are_in_flight_than_allowed() {
    let proxy = Proxy::start();
    let headwater = through(&proxy).await;
    headwater.ping().await.unwrap();
    proxy.inject(Fault::DelayReply(Duration::from_millis(300)).on("insert"));
    let at_once = async |most: usize| {
        proxy.reset_counts();
        let operations = (0..12).map(|_| DataOperation::insert_one("items", doc! {}));
        let results = headwater.concurrent(operations).max_in_flight(most).await;
        assert!(results.iter().all(Result::is_ok));
        proxy.under_way_max()
    };
    assert_eq!(at_once(1).await, 1);
    // A busy machine may make connections more slowly than replies come.
    let three = at_once(3).await;
    assert!((2..=3).contains(&three), "{three}");
    let twelve = at_once(12).await;
    assert!((4..=12).contains(&twelve), "{twelve}");
}

#[tokio::test]
async fn r20_fail_fast_cancels_the_others_and_keeps_what_finished() {
    let proxy = Proxy::start();
    let headwater = through(&proxy).await;
    headwater.collection::<Document>("items").insert_one(doc! { "_id": 1 }).await.unwrap();
    // The update hangs; the duplicate fails after the find has finished.
    proxy.inject(Fault::BlackHole.on("update"));
    proxy.inject(Fault::Delay(Duration::from_secs(3)).on("insert"));
    let operations = || {
        [
            DataOperation::find_one("items", doc! { "_id": 1 }),
            DataOperation::update_one("items", doc! {}, doc! { "$set": { "a": 1 } }, false),
            DataOperation::insert_one("items", doc! { "_id": 1 }),
            DataOperation::count("items", doc! {}),
        ]
    };
    let begun = Instant::now();
    let results = headwater.concurrent(operations()).max_in_flight(3).fail_fast(true).await;
    // The update that hangs has 30 s.
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(results[0].as_ref().unwrap().document().is_some());
    let cancelled = results[1].as_ref().unwrap_err();
    assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
    assert!(cancelled.is_outcome_unknown(), "{cancelled}");
    assert_eq!(results[2].as_ref().unwrap_err().kind(), ErrorKind::DuplicateKey);
    // The last one had its turn when the find was done.
    assert!(results[3].is_ok());

    // One after the other, what comes after the failure never begins.
    proxy.clear();
    let mut operations = operations();
    operations.swap(1, 2);
    let results = headwater.concurrent(operations).max_in_flight(1).fail_fast(true).await;
    assert!(results[0].is_ok() && results[1].is_err());
    for result in &results[2..] {
        let error = result.as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(!error.is_outcome_unknown(), "{error}");
    }
}

#[test]
fn d8_only_operations_on_data_can_be_named() {
    let of = |document: Document| DataOperation::try_from(document);
    for name in [
        "drop_collection",
        "close",
        "create_index",
        "get_collection",
        "_serialize",
        "__init__",
        "run_command",
        "",
    ] {
        let error = of(doc! { "type": name, "collection": "users" }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().contains("known are"), "{error}");
    }
    for name in ["count_documents", "find_one", "find_many"] {
        assert!(of(doc! { "type": name, "collection": "users" }).is_ok(), "{name}");
    }
    for wrong in [
        doc! { "collection": "users" },
        doc! { "type": "find_one" },
        doc! { "type": "find_one", "collection": "users", "args": 1 },
        doc! { "type": "find_one", "collection": "users", "args": { "filtre": {} } },
        doc! { "type": "find_one", "collection": "users", "extra": 1 },
        doc! { "type": "find_many", "collection": "users", "args": { "limit": "ten" } },
        doc! { "type": "find_many", "collection": "users", "args": { "skip": -1 } },
        doc! { "type": "delete_many", "collection": "users" },
        doc! { "type": "distinct", "collection": "users" },
        doc! { "type": "insert_many", "collection": "users", "args": { "documents": [1] } },
    ] {
        let error = of(wrong.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{wrong}");
    }
}
