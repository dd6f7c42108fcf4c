//! Replies keep the order of their requests, and waiting for durability is real.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, eventually, int};
use crate::raw::{command, doc, msg};

#[test]
fn pipelined_requests_are_answered_in_order() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let mut all = Vec::new();
    for id in 0..300 {
        let body = match id % 3 {
            0 => command("ping", 1),
            1 => command("slow", 1),
            _ => doc(|d| {
                d.i32("echo", id);
                d.binary("padding", 0, &vec![1; id as usize * 10]);
            }),
        };
        all.extend(msg(id, 0, &body));
    }
    let mut writer = raw.0.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            all.chunks(777).for_each(|part| {
                std::io::Write::write_all(&mut writer, part).unwrap();
            });
        });
        for id in 0..300 {
            assert_eq!(raw.receive().response_to(), id);
        }
    });
}

#[test]
fn a_write_is_answered_when_it_is_durable() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&[msg(1, 0, &command("ping", 1)), msg(2, 0, &command("write", 5))].concat());
    assert_eq!(raw.receive().response_to(), 1);
    raw.expect_silence();
    fixture.fake.advance(4);
    raw.expect_silence();
    fixture.fake.advance(5);
    assert_eq!(raw.receive().response_to(), 2);
}

#[test]
fn a_write_is_not_acknowledged_when_the_store_fails() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(2, 0, &command("write", 5)));
    raw.expect_silence();
    fixture.fake.poison();
    let reply = raw.receive().document();
    assert_eq!(int(reply.as_doc(), "ok"), 0, "{reply:?}");
    assert_eq!(int(reply.as_doc(), "code"), 1);
}

#[test]
fn a_waiting_command_wakes_on_what_is_durable_or_at_its_deadline() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let wait = |seq, ms| {
        doc(|d| {
            d.i32("await", seq);
            d.i32("ms", ms);
        })
    };
    raw.send(&msg(1, 0, &wait(3, 60_000)));
    raw.expect_silence();
    fixture.fake.advance(3);
    raw.expect_silence();
    fixture.fake.advance(4);
    assert_eq!(raw.receive().response_to(), 1);
    let begin = Instant::now();
    raw.ask(&msg(1, 0, &wait(100, 80)));
    assert!(begin.elapsed() >= Duration::from_millis(80));
    assert_eq!(fixture.fake.waiting(), 0, "nobody is to be woken any more");
    fixture.fake.poison();
    assert_eq!(int(raw.ask(&msg(1, 0, &wait(100, 60_000))).as_doc(), "ok"), 0);
}

#[test]
fn a_client_that_goes_while_it_waits_is_noticed() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(
        1,
        0,
        &doc(|d| {
            d.i32("await", 1_000);
            d.i32("ms", 600_000);
        }),
    ));
    let mut running = fixture.connect();
    running.send(&msg(1, 0, &command("held", 1)));
    eventually("both run", || fixture.fake.started.load(Ordering::SeqCst) == 3);
    drop((raw, running));
    eventually("both are gone", || fixture.fake.disconnected.load(Ordering::SeqCst) == 2);
    assert_eq!(fixture.fake.finished.load(Ordering::SeqCst), 0, "the command still runs");
    fixture.fake.let_go();
    eventually("no connection is left", || fixture.server().connections() == 0);
    assert_eq!(fixture.fake.waiting(), 0, "nobody is to be woken any more");
}

#[test]
fn requests_behind_a_waiting_one_are_kept() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(1, 0, &command("slow", 100)));
    for id in 2..200 {
        raw.send(&msg(id, 0, &doc(|d| d.binary("echo", 0, &[1; 2_000]))));
    }
    for id in 1..200 {
        assert_eq!(raw.receive().response_to(), id);
    }
}
