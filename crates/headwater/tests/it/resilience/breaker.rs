//! The circuit breaker, and servers that are away and come back.

use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::{CircuitState, ErrorKind, ResilienceSettings};

use super::{connect, connect_to, quick};
use crate::patience::{PATIENCE, until_asked};
use crate::proxy::{Fault, Proxy};

fn breaking(open: Duration) -> ResilienceSettings {
    let mut settings = quick();
    settings.breaker.failures = 5;
    settings.breaker.open = open;
    settings
}

#[tokio::test]
async fn r4_opens_after_five_failures_answers_at_once_and_closes_after_a_probe() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy, breaking(Duration::from_secs(2))).await;
    let things = headwater.collection::<Document>("things");
    things.find_one(doc! {}).await.unwrap();
    proxy.inject(Fault::ResetBefore.on("find"));
    for failures in 0..5 {
        assert_eq!(headwater.circuit_state(), CircuitState::Closed, "{failures}");
        things.find_one(doc! {}).await.unwrap_err();
    }
    assert_eq!(headwater.circuit_state(), CircuitState::Open);
    let asked = proxy.requests("find");
    let error = things.find_one(doc! {}).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::CircuitOpen, 0));
    assert!(error.retry_after().unwrap() <= Duration::from_secs(2));
    assert_eq!(proxy.requests("find"), asked);
    // A probe that fails opens it again, one that succeeds closes it.
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    assert_ne!(things.find_one(doc! {}).await.unwrap_err().kind(), ErrorKind::CircuitOpen);
    assert_eq!(things.find_one(doc! {}).await.unwrap_err().kind(), ErrorKind::CircuitOpen);
    proxy.clear();
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    things.find_one(doc! {}).await.unwrap();
    assert_eq!(headwater.circuit_state(), CircuitState::Closed);
}

#[tokio::test]
async fn r4_an_open_circuit_answers_in_less_than_a_millisecond() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy, breaking(Duration::from_secs(60))).await;
    let things = headwater.collection::<Document>("things");
    headwater.set_circuit_state(CircuitState::Open);
    let mut took = Vec::new();
    for _ in 0..1_000 {
        let begun = Instant::now();
        let errors = [
            things.find_one(doc! {}).await.unwrap_err(),
            things.insert_one(doc! {}).await.unwrap_err(),
        ];
        took.push(begun.elapsed() / 2);
        assert!(errors.iter().all(|error| error.kind() == ErrorKind::CircuitOpen));
    }
    took.sort_unstable();
    let (median, p99, most) = (took[500], took[990], took[999]);
    println!("an open circuit answers in {median:.1?}, p99 {p99:.1?}, at most {most:.1?}");
    // The median: other work on the machine may hold up single calls.
    assert!(median < Duration::from_millis(1), "{median:?}");
    assert_eq!(proxy.requests_all(), 0);
}

#[tokio::test]
async fn d03_an_answer_of_any_kind_never_counts() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy, breaking(Duration::from_secs(10))).await;
    let things = headwater.collection::<Document>("things");
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    for _ in 0..10 {
        things.insert_one(doc! { "_id": 1 }).await.unwrap_err();
        things.find_one(doc! { "$nonsense": 1 }).await.unwrap_err();
        things.page(doc! {}).number(0).await.unwrap_err();
    }
    assert_eq!(headwater.circuit_state(), CircuitState::Closed);
}

#[tokio::test]
async fn r4_the_state_can_be_set() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy, breaking(Duration::from_secs(10))).await;
    headwater.ping().await.unwrap();
    headwater.set_circuit_state(CircuitState::Open);
    assert_eq!(headwater.ping().await.unwrap_err().kind(), ErrorKind::CircuitOpen);
    headwater.set_circuit_state(CircuitState::HalfOpen);
    headwater.ping().await.unwrap();
    assert_eq!(headwater.circuit_state(), CircuitState::Closed);
}

#[tokio::test]
async fn d04_a_server_that_is_away_gives_the_same_kind_each_time_until_it_is_there() {
    let proxy = Proxy::start();
    proxy.refuse().await;
    let uri = proxy.uri_with("serverSelectionTimeoutMS=200");
    let mut settings = quick();
    settings.retry.attempts = 1;
    let headwater = connect_to(&uri, settings).await;
    let (begun, mut refused) = (Instant::now(), 0);
    while refused < 2 {
        let error = headwater.ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ServerSelection, "{error:?}");
        assert!(error.is_unreachable() && error.is_timeout() && error.is_retryable());
        // It lists the servers with their last errors.
        let text = error.to_string();
        assert!(text.contains(&proxy.address().to_string()), "{text}");
        refused += u32::from(text.contains("refused"));
        assert!(begun.elapsed() < PATIENCE, "{text}");
    }
    proxy.accept();
    until_asked("the server", async || headwater.ping().await.is_ok()).await;
}

#[tokio::test]
async fn r7_after_a_restart_the_next_call_succeeds() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy, quick()).await;
    let things = headwater.collection::<Document>("things");
    for round in 0..5_u32 {
        things.insert_one(doc! { "_id": round }).await.unwrap();
        proxy.restart(Duration::from_millis(50)).await;
        assert_eq!(things.count(doc! {}).await.unwrap(), u64::from(round) + 1);
    }
}
