//! The worker: every change is handled, its token kept afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use headwater::bson::doc;
use headwater::{ChangeStreamFailure, ErrorKind, FileTokenStore};
use tokio::sync::{Notify, mpsc};

use super::{id, things};
use crate::patience::PATIENCE;
use crate::proxy::{Fault, Proxy};

#[tokio::test]
async fn r15_a_change_that_was_not_handled_comes_again() {
    let name = format!("headwater-it-worker-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let store = FileTokenStore::new(&path);
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    // A first run that handles nothing leaves its place.
    let stream = things.watch().token_store(store.clone()).await.unwrap();
    stream.commit().await.unwrap();
    drop(stream);
    things.insert_many((0..10).map(|id| doc! { "_id": id })).await.unwrap();

    // With a token for every third change only, those handled since the last are saved all the same.
    for save_every in [1, 3] {
        let from = if save_every == 1 { 0 } else { 4 };
        let next = AtomicI32::new(from);
        let worker = things.watch().token_store(store.clone()).run(|change| {
            assert_eq!(id(&change), next.fetch_add(1, Ordering::Relaxed));
            async move {
                match id(&change) == from + 4 {
                    true => Err(std::io::Error::other("cannot handle it")),
                    false => Ok(()),
                }
            }
        });
        let error = worker.save_every(save_every).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChangeStream(ChangeStreamFailure::Callback));
        assert!(error.to_string().contains("cannot handle it"), "{error}");
        assert!(std::error::Error::source(&error).unwrap().is::<std::io::Error>());
    }

    let (sender, mut seen) = mpsc::unbounded_channel();
    let stop = Arc::new(Notify::new());
    let done = Arc::clone(&stop);
    let worker = things.watch().token_store(store).run(move |change| {
        sender.send(id(&change)).unwrap();
        async { Ok::<_, std::io::Error>(()) }
    });
    let worker = tokio::spawn(worker.until(async move { done.notified().await }).into_future());
    // The two of the two runs that failed come again, and a break is no affair of the worker.
    proxy.inject(Fault::ResetAfter.on("getMore").times(1));
    for expected in 8..10 {
        assert_eq!(seen.recv().await, Some(expected));
    }
    stop.notify_one();
    let handled = tokio::time::timeout(PATIENCE, worker).await.unwrap().unwrap();
    assert_eq!(handled.unwrap(), 2);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn r15_a_worker_that_is_told_to_end_finishes_what_it_does() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let stop = Arc::new(Notify::new());
    let finished = Arc::new(AtomicI32::new(0));
    let worker = {
        let (stop, finished) = (Arc::clone(&stop), Arc::clone(&finished));
        let told = Arc::clone(&stop);
        let worker = things.watch().run(move |_| {
            let (stop, finished) = (Arc::clone(&stop), Arc::clone(&finished));
            async move {
                stop.notify_one();
                tokio::time::sleep(Duration::from_millis(100)).await;
                finished.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(())
            }
        });
        tokio::spawn(worker.until(async move { told.notified().await }).into_future())
    };
    let inserting = async {
        for id in 0..1000 {
            things.insert_one(doc! { "_id": id }).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let handled = tokio::select! {
        handled = worker => handled.unwrap().unwrap(),
        () = inserting => panic!("the worker did not end"),
    };
    assert_eq!((handled, finished.load(Ordering::Relaxed)), (1, 1));
}
