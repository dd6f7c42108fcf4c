//! Messages of the largest size, and connections beyond the limit.

use crate::fixture::{Fixture, eventually, int};
use crate::raw::{body_section, command, doc, msg, msg_of, query, sequence_section, with_checksum};

#[test]
fn a_message_of_48_megabytes_is_handled_and_one_byte_more_is_not() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let body = body_section(command("echo", 1).as_doc());
    let document = |bytes: usize| doc(|d| d.binary("a", 0, &vec![1; bytes]));
    let mut documents = vec![document(15_000_000), document(15_000_000), document(1_000)];
    let without = msg_of(3, 0, &[body.clone(), sequence_section("documents", &documents)]).len();
    documents[2] = document(1_000 + 48_000_000 - without);
    let largest = msg_of(3, 0, &[body.clone(), sequence_section("documents", &documents)]);
    assert_eq!(largest.len(), 48_000_000);
    assert_eq!(int(raw.ask(&largest).as_doc(), "documents"), 3);
    documents[2] = document(1_001 + 48_000_000 - without);
    let larger = msg_of(3, 0, &[body, sequence_section("documents", &documents)]);
    let _ = std::io::Write::write_all(&mut raw.0, &larger);
    raw.expect_closed();
}

#[test]
fn a_reply_of_16_megabytes_arrives() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let reply = raw.ask(&msg(1, 0, &command("big", 16_000_000)));
    assert!(reply.as_doc().as_bytes().len() > 16_000_000);
    raw.expect_ping();
}

#[test]
fn connections_beyond_the_limit_are_closed_and_room_comes_back() {
    let fixture = Fixture::with(|b| b.connections_max(2));
    let (mut first, mut second) = (fixture.connect(), fixture.connect());
    first.expect_ping();
    second.expect_ping();
    fixture.connect().expect_closed();
    first.expect_ping();
    drop(second);
    eventually("there is room again", || fixture.server().connections() == 1);
    fixture.connect().expect_ping();
}

#[test]
fn more_blocking_commands_than_threads_take_their_turns() {
    let fixture = Fixture::with(|b| b.blocking_threads_max(2));
    let mut all: Vec<_> = (0..6).map(|_| fixture.connect()).collect();
    let begin = std::time::Instant::now();
    all.iter_mut().for_each(|raw| raw.send(&msg(1, 0, &command("slow", 50))));
    all.iter_mut().for_each(|raw| assert_eq!(raw.receive().response_to(), 1));
    assert!(begin.elapsed() >= std::time::Duration::from_millis(150));
}

/// Validating takes as long as a message is long: that is no work for a thread that serves connections.
#[test]
fn long_messages_are_handled_on_blocking_threads() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    for (bytes, blocking) in [(10, false), (100 * 1024, true)] {
        let body = doc(|d| {
            d.i32("mode", 1);
            d.binary("padding", 0, &vec![1; bytes]);
        });
        let forms =
            [query(1, "test.$cmd", -1, &body), msg(1, 0, &body), with_checksum(msg(1, 0, &body))];
        for (form, message) in forms.iter().enumerate() {
            let reply = raw.ask(message);
            let begun = reply.as_doc().get("blocking").and_then(|v| v.as_bool());
            assert_eq!(begun, Some(blocking), "{form} of {bytes}: {reply:?}");
        }
    }
}

#[test]
fn a_long_query_that_is_wrong_gets_its_error() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let long = doc(|d| d.binary("padding", 0, &vec![1; 100 * 1024]));
    let reply = raw.ask(&query(1, "test.c", 1, &long));
    assert_eq!(int(reply.as_doc(), "code"), 5_739_101, "{reply:?}");
    let named = doc(|d| {
        d.binary("padding", 0, &vec![1; 100 * 1024]);
        d.str("$db", "test");
    });
    let reply = raw.ask(&query(1, "test.$cmd", -1, &named));
    assert_eq!(int(reply.as_doc(), "code"), 40621, "{reply:?}");
    raw.expect_ping();
}

#[test]
fn a_wrong_checksum_of_a_long_message_closes_the_connection() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let body = doc(|d| {
        d.i32("ping", 1);
        d.binary("padding", 0, &vec![1; 100 * 1024]);
    });
    let mut message = with_checksum(msg(1, 0, &body));
    let last = message.len() - 1;
    message[last] ^= 1;
    raw.send(&message);
    raw.expect_closed();
}
