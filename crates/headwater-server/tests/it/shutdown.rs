//! Stopping: what has arrived is finished, what rests is closed, what hangs is cut off.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, eventually, int};
use crate::raw::{Raw, command, doc, msg};

/// What a server that stops grants to what is under way.
const GRACE: Duration = Duration::from_secs(60);

#[test]
fn a_command_under_way_finishes_and_is_answered() {
    let mut fixture = Fixture::start();
    let mut resting = fixture.connect();
    resting.expect_ping();
    let mut slow = fixture.connect();
    slow.send(&msg(7, 0, &command("slow", 300)));
    let mut write = fixture.connect();
    write.send(&msg(8, 0, &command("write", 1)));
    eventually("both run", || fixture.fake.started.load(Ordering::SeqCst) == 4);
    let server = fixture.server.take().unwrap();
    let stop = fixture.runtime.spawn(server.shutdown(GRACE));
    resting.expect_closed();
    fixture.fake.advance(1);
    assert_eq!(write.receive().response_to(), 8);
    write.expect_closed();
    assert_eq!(int(slow.receive().document().as_doc(), "slow"), 300);
    slow.expect_closed();
    assert!(fixture.runtime.block_on(stop).unwrap(), "in time");
    assert!(std::net::TcpStream::connect(fixture.address).is_err(), "nobody listens any more");
}

#[test]
fn a_waiting_command_does_not_hold_up_the_end() {
    let mut fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(
        7,
        0,
        &doc(|d| {
            d.i32("await", 100);
            d.i32("ms", 600_000);
        }),
    ));
    eventually("it waits", || fixture.fake.started.load(Ordering::SeqCst) == 1);
    let begin = Instant::now();
    let server = fixture.server.take().unwrap();
    assert!(fixture.runtime.block_on(server.shutdown(GRACE)));
    assert!(begin.elapsed() < GRACE / 2);
    raw.expect_closed();
}

#[test]
fn work_whose_client_has_gone_is_waited_for() {
    let mut fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&msg(7, 0, &command("slow", 400)));
    eventually("it runs", || fixture.fake.started.load(Ordering::SeqCst) == 2);
    drop(raw);
    eventually("its client is gone", || fixture.fake.disconnected.load(Ordering::SeqCst) == 1);
    let server = fixture.server.take().unwrap();
    assert!(fixture.runtime.block_on(server.shutdown(GRACE)));
    assert_eq!(fixture.fake.finished.load(Ordering::SeqCst), 1);
}

#[test]
fn what_hangs_is_cut_off_after_the_grace() {
    let mut fixture = Fixture::start();
    let mut raw: Raw = fixture.connect();
    raw.send(&msg(8, 0, &command("write", 1)));
    eventually("it runs", || fixture.fake.started.load(Ordering::SeqCst) == 1);
    let server = fixture.server.take().unwrap();
    assert!(!fixture.runtime.block_on(server.shutdown(Duration::from_millis(100))));
    raw.expect_closed();
}
