//! What collections do, on the embedded database.

use std::time::Duration;

use headwater::bson::{Bson, Document, doc};
use headwater::collection::WriteModel;
use headwater::mongodb::options::ReturnDocument;
use headwater::{Collection, ErrorKind, Headwater};

use crate::patience::until_asked;

async fn empty() -> Collection<Document> {
    Headwater::open_in_memory().await.unwrap().collection("things")
}

#[tokio::test]
async fn d05_a_duplicate_key_has_a_kind_of_its_own_from_every_write() {
    let things = empty().await;
    things.create_index(headwater::collection::Index::on("e").unique()).await.unwrap();
    things.insert_many([doc! { "_id": 1, "e": "a" }, doc! { "_id": 2, "e": "b" }]).await.unwrap();
    let set = || doc! { "$set": { "e": "a" } };
    let mut errors = vec![
        things.insert_one(doc! { "e": "a" }).await.unwrap_err(),
        things.update_one(doc! { "_id": 2 }, set()).await.unwrap_err(),
        things.update_by_id(2, set()).await.unwrap_err(),
        things.replace_one(doc! { "_id": 2 }, doc! { "e": "a" }).await.unwrap_err(),
        things.find_one_and_update(doc! { "_id": 2 }, set()).await.unwrap_err(),
        things.find_one_and_replace(doc! { "_id": 2 }, doc! { "e": "a" }).await.unwrap_err(),
    ];
    errors.push(things.update_many(doc! { "_id": 2 }, set()).await.unwrap_err());
    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::DuplicateKey, "{error:?}");
        assert_eq!(error.code(), Some(11000), "{error:?}");
        let key = error.duplicate_key().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(key.index.as_deref(), Some("e_1"), "{error:?}");
        assert_eq!(key.key_pattern, Some(doc! { "e": 1 }), "{error:?}");
        assert_eq!(key.key_value, Some(doc! { "e": "a" }), "{error:?}");
        assert!(!error.is_retryable() && !error.is_outcome_unknown(), "{error:?}");
        assert_eq!((error.attempts(), error.namespace()), (1, Some("test.things")), "{error:?}");
    }
    let bulk = things.insert_many([doc! { "e": "c" }, doc! { "_id": 9, "e": "a" }]).await;
    let bulk = bulk.unwrap_err();
    let item = &bulk.bulk().unwrap().items[0];
    assert!(bulk.kind() == ErrorKind::Bulk && item.is_duplicate_key());
    assert_eq!((item.index, item.id.clone()), (1, Some(Bson::Int32(9))));
}

#[tokio::test]
async fn d06_an_unordered_bulk_tells_every_failure_and_does_the_rest() {
    let things = empty().await;
    things.insert_many([doc! { "_id": 10 }, doc! { "_id": 5000 }]).await.unwrap();
    things.insert_one(doc! { "_id": 9999 }).await.unwrap();
    let documents = (0..10_000).map(|n| doc! { "_id": n });
    let error = things.insert_many(documents).ordered(false).await.unwrap_err();
    let failure = error.bulk().unwrap();
    let indexes: Vec<usize> = failure.items.iter().map(|item| item.index).collect();
    assert_eq!(indexes, [10, 5000, 9999]);
    assert_eq!((failure.counts.inserted, failure.unprocessed.len()), (9_997, 0));
    assert_eq!(things.count(doc! {}).await.unwrap(), 10_000);
}

#[tokio::test]
async fn r11_an_ordered_insert_stops_and_names_what_was_not_tried() {
    let things = empty().await;
    things.insert_one(doc! { "_id": 2 }).await.unwrap();
    let error = things.insert_many((0..5).map(|n| doc! { "_id": n })).await.unwrap_err();
    let failure = error.bulk().unwrap();
    assert_eq!(failure.unprocessed, [3, 4]);
    assert_eq!((failure.items[0].index, failure.counts.inserted), (2, 2));
    assert_eq!(things.count(doc! {}).await.unwrap(), 3);
}

