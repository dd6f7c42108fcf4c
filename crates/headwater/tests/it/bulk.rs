//! R11, D6, D21: bulk loading, its errors, and what becomes of a load under faults.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use headwater::bson::{Document, doc};
use headwater::{Collection, Config, ErrorKind, Headwater};

use crate::patience::until;
use crate::proxy::{Fault, Proxy};

async fn memory() -> Collection<Document> {
    Headwater::open_in_memory().await.unwrap().collection("load")
}

/// A connector through the proxy that tries again soon.
async fn through(proxy: &Proxy) -> Collection<Document> {
    let config = Config::builder()
        .uri(proxy.uri())
        .retry_base(Duration::from_millis(1))
        .retry_max(Duration::from_millis(5))
        .breaker_failures(0)
        .deadline(Duration::from_secs(20));
    Headwater::from_config(config.build().unwrap()).await.unwrap().collection("load")
}

fn numbered(numbers: std::ops::Range<i32>) -> impl Iterator<Item = Document> {
    numbers.map(|i| doc! { "_id": i, "text": format!("document {i}") })
}

#[tokio::test]
async fn d6_three_bad_documents_of_ten_thousand_fail_alone() {
    let load = memory().await;
    load.insert_many(numbered(0..3).map(|mut d| {
        d.insert("_id", d.get_i32("_id").unwrap() * 4000 + 17);
        d
    }))
    .await
    .unwrap();
    let error = load.bulk_load(numbered(0..10_000)).batch_size(1000).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bulk);
    let failure = error.bulk().unwrap();
    assert_eq!(failure.counts.inserted, 9_997);
    let indexes: Vec<usize> = failure.items.iter().map(|item| item.index).collect();
    assert_eq!(indexes, [17, 4017, 8017]);
    assert!(failure.items.iter().all(|item| item.is_duplicate_key() && item.id.is_some()));
    assert!(failure.unprocessed.is_empty() && failure.unknown.is_empty());
    assert_eq!(failure.resume_at, Some(10_000));
    assert_eq!(load.count(doc! {}).await.unwrap(), 10_000);
}

#[tokio::test]
async fn r11_an_ordered_load_stops_at_the_first_bad_document() {
    let load = memory().await;
    load.insert_one(doc! { "_id": 1234 }).await.unwrap();
    let error = load.bulk_load(numbered(0..5000)).batch_size(100).ordered(true).await.unwrap_err();
    let failure = error.bulk().unwrap();
    assert_eq!((failure.counts.inserted, failure.items.len()), (1234, 1));
    assert_eq!((failure.items[0].index, failure.resume_at), (1234, Some(1235)));
    assert_eq!(failure.unprocessed, (1235..1300).collect::<Vec<_>>());
    assert_eq!(load.count(doc! {}).await.unwrap(), 1235);
    // The rest of it, from there.
    let rest = load.bulk_load(numbered(0..5000)).ordered(true).resume_from(1235).await.unwrap();
    assert_eq!((rest.inserted, rest.settled), (3765, 5000));
    assert_eq!(load.count(doc! {}).await.unwrap(), 5000);
}

