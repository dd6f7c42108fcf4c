//! Change streams: through kills, resets and silence, behind tokens, and as workers.

mod kills;
mod places;
mod polled;
mod worker;

use std::time::Duration;

use headwater::bson::{Document, doc};
use headwater::mongodb::options::{ClientOptions, FullDocumentBeforeChangeType};
use headwater::{
    ChangeEvent, ChangeStream, ChangeStreamFailure, Collection, ErrorKind, Headwater,
    ResilienceSettings,
};

use crate::chunks::{open_cursors, wait_for_no_cursor};
use crate::patience::PATIENCE;
use crate::proxy::{Fault, Proxy};

/// Settings whose pauses do not slow tests down.
fn quick() -> ResilienceSettings {
    let mut settings = ResilienceSettings::default();
    settings.retry.base = Duration::from_millis(5);
    settings.retry.max = Duration::from_millis(200);
    settings.retry.deadline = Duration::from_secs(30);
    settings.breaker.open = Duration::from_millis(100);
    settings
}

async fn connect(uri: &str, settings: ResilienceSettings) -> Headwater {
    let uri = format!("{uri}&serverSelectionTimeoutMS=5000&heartbeatFrequencyMS=500");
    let options = ClientOptions::parse(uri).await.unwrap();
    Headwater::connect_with_settings(options, settings).unwrap()
}

async fn things(proxy: &Proxy) -> Collection<Document> {
    connect(&proxy.uri(), quick()).await.collection("things")
}

async fn fail_command(proxy: &Proxy, data: Document) {
    let direct = Headwater::connect(proxy.direct_uri()).await.unwrap();
    let command =
        doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    direct.database("admin").run_command(command).await.unwrap();
}

async fn event<T: serde::de::DeserializeOwned>(stream: &mut ChangeStream<T>) -> ChangeEvent<T> {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await;
    next.expect("an event comes").expect("the stream goes on").expect("an event")
}

fn id<T>(event: &ChangeEvent<T>) -> i32 {
    event.document_key.as_ref().unwrap().get_i32("_id").unwrap()
}

#[tokio::test]
async fn r15_resets_of_all_kinds_leave_no_gap_and_no_double() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().batch_size(7).await.unwrap();
    for (seed, fault) in
        [Fault::ResetBefore, Fault::ResetAfter, Fault::HalfClose].into_iter().enumerate()
    {
        proxy.inject(fault.on("getMore").on("aggregate").chance(0.08).seed(seed as u64 + 1));
    }
    let direct = Headwater::connect(proxy.direct_uri()).await.unwrap();
    let writer = tokio::spawn(async move {
        let things = direct.collection::<Document>("things");
        for id in 0..500 {
            things.insert_one(doc! { "_id": id }).await.unwrap();
        }
    });
    for expected in 0..500 {
        assert_eq!(id(&event(&mut stream).await), expected);
    }
    writer.await.unwrap();
    assert!(proxy.faults() >= 10, "{}", proxy.faults());
}

#[tokio::test]
async fn r15_a_server_that_falls_silent_is_left() {
    let proxy = Proxy::start();
    let mut settings = quick();
    settings.retry.attempt_timeout = Some(Duration::from_millis(1_500));
    let things = connect(&proxy.uri(), settings).await.collection::<Document>("things");
    let watch = things.watch().max_await_time(Duration::from_millis(100));
    let mut stream = watch.await.unwrap();
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(id(&event(&mut stream).await), 1);
    proxy.inject(Fault::BlackHoleAfter.on("getMore").times(1));
    things.insert_one(doc! { "_id": 2 }).await.unwrap();
    assert_eq!(id(&event(&mut stream).await), 2);
    assert_eq!(proxy.faults(), 1);
}

#[tokio::test]
async fn d23_a_restart_of_the_server_does_not_end_the_stream() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().await.unwrap();
    for round in 0..3 {
        things.insert_one(doc! { "_id": round * 2 }).await.unwrap();
        assert_eq!(id(&event(&mut stream).await), round * 2);
        let reading = tokio::spawn(async move { (event(&mut stream).await, stream) });
        proxy.restart(Duration::from_millis(50)).await;
        things.insert_one(doc! { "_id": round * 2 + 1 }).await.unwrap();
        let (event, back) = reading.await.unwrap();
        assert_eq!(id(&event), round * 2 + 1);
        stream = back;
    }
    assert!(proxy.requests("aggregate") >= 4);
}

