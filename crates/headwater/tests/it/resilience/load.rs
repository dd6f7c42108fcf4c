//! Many callers at once: the pool, the bulkhead, the budget, and truth under faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use headwater::bson::{Document, doc};
use headwater::mongodb::options::ClientOptions;
use headwater::{ConnectionFailure, ErrorKind, Headwater};

use super::{connect, connect_to, quick, stored};
use crate::patience::{until, until_asked};
use crate::proxy::{Fault, Proxy};
use crate::serve::Serve;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_a_hundred_callers_make_at_most_a_hundred_connections_and_are_counted() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy, quick()).await;
    let things = headwater.collection::<Document>("things");
    let callers = (0..100).map(|_| {
        let things = things.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                things.find_one(doc! {}).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let stats = headwater.pool_stats();
    let server = &stats.servers[0];
    assert_eq!(server.address, proxy.address().to_string());
    assert!(server.created <= 100 && server.size <= 100, "{server:?}");
    assert_eq!((server.checkouts, server.waiting, server.failed_checkouts), (2_000, 0, 0));
    // Connections come back on a task of the driver.
    until("the connections", || headwater.pool_stats().in_use() == 0).await;
    let server = &headwater.pool_stats().servers[0];
    assert_eq!((server.in_use, server.idle), (0, server.size), "{server:?}");
}

#[tokio::test]
async fn r8_broken_connections_are_closed_with_their_reason() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy, quick()).await;
    let things = headwater.collection::<Document>("things");
    things.find_one(doc! {}).await.unwrap();
    proxy.inject(Fault::ResetAfter.on("find").times(1));
    things.find_one(doc! {}).await.unwrap();
    until("the broken connection's end", || {
        let server = &headwater.pool_stats().servers[0];
        server.closed.error + server.closed.stale >= 1 && server.cleared >= 1
    })
    .await;
    until("a sum that is right", || {
        let server = &headwater.pool_stats().servers[0];
        server.created == server.size + server.closed.error + server.closed.stale
    })
    .await;
}

#[tokio::test]
async fn r8_who_waits_too_long_for_a_connection_is_told() {
    let proxy = Proxy::start();
    let mut settings = quick();
    settings.bulkhead.max_wait = Duration::from_millis(500);
    settings.retry.attempts = 1;
    let things = connect_to(&proxy.uri_with("maxPoolSize=2"), settings).await;
    let things = things.collection::<Document>("things");
    things.find_one(doc! {}).await.unwrap();
    proxy.inject(Fault::Delay(Duration::from_secs(4)).on("find"));
    let find = || async { things.find_one(doc! {}).await };
    let (one, two, three) = tokio::join!(find(), find(), find());
    assert!(one.is_ok() && two.is_ok());
    let error = three.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection(ConnectionFailure::PoolWait));
    assert!(error.is_timeout() && error.is_retryable());
}

#[tokio::test]
async fn r5_five_percent_faults_cost_at_most_a_fifth_more_attempts() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy, quick()).await;
    let things = headwater.collection::<Document>("things");
    things.find_one(doc! {}).await.unwrap();
    proxy.reset_counts();
    proxy.inject(Fault::ResetAfter.on("find").on("update").chance(0.05));
    let calls = 600;
    for n in 0..calls {
        if n % 2 == 0 {
            let _ = things.find_one(doc! {}).await;
        } else {
            let _ = things.update_one(doc! { "_id": n }, doc! { "$set": { "a": 1 } }).await;
        }
    }
    let sent = proxy.requests("find") + proxy.requests("update");
    println!("{sent} requests for {calls} calls, {} faults", proxy.faults());
    assert!(proxy.faults() >= calls as usize / 25, "{}", proxy.faults());
    assert!(sent > calls as usize && sent as f64 <= 1.2 * f64::from(calls), "{sent} for {calls}");
}

