//! Sorts of more than fits into memory, through commands. Slow and large: `HEADWATER_LONG=1` only.

use headwater_engine::bson::{DocWriter, Raw};
use headwater_engine::{Engine, EngineOptions, Request};

/// Documents of 15 MiB: eight are more than a sort may hold.
const DOCUMENTS: i32 = 8;
const BYTES: usize = 15 << 20;

#[test]
fn a_large_sort_uses_the_disk_if_it_may() {
    if std::env::var_os("HEADWATER_LONG").is_none_or(|value| value != "1") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path(), EngineOptions::default()).unwrap();
    let client = engine.client("test", "test");
    let run = |command: DocWriter| {
        let command = command.finish();
        engine.run_command(&client, &Request { body: command.as_doc(), sequences: &[] })
    };
    let text = "x".repeat(BYTES);
    for id in 0..DOCUMENTS {
        let mut insert = DocWriter::new();
        insert.str("insert", "c");
        insert.array("documents", |documents| {
            documents.document(|doc| {
                doc.i32("_id", id);
                doc.i32("n", id * 5 % DOCUMENTS);
                doc.str("text", &text);
            });
        });
        insert.str("$db", "test");
        assert!(run(insert).as_doc().get("code").is_none());
    }
    let find = |disk_use: bool| {
        let mut find = DocWriter::new();
        find.str("find", "c");
        find.document("sort", |sort| sort.i32("n", 1));
        find.document("projection", |shown| {
            shown.i32("_id", 0);
            shown.i32("n", 1);
        });
        find.bool("allowDiskUse", disk_use);
        find.str("$db", "test");
        run(find)
    };
    let refused = find(false);
    let code = refused.as_doc().get("code").map(|code| code.data.to_vec());
    assert_eq!(code, Some(292_i32.to_le_bytes().to_vec()), "{refused:?}");
    let sorted = find(true);
    let batch = sorted.as_doc().get("cursor").and_then(Raw::as_doc).unwrap();
    let batch = batch.get("firstBatch").and_then(Raw::as_array).unwrap();
    let numbers: Vec<u8> =
        batch.iter().map(|doc| doc.as_doc().unwrap().get("n").unwrap().data[0]).collect();
    assert_eq!(numbers, (0..DOCUMENTS as u8).collect::<Vec<_>>());
    let left = std::fs::read_dir(folder.path().join("spill")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "files are left");
}