#[tokio::test]
async fn d23_patience_ends_in_an_error_and_reading_on_goes_on() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().patience(Duration::from_millis(300)).await.unwrap();
    proxy.refuse().await;
    proxy.cut();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!((error.operation(), error.namespace()), (Some("watch"), Some("test.things")));
    proxy.accept();
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    while let Err(error) = stream.next().await.unwrap() {
        assert!(error.is_retryable(), "{error:?}");
    }
}

#[tokio::test]
async fn r15_lost_history_is_said_and_ends_the_stream() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    for (code, failure) in [
        (286, ChangeStreamFailure::HistoryLost),
        (260, ChangeStreamFailure::InvalidToken),
        (280, ChangeStreamFailure::Fatal),
    ] {
        let mut stream = things.watch().await.unwrap();
        fail_command(&proxy, doc! { "failCommands": ["getMore"], "errorCode": code }).await;
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChangeStream(failure));
        assert_eq!(error.code(), Some(code));
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn r15_what_the_server_says_may_be_mended_is_mended() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().await.unwrap();
    for (id, code) in [43, 91, 11602, 10107, 234].into_iter().enumerate() {
        fail_command(&proxy, doc! { "failCommands": ["getMore"], "errorCode": code }).await;
        things.insert_one(doc! { "_id": id as i32 }).await.unwrap();
        assert_eq!(self::id(&event(&mut stream).await), id as i32, "{code}");
    }
}

#[tokio::test]
async fn r15_a_slow_reader_makes_the_server_wait() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().batch_size(10).await.unwrap();
    things.insert_many((0..200).map(|id| doc! { "_id": id })).await.unwrap();
    assert_eq!(id(&event(&mut stream).await), 0);
    let asked = proxy.requests("getMore");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(proxy.requests("getMore"), asked, "nothing is asked for ahead");
    for expected in 1..200 {
        assert_eq!(id(&event(&mut stream).await), expected);
    }
    assert!(proxy.requests("getMore") >= asked + 19);
}

#[tokio::test]
async fn r15_a_dropped_stream_leaves_no_cursor_on_the_server() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().await.unwrap();
    assert_eq!(open_cursors(things.headwater()).await, 1);
    let waiting = tokio::time::timeout(Duration::from_millis(100), stream.next()).await;
    assert!(waiting.is_err());
    drop(stream);
    wait_for_no_cursor(things.headwater()).await;
}

#[tokio::test]
async fn r15_an_event_of_another_shape_is_an_error_and_the_next_one_comes() {
    #[derive(Debug, serde::Deserialize)]
    struct Thing {
        size: i32,
    }
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.with_type::<Thing>().watch().await.unwrap();
    things.insert_one(doc! { "_id": 1, "size": "large" }).await.unwrap();
    things.insert_one(doc! { "_id": 2, "size": 5 }).await.unwrap();
    stream.next().await.unwrap().unwrap_err();
    assert_eq!(event(&mut stream).await.full_document.unwrap().size, 5);
}

#[tokio::test]
async fn r15_an_event_that_the_server_split_comes_whole() {
    const BYTES: usize = 9 << 20;
    let proxy = Proxy::start();
    let headwater = connect(&proxy.uri(), quick()).await;
    let images = doc! { "create": "things", "changeStreamPreAndPostImages": { "enabled": true } };
    headwater.database("test").run_command(images).await.unwrap();
    let things: Collection<Document> = headwater.database("test").collection("things");
    let watch = things.watch().full_document_before_change(FullDocumentBeforeChangeType::Required);
    let mut stream = watch.split_large_events().await.unwrap();
    things.insert_one(doc! { "_id": 1, "text": "a".repeat(BYTES) }).await.unwrap();
    things.replace_one(doc! { "_id": 1 }, doc! { "text": "b".repeat(BYTES) }).await.unwrap();
    things.insert_one(doc! { "_id": 2 }).await.unwrap();
    assert_eq!(id(&event(&mut stream).await), 1);
    let replaced = event(&mut stream).await;
    let text = |doc: Option<Document>| doc.unwrap().get_str("text").unwrap().to_owned();
    assert!(text(replaced.full_document).chars().all(|letter| letter == 'b'));
    let before = text(replaced.full_document_before_change);
    assert!(before.len() == BYTES && before.chars().all(|letter| letter == 'a'));
    assert_eq!(id(&event(&mut stream).await), 2);
}
