//! Bytes that are no messages, and clients that are slow.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, eventually};
use crate::raw::{command, message, msg, query};

/// Long enough for a client that means well on a busy machine.
const STALL: Duration = Duration::from_millis(1_000);

/// A small generator, so that the bytes of a failing run are known.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn random_bytes_never_hurt_others() {
    let fixture = Fixture::start();
    let mut witness = fixture.connect();
    let mut random = Random(0x5EED);
    for round in 0..300 {
        let mut raw = fixture.connect();
        let len = (random.next() % 300) as usize;
        let bytes = match round % 3 {
            0 => random.bytes(len),
            1 => message([2013, 2012, 2004][round / 3 % 3], 1, &random.bytes(len)),
            _ => {
                let mut bytes = msg(1, 0, &command("echo", 1));
                let at = (random.next() as usize) % bytes.len();
                bytes[at] = random.next() as u8;
                bytes
            }
        };
        let _ = raw.0.write_all(&bytes);
        witness.expect_ping();
    }
    eventually("all are gone", || fixture.server().connections() == 1);
}

#[test]
fn every_truncation_is_survived() {
    let fixture = Fixture::start();
    let mut witness = fixture.connect();
    let messages = [msg(1, 0, &command("echo", 1)), query(1, "a.$cmd", 1, &command("echo", 1))];
    for whole in messages {
        for len in 0..whole.len() {
            let mut cut = whole[..len].to_vec();
            if len >= 16 {
                cut[..4].copy_from_slice(&(len as u32).to_le_bytes());
            }
            let mut raw = fixture.connect();
            raw.send(&cut);
        }
        witness.expect_ping();
    }
}

#[test]
fn lengths_out_of_bounds_close_the_connection() {
    let fixture = Fixture::start();
    for length in [0, 1, 15, -1, i32::MIN, i32::MAX, 48_000_001] {
        let mut raw = fixture.connect();
        let mut bytes = msg(1, 0, &command("ping", 1));
        bytes[..4].copy_from_slice(&i32::to_le_bytes(length));
        let _ = raw.0.write_all(&bytes);
        raw.expect_closed();
    }
}

#[test]
fn replies_owed_are_sent_before_a_bad_message_closes() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(&[msg(1, 0, &command("ping", 1)), vec![0; 16]].concat());
    assert_eq!(raw.receive().response_to(), 1);
    raw.expect_closed();
}

#[test]
fn documents_too_deep_get_an_error() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    let mut bytes = vec![5, 0, 0, 0, 0];
    for _ in 0..100_000 {
        let len = bytes.len() as u32 + 8;
        let mut outer = Vec::with_capacity(len as usize);
        outer.extend(len.to_le_bytes());
        outer.extend([3, b'a', 0]);
        outer.append(&mut bytes);
        outer.push(0);
        bytes = outer;
        if bytes.len() > 40_000 {
            break;
        }
    }
    let reply = raw.ask(&msg(1, 0, &headwater_engine::bson::DocBuf::trusted(bytes)));
    assert_eq!(crate::fixture::int(reply.as_doc(), "code"), 15, "{reply:?}");
    raw.expect_ping();
}

#[test]
fn a_message_that_stalls_is_cut_off_and_a_resting_client_is_not() {
    let fixture = Fixture::with(|b| b.stall(STALL));
    let mut resting = fixture.connect();
    resting.expect_ping();
    let ping = msg(1, 0, &command("ping", 1));
    for part in [3, 16, 20] {
        let begin = Instant::now();
        let mut raw = fixture.connect();
        raw.expect_ping();
        raw.send(&ping[..part]);
        raw.expect_closed();
        assert!(begin.elapsed() >= STALL);
    }
    let mut mute = fixture.connect();
    mute.expect_closed();
    resting.expect_ping();
}

#[test]
fn a_slow_message_in_time_is_answered() {
    let fixture = Fixture::with(|b| b.stall(Duration::from_secs(20)));
    let mut raw = fixture.connect();
    for byte in msg(9, 0, &command("ping", 1)) {
        raw.send(&[byte]);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(raw.receive().response_to(), 9);
}

#[test]
fn a_client_that_takes_no_reply_is_cut_off() {
    let fixture = Fixture::with(|b| b.stall(STALL));
    let mut raw = fixture.connect();
    let asked: Vec<u8> = (0..4).flat_map(|id| msg(id, 0, &command("big", 10_000_000))).collect();
    raw.send(&asked);
    eventually("the connection ends", || fixture.server().connections() == 0);
}

#[test]
fn a_half_closed_client_ends() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.expect_ping();
    raw.0.shutdown(std::net::Shutdown::Write).unwrap();
    raw.expect_closed();
    eventually("the connection ends", || fixture.server().connections() == 0);
}

#[test]
fn a_browser_is_told_what_it_has_found() {
    let fixture = Fixture::start();
    let mut raw = fixture.connect();
    raw.send(b"GET / HTTP/1.1\r\nHost: localhost:27017\r\n\r\n");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut raw.0, &mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    assert!(text.contains("database"), "{answer}");
}
