//! R16, D24: files streamed both ways, by `_id` and by name, under faults, and in constant memory.

use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryStreamExt;
use headwater::bson::{Bson, Document, doc, oid::ObjectId};
use headwater::{Config, ErrorKind, GridFs, GridFsFailure, Headwater};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::patience::until_asked;
use crate::proxy::{Fault, Proxy};
use crate::serve::Serve;

async fn memory() -> (Headwater, GridFs) {
    let headwater = Headwater::open_in_memory().await.unwrap();
    let files = headwater.gridfs();
    (headwater, files)
}

/// Bytes that differ from chunk to chunk.
fn content(length: usize) -> Vec<u8> {
    (0..length as u64).map(byte_at).collect()
}

fn byte_at(index: u64) -> u8 {
    (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

async fn chunks(headwater: &Headwater) -> u64 {
    headwater.collection::<Document>("fs.chunks").count(doc! {}).await.unwrap()
}

#[tokio::test]
async fn r16_content_of_every_size_comes_back() {
    let (headwater, files) = memory().await;
    for length in [0, 1, 999, 1000, 1001, 5000, 10_500] {
        let sent = content(length);
        let id = files.upload("f").chunk_size(1000).from_bytes(&sent).await.unwrap();
        assert_eq!(files.download(id.clone()).into_bytes().await.unwrap(), sent, "{length}");
        let info = files.info(id.clone()).await.unwrap().unwrap();
        assert_eq!((info.length, info.chunk_size), (length as u64, 1000));
        assert_eq!(chunks(&headwater).await, (length as u64).div_ceil(1000));
        files.delete(id).await.unwrap();
        assert_eq!(chunks(&headwater).await, 0);
    }
}

#[tokio::test]
async fn r16_readers_writers_and_streams() {
    let (_headwater, files) = memory().await;
    let sent = content(3_000_000);
    let pieces = sent.chunks(70_001).map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
    let of_stream =
        files.upload("s").from_stream(futures_util::stream::iter(pieces)).await.unwrap();
    let of_reader = files.upload("r").from_reader(&sent[..]).await.unwrap();
    let mut upload = files.upload("p").id(7).open().await.unwrap();
    for piece in sent.chunks(123_457) {
        upload.write(piece).await.unwrap();
    }
    let of_pieces = upload.finish().await.unwrap();
    assert_eq!(of_pieces, Bson::Int32(7));
    for id in [of_stream, of_reader, of_pieces] {
        let mut copy = Vec::new();
        let length = files.download(id.clone()).to_writer(&mut copy).await.unwrap();
        assert!(copy == sent && length == 3_000_000, "{id}");
        let mut read = Vec::new();
        let mut reader = files.download(id.clone()).reader().await.unwrap();
        reader.read_to_end(&mut read).await.unwrap();
        assert!(read == sent, "{id}");
        let pieces: Vec<Vec<u8>> =
            files.download(id).stream().await.unwrap().try_collect().await.unwrap();
        assert!(pieces.len() > 1 && pieces.concat() == sent);
    }
}

#[tokio::test]
async fn r16_ranges_begin_and_end_anywhere() {
    let (_headwater, files) = memory().await;
    let sent = content(10_500);
    let id = files.upload("f").chunk_size(1000).from_bytes(&sent).await.unwrap();
    for (start, end) in [(0, 0), (0, 1), (999, 1001), (1000, 2000), (2500, 9999), (10_499, 10_500)]
    {
        let part = files.download(id.clone()).range(start..end).into_bytes().await.unwrap();
        assert_eq!(part, sent[start as usize..end as usize], "{start}..{end}");
    }
    let tail = files.download(id.clone()).range(10_000..).into_bytes().await.unwrap();
    assert_eq!(tail, sent[10_000..]);
    let head = files.download(id.clone()).range(..=4).into_bytes().await.unwrap();
    assert_eq!(head, sent[..5]);
    assert!(
        files.download(id.clone()).range(20_000..30_000).into_bytes().await.unwrap().is_empty()
    );
    // Large chunks: several requests, each cut.
    let sent = content(5_000_000);
    let id = files.upload("g").from_bytes(&sent).await.unwrap();
    let part = files.download(id).range(1_999_999..4_500_001).into_bytes().await.unwrap();
    assert!(part == sent[1_999_999..4_500_001]);
}

#[tokio::test]
async fn r16_names_have_revisions() {
    let (_headwater, files) = memory().await;
    for text in ["first", "second", "third"] {
        files.upload("name").from_bytes(text).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for (revision, text) in
        [(0, "first"), (1, "second"), (2, "third"), (-1, "third"), (-2, "second"), (-3, "first")]
    {
        let found = files.download_by_name("name").revision(revision).into_bytes().await.unwrap();
        assert_eq!(found, text.as_bytes(), "{revision}");
    }
    assert_eq!(files.download_by_name("name").into_bytes().await.unwrap(), b"third");
    for revision in [3, -4] {
        let error = files.download_by_name("name").revision(revision).info().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::GridFs(GridFsFailure::RevisionNotFound));
    }
    let error = files.download_by_name("nobody").into_bytes().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GridFs(GridFsFailure::FileNotFound));
}

#[tokio::test]
async fn r16_files_are_listed_renamed_and_deleted() {
    let (headwater, files) = memory().await;
    let metadata = doc! { "author": "Ada", "pages": 3 };
    let upload = files.upload("b").content_type("text/plain").metadata(metadata.clone());
    let id = upload.from_bytes("text").await.unwrap();
    files.upload("a").id("own id").from_bytes("x").await.unwrap();
    let listed = files.list(doc! {}).await.unwrap();
    let names: Vec<_> = listed.iter().map(|file| file.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    let info = &listed[1];
    assert_eq!((info.id.clone(), info.content_type.as_deref()), (id.clone(), Some("text/plain")));
    assert_eq!(info.metadata.get_str("author").unwrap(), "Ada");
    let found = files.list(doc! { "metadata.author": "Ada" }).await.unwrap();
    assert_eq!(found.len(), 1);

    files.rename(id.clone(), "c").await.unwrap();
    assert!(files.exists(id.clone()).await.unwrap());
    assert!(files.exists_by_name("c").await.unwrap() && !files.exists_by_name("b").await.unwrap());
    // An `_id` is taken once.
    let error = files.upload("a2").id("own id").from_bytes("y").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GridFs(GridFsFailure::Other));
    assert_eq!(files.download("own id").into_bytes().await.unwrap(), b"x");
    files.delete(id.clone()).await.unwrap();
    assert!(!files.exists(id).await.unwrap());
    files.drop_bucket().await.unwrap();
    assert!(headwater.default_database().collection_names().await.unwrap().is_empty());
}

#[tokio::test]
async fn d24_a_file_that_is_not_there_is_told_shortly() {
    let (_headwater, files) = memory().await;
    let id = ObjectId::from_bytes([7; 12]);
    let missing = ErrorKind::GridFs(GridFsFailure::FileNotFound);
    for error in [
        files.download(id).into_bytes().await.unwrap_err(),
        files.delete(id).await.unwrap_err(),
        files.rename(id, "x").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), missing);
        let text = error.to_string();
        assert!(text.contains(&id.to_hex()) && text.len() < 100, "{text}");
    }
}