#[tokio::test]
async fn d17_bulk_write_takes_plain_documents_and_tells_counts_and_ids() {
    let things = empty().await;
    assert_eq!(things.bulk_write([]).await.unwrap(), Default::default());
    let result = things
        .bulk_write([
            WriteModel::insert_one(doc! { "_id": 1, "n": 0 }),
            WriteModel::insert_one(doc! { "_id": 2, "n": 0 }),
            WriteModel::update_many(doc! {}, doc! { "$inc": { "n": 1 } }),
            WriteModel::replace_one(doc! { "_id": 3 }, doc! { "n": 5 }).upsert(),
            WriteModel::delete_one(doc! { "_id": 2 }),
        ])
        .await
        .unwrap();
    assert_eq!((result.inserted_count, result.matched_count, result.modified_count), (2, 2, 2));
    assert_eq!((result.deleted_count, result.upserted_count), (1, 1));
    assert_eq!(result.upserted_ids[&3], Bson::Int32(3));
    assert_eq!(result.inserted_ids.keys().copied().collect::<Vec<_>>(), [0, 1]);

    let error = things
        .bulk_write([
            WriteModel::insert_one(doc! { "_id": 7 }),
            WriteModel::insert_one(doc! { "_id": 1 }),
            WriteModel::insert_one(doc! { "_id": 8 }),
            WriteModel::delete_many(doc! {}),
        ])
        .await
        .unwrap_err();
    let failure = error.bulk().unwrap();
    assert_eq!((failure.items[0].index, failure.unprocessed.as_slice()), (1, &[2, 3][..]));
    assert_eq!(failure.counts.inserted, 1);

    let error = things
        .bulk_write([
            WriteModel::insert_one(doc! { "_id": 1 }),
            WriteModel::delete_many(doc! {}),
            WriteModel::insert_one(doc! { "_id": 9 }),
        ])
        .ordered(false)
        .await
        .unwrap_err();
    let failure = error.bulk().unwrap();
    assert_eq!((failure.items.len(), failure.unprocessed.len()), (1, 0));
    assert_eq!((failure.counts.inserted, failure.counts.deleted), (1, 4));
}

#[tokio::test]
async fn d19_ids_of_any_type_stay_what_they_are() {
    let things = empty().await;
    let ids = [Bson::Int32(7), Bson::Int64(8), "x".into(), doc! { "a": 1 }.into(), 0.into()];
    for id in &ids {
        assert_eq!(&things.insert_one(doc! { "_id": id.clone() }).await.unwrap(), id);
        assert!(things.find_by_id(id.clone()).await.unwrap().is_some(), "{id}");
    }
    for id in [Bson::Int32(100), "".into()] {
        let update = doc! { "$set": { "a": 1 } };
        let result = things.update_by_id(id.clone(), update).upsert(true).await.unwrap();
        assert_eq!(result.upserted_id, Some(id));
    }
    assert_eq!(things.delete_by_id("x").await.unwrap(), 1);
}

#[tokio::test]
async fn d20_pages_are_checked_stable_and_counted() {
    let things = empty().await;
    things.insert_many((0..25).map(|n| doc! { "_id": n, "same": 1 })).await.unwrap();
    for (number, size) in [(0, 10), (1, 0)] {
        let error = things.page(doc! {}).number(number).size(size).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
    }
    let mut seen = Vec::new();
    for number in 1..=3 {
        let page = things.page(doc! {}).number(number).sort_by(["same"]).await.unwrap();
        let together =
            things.page(doc! {}).number(number).sort_by(["same"]).one_request().await.unwrap();
        assert_eq!(page, together);
        assert_eq!((page.total_documents, page.total_pages), (25, 3));
        assert_eq!((page.has_previous, page.has_next), (number > 1, number < 3));
        seen.extend(page.documents.iter().map(|document| document.get_i32("_id").unwrap()));
    }
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
    let none = things.page(doc! { "_id": -1 }).one_request().await.unwrap();
    assert_eq!((none.total_pages, none.has_next, none.documents.len()), (0, false, 0));
}

#[tokio::test]
async fn d20_pages_by_key_meet_every_document_once_whatever_the_types() {
    let things = empty().await;
    let values: Vec<Option<Bson>> = vec![
        None,
        Some(Bson::Null),
        Some(3.into()),
        Some(3.into()),
        Some(2.5.into()),
        Some("b".into()),
        Some("a".into()),
        Some(doc! { "x": 1 }.into()),
        Some(true.into()),
        Some(Bson::MinKey),
        Some(Bson::MaxKey),
    ];
    for (id, value) in values.iter().enumerate() {
        let mut document = doc! { "_id": id as i32 };
        if let Some(value) = value {
            document.insert("v", value.clone());
        }
        things.insert_one(document).await.unwrap();
    }
    for order in ["v", "-v"] {
        let all = things
            .find_many(doc! {})
            .sort(doc! { "v": if order == "v" { 1 } else { -1 }, "_id": 1 })
            .await
            .unwrap();
        for size in [1, 2, 3, 20] {
            let (mut seen, mut key) = (Vec::new(), None);
            loop {
                let slice =
                    things.page_after(doc! {}, key).size(size).sort_by([order]).await.unwrap();
                seen.extend(slice.documents);
                key = slice.next;
                if key.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all, "{order} by {size}");
        }
    }
}