#[tokio::test]
async fn r5_without_budget_nothing_is_tried_again() {
    let proxy = Proxy::start();
    let mut settings = quick();
    settings.retry.budget_ratio = 0.0;
    settings.retry.budget_reserve = 3;
    let things = connect(&proxy, settings).await.collection::<Document>("things");
    things.find_one(doc! {}).await.unwrap();
    proxy.reset_counts();
    proxy.inject(Fault::ResetBefore.on("find"));
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        things.find_one(doc! {}).await.unwrap_err();
    }
    // Three from the reserve, and one for each second in which it grew back.
    let most = 14 + begun.elapsed().as_secs() as usize;
    assert!((13..=most).contains(&proxy.requests("find")), "{}", proxy.requests("find"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_no_increment_is_lost_or_doubled_and_every_failure_is_truthful() {
    let proxy = Arc::new(Proxy::start());
    let headwater = connect(&proxy, quick()).await;
    let things = headwater.collection::<Document>("things");
    things.insert_one(doc! { "_id": 0, "n": 0_i64 }).await.unwrap();
    proxy.inject(Fault::ResetAfter.on("update").on("insert").chance(0.05));
    proxy.inject(Fault::ResetBefore.on("update").on("insert").chance(0.05).seed(3));
    let [done, unknown, inserted, maybe] = [const { AtomicU64::new(0) }; 4];
    let counts = Arc::new([done, unknown, inserted, maybe]);
    let tasks = (0..20).map(|task: i32| {
        let (things, counts) = (things.clone(), counts.clone());
        tokio::spawn(async move {
            for n in 0..20 {
                let inc = things.update_by_id(0, doc! { "$inc": { "n": 1_i64 } }).await;
                count(&counts[0], &counts[1], inc.map(drop));
                let insert = things.insert_one(doc! { "_id": 1_000 + task * 100 + n }).await;
                count(&counts[2], &counts[3], insert.map(drop));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    proxy.clear();
    let stored = stored(&proxy).await;
    let n = stored[0].get_i64("n").unwrap() as u64;
    let [done, unknown, inserted, maybe] =
        [0, 1, 2, 3].map(|at: usize| counts[at].load(Ordering::SeqCst));
    assert!(proxy.faults() > 20, "{}", proxy.faults());
    assert!(n >= done && n <= done + unknown, "{n}: {done} done, {unknown} unknown");
    let documents = stored.len() as u64 - 1;
    assert!(documents >= inserted && documents <= inserted + maybe, "{documents}: {inserted}");
}

fn count(done: &AtomicU64, unknown: &AtomicU64, result: headwater::Result<()>) {
    match result {
        Ok(()) => done.fetch_add(1, Ordering::SeqCst),
        Err(error) if error.is_outcome_unknown() => unknown.fetch_add(1, Ordering::SeqCst),
        // Known not to have been applied.
        Err(error) => {
            assert!(error.is_unreachable(), "{error:?}");
            0
        }
    };
}

#[tokio::test]
async fn r9_a_handle_is_shared_and_sent() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let options = ClientOptions::parse("mongodb://127.0.0.1:1").await.unwrap();
    let headwater = Headwater::connect_with(options).unwrap();
    shared(&headwater);
    shared(&headwater.collection::<Document>("things"));
    shared(&headwater.default_database());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_increments_are_exact_through_kills_of_the_server() {
    let mut serve = Serve::start(&[]);
    let mut settings = quick();
    settings.retry.deadline = Duration::from_secs(20);
    let headwater = connect_to(&serve.uri(), settings).await;
    let things = headwater.collection::<Document>("things");
    things.insert_one(doc! { "_id": 0, "n": 0_i64 }).await.unwrap();
    let (done, unknown) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = (0..8).map(|_| {
        let (things, done, unknown) = (things.clone(), done.clone(), unknown.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let inc = things.update_by_id(0, doc! { "$inc": { "n": 1_i64 } }).await;
                count(&done, &unknown, inc.map(drop));
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        serve.kill();
        tokio::task::block_in_place(|| serve.restart());
    }
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let stored = things.find_by_id(0).await.unwrap().unwrap().get_i64("n").unwrap() as u64;
    let [done, unknown] = [done, unknown].map(|count| count.load(Ordering::SeqCst));
    assert!(done > 50, "{done}");
    assert!(stored >= done && stored <= done + unknown, "{stored}: {done} and {unknown} unknown");
}

#[tokio::test]
async fn r8_the_least_size_is_kept_and_the_greatest_is_not_exceeded() {
    let proxy = Proxy::start();
    let headwater = connect_to(&proxy.uri_with("minPoolSize=3&maxPoolSize=4"), quick()).await;
    headwater.ping().await.unwrap();
    until("three idle connections", || headwater.pool_stats().servers[0].idle >= 3).await;
    let things = headwater.collection::<Document>("things");
    proxy.inject(Fault::Delay(Duration::from_millis(5)).on("find"));
    let callers = (0..20).map(|_| {
        let things = things.clone();
        tokio::spawn(async move { things.find_one(doc! {}).await.unwrap() })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert!(headwater.pool_stats().size() <= 4, "{:?}", headwater.pool_stats());
}

#[tokio::test]
async fn d26_the_pool_is_watched_while_it_works_and_forgets_what_idles() {
    let proxy = Proxy::start();
    let mut settings = quick();
    // More callers than connections reach the pool.
    settings.bulkhead.max_concurrent = Some(10);
    let headwater = connect_to(&proxy.uri_with("maxPoolSize=2&maxIdleTimeMS=2000"), settings).await;
    let things = headwater.collection::<Document>("things");
    proxy.inject(Fault::Delay(Duration::from_millis(1_500)).on("find"));
    let callers: Vec<_> = (0..5)
        .map(|_| {
            let things = things.clone();
            tokio::spawn(async move { things.find_one(doc! {}).await.unwrap() })
        })
        .collect();
    let server = || headwater.pool_stats().servers[0].clone();
    until("two at work, three in the queue", || {
        let servers = headwater.pool_stats().servers;
        servers.first().is_some_and(|server| (server.in_use, server.waiting) == (2, 3))
    })
    .await;
    assert_eq!((server().size, server().idle), (2, 0));
    for caller in callers {
        caller.await.unwrap();
    }
    until("the connections", || server().in_use == 0).await;
    let rested = server();
    assert_eq!((rested.size, rested.idle, rested.waiting), (2, 2, 0), "{rested:?}");
    assert_eq!(
        (rested.created, rested.checkouts, rested.failed_checkouts),
        (2, 5, 0),
        "{rested:?}"
    );
    // The last two had to wait for two rounds of the others.
    assert!(rested.wait_max >= Duration::from_millis(500), "{rested:?}");
    assert!(rested.wait_total >= rested.wait_max, "{rested:?}");
    proxy.clear();
    // Whoever looks for a connection leaves those that have idled too long.
    until_asked("the end of what idles", async || {
        things.find_one(doc! {}).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        server().closed.idle >= 2
    })
    .await;
    assert_eq!(server().closed.error, 0);
}
