//! What is tried again, how often, and what is said when nobody knows the outcome.

use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::collection::WriteModel;
use headwater::{ConnectionFailure, ErrorKind};

use super::observed::{blocking, lines_of};
use super::{connect, fail_command, quick, stored, things};
use crate::patience::until;
use crate::proxy::{Fault, Proxy};

#[tokio::test]
async fn d01_a_read_on_a_server_that_resets_is_tried_exactly_three_times() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.find_one(doc! {}).await.unwrap();
    for fault in [Fault::ResetBefore, Fault::ResetAfter, Fault::HalfClose] {
        proxy.clear();
        proxy.reset_counts();
        proxy.inject(fault.on("find"));
        let error = things.find_one(doc! {}).await.unwrap_err();
        assert_eq!((proxy.requests("find"), error.attempts()), (3, 3), "{fault:?} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Connection(ConnectionFailure::Reset), "{error:?}");
        assert!(error.is_retryable() && !error.is_outcome_unknown());
        assert!(std::error::Error::source(&error).is_some());
    }
    proxy.clear();
    proxy.reset_counts();
    proxy.inject(Fault::ResetAfter.on("find").times(2));
    things.find_one(doc! {}).await.unwrap();
    assert_eq!(proxy.requests("find"), 3);
}

#[tokio::test]
async fn r5_attempts_are_as_many_as_the_settings_say() {
    for attempts in [1, 2, 5] {
        let proxy = Proxy::start();
        let mut settings = quick();
        settings.retry.attempts = attempts;
        let things = connect(&proxy, settings).await.collection::<Document>("things");
        proxy.inject(Fault::ResetAfter.on("find").on("update").on("insert"));
        assert_eq!(things.find_one(doc! {}).await.unwrap_err().attempts(), attempts);
        assert_eq!(things.insert_one(doc! {}).await.unwrap_err().attempts(), attempts);
        let update = doc! { "$inc": { "n": 1 } };
        let error = things.update_one(doc! {}, update).await.unwrap_err();
        assert_eq!(error.attempts(), attempts.min(2));
        assert_eq!(proxy.requests("find") as u32, attempts);
        assert_eq!(proxy.requests("insert") as u32, attempts);
        assert_eq!(proxy.requests("update") as u32, attempts.min(2));
    }
}

#[tokio::test]
async fn r5_a_write_is_never_tried_more_than_three_times_by_driver_and_connector_together() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_one(doc! { "_id": 0, "n": 0 }).await.unwrap();
    proxy.inject(Fault::ResetAfter.on("update").on("delete").on("findAndModify").on("insert"));
    let inc = || doc! { "$inc": { "n": 1 } };
    let errors = [
        things.update_one(doc! {}, inc()).await.unwrap_err(),
        things.delete_one(doc! { "_id": -1 }).await.unwrap_err(),
        things.find_one_and_update(doc! {}, inc()).await.unwrap_err(),
        things.insert_many([doc! { "_id": 1 }]).await.unwrap_err(),
        things.insert_one(doc! { "_id": 2 }).await.unwrap_err(),
    ];
    for error in &errors {
        assert!(error.is_outcome_unknown() && error.attempts() <= 3, "{error:?}");
    }
    for command in ["update", "delete", "findAndModify"] {
        assert_eq!(proxy.requests(command), 2, "{command}");
    }
    assert!(proxy.requests("insert") <= 6);
    // Under one number each write was done once, however often it was sent.
    assert_eq!(stored(&proxy).await[0].get("n"), Some(&2.into()));
}

#[tokio::test]
async fn r6_a_numbered_write_whose_answer_was_lost_counts_once() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
    proxy.inject(Fault::ResetAfter.on("update").times(1));
    let result = things.update_one(doc! {}, doc! { "$inc": { "n": 1 } }).await.unwrap();
    assert_eq!(result.modified_count, 1);
    assert_eq!(stored(&proxy).await, [doc! { "_id": 1, "n": 1 }]);
    proxy.inject(Fault::ResetAfter.on("delete").times(1));
    assert_eq!(things.delete_one(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn r6_an_insert_that_was_done_without_an_answer_succeeds_as_its_own_duplicate() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    for lost in [1, 2] {
        proxy.inject(Fault::ResetAfter.on("insert").times(lost));
        things.insert_one(doc! { "_id": lost as i32, "a": [1, 2] }).await.unwrap();
    }
    assert_eq!(stored(&proxy).await.len(), 2);
    // A duplicate of something else is none of ours, with and without lost answers.
    proxy.inject(Fault::ResetBefore.on("insert").times(1));
    let error = things.insert_one(doc! { "_id": 1, "a": [1, 3] }).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::DuplicateKey, 2));
    let error = things.insert_one(doc! { "_id": 1, "a": [1, 2] }).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::DuplicateKey, 1));
}

