//! The fault proxy does what it says, and the real server survives a kill: the ground on which other tests stand.

use std::time::{Duration, Instant};

use headwater::Headwater;
use headwater::mongodb::Collection;
use headwater::mongodb::bson::{Document, doc};

use crate::patience::{until, until_asked};
use crate::proxy::{Fault, Proxy};
use crate::serve::Serve;

/// A client that gives up soon and tries nothing twice.
async fn items(proxy: &Proxy) -> Collection<Document> {
    let options = "retryReads=false&retryWrites=false&serverSelectionTimeoutMS=5000";
    let headwater = Headwater::connect(proxy.uri_with(options)).await.unwrap();
    headwater.client().database("test").collection("items")
}

/// How many documents the server has, asked behind the proxy's back.
async fn stored(proxy: &Proxy) -> u64 {
    let headwater = Headwater::connect(proxy.direct_uri()).await.unwrap();
    let items: Collection<Document> = headwater.client().database("test").collection("items");
    items.count_documents(doc! {}).await.unwrap()
}

#[tokio::test]
async fn without_faults_everything_passes_and_is_counted() {
    let proxy = Proxy::start();
    let items = items(&proxy).await;
    for id in 0..3 {
        items.insert_one(doc! { "_id": id }).await.unwrap();
    }
    assert_eq!(items.count_documents(doc! {}).await.unwrap(), 3);
    assert_eq!((proxy.requests("insert"), proxy.forwarded("insert")), (3, 3));
    assert_eq!((proxy.requests("aggregate"), proxy.requests_all()), (1, 4));
    assert_eq!(proxy.faults(), 0);
    let connections = proxy.connections();
    assert!(connections.made >= 2 && connections.open <= connections.open_max, "{connections:?}");
    proxy.reset_counts();
    assert_eq!((proxy.requests_all(), proxy.connections().made), (0, 0));
}

#[tokio::test]
async fn a_reset_before_the_request_applies_nothing_one_after_it_does() {
    let proxy = Proxy::start();
    let items = items(&proxy).await;
    proxy.inject(Fault::ResetBefore.on("insert").times(1));
    items.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    assert_eq!((proxy.requests("insert"), proxy.forwarded("insert")), (1, 0));
    assert_eq!(stored(&proxy).await, 0);

    proxy.inject(Fault::ResetAfter.on("insert").times(1));
    items.insert_one(doc! { "_id": 2 }).await.unwrap_err();
    assert_eq!(stored(&proxy).await, 1);
    assert_eq!((proxy.forwarded("insert"), proxy.faults()), (1, 2));
    items.insert_one(doc! { "_id": 3 }).await.unwrap();
}