#[tokio::test]
async fn r16_damaged_files_are_told() {
    let (headwater, files) = memory().await;
    let id = files.upload("f").chunk_size(10).from_bytes(content(95)).await.unwrap();
    let chunks = headwater.collection::<Document>("fs.chunks");
    let damaged = async |what: &str| {
        let error = files.download(id.clone()).into_bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::GridFs(GridFsFailure::Corrupt), "{what}: {error}");
    };
    let fourth = chunks.find_one_and_delete(doc! { "n": 4 }).await.unwrap().unwrap();
    damaged("a chunk is missing").await;
    let mut short = fourth.clone();
    short.insert("data", headwater::bson::Binary { subtype: 0.into(), bytes: vec![1] });
    chunks.insert_one(&short).await.unwrap();
    damaged("a chunk is short").await;
    chunks.replace_one(doc! { "n": 4 }, &fourth).await.unwrap();
    assert_eq!(files.download(id.clone()).into_bytes().await.unwrap(), content(95));
    chunks.delete_one(doc! { "n": 9 }).await.unwrap();
    damaged("the last chunk is missing").await;
}

/// Gives some bytes, then fails.
struct Failing(usize);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(std::io::Error::other("the disk is gone")));
        }
        let count = self.0.min(buffer.remaining());
        buffer.put_slice(&vec![1; count]);
        self.0 -= count;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn r16_an_upload_that_does_not_end_leaves_no_chunks() {
    let (headwater, files) = memory().await;
    let error = files.upload("f").from_reader(Failing(5_000_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GridFs(GridFsFailure::Other));
    assert_eq!(chunks(&headwater).await, 0);

    let mut upload = files.upload("f").open().await.unwrap();
    upload.write(&content(5_000_000)).await.unwrap();
    assert!(chunks(&headwater).await > 0);
    upload.abort().await.unwrap();
    assert_eq!(chunks(&headwater).await, 0);

    let mut upload = files.upload("f").open().await.unwrap();
    upload.write(&content(5_000_000)).await.unwrap();
    drop(upload);
    until_asked("the chunks' end", async || chunks(&headwater).await == 0).await;
    assert!(files.list(doc! {}).await.unwrap().is_empty());
}

#[tokio::test]
async fn r16_resets_damage_no_file() {
    let proxy = Proxy::start();
    let config = Config::builder()
        .uri(proxy.uri())
        .retry_attempts(8)
        .retry_base(Duration::from_millis(1))
        .breaker_failures(0);
    let headwater = Headwater::from_config(config.build().unwrap()).await.unwrap();
    let files = headwater.gridfs();
    files.upload("first").from_bytes("x").await.unwrap();
    proxy.inject(Fault::ResetAfter.on("insert").on("find").chance(0.2));
    let sent = content(20_000_000);
    let id = files.upload("f").from_reader(&sent[..]).await.unwrap();
    assert!(files.download(id).into_bytes().await.unwrap() == sent);
    assert!(proxy.faults() > 0);
}

/// As many bytes as asked for, made on the way.
struct Made {
    at: u64,
    length: u64,
}

impl AsyncRead for Made {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let count = (self.length - self.at).min(buffer.remaining() as u64);
        for _ in 0..count {
            buffer.put_slice(&[byte_at(self.at)]);
            self.at += 1;
        }
        Poll::Ready(Ok(()))
    }
}

