//! `OP_COMPRESSED` with every compressor, and every lie in it.

use std::io::{Read, Write};

use crate::fixture::{Fixture, eventually, int};
use crate::raw::{
    COMPRESSED, MSG, Message, QUERY, command, doc, message, msg, query, with_checksum,
};

const NOOP: u8 = 0;
const SNAPPY: u8 = 1;
const ZLIB: u8 = 2;
const ZSTD: u8 = 3;
const ALL: [u8; 4] = [NOOP, SNAPPY, ZLIB, ZSTD];

fn pack(id: u8, data: &[u8]) -> Vec<u8> {
    match id {
        SNAPPY => snap::raw::Encoder::new().compress_vec(data).unwrap(),
        ZLIB => {
            let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
            deflate.write_all(data).unwrap();
            deflate.finish().unwrap()
        }
        ZSTD => zstd::bulk::compress(data, 1).unwrap(),
        _ => data.to_vec(),
    }
}

fn unpack(id: u8, data: &[u8]) -> Vec<u8> {
    match id {
        SNAPPY => snap::raw::Decoder::new().decompress_vec(data).unwrap(),
        ZLIB => {
            let mut plain = Vec::new();
            flate2::read::ZlibDecoder::new(data).read_to_end(&mut plain).unwrap();
            plain
        }
        ZSTD => zstd::stream::decode_all(data).unwrap(),
        _ => data.to_vec(),
    }
}

fn declared(message_id: i32, opcode: i32, declared: i32, id: u8, data: &[u8]) -> Vec<u8> {
    let mut content = opcode.to_le_bytes().to_vec();
    content.extend(declared.to_le_bytes());
    content.push(id);
    content.extend(data);
    message(COMPRESSED, message_id, &content)
}

fn compressed(id: u8, inner: &[u8]) -> Vec<u8> {
    let opcode = i32::from_le_bytes(inner[12..16].try_into().unwrap());
    let message_id = i32::from_le_bytes(inner[4..8].try_into().unwrap());
    declared(message_id, opcode, inner.len() as i32 - 16, id, &pack(id, &inner[16..]))
}

/// The message inside, as if it had come plain.
fn opened(outer: &Message, id: u8) -> Message {
    assert_eq!(outer.opcode(), COMPRESSED);
    assert_eq!(outer.bytes[24], id, "the compressor of the request");
    let plain = unpack(id, &outer.bytes[25..]);
    assert_eq!(plain.len() as i32, i32::from_le_bytes(outer.bytes[20..24].try_into().unwrap()));
    let opcode = i32::from_le_bytes(outer.bytes[16..20].try_into().unwrap());
    let mut inner = message(opcode, outer.id(), &plain);
    inner[8..12].copy_from_slice(&outer.bytes[8..12]);
    Message { bytes: inner }
}

#[test]
fn a_reply_takes_the_compressor_of_its_request() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    for id in ALL {
        for body in [command("ping", 1), command("slow", 1), command("unknown", 1)] {
            raw.send(&compressed(id, &msg(31, 0, &body)));
            let reply = raw.receive();
            assert_eq!(reply.response_to(), 31);
            assert_eq!(opened(&reply, id).opcode(), MSG);
            opened(&reply, id).document();
        }
    }
    raw.expect_ping();
}

#[test]
fn large_messages_are_unpacked_and_packed() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let body = doc(|d| d.binary("echo", 0, &vec![9; 3_000_000]));
    for id in ALL {
        raw.send(&compressed(id, &msg(31, 0, &body)));
        let reply = opened(&raw.receive(), id).document();
        assert_eq!(reply.as_doc().get("body").unwrap().data, body.as_doc().as_bytes());
    }
}

#[test]
fn queries_and_checksums_work_inside() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&compressed(SNAPPY, &query(8, "a.$cmd", -1, &doc(|d| d.i32("ping", 1)))));
    assert_eq!(opened(&raw.receive(), SNAPPY).opcode(), 1);
    raw.send(&compressed(ZLIB, &with_checksum(msg(8, 0, &command("ping", 1)))));
    let reply = opened(&raw.receive(), ZLIB);
    assert_eq!(reply.flags(), 1);
    let (covered, sum) = reply.bytes.split_last_chunk::<4>().unwrap();
    assert_eq!(crc32c::crc32c(covered), u32::from_le_bytes(*sum));
}

