//! The blocking form, on threads that have no runtime.

use headwater::blocking::{Wait, WaitEach};
use headwater::bson::{Document, doc};
use headwater::{ErrorKind, Headwater};

#[test]
fn calls_and_streams_are_waited_for_without_a_runtime() {
    let headwater = Headwater::open_in_memory().wait().unwrap();
    let numbers = headwater.collection::<Document>("numbers");
    numbers.insert_many((0..100).map(|n| doc! { "_id": n })).wait().unwrap();
    let cursor = numbers.find(doc! {}).batch_size(7).wait().unwrap();
    let found: Vec<i32> =
        cursor.wait_each().map(|number| number.unwrap().get_i32("_id").unwrap()).collect();
    assert_eq!(found, (0..100).collect::<Vec<_>>());
    let refused = numbers.insert_one(doc! { "_id": 7 }).wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DuplicateKey);
    headwater.close().wait();
}

#[test]
fn threads_share_a_connector_and_drop_what_they_have_anywhere() {
    let headwater = Headwater::open_in_memory().wait().unwrap();
    let counts = headwater.collection::<Document>("counts");
    counts.insert_one(doc! { "_id": 0, "n": 0 }).wait().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    counts.update_one(doc! {}, doc! { "$inc": { "n": 1 } }).wait().unwrap();
                }
                let mut all = counts.find(doc! {}).wait().unwrap().wait_each();
                assert!(all.next().unwrap().is_ok());
            });
        }
    });
    let count = counts.find_one(doc! {}).wait().unwrap().unwrap();
    assert_eq!(count.get_i32("n").unwrap(), 200);
    let cursor = counts.find(doc! {}).wait().unwrap();
    std::thread::spawn(move || drop(cursor)).join().unwrap();
    std::thread::spawn(move || drop((counts, headwater))).join().unwrap();
}