/// Compares what comes with what was made.
struct Checked(u64);

impl AsyncWrite for Checked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        for byte in bytes {
            assert_eq!(*byte, byte_at(self.0), "at byte {}", self.0);
            self.0 += 1;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A line of `/proc/self/status`, in bytes.
fn memory_of(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

const CHILD_URI: &str = "HEADWATER_IT_GRIDFS_URI";
const CHILD_LENGTH: &str = "HEADWATER_IT_GRIDFS_LENGTH";

/// The work of a process of its own, so that its memory is its own too; without the variables there is none.
#[tokio::test]
async fn child_uploads_and_downloads() {
    let Ok(uri) = std::env::var(CHILD_URI) else { return };
    let length: u64 = std::env::var(CHILD_LENGTH).unwrap().parse().unwrap();
    let config = Config::builder().uri(uri).deadline(Duration::from_secs(120));
    let headwater = Headwater::from_config(config.build().unwrap()).await.unwrap();
    let files = headwater.gridfs();
    files.upload("warm").from_reader(Made { at: 0, length: 100 }).await.unwrap();
    let idle = memory_of("VmRSS");
    let id = files.upload("large").from_reader(Made { at: 0, length }).await.unwrap();
    let copied = files.download(id).to_writer(Checked(0)).await.unwrap();
    assert_eq!(copied, length);
    println!("grown by {} KiB", memory_of("VmHWM").saturating_sub(idle) / 1024);
    headwater.close().await;
}

/// How much memory a process needs beyond that of an idle connector, in KiB.
fn grown_kib(uri: &str, length: u64) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "gridfs::child_uploads_and_downloads", "--nocapture"])
        .env(CHILD_URI, uri)
        .env(CHILD_LENGTH, length.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
    let line = text.lines().find_map(|line| line.split_once("grown by ")).expect("a figure");
    line.1.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn r16_64_mib_pass_in_constant_memory() {
    let proxy = Proxy::start();
    let grown = grown_kib(&proxy.direct_uri(), 64 << 20);
    println!("64 MiB: {grown} KiB");
    assert!(grown < 32 << 10, "{grown} KiB");
}

#[test]
fn r16_5_gib_pass_in_constant_memory() {
    if std::env::var_os("HEADWATER_LONG").is_none() {
        return;
    }
    let serve = Serve::start(&[]);
    let grown = grown_kib(&serve.uri(), 5 << 30);
    println!("5 GiB: {grown} KiB");
    assert!(grown < 48 << 10, "{grown} KiB");
}
