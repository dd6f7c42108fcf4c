//! Each opcode, both section kinds, and what stands in the replies.

use crate::fixture::{Fixture, int};
use crate::raw::{
    MSG, REPLY, body_section, command, doc, message, msg, msg_of, query, sequence_section,
    with_checksum,
};

fn code(reply: &headwater_engine::bson::DocBuf) -> i64 {
    int(reply.as_doc(), "code")
}

#[test]
fn msg_is_answered_by_msg() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(77, 0, &command("ping", 1)));
    let reply = raw.receive();
    assert_eq!((reply.opcode(), reply.response_to(), reply.flags()), (MSG, 77, 0));
    assert_eq!(int(reply.document().as_doc(), "ok"), 1);
    raw.send(&msg(78, 0, &command("ping", 1)));
    let second = raw.receive();
    assert_eq!(second.response_to(), 78);
    assert_ne!(second.id(), reply.id());
}

#[test]
fn sections_stand_in_any_order() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let body = body_section(command("echo", 1).as_doc());
    let three = [command("a", 1), command("b", 2), command("c", 3)];
    let (documents, none) = (sequence_section("documents", &three), sequence_section("ops", &[]));
    for sections in [[body.clone(), documents.clone(), none.clone()], [none, documents, body]] {
        let reply = raw.ask(&msg_of(1, 0, &sections));
        assert_eq!(int(reply.as_doc(), "documents"), 3, "{reply:?}");
        assert_eq!(
            reply.as_doc().get("body").unwrap().data,
            command("echo", 1).as_doc().as_bytes()
        );
    }
}

#[test]
fn wrong_sections_get_the_error_of_mongodb() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let body = || body_section(command("echo", 1).as_doc());
    let documents = || sequence_section("documents", &[command("a", 1)]);
    let echo = || sequence_section("echo", &[]);
    let mut cut = body();
    cut.truncate(cut.len() - 1);
    let mut lying = documents();
    lying[1] += 1;
    let mut negative = documents();
    negative[1..5].copy_from_slice(&(-1_i32).to_le_bytes());
    let cases: &[(&str, Vec<Vec<u8>>, i64)] = &[
        ("no body", vec![documents()], 40587),
        ("no section", vec![], 40587),
        ("two bodies", vec![body(), body()], 40430),
        ("two sequences of a name", vec![documents(), body(), documents()], 40431),
        ("unknown kind", vec![body(), vec![2, 0, 0]], 40432),
        ("a field twice", vec![echo(), body()], 40433),
        ("a body cut short", vec![cut], 22),
        ("a sequence length too long", vec![body(), lying], 22),
        ("a negative sequence length", vec![body(), negative], 22),
        ("a sequence without a name's end", vec![body(), vec![1, 6, 0, 0, 0, b'a', b'b']], 22),
        ("a sequence of four bytes", vec![body(), vec![1, 4, 0, 0, 0]], 22),
    ];
    for (what, sections, expected) in cases {
        let reply = raw.ask(&msg_of(1, 0, sections));
        assert_eq!((int(reply.as_doc(), "ok"), code(&reply)), (0, *expected), "{what}: {reply:?}");
    }
    raw.expect_ping();
}

#[test]
fn a_third_sequence_closes_the_connection() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let sequences = ["a", "b", "c"].map(|name| sequence_section(name, &[]));
    raw.send(&msg_of(1, 0, &sequences));
    raw.expect_closed();
}

#[test]
fn invalid_bson_gets_an_error_reply() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let mut bad = command("echo", 1).into_bytes();
    bad[4] = 0x33;
    let bad = headwater_engine::bson::DocBuf::trusted(bad);
    let reply = raw.ask(&msg(1, 0, &bad));
    assert_eq!(code(&reply), 22, "{reply:?}");
    let sections = [body_section(command("echo", 1).as_doc()), sequence_section("x", &[bad])];
    assert_eq!(code(&raw.ask(&msg_of(1, 0, &sections))), 22);
    assert_eq!(fixture.fake.started.load(std::sync::atomic::Ordering::SeqCst), 0);
    raw.expect_ping();
}

#[test]
fn a_checksum_is_compared_and_given_back() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&with_checksum(msg(1, 0, &command("ping", 1))));
    let reply = raw.receive();
    assert_eq!(reply.flags(), 1);
    let (covered, sum) = reply.bytes.split_last_chunk::<4>().unwrap();
    assert_eq!(crc32c::crc32c(covered), u32::from_le_bytes(*sum));
    let mut broken = with_checksum(msg(1, 0, &command("ping", 1)));
    *broken.last_mut().unwrap() ^= 1;
    raw.send(&broken);
    raw.expect_closed();
}

