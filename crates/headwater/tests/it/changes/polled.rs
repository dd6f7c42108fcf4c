//! Streams that are asked for what there is: an event, nothing, or what broke.

use std::time::Duration;

use headwater::ResumeToken;
use headwater::bson::doc;

use super::{event, fail_command, id, things};
use crate::proxy::Proxy;

#[tokio::test]
async fn r15_nothing_is_told_as_such_and_loses_nothing() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().max_await_time(Duration::from_millis(50)).await.unwrap();
    assert!(stream.next_if_any().await.unwrap().is_none());
    things.insert_many((0..3).map(|id| doc! { "_id": id })).await.unwrap();
    for expected in 0..3 {
        let next = loop {
            let next = stream.next_if_any();
            // Given up in the middle of the question, again and again.
            match tokio::time::timeout(Duration::from_millis(1), next).await {
                Ok(Ok(Some(event))) => break event,
                Ok(other) => assert!(other.unwrap().is_none()),
                Err(_) => {}
            }
        };
        assert_eq!(id(&next), expected);
    }
    assert!(stream.is_alive());
}

#[tokio::test]
async fn r15_the_end_is_told_by_is_alive() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    let mut stream = things.watch().end_on_invalidate().await.unwrap();
    things.drop_collection().await.unwrap();
    let mut events = 0;
    while stream.is_alive() {
        events += usize::from(stream.next_if_any().await.unwrap().is_some());
    }
    assert_eq!(events, 2, "the drop and the invalidate");
    assert!(stream.next_if_any().await.unwrap().is_none());
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn r15_without_patience_every_break_is_told_and_reading_on_goes_on() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let mut stream = things.watch().patience(Duration::ZERO).await.unwrap();
    proxy.refuse().await;
    proxy.cut();
    let error = stream.next_if_any().await.unwrap_err();
    assert!(error.is_retryable() && stream.is_alive(), "{error:?}");
    proxy.accept();
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    let next = loop {
        match stream.next_if_any().await {
            Ok(Some(event)) => break event,
            Ok(None) => {}
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    };
    assert_eq!(id(&next), 1);
}

#[tokio::test]
async fn r15_a_lost_place_may_be_left_for_now() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let wait = Duration::from_millis(50);
    let mut stream = things.watch().max_await_time(wait).start_over_when_lost().await.unwrap();
    for code in [286, 260, 280] {
        fail_command(&proxy, doc! { "failCommands": ["getMore"], "errorCode": code }).await;
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(error.is_history_lost(), "{error:?}");
        assert_eq!(stream.resume_token(), None);
        // Open again once it answers.
        assert!(stream.next_if_any().await.unwrap().is_none());
        things.insert_one(doc! { "_id": code }).await.unwrap();
        assert_eq!(id(&event(&mut stream).await), code);
    }

    let strange = ResumeToken::from(doc! { "_data": "8200" });
    assert!(things.watch().start_after(strange.clone()).await.unwrap_err().is_history_lost());
    let mut stream = things.watch().start_after(strange).start_over_when_lost().await.unwrap();
    assert!(stream.next_if_any().await.unwrap_err().is_history_lost());
    assert!(stream.next_if_any().await.unwrap().is_none());
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(id(&event(&mut stream).await), 1);
}
