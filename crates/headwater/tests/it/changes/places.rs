//! Where streams begin and go on: tokens, times, behind an `invalidate`, and what events show.

use std::time::{Duration, Instant};

use headwater::bson::doc;
use headwater::mongodb::change_stream::event::OperationType;
use headwater::mongodb::options::{FullDocumentBeforeChangeType, FullDocumentType};
use headwater::{ChangeStreamFailure, ErrorKind, FileTokenStore, ResumeToken};

use super::{event, id, things};
use crate::patience::PATIENCE;
use crate::proxy::{Fault, Proxy};

#[tokio::test]
async fn r15_a_stream_begins_behind_a_token_or_at_a_time() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().await.unwrap();
    for id in 0..4 {
        things.insert_one(doc! { "_id": id }).await.unwrap();
    }
    event(&mut stream).await;
    let second = event(&mut stream).await;
    let token = serde_json::to_string(&second.token).unwrap();
    let token: ResumeToken = serde_json::from_str(&token).unwrap();
    for watch in [things.watch().resume_after(token.clone()), things.watch().start_after(token)] {
        let mut again = watch.await.unwrap();
        assert_eq!(id(&event(&mut again).await), 2);
    }
    let since = things.watch().start_at_operation_time(second.cluster_time.unwrap());
    assert_eq!(id(&event(&mut since.await.unwrap()).await), 1);

    let both = things.watch().resume_after(second.token.clone()).start_after(second.token);
    assert_eq!(both.await.unwrap_err().kind(), ErrorKind::Validation);
    let nonsense = ResumeToken::from(doc! { "_data": "zz" });
    let error = things.watch().resume_after(nonsense).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ChangeStream(_)), "{error:?}");
}

#[tokio::test]
async fn r15_behind_an_invalidate_the_stream_goes_on_or_ends() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut goes_on = things.watch().await.unwrap();
    let mut ends = things.watch().end_on_invalidate().await.unwrap();
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    things.drop_collection().await.unwrap();
    let mut token = None;
    for stream in [&mut goes_on, &mut ends] {
        assert_eq!(event(stream).await.operation, OperationType::Insert);
        assert_eq!(event(stream).await.operation, OperationType::Drop);
        let last = event(stream).await;
        assert_eq!(last.operation, OperationType::Invalidate);
        token = Some(last.token);
    }
    assert!(ends.next().await.is_none());
    let refused = things.watch().resume_after(token.clone().unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ChangeStream(ChangeStreamFailure::InvalidToken));
    // A break in the middle of that is no hindrance.
    proxy.inject(Fault::ResetBefore.on("aggregate").times(1));
    things.insert_one(doc! { "_id": 2 }).await.unwrap();
    assert_eq!(id(&event(&mut goes_on).await), 2);
    let mut later = things.watch().start_after(token.unwrap()).await.unwrap();
    assert_eq!(id(&event(&mut later).await), 2);
}

#[tokio::test]
async fn r15_a_stored_token_leads_the_next_run_on() {
    let path = std::env::temp_dir().join(format!("headwater-it-token-{}", std::process::id()));
    let store = FileTokenStore::new(&path);
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().token_store(store.clone()).await.unwrap();
    for id in 0..5 {
        things.insert_one(doc! { "_id": id }).await.unwrap();
    }
    assert_eq!(id(&event(&mut stream).await), 0);
    assert_eq!(id(&event(&mut stream).await), 1);
    stream.commit().await.unwrap();
    assert_eq!(id(&event(&mut stream).await), 2);
    drop(stream);
    let mut stream = things.watch().token_store(store).await.unwrap();
    assert_eq!(id(&event(&mut stream).await), 2);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn r15_the_token_moves_on_while_nothing_of_interest_happens() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let watch = things.watch().max_await_time(Duration::from_millis(20));
    let mut stream = watch.await.unwrap();
    let first = stream.resume_token().expect("the place behind nothing");
    let other = things.headwater().collection("other");
    other.insert_many((0..20).map(|id| doc! { "_id": id })).await.unwrap();
    let begun = Instant::now();
    let later = loop {
        let waiting = tokio::time::timeout(Duration::from_millis(100), stream.next()).await;
        assert!(waiting.is_err());
        let later = stream.resume_token().unwrap();
        if later != first {
            break later;
        }
        assert!(begun.elapsed() < PATIENCE, "the token stays");
    };
    things.insert_one(doc! { "_id": 7 }).await.unwrap();
    assert_eq!(id(&event(&mut stream).await), 7);
    let mut again = things.watch().start_after(later).await.unwrap();
    assert_eq!(id(&event(&mut again).await), 7);
}

#[tokio::test]
async fn r15_events_show_what_was_asked_for() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_one(doc! { "_id": 1, "n": 1 }).await.unwrap();
    let pipeline = [doc! { "$match": { "operationType": "update" } }, doc! { "$set": { "x": 9 } }];
    let watch = things.watch().pipeline(pipeline).full_document(FullDocumentType::UpdateLookup);
    let mut stream = watch.show_expanded_events(true).await.unwrap();
    let mut plain = things.watch().await.unwrap();
    things.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap();
    let update = event(&mut stream).await;
    assert_eq!(update.operation, OperationType::Update);
    assert_eq!(update.full_document, Some(doc! { "_id": 1, "n": 2 }));
    assert_eq!(update.update.as_ref().unwrap().updated_fields, doc! { "n": 2 });
    assert_eq!(update.namespace.as_ref().unwrap().coll.as_deref(), Some("things"));
    assert_eq!(update.raw().get_i32("x").unwrap(), 9);
    assert!(event(&mut plain).await.full_document.is_none());

    // Of a collection that keeps none, the server says so as soon as one is required.
    let before = FullDocumentBeforeChangeType::Required;
    let mut strict = things.watch().full_document_before_change(before).await.unwrap();
    things.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap();
    let error = strict.next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ChangeStream(_)), "{error:?}");
    let before = FullDocumentBeforeChangeType::WhenAvailable;
    let mut lenient = things.watch().full_document_before_change(before).await.unwrap();
    things.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap();
    assert!(event(&mut lenient).await.full_document_before_change.is_none());
}

#[tokio::test]
async fn r15_a_pipeline_that_takes_the_token_away_is_refused() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().pipeline([doc! { "$unset": "_id" }]).await.unwrap();
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChangeStream(ChangeStreamFailure::Fatal));
    assert!(stream.next().await.is_none());
}
