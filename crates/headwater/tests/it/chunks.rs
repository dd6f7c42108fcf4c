//! Large results in chunks: sizes, batches of the server, back-pressure, memory, and what a break leaves behind.

use std::time::Duration;

use headwater::bson::{Document, doc};
use headwater::mongodb::options::ClientOptions;
use headwater::{Collection, ErrorKind, Headwater, ResilienceSettings};

use crate::patience::{until, until_asked};
use crate::proxy::{Fault, Proxy};
use crate::serve::Serve;

async fn numbers(proxy: &Proxy, count: i32) -> Collection<Document> {
    let options = ClientOptions::parse(proxy.uri()).await.unwrap();
    let mut settings = ResilienceSettings::default();
    settings.retry.base = Duration::from_millis(2);
    let headwater = Headwater::connect_with_settings(options, settings).unwrap();
    let numbers = headwater.collection::<Document>("numbers");
    numbers.bulk_load((0..count).map(|n| doc! { "_id": n, "text": "x".repeat(90) })).await.unwrap();
    proxy.reset_counts();
    numbers
}

/// How many cursors the server has open.
pub(crate) async fn open_cursors(headwater: &Headwater) -> i64 {
    let status = headwater.database("admin").run_command(doc! { "serverStatus": 1 }).await.unwrap();
    let cursor = status.get_document("metrics").unwrap().get_document("cursor").unwrap();
    cursor.get_document("open").unwrap().get_i64("total").unwrap()
}

/// Waits until the server has no cursor open.
pub(crate) async fn wait_for_no_cursor(headwater: &Headwater) {
    until_asked("the end of all cursors", async || open_cursors(headwater).await == 0).await;
}

#[tokio::test]
async fn r10_chunks_are_full_in_order_and_the_last_is_shorter() {
    let proxy = Proxy::start();
    let numbers = numbers(&proxy, 25).await;
    let mut chunks = numbers.find(doc! {}).sort(doc! { "_id": -1 }).chunks(10).await.unwrap();
    let (mut sizes, mut ids) = (Vec::new(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        sizes.push(chunk.len());
        ids.extend(chunk.iter().map(|number| number.get_i32("_id").unwrap()));
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(ids, (0..25).rev().collect::<Vec<_>>());
    assert!(chunks.next().await.is_none());

    let pipeline = [doc! { "$match": { "_id": { "$lt": 7 } } }];
    let mut chunks = numbers.aggregate(pipeline).chunks(5).await.unwrap();
    assert_eq!(chunks.next().await.unwrap().unwrap().len(), 5);
    assert_eq!(chunks.next().await.unwrap().unwrap().len(), 2);
    assert!(chunks.next().await.is_none());
    let error = numbers.find(doc! {}).chunks(0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
}

#[tokio::test]
async fn r10_chunks_by_bytes_hold_what_fits_and_at_least_one() {
    let proxy = Proxy::start();
    let numbers = numbers(&proxy, 20).await;
    let size = doc! { "_id": 1, "text": "x".repeat(90) }.to_vec().unwrap().len();
    for (bytes, per_chunk) in [(3 * size, 3), (3 * size - 1, 2), (1, 1)] {
        let mut chunks =
            numbers.find(doc! {}).batch_size(1).chunks(100).max_bytes(bytes).await.unwrap();
        let mut seen = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.unwrap();
            seen += chunk.len();
            assert!(chunk.len() == per_chunk || seen == 20, "{bytes}: {}", chunk.len());
        }
        assert_eq!(seen, 20);
    }
}

#[tokio::test]
async fn d25_the_servers_batches_follow_the_chunk_and_wait_for_the_reader() {
    let proxy = Proxy::start();
    let numbers = numbers(&proxy, 95).await;
    for (chunk, batches) in [(10, 9), (50, 1), (1000, 0)] {
        proxy.reset_counts();
        let mut chunks = numbers.find(doc! {}).chunks(chunk).await.unwrap();
        chunks.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(proxy.requests("getMore"), 0, "asked for before it was wanted");
        while let Some(chunk) = chunks.next().await {
            chunk.unwrap();
        }
        assert_eq!((proxy.requests("find"), proxy.requests("getMore")), (1, batches), "{chunk}");
    }
}

#[tokio::test]
async fn r10_a_dropped_stream_leaves_no_cursor_on_the_server() {
    let proxy = Proxy::start();
    let numbers = numbers(&proxy, 100).await;
    let mut chunks = numbers.find(doc! {}).chunks(10).await.unwrap();
    chunks.next().await.unwrap().unwrap();
    assert_eq!(open_cursors(numbers.headwater()).await, 1);
    drop(chunks);
    wait_for_no_cursor(numbers.headwater()).await;

    // In the middle of a batch that is under way.
    let mut chunks = numbers.aggregate([doc! { "$match": {} }]).chunks(10).await.unwrap();
    chunks.next().await.unwrap().unwrap();
    proxy.inject(Fault::Delay(Duration::from_secs(10)).on("getMore").times(1));
    tokio::select! {
        chunk = chunks.next() => panic!("{chunk:?}"),
        () = until("the batch under way", || proxy.faults() == 1) => {}
    }
    drop(chunks);
    wait_for_no_cursor(numbers.headwater()).await;
}

#[tokio::test]
async fn d25_the_query_is_tried_again_and_a_batch_is_not() {
    let proxy = Proxy::start();
    let numbers = numbers(&proxy, 100).await;
    proxy.inject(Fault::ResetBefore.on("find").times(1));
    proxy.inject(Fault::ResetBefore.on("getMore").skip(2).times(1));
    let mut chunks = numbers.find(doc! {}).chunks(10).await.unwrap();
    for _ in 0..3 {
        assert_eq!(chunks.next().await.unwrap().unwrap().len(), 10);
    }
    let error = chunks.next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection(_)), "{error:?}");
    assert_eq!(error.operation(), Some("find_chunks"));
    assert!(chunks.next().await.is_none());
    assert_eq!((proxy.requests("find"), proxy.requests("getMore")), (2, 3));
}

