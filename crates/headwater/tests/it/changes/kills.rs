//! A change stream through kills of the real server process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use headwater::ErrorKind;
use headwater::bson::{Document, doc};

use super::{connect, event, id, quick};
use crate::serve::Serve;

/// Kills and restarts while one program writes and one watches: 8, and 100 in long runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r15_kills_of_the_server_leave_no_gap_and_no_double() {
    let long = std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1");
    let kills = if long { 100 } else { 8 };
    let begun = Instant::now();
    let mut serve = Serve::start(&[]);
    let things = connect(&serve.uri(), quick()).await.collection::<Document>("things");
    // What it was created with is not part of the stream.
    things.insert_one(doc! { "_id": -1 }).await.unwrap();
    let mut stream = things.watch().batch_size(50).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, writing) = (Arc::clone(&stop), connect(&serve.uri(), quick()).await);
        tokio::spawn(async move {
            let things = writing.collection::<Document>("things");
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                // Until it is said to be there.
                while let Err(error) = things.insert_one(doc! { "_id": count }).await {
                    if error.kind() == ErrorKind::DuplicateKey {
                        break;
                    }
                }
                count += 1;
            }
            count
        })
    };
    let seen = Arc::new(AtomicI32::new(0));
    let (sender, last) = tokio::sync::oneshot::channel::<i32>();
    let reader = {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut last = last;
            let mut end = None;
            let mut expected = 0;
            while end != Some(expected) {
                if let Ok(count) = last.try_recv() {
                    end = Some(count);
                    continue;
                }
                let next = tokio::time::timeout(Duration::from_millis(200), stream.next()).await;
                let Ok(next) = next else { continue };
                let event = next.expect("the stream goes on").expect("a break is no error");
                assert_eq!(id(&event), expected, "a gap or a double");
                expected += 1;
                seen.store(expected, Ordering::Relaxed);
            }
            stream
        })
    };
    for kill in 0..kills {
        let before = seen.load(Ordering::Relaxed);
        let waiting = Instant::now();
        while seen.load(Ordering::Relaxed) < before + 20 {
            assert!(!reader.is_finished(), "the reader ended");
            assert!(
                waiting.elapsed() < Duration::from_secs(60),
                "nothing comes after {kill} kills"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        serve = tokio::task::spawn_blocking(move || {
            serve.restart();
            serve
        })
        .await
        .unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    sender.send(written).unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(60), reader).await;
    let mut stream = waiting.expect("the end is reached").unwrap();
    // Nothing is behind the end but what comes now.
    things.insert_one(doc! { "_id": written }).await.unwrap();
    assert_eq!(id(&event(&mut stream).await), written);
    println!("{kills} kills, {written} events, 0 gaps, 0 doubles, {:?}", begun.elapsed());
}