#[tokio::test]
async fn r6_many_inserts_without_an_answer_are_known_again() {
    for ordered in [true, false] {
        let proxy = Proxy::start();
        let things = things(&proxy).await;
        proxy.inject(Fault::ResetAfter.on("insert").times(2));
        let documents = (0..50).map(|n| doc! { "_id": n });
        let result = things.insert_many(documents).ordered(ordered).await;
        // Two lost answers are as many as the driver's number covers; what is reported must be true.
        if let Err(error) = result {
            assert!(error.is_outcome_unknown(), "{error:?}");
            assert_eq!(error.bulk().unwrap().unknown.len(), 50);
        }
        assert_eq!(stored(&proxy).await.len(), 50);
    }
}

#[tokio::test]
async fn r6_what_is_not_safe_is_sent_once_and_said_to_be_unknown() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_many([doc! { "_id": 1, "n": 0 }, doc! { "_id": 2, "n": 0 }]).await.unwrap();
    proxy.reset_counts();
    proxy.inject(Fault::ResetAfter.on("update").on("delete").on("aggregate"));
    let error = things.update_many(doc! {}, doc! { "$inc": { "n": 1 } }).await.unwrap_err();
    assert!(error.is_outcome_unknown() && error.attempts() == 1, "{error:?}");
    let error = things.delete_many(doc! { "_id": 2 }).await.unwrap_err();
    assert!(error.is_outcome_unknown() && error.attempts() == 1, "{error:?}");
    let error = things.aggregate([doc! { "$out": "others" }]).all().await.unwrap_err();
    assert!(error.is_outcome_unknown() && error.attempts() == 1, "{error:?}");
    for command in ["update", "delete", "aggregate"] {
        assert_eq!(proxy.requests(command), 1, "{command}");
    }
    assert_eq!(stored(&proxy).await, [doc! { "_id": 1, "n": 1 }]);
}

#[tokio::test]
async fn r6_what_was_not_sent_is_tried_again_whatever_it_is() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
    proxy.refuse().await;
    proxy.cut();
    let back = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.accept();
    };
    let update = things.update_many(doc! {}, doc! { "$inc": { "n": 1 } });
    let (result, ()) = tokio::join!(update.into_future(), back);
    match result {
        Ok(result) => assert_eq!(result.modified_count, 1),
        // The first attempt may have met the connection while it was cut.
        Err(error) => assert!(error.is_outcome_unknown(), "{error:?}"),
    }
}