#[tokio::test]
async fn d21_inserting_nothing_is_an_empty_result() {
    let nothing: [Document; 0] = [];
    assert!(empty().await.insert_many(nothing).await.unwrap().is_empty());
}

#[tokio::test]
async fn d22_coordinates_and_distances_are_checked_before_anything_is_sent() {
    let things = empty().await;
    for point in [[181.0, 0.0], [0.0, -91.0], [f64::NAN, 0.0]] {
        let error = things.near("at", point).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Validation, 0));
    }
    assert!(things.near("at", [0.0, 0.0]).max_distance(-1.0).await.is_err());
    let page = things.page(doc! {}).projection(doc! { "a": 1, "b": 0 }).await.unwrap_err();
    assert_eq!(page.kind(), ErrorKind::Validation);
}

#[tokio::test]
async fn d31_the_server_looks_for_the_collection() {
    let things = empty().await;
    let database = things.headwater().default_database();
    assert!(!database.collection_exists("things").await.unwrap());
    things.insert_one(doc! {}).await.unwrap();
    assert!(database.collection_exists("things").await.unwrap());
    assert!(!database.collection_exists("thing").await.unwrap());
    assert_eq!(database.collection_names().await.unwrap(), ["things"]);
    assert_eq!(database.collections().await.unwrap()[0].get("name"), Some(&"things".into()));
    assert!(database.stats().await.unwrap().contains_key("collections"));
    things.drop_collection().await.unwrap();
    things.drop_collection().await.unwrap();
}

#[tokio::test]
async fn versions_before_and_after_come_back() {
    let things = empty().await;
    things.insert_one(doc! { "_id": 1, "n": 1 }).await.unwrap();
    let inc = || doc! { "$inc": { "n": 1 } };
    let after = things.find_one_and_update(doc! {}, inc()).await.unwrap();
    assert_eq!(after, Some(doc! { "_id": 1, "n": 2 }));
    let before = things.find_one_and_update(doc! {}, inc());
    let before = before.return_document(ReturnDocument::Before).await.unwrap();
    assert_eq!(before, Some(doc! { "_id": 1, "n": 2 }));
    assert_eq!(things.find_one_and_update(doc! { "_id": 2 }, inc()).await.unwrap(), None);
}

#[tokio::test]
async fn r10_a_cursor_gives_batches_and_closes_on_the_server_when_dropped() {
    let things = empty().await;
    things.insert_many((0..1_000).map(|n| doc! { "_id": n })).await.unwrap();
    let open = async || {
        let database = things.headwater().database("admin");
        let status = database.run_command(doc! { "serverStatus": 1 }).await.unwrap();
        let cursor = status.get_document("metrics").unwrap().get_document("cursor").unwrap();
        let open = cursor.get_document("open").unwrap().get("total").unwrap().clone();
        open.as_i64().or(open.as_i32().map(i64::from)).unwrap()
    };
    let mut cursor = things.find(doc! {}).batch_size(10).await.unwrap();
    for _ in 0..25 {
        cursor.next().await.unwrap().unwrap();
    }
    assert_eq!(open().await, 1);
    drop(cursor);
    until_asked("the cursor's end", async || open().await == 0).await;
}

#[tokio::test]
async fn r12_a_pipeline_takes_its_options_and_gives_types() {
    #[derive(serde::Deserialize)]
    struct Sum {
        sum: i32,
    }
    let things = empty().await;
    things.insert_many((1..=4).map(|n| doc! { "_id": n })).await.unwrap();
    let pipeline = [
        doc! { "$match": { "$expr": { "$gt": ["$_id", "$$least"] } } },
        doc! { "$group": { "_id": null, "sum": { "$sum": "$_id" } } },
    ];
    let sums = things
        .aggregate(pipeline)
        .let_vars(doc! { "least": 2 })
        .allow_disk_use(true)
        .max_time(Duration::from_secs(5))
        .comment("sum".into())
        .with_type::<Sum>()
        .all()
        .await
        .unwrap();
    assert_eq!(sums[0].sum, 7);
    let error = things.aggregate([doc! { "$nonsense": 1 }]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Aggregation);
}