#[test]
fn unknown_required_flags_close_and_optional_ones_do_not() {
    let fixture = Fixture::start();
    for bit in 2..16 {
        let mut raw = fixture.connect();
        raw.send(&msg(1, 1 << bit, &command("ping", 1)));
        raw.expect_closed();
    }
    let mut raw = fixture.connect();
    for bit in 17..32 {
        let reply = raw.ask(&msg(1, 1 << bit, &command("ping", 1)));
        assert_eq!(int(reply.as_doc(), "ok"), 1);
    }
}

#[test]
fn more_to_come_gets_no_reply_whatever_happens() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let mut invalid = command("echo", 1).into_bytes();
    invalid[4] = 0x33;
    let invalid = headwater_engine::bson::DocBuf::trusted(invalid);
    for body in [
        command("ping", 1),
        command("slow", 1),
        command("write", 1_000),
        command("unknown", 1),
        command("panic", 1),
        invalid,
    ] {
        raw.send(&msg(1, 2, &body));
    }
    raw.send(&msg_of(1, 2, &[]));
    raw.expect_silence();
    raw.send(&msg(42, 0, &command("ping", 1)));
    assert_eq!(raw.receive().response_to(), 42);
}

#[test]
fn a_panic_becomes_an_internal_error() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let reply = raw.ask(&msg(1, 0, &command("panic", 1)));
    assert_eq!(code(&reply), 1);
    assert!(!format!("{reply:?}").contains("as the test wants"), "{reply:?}");
    raw.expect_ping();
}

#[test]
fn a_query_on_cmd_is_a_command_with_its_database() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    for count in [1, -1] {
        raw.send(&query(5, "music.$cmd", count, &doc(|d| d.i32("echo", 1))));
        let reply = raw.receive();
        assert_eq!((reply.opcode(), reply.response_to(), reply.flags()), (REPLY, 5, 8));
        let document = reply.document();
        let body = document.as_doc().get("body").unwrap().as_doc().unwrap();
        assert_eq!(body.get("$db").unwrap().as_str(), Some("music"));
    }
}

#[test]
fn a_wrapped_query_is_unwrapped() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    for wrapper in ["$query", "query"] {
        let wrapped = doc(|d| {
            d.document(wrapper, |q| q.i32("echo", 1));
            d.document("$readPreference", |p| p.str("mode", "secondary"));
        });
        let reply = raw.ask(&query(5, "music.$cmd", -1, &wrapped));
        let body = reply.as_doc().get("body").unwrap().as_doc().unwrap();
        let names: Vec<_> = body.iter().map(|e| e.name_str()).collect();
        assert_eq!(names, ["echo", "$readPreference", "$db"]);
    }
}

#[test]
fn a_query_that_waits_is_answered_too() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let reply = raw.ask(&query(5, "music.$cmd", -1, &doc(|d| d.i32("slow", 1))));
    assert_eq!(int(reply.as_doc(), "slow"), 1);
}

#[test]
fn wrong_queries_get_the_error_of_mongodb() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let ping = doc(|d| d.i32("ping", 1));
    assert_eq!(code(&raw.ask(&query(1, "a.$cmd", 0, &ping))), 16979);
    assert_eq!(code(&raw.ask(&query(1, "a.$cmd", 2, &ping))), 16979);
    assert_eq!(code(&raw.ask(&query(1, "a.$cmd", i32::MIN, &ping))), 16979);
    assert_eq!(code(&raw.ask(&query(1, "a.$cmd", 1, &command("ping", 1)))), 40621);
    let mut exhaust = query(1, "a.$cmd", 1, &ping);
    exhaust[16] = 64;
    assert_eq!(code(&raw.ask(&exhaust)), 18527);
    assert_eq!(code(&raw.ask(&message(2004, 1, &[0; 7]))), 22);
    assert_eq!(code(&raw.ask(&message(2004, 1, b"\0\0\0\0no end"))), 22);
    raw.expect_ping();
}

#[test]
fn a_legacy_find_is_refused_with_its_own_code() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&query(5, "music.songs", 0, &doc(|_| {})));
    let reply = raw.receive();
    assert_eq!((reply.opcode(), reply.flags()), (REPLY, 8 | 2));
    let document = reply.document();
    assert_eq!(code(&document), 5_739_101);
    assert!(document.as_doc().get("$err").is_some());
}

#[test]
fn other_opcodes_close_the_connection() {
    let fixture = Fixture::start();
    for opcode in [0, 1, 1000, 2001, 2002, 2003, 2005, 2006, 2007, 2010, 2011, 2014, -1] {
        let mut raw = fixture.connect();
        raw.send(&message(opcode, 1, &[0; 40]));
        raw.expect_closed();
    }
}