#[tokio::test]
async fn d21_an_empty_input_is_done_at_once() {
    let load = memory().await;
    let loaded = load.bulk_load(Vec::<Document>::new()).await.unwrap();
    assert_eq!((loaded.inserted, loaded.batches), (0, 0));
    assert!(load.insert_many(Vec::<Document>::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn r11_batches_follow_count_and_bytes() {
    let proxy = Proxy::start();
    let load = through(&proxy).await;
    let loaded = load.bulk_load(numbered(0..1050)).batch_size(100).await.unwrap();
    assert_eq!((loaded.batches, loaded.read, proxy.requests("insert")), (11, 1050, 11));
    proxy.reset_counts();
    let large = (0..10).map(|i| doc! { "_id": -1 - i, "text": "x".repeat(100_000) });
    let loaded = load.bulk_load(large).batch_bytes(350_000).parallel(1).await.unwrap();
    assert_eq!((loaded.batches, loaded.inserted, proxy.requests("insert")), (4, 10, 4));
    // More than one message may hold.
    let huge = (0..7).map(|i| doc! { "_id": -100 - i, "text": "x".repeat(15_000_000) });
    assert_eq!(load.bulk_load(huge).parallel(1).await.unwrap().batches, 3);
}

#[tokio::test]
async fn r11_a_document_that_no_server_takes_fails_alone() {
    let load = memory().await;
    let documents = (0..5).map(|i| match i {
        2 => doc! { "_id": i, "text": "x".repeat(17 << 20) },
        _ => doc! { "_id": i },
    });
    let error = load.bulk_load(documents.clone()).await.unwrap_err();
    let failure = error.bulk().unwrap();
    assert_eq!((failure.items[0].index, failure.items[0].code), (2, 10_334));
    assert_eq!(failure.counts.inserted, 4);
    load.drop_collection().await.unwrap();
    let error = load.bulk_load(documents).ordered(true).await.unwrap_err();
    assert_eq!(error.bulk().unwrap().counts.inserted, 2);
    assert_eq!(error.bulk().unwrap().resume_at, Some(3));
}

#[tokio::test]
async fn r11_batches_run_side_by_side_but_no_more_than_allowed() {
    let proxy = Proxy::start();
    let load = through(&proxy).await;
    load.insert_one(doc! {}).await.unwrap();
    proxy.inject(Fault::DelayReply(Duration::from_millis(300)).on("insert"));
    let side_by_side = async |parallel: usize, from: i32| {
        proxy.reset_counts();
        let load = load.bulk_load(numbered(from..from + 80)).batch_size(10).parallel(parallel);
        assert_eq!(load.await.unwrap().batches, 8);
        proxy.under_way_max()
    };
    assert_eq!(side_by_side(1, 0).await, 1);
    // A busy machine may make connections more slowly than replies come.
    let most = side_by_side(4, 100).await;
    assert!((2..=4).contains(&most), "{most}");
}

#[tokio::test]
async fn r11_the_input_is_read_only_as_fast_as_batches_go_out() {
    let proxy = Proxy::start();
    let load = through(&proxy).await;
    proxy.inject(Fault::BlackHole.on("insert"));
    let taken = AtomicUsize::new(0);
    let input = futures_util::stream::iter(numbered(0..1_000_000)).inspect(|_| {
        taken.fetch_add(1, Ordering::Relaxed);
    });
    let run = load.bulk_load_stream(input).batch_size(100).parallel(2).into_future();
    let full = async {
        until("two batches under way", || proxy.requests("insert") == 2).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    tokio::select! {
        result = run => panic!("{result:?}"),
        () = full => {}
    }
    // Two batches under way, and at most one that waits for its turn.
    let taken = taken.load(Ordering::Relaxed);
    assert!((200..=301).contains(&taken), "{taken}");
}

#[tokio::test]
async fn r11_resets_lose_and_double_nothing() {
    let proxy = Proxy::start();
    let load = through(&proxy).await;
    proxy.inject(Fault::ResetAfter.on("insert").chance(0.2));
    proxy.inject(Fault::ResetBefore.on("insert").chance(0.2).seed(3));
    let mut done = 0;
    // Bad luck may use up the attempts of a batch: then the error says from where to go on.
    let inserted = loop {
        let input = numbered(0..20_000);
        let run = load.bulk_load(input).batch_size(100).resume_from(done).accept_existing();
        match run.await {
            Ok(loaded) => break loaded,
            Err(error) => {
                let failure = error.bulk().expect("how far it came");
                assert!(failure.items.is_empty(), "{:?}", failure.items);
                assert!(failure.resume_at.unwrap() >= done);
                done = failure.resume_at.unwrap();
            }
        }
    };
    assert!(proxy.faults() > 20, "{}", proxy.faults());
    assert_eq!(inserted.settled, 20_000);
    proxy.clear();
    assert_eq!(load.count(doc! {}).await.unwrap(), 20_000);
}

#[tokio::test]
async fn r11_a_server_that_is_gone_ends_the_load_with_the_place_to_resume() {
    let proxy = Proxy::start();
    let load = through(&proxy).await;
    let mut batches = 0;
    let proxy = &proxy;
    proxy.inject(Fault::ResetBefore.on("insert").skip(5));
    let error = load
        .bulk_load(numbered(0..2000))
        .batch_size(100)
        .parallel(1)
        .on_progress(|progress| batches = progress.batches)
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection(_)), "{error}");
    let failure = error.bulk().unwrap();
    assert_eq!((failure.counts.inserted, failure.resume_at, batches), (500, Some(500), 6));
    proxy.clear();
    let rest = load.bulk_load(numbered(0..2000)).resume_from(500).await.unwrap();
    assert_eq!(rest.inserted, 1500);
    assert_eq!(load.count(doc! {}).await.unwrap(), 2000);
}

#[tokio::test]
async fn r11_what_is_there_already_can_be_accepted() {
    let load = memory().await;
    load.bulk_load(numbered(0..100)).await.unwrap();
    let loaded = load.bulk_load(numbered(50..150)).accept_existing().await.unwrap();
    assert_eq!((loaded.inserted, loaded.failed), (100, 0));
    // The same `_id` with another content is somebody else's.
    let error = load.bulk_load([doc! { "_id": 1, "text": "other" }]).accept_existing().await;
    assert_eq!(error.unwrap_err().bulk().unwrap().items.len(), 1);
}

#[tokio::test]
async fn r11_an_ordered_load_under_resets_loses_and_doubles_nothing() {
    let proxy = Proxy::start();
    let config = Config::builder()
        .uri(proxy.uri())
        .retry_attempts(9)
        .retry_base(Duration::from_millis(1))
        .retry_max(Duration::from_millis(5))
        .breaker_failures(0);
    let headwater = Headwater::from_config(config.build().unwrap()).await.unwrap();
    let load = headwater.collection::<Document>("load");
    // More in a row than the driver's own second attempt makes good.
    proxy.inject(Fault::ResetAfter.on("insert").skip(2).times(3));
    let loaded = load.bulk_load(numbered(0..3000)).batch_size(1000).ordered(true).await.unwrap();
    assert_eq!((loaded.inserted, proxy.faults()), (3000, 3));
    assert_eq!(load.count(doc! {}).await.unwrap(), 3000);
}