#[test]
fn handshakes_and_authentication_are_never_compressed() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    for name in ["hello", "isMaster", "ismaster", "saslStart", "saslContinue"] {
        raw.send(&compressed(SNAPPY, &msg(8, 0, &command(name, 1))));
        assert_eq!(raw.receive().opcode(), MSG, "{name}");
    }
}

#[test]
fn more_to_come_works_inside() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&compressed(ZSTD, &msg(8, 2, &command("ping", 1))));
    raw.expect_silence();
    raw.expect_ping();
}

#[test]
fn hello_answers_with_the_compressors_in_common() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let hello = |names: &[&str]| {
        doc(|d| {
            d.i32("hello", 1);
            d.array("compression", |a| names.iter().for_each(|name| a.str(name)));
        })
    };
    let reply = raw.ask(&msg(1, 0, &hello(&["zstd", "lz4", "snappy"])));
    let common = reply.as_doc().get("compression").unwrap().as_array().unwrap();
    let common: Vec<_> = common.iter().map(|v| v.as_str().unwrap().to_owned()).collect();
    assert_eq!(common, ["zstd", "snappy"]);
    let query_hello = query(1, "admin.$cmd", -1, &hello(&["zlib"]));
    assert!(raw.ask(&query_hello).as_doc().get("compression").is_some());
    for none in [hello(&["lz4", "noop"]), hello(&[]), command("hello", 1)] {
        assert!(raw.ask(&msg(1, 0, &none)).as_doc().get("compression").is_none());
    }
}

#[test]
fn lies_close_the_connection() {
    let fixture = Fixture::start();
    let inner = msg(1, 0, &command("ping", 1));
    let length = inner.len() as i32 - 16;
    let mut cases = vec![
        ("an unknown compressor", declared(1, MSG, length, 4, &inner[16..])),
        ("compressed twice", declared(1, COMPRESSED, length, 0, &inner[16..])),
        ("an opcode inside that is not supported", declared(1, 2002, length, 0, &inner[16..])),
        ("no compressor", message(COMPRESSED, 1, &[0; 8])),
        ("nothing at all", message(COMPRESSED, 1, &[])),
    ];
    for id in ALL {
        let data = pack(id, &inner[16..]);
        for wrong in [0, -1, i32::MIN, i32::MAX, 48_000_000, 47_999_984, length - 1, length + 1] {
            cases.push(("a wrong length", declared(1, MSG, wrong, id, &data)));
        }
        let cut = data.split_last().unwrap().1;
        cases.push(("cut short", declared(1, MSG, length, id, cut)));
        let longer = [data.as_slice(), b"more"].concat();
        cases.push(("bytes behind the data", declared(1, MSG, length, id, &longer)));
        cases.push(("no data", declared(1, MSG, length, id, &[])));
        if id != NOOP {
            cases.push(("garbage", declared(1, MSG, length, id, &[0xA5; 40])));
        }
    }
    for (what, bytes) in cases {
        let mut raw = fixture.connect();
        raw.send(&bytes);
        raw.expect_closed();
        eventually(what, || fixture.server().connections() == 0);
    }
    assert_eq!(fixture.fake.started.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_bomb_does_not_go_off() {
    let fixture = Fixture::start();
    let bomb = vec![0; 400_000_000];
    for id in [ZLIB, ZSTD] {
        let data = pack(id, &bomb);
        for length in [1_000, 47_000_000] {
            let mut raw = fixture.connect();
            raw.send(&declared(1, MSG, length, id, &data));
            raw.expect_closed();
        }
    }
}

#[test]
fn an_old_query_may_be_compressed_with_noop() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let inner = query(8, "a.$cmd", -1, &doc(|d| d.i32("echo", 1)));
    raw.send(&declared(8, QUERY, inner.len() as i32 - 16, NOOP, &inner[16..]));
    let reply = opened(&raw.receive(), NOOP).document();
    assert_eq!(int(reply.as_doc(), "ok"), 1);
}
