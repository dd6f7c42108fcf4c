//! Replies that follow each other by themselves.

use std::time::{Duration, Instant};

use crate::fixture::{Fixture, eventually, int};
use crate::raw::{command, doc, msg};

const MORE_TO_COME: i32 = 2;
const EXHAUST_ALLOWED: u32 = 1 << 16;

#[test]
fn an_exhaust_get_more_goes_on_until_its_cursor_ends() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(50, EXHAUST_ALLOWED, &command("getMore", 4)));
    let mut response_to = 50;
    for left in (0..4).rev() {
        let reply = raw.receive();
        assert_eq!(reply.response_to(), response_to);
        assert_eq!(reply.flags(), if left > 0 { MORE_TO_COME } else { 0 });
        let cursor = reply.document();
        let cursor = cursor.as_doc().get("cursor").unwrap().as_doc().unwrap();
        assert_eq!(int(cursor, "id"), left);
        response_to = reply.id();
    }
    raw.expect_ping();
}

#[test]
fn without_the_flag_a_get_more_is_answered_once() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(50, 0, &command("getMore", 4)));
    assert_eq!(raw.receive().flags(), 0);
    raw.expect_silence();
}

#[test]
fn other_commands_are_answered_once_with_the_flag_too() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    for body in [command("ping", 1), command("hello", 1), command("unknown", 1), command("slow", 1)]
    {
        raw.send(&msg(50, EXHAUST_ALLOWED, &body));
        assert_eq!(raw.receive().flags(), 0);
    }
    raw.expect_silence();
    raw.expect_ping();
}

fn awaitable(counter: i64, ms: i32) -> headwater_engine::bson::DocBuf {
    doc(|d| {
        d.i32("hello", 1);
        d.document("topologyVersion", |v| v.i64("counter", counter));
        d.i32("maxAwaitTimeMS", ms);
    })
}

#[test]
fn an_exhaust_hello_answers_a_stale_version_at_once_and_then_waits() {
    let fixture = Fixture::start();
    let mut patient = fixture.connect();
    patient.send(&msg(50, EXHAUST_ALLOWED, &awaitable(3, 600_000)));
    let first = patient.receive();
    assert_eq!((first.flags(), first.response_to()), (MORE_TO_COME, 50));
    patient.expect_silence();
    let mut raw = fixture.connect();
    let begin = Instant::now();
    raw.send(&msg(50, EXHAUST_ALLOWED, &awaitable(3, 150)));
    let first = raw.receive();
    let second = raw.receive();
    assert!(begin.elapsed() >= Duration::from_millis(150));
    assert_eq!((second.flags(), second.response_to()), (MORE_TO_COME, first.id()));
    let third = raw.receive();
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(third.response_to(), second.id());
}

#[test]
fn an_awaited_hello_without_the_flag_is_answered_once() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let begin = Instant::now();
    raw.send(&msg(50, 0, &awaitable(7, 100)));
    assert_eq!(raw.receive().flags(), 0);
    assert!(begin.elapsed() >= Duration::from_millis(100));
    raw.expect_ping();
}

#[test]
fn an_exhaust_client_that_goes_ends_the_stream() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(50, EXHAUST_ALLOWED, &awaitable(7, 600_000)));
    raw.expect_silence();
    drop(raw);
    eventually("the connection ends", || fixture.server().connections() == 0);
}