#[tokio::test]
async fn half_closed_connections_and_black_holes_lose_the_reply() {
    let proxy = Proxy::start();
    let items = items(&proxy).await;
    proxy.inject(Fault::HalfClose.on("insert").times(1));
    items.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    assert_eq!(stored(&proxy).await, 1);

    for (fault, kept) in [(Fault::BlackHole, 1), (Fault::BlackHoleAfter, 2)] {
        // The driver looks for the server again after an error; that is not to be part of the wait.
        items.find_one(doc! {}).await.unwrap();
        let faults = proxy.faults();
        proxy.inject(fault.on("insert").times(1));
        let struck = async {
            until("the fault", || proxy.faults() == faults + 1).await;
            until_asked("the effect", async || stored(&proxy).await == kept).await;
            // Were there a reply, it would come now.
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        tokio::select! {
            result = items.insert_one(doc! { "_id": 2 }).into_future() => panic!("{fault:?} {result:?}"),
            () = struck => {}
        }
        assert_eq!((stored(&proxy).await, proxy.faults()), (kept, faults + 1), "{fault:?}");
    }
}

#[tokio::test]
async fn delays_delay_and_slices_arrive_whole() {
    let proxy = Proxy::start();
    let items = items(&proxy).await;
    let time = Duration::from_millis(120);
    for fault in [Fault::Delay(time), Fault::DelayReply(time)] {
        proxy.inject(fault.on("insert").times(1));
        let begun = Instant::now();
        items.insert_one(doc! { "text": "x".repeat(2000) }).await.unwrap();
        assert!(begun.elapsed() >= time, "{fault:?}: {:?}", begun.elapsed());
    }
    proxy.inject(Fault::Slices);
    let found = items.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(found.get_str("text").unwrap().len(), 2000);
    assert_eq!(proxy.faults(), 3);
}

#[tokio::test]
async fn refused_clients_find_no_server_and_cut_ones_start_anew() {
    let proxy = Proxy::start();
    let items = items(&proxy).await;
    items.insert_one(doc! { "_id": 1 }).await.unwrap();
    proxy.refuse().await;
    proxy.cut();
    // Connections end on the proxy's own threads; until then a request still gets through.
    until("the end of all connections", || proxy.connections().open == 0).await;
    items.insert_one(doc! { "_id": 2 }).await.unwrap_err();
    let error = items.insert_one(doc! { "_id": 2 }).await.unwrap_err();
    assert!(headwater::Error::from(error).is_unreachable());
    proxy.accept();
    until_asked("the server", async || items.insert_one(doc! { "_id": 3 }).await.is_ok()).await;
    assert_eq!(stored(&proxy).await, 2);
}

#[tokio::test]
async fn rules_skip_end_and_hit_their_share() {
    let proxy = Proxy::start();
    let items = items(&proxy).await;
    proxy.inject(Fault::ResetBefore.on("insert").on("delete").skip(1).times(1));
    items.insert_one(doc! {}).await.unwrap();
    items.insert_one(doc! {}).await.unwrap_err();
    items.delete_one(doc! {}).await.unwrap();
    proxy.clear();

    proxy.reset_counts();
    proxy.inject(Fault::Delay(Duration::ZERO).on("find").chance(0.2).seed(7));
    for _ in 0..200 {
        items.find_one(doc! {}).await.unwrap();
    }
    assert!((20..60).contains(&proxy.faults()), "{} of 200", proxy.faults());
}

#[tokio::test]
async fn a_restart_keeps_the_data_and_hands_nothing_on_twice() {
    let proxy = std::sync::Arc::new(Proxy::start());
    let items = items(&proxy).await;
    let writer = tokio::spawn(async move {
        let (mut acknowledged, mut unknown) = (0, 0);
        for id in 0..400 {
            match items.insert_one(doc! { "_id": id }).await {
                Ok(_) => acknowledged += 1,
                Err(_) => unknown += 1,
            }
        }
        (acknowledged, unknown)
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        proxy.restart(Duration::from_millis(20)).await;
    }
    let (acknowledged, unknown) = writer.await.unwrap();
    let kept = stored(&proxy).await;
    assert!(kept >= acknowledged && kept <= acknowledged + unknown, "{kept} of {acknowledged}");
    // Every id is its own: a request handed on twice would have been counted as one more.
    assert!(proxy.forwarded("insert") <= proxy.requests("insert"));
    assert!(proxy.requests("insert") <= 400);
}

#[tokio::test]
async fn the_real_server_comes_back_after_a_kill_with_what_it_acknowledged() {
    let mut serve = Serve::start(&["--test-commands"]);
    let proxy = Proxy::before(serve.address());
    let headwater = Headwater::connect(proxy.direct_uri()).await.unwrap();
    let items: Collection<Document> = headwater.client().database("test").collection("items");
    for round in 0..3_u32 {
        items.insert_one(doc! { "_id": round }).await.unwrap();
        serve.kill();
        assert!(std::net::TcpStream::connect(serve.address()).is_err());
        serve.restart();
        let again = Headwater::connect(serve.uri()).await.unwrap();
        let again: Collection<Document> = again.client().database("test").collection("items");
        assert_eq!(again.count_documents(doc! {}).await.unwrap(), u64::from(round) + 1);
    }
}