#[tokio::test]
async fn r6_a_cursor_asks_for_a_batch_once() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_many((0..50).map(|n| doc! { "_id": n })).await.unwrap();
    proxy.inject(Fault::ResetAfter.on("getMore"));
    let mut cursor = things.find(doc! {}).batch_size(10).await.unwrap();
    for _ in 0..10 {
        cursor.next().await.unwrap().unwrap();
    }
    let error = cursor.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection(ConnectionFailure::Reset));
    assert_eq!((error.operation(), error.namespace()), (Some("find"), Some("test.things")));
    assert_eq!(proxy.requests("getMore"), 1);
    // A list has handed nothing out before its last batch, so it is read again as a whole.
    proxy.clear();
    proxy.inject(Fault::ResetAfter.on("getMore").skip(2).times(2));
    assert_eq!(things.find_many(doc! {}).batch_size(10).await.unwrap().len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r5_the_deadline_ends_the_call_and_is_overshot_by_little() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_one(doc! { "_id": 0 }).await.unwrap();
    proxy.inject(Fault::BlackHole.on("find").on("insert").on("update"));
    let limit = Duration::from_secs(1);
    let mut late = Vec::new();
    for round in 0..6 {
        let begun = Instant::now();
        let call = async {
            let error = match round % 3 {
                0 => things.find_one(doc! {}).deadline(limit).await.map(drop),
                1 => things.insert_one(doc! {}).deadline(limit).await.map(drop),
                _ => {
                    let update = doc! { "$set": { "a": 1 } };
                    things.update_one(doc! {}, update).deadline(limit).await.map(drop)
                }
            };
            (error.unwrap_err(), begun.elapsed())
        };
        // How late a busy machine wakes anyone who waits as long.
        let timer = async {
            tokio::time::sleep(limit).await;
            begun.elapsed()
        };
        let ((error, took), slept) = tokio::join!(call, timer);
        assert!(took >= limit, "{took:?} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert_eq!((error.is_timeout(), error.is_outcome_unknown()), (true, round % 3 > 0));
        late.push(took.saturating_sub(slept));
    }
    late.sort_unstable();
    let (median, most) = (late[late.len() / 2], late[late.len() - 1]);
    println!("the deadline is overshot by {median:.1?}, at most {most:.1?}");
    // The median: other work on the machine may hold up single calls.
    assert!(median <= Duration::from_millis(50), "{late:?}");
}

#[tokio::test]
async fn r5_an_attempt_without_an_answer_ends_and_another_one_follows() {
    let proxy = Proxy::start();
    let mut settings = quick();
    settings.retry.attempt_timeout = Some(Duration::from_secs(1));
    let things = connect(&proxy, settings).await.collection::<Document>("things");
    things.find_one(doc! {}).await.unwrap();
    proxy.inject(Fault::BlackHole.on("find").times(1));
    things.find_one(doc! {}).await.unwrap();
    proxy.inject(Fault::BlackHole.on("find"));
    let error = things.find_one(doc! {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection(ConnectionFailure::Timeout));
    assert_eq!(error.attempts(), 3);
}

#[tokio::test]
async fn r5_giving_up_stops_at_once() {
    let proxy = Proxy::start();
    let mut settings = quick();
    // The first pause is drawn from ten minutes: that it is over at once happens to nobody.
    settings.retry.base = Duration::from_secs(600);
    settings.retry.max = Duration::from_secs(600);
    settings.retry.deadline = Duration::from_secs(3600);
    settings.retry.attempts = 100;
    let things = connect(&proxy, settings).await.collection::<Document>("things");
    proxy.inject(Fault::ResetBefore.on("find"));
    tokio::select! {
        result = things.find_one(doc! {}).into_future() => panic!("{result:?}"),
        () = until("a break", || things.headwater().operation_stats().iter().any(|stats| stats.retries > 0)) => {}
    }
    assert_eq!(proxy.requests("find"), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(proxy.requests("find"), 1);
}

#[test]
fn d02_pauses_differ_and_grow() {
    let begun = Instant::now();
    let lines = lines_of(|| {
        blocking(async {
            let proxy = Proxy::start();
            let mut settings = quick();
            settings.retry.base = Duration::from_millis(40);
            let things = connect(&proxy, settings).await.collection::<Document>("things");
            things.find_one(doc! {}).await.unwrap();
            // The host behind the server cannot be reached: the driver itself waits for nothing.
            fail_command(&proxy, 100, doc! { "failCommands": ["find"], "errorCode": 6 }).await;
            for _ in 0..10 {
                assert_eq!(things.find_one(doc! {}).await.unwrap_err().attempts(), 3);
            }
        });
    });
    let pauses = |attempts: u32| -> Vec<u64> {
        let after = format!(" attempts={attempts} pause_ms=");
        let told = lines.iter().filter_map(|line| line.split_once(&after));
        told.map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    let (first, second) = (pauses(1), pauses(2));
    assert_eq!((first.len(), second.len()), (10, 10), "{lines:#?}");
    for (pauses, most) in [(&first, 40), (&second, 80)] {
        assert!(pauses.iter().all(|pause| *pause <= most), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?}");
    }
    assert!(second.iter().any(|pause| *pause > 40), "they grow: {second:?}");
    // They are not only told.
    let sum = first.iter().chain(&second).sum();
    assert!(begun.elapsed() >= Duration::from_millis(sum), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn r6_a_bulk_without_an_answer_names_what_is_unknown_and_what_was_not_tried() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    proxy.inject(Fault::ResetAfter.on("update"));
    let error = things
        .bulk_write([
            WriteModel::insert_one(doc! { "_id": 1, "n": 0 }),
            WriteModel::update_many(doc! {}, doc! { "$inc": { "n": 1 } }),
            WriteModel::update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }),
            WriteModel::delete_many(doc! {}),
        ])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection(ConnectionFailure::Reset));
    assert!(error.is_outcome_unknown());
    let failure = error.bulk().unwrap();
    assert_eq!(
        (failure.unknown.as_slice(), failure.unprocessed.as_slice()),
        (&[1, 2][..], &[3][..])
    );
    assert_eq!(failure.counts.inserted, 1);
    assert_eq!(proxy.requests("update"), 1);
    assert_eq!(stored(&proxy).await, [doc! { "_id": 1, "n": 2 }]);
}

#[tokio::test]
async fn r5_a_batch_that_never_comes_ends_the_stream_at_the_deadline() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_many((0..20).map(|n| doc! { "_id": n })).await.unwrap();
    let limit = Duration::from_secs(2);
    proxy.inject(Fault::BlackHole.on("getMore"));
    let mut cursor = things.find(doc! {}).batch_size(10).deadline(limit).await.unwrap();
    for _ in 0..10 {
        cursor.next().await.unwrap().unwrap();
    }
    let begun = Instant::now();
    let error = cursor.next().await.unwrap().unwrap_err();
    let took = begun.elapsed();
    // How closely it is kept is measured above, over many calls; the settings' own deadline is 30 s.
    assert!(took >= limit && took <= 5 * limit, "{took:?}");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Deadline, Some("find")));
    assert!(cursor.next().await.is_none());
}