#[tokio::test]
async fn errors_of_indexes_are_told_as_such() {
    let things = empty().await;
    assert_eq!(things.drop_index("none").await.unwrap_err().kind(), ErrorKind::Index);
    assert!(things.indexes().await.unwrap().is_empty());
    let names = things.create_indexes(["a", "b"]).await.unwrap();
    assert_eq!(names, ["a_1", "b_1"]);
    assert_eq!(things.indexes().await.unwrap().len(), 3);
}

#[tokio::test]
async fn d16_a_collection_is_there_before_any_connection() {
    let headwater = Headwater::connect("mongodb://127.0.0.1:1").await.unwrap();
    let things = headwater.database("shop").collection::<Document>("things");
    assert_eq!((things.name(), headwater.pool_stats().size()), ("things", 0));
}

#[tokio::test]
async fn d27_a_ping_tells_why_it_failed() {
    let uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100";
    let headwater = Headwater::connect(uri).await.unwrap();
    // On a busy machine nothing may have been heard of the server yet.
    until_asked("the reason", async || {
        let error = headwater.ping_within(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ServerSelection);
        let text = error.to_string();
        assert!(text.contains("127.0.0.1:1"), "{text}");
        text.contains("refused")
    })
    .await;
}

#[tokio::test]
async fn r21_the_figures_of_database_collection_server_pool_and_operations_are_there() {
    let things = empty().await;
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    things.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    let headwater = things.headwater();
    assert_eq!(things.stats().await.unwrap().get("count"), Some(&1.into()));
    assert!(headwater.default_database().stats().await.unwrap().contains_key("collections"));
    assert!(headwater.server_info().await.unwrap().contains_key("version"));
    assert_eq!(headwater.pool_stats().servers.len(), 1);
    let stats = headwater.operation_stats();
    let insert = stats.iter().find(|stats| stats.operation == "insert_one").unwrap();
    assert_eq!((insert.success, insert.error), (1, 1));
    assert!(insert.p50 <= insert.p99 && insert.p99 <= insert.max && !insert.max.is_zero());
}

#[tokio::test]
async fn the_largest_document_goes_in_and_a_larger_one_is_refused() {
    const LARGEST: usize = 16 * 1024 * 1024;
    let things = empty().await;
    let empty = doc! { "_id": 1, "text": "" }.to_vec().unwrap().len();
    things.insert_one(doc! { "_id": 1, "text": "x".repeat(LARGEST - empty) }).await.unwrap();
    let larger = doc! { "_id": 2, "text": "x".repeat(LARGEST - empty + 1) };
    let error = things.insert_one(larger).await.unwrap_err();
    assert!(!error.is_outcome_unknown() && error.attempts() == 1, "{error:?}");
    assert_eq!(things.count(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn r3_a_document_that_does_not_fit_its_type_was_an_answer() {
    #[derive(serde::Deserialize)]
    struct Strict {
        _id: i32,
        needed: String,
    }
    let things = empty().await;
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    let strict = things.with_type::<Strict>();
    let update = doc! { "$set": { "a": 1 } };
    let errors = [
        strict.find_one(doc! {}).await.map(drop).unwrap_err(),
        strict.find_many(doc! {}).await.map(drop).unwrap_err(),
        strict.find_one_and_update(doc! {}, update).await.map(drop).unwrap_err(),
        strict.page_after(doc! {}, None).await.map(drop).unwrap_err(),
        strict.aggregate([]).with_type::<Strict>().all().await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(!error.is_outcome_unknown() && !error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains("needed"), "{error}");
    }
    assert_eq!(things.count(doc! { "a": 1 }).await.unwrap(), 1);
    things.update_by_id(1, doc! { "$set": { "needed": "x" } }).await.unwrap();
    let found = strict.find_by_id(1).await.unwrap().unwrap();
    assert_eq!((found._id, found.needed.as_str()), (1, "x"));
}

#[tokio::test]
async fn what_the_driver_refuses_was_not_sent() {
    let things = empty().await;
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    let error = things.update_one(doc! {}, doc! { "a": 1 }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error:?}");
    assert!(!error.is_outcome_unknown());
    let error = things.replace_one(doc! {}, doc! { "$set": { "a": 1 } }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error:?}");
}