#[tokio::test]
async fn r10_what_came_before_the_break_is_handed_out() {
    let proxy = Proxy::start();
    let numbers = numbers(&proxy, 100).await;
    proxy.inject(Fault::ResetBefore.on("getMore").times(1));
    // Three documents fit a chunk, so one of the ten of the first batch waits for more when the break comes.
    let size = doc! { "_id": 1, "text": "x".repeat(90) }.to_vec().unwrap().len();
    let mut chunks = numbers.find(doc! {}).chunks(10).max_bytes(3 * size).await.unwrap();
    let mut sizes = Vec::new();
    let error = loop {
        match chunks.next().await.unwrap() {
            Ok(chunk) => sizes.push(chunk.len()),
            Err(error) => break error,
        }
    };
    assert_eq!(sizes, [3, 3, 3, 1]);
    assert!(error.is_retryable());
    assert!(chunks.next().await.is_none());
}

#[tokio::test]
async fn d25_a_batch_that_does_not_come_ends_at_the_deadline() {
    let proxy = Proxy::start();
    let numbers = numbers(&proxy, 100).await;
    proxy.inject(Fault::BlackHole.on("getMore").times(1));
    let limit = Duration::from_secs(2);
    let find = numbers.find(doc! {}).deadline(limit);
    let mut chunks = find.chunks(10).await.unwrap();
    chunks.next().await.unwrap().unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(chunks.next().await.unwrap().unwrap_err().kind(), ErrorKind::Deadline);
    // The settings' own deadline is 30 s.
    assert!((limit..5 * limit).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

const CHUNK: usize = 1000;

/// Reads everything in a process of its own, whose memory is its own: 100,000 documents, a million in long runs.
#[tokio::test]
async fn r10_memory_stays_within_two_chunks_and_a_batch() {
    let long = std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1");
    let count = if long { 1_000_000 } else { 100_000 };
    let serve = Serve::start(&[]);
    let headwater = Headwater::connect(serve.uri()).await.unwrap();
    let numbers = headwater.collection::<Document>("numbers");
    let text = "x".repeat(200);
    numbers.bulk_load((0..count).map(|n| doc! { "_id": n, "text": &text })).await.unwrap();

    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "chunks::reader_process", "--ignored", "--nocapture"]);
    let output = child.env("HEADWATER_CHUNKS_OF", serve.uri()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let figure = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(&text);
        line.trim().parse().unwrap()
    };
    assert_eq!(figure("documents"), count as u64);
    let document = doc! { "_id": 1, "text": "x".repeat(200) };
    let batch = CHUNK * document.to_vec().unwrap().len();
    // A document in memory is larger than its bytes: the entries of its map, its names, allocations rounded up.
    let in_memory = CHUNK * (document.to_vec().unwrap().len() + 400);
    // And what an allocator and a runtime need at all.
    let bound = (2 * in_memory + batch + (2 << 20)) as u64;
    println!("{count} documents: {} KiB, bound {} KiB", figure("extra_kib"), bound / 1024);
    assert!(figure("extra_kib") * 1024 <= bound, "{text} above {bound}");
}

/// The other half of the test above; alone it has nothing to read.
#[tokio::test]
#[ignore = "a process that another test starts"]
async fn reader_process() {
    let Ok(uri) = std::env::var("HEADWATER_CHUNKS_OF") else { return };
    let headwater = Headwater::connect(uri).await.unwrap();
    let numbers = headwater.collection::<Document>("numbers");
    // What a first query sets up is not what a stream needs.
    numbers.find_one(doc! {}).await.unwrap();
    let before = memory_kib("VmRSS:");
    let begun = std::time::Instant::now();
    let mut documents = 0;
    let mut chunks = numbers.find(doc! {}).chunks(CHUNK).await.unwrap();
    while let Some(chunk) = chunks.next().await {
        documents += chunk.unwrap().len();
    }
    println!("\nreader took {:?}", begun.elapsed());
    println!("documents {documents}\nextra_kib {}", memory_kib("VmHWM:").saturating_sub(before));
}

fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
