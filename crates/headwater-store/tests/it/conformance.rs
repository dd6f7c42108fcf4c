//! What every variant of the store promises.

use std::ops::Bound;
use std::time::{Duration, Instant};

use headwater_store::{Direction, ErrorKind, KEY_BYTES_MAX, Read, Table};

use crate::variant::{VARIANTS, all, range, write};

const T: Table = Table(0);

#[test]
fn put_get_delete() {
    for variant in VARIANTS {
        let opened = variant.open();
        let store = &opened.store;
        write(store, b"", |operation| {
            operation.put(T, b"a", b"1")?;
            operation.put(Table(7), b"a", b"other table")
        });
        let before = store.snapshot().unwrap();
        write(store, b"", |operation| {
            operation.delete(T, b"a")?;
            operation.delete(T, b"never there")
        });
        let after = store.snapshot().unwrap();
        assert_eq!(before.get(T, b"a").unwrap(), Some(&b"1"[..]), "{variant:?}");
        assert_eq!(after.get(T, b"a").unwrap(), None, "{variant:?}");
        assert_eq!(after.get(Table(7), b"a").unwrap(), Some(&b"other table"[..]));
        assert_eq!(after.get(T, b"").unwrap(), None);
    }
}

#[test]
fn an_operation_sees_itself_and_the_ones_before_it() {
    for variant in VARIANTS {
        let opened = variant.open();
        let mut writer = opened.store.writer().unwrap();
        let mut first = writer.begin();
        first.put(T, b"a", b"1").unwrap();
        assert_eq!(first.get(T, b"a").unwrap(), Some(&b"1"[..]));
        first.put(T, b"a", b"2").unwrap();
        assert_eq!(first.get(T, b"a").unwrap(), Some(&b"2"[..]));
        first.commit(0, b"").unwrap();
        assert_eq!(writer.get(T, b"a").unwrap(), Some(&b"2"[..]));
        {
            let mut discarded = writer.begin();
            discarded.delete(T, b"a").unwrap();
            assert_eq!(discarded.get(T, b"a").unwrap(), None);
            assert_eq!(all(&discarded, T, Direction::Forward), []);
        }
        assert_eq!(writer.begin().get(T, b"a").unwrap(), Some(&b"2"[..]), "dropped: discarded");
        assert_eq!(opened.store.snapshot().unwrap().get(T, b"a").unwrap(), None, "unpublished");
        drop(writer);
        assert_eq!(opened.store.snapshot().unwrap().get(T, b"a").unwrap(), Some(&b"2"[..]));
    }
}

#[test]
fn sequence_numbers_rise_and_respect_the_floor() {
    for variant in VARIANTS {
        let mut opened = variant.open();
        for (floor, expected) in [(0, 1), (0, 2), (1, 3), (1 << 40, 1 << 40), (0, (1 << 40) + 1)] {
            let mut writer = opened.store.writer().unwrap();
            let mut operation = writer.begin();
            operation.put(T, b"k", b"v").unwrap();
            assert_eq!(operation.commit(floor, b"").unwrap(), expected);
        }
        opened = opened.reopen();
        assert_eq!(opened.store.last(), (1 << 40) + 1, "{variant:?}");
        assert_eq!(write(&opened.store, b"", |_| Ok(())), (1 << 40) + 2);
    }
}

#[test]
fn refused_keys() {
    for variant in VARIANTS {
        let opened = variant.open();
        let longest = vec![b'k'; KEY_BYTES_MAX];
        let longer = vec![b'k'; KEY_BYTES_MAX + 1];
        write(&opened.store, b"", |operation| {
            for (table, key) in [(T, &b""[..]), (T, &longer), (Table(8), b"k")] {
                let error = operation.put(table, key, b"").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidKey);
                assert_eq!(operation.delete(table, key).unwrap_err().kind(), ErrorKind::InvalidKey);
            }
            operation.put(T, &longest, b"fits")
        });
        opened.store.checkpoint().unwrap();
        let snapshot = opened.store.snapshot().unwrap();
        assert_eq!(snapshot.get(T, &longest).unwrap(), Some(&b"fits"[..]), "{variant:?}");
        assert_eq!(snapshot.get(T, &longer).unwrap(), None);
        assert_eq!(snapshot.get(Table(8), b"k").unwrap_err().kind(), ErrorKind::InvalidKey);
    }
}

#[test]
fn ranges_and_seeks_in_both_directions() {
    for variant in VARIANTS {
        let opened = variant.open();
        for (step, key) in [b"b", b"d", b"f", b"h"].into_iter().enumerate() {
            write(&opened.store, b"", |operation| operation.put(T, key, key));
            if step == 1 {
                opened.store.checkpoint().unwrap();
            }
        }
        write(&opened.store, b"", |operation| operation.delete(T, b"d"));
        let snapshot = opened.store.snapshot().unwrap();
        let keys = |lower, upper, direction| {
            let pairs = range(&snapshot, T, lower, upper, direction);
            pairs.into_iter().map(|(key, _)| key[0] as char).collect::<String>()
        };
        let (included, excluded) = (Bound::Included(&b"f"[..]), Bound::Excluded(&b"f"[..]));
        let cases = [
            (Bound::Unbounded, Bound::Unbounded, "bfh"),
            (included, Bound::Unbounded, "fh"),
            (excluded, Bound::Unbounded, "h"),
            (Bound::Unbounded, included, "bf"),
            (Bound::Unbounded, excluded, "b"),
            (Bound::Included(&b""[..]), Bound::Included(&b"g"[..]), "bf"),
            (Bound::Unbounded, Bound::Included(&b""[..]), ""),
            (included, Bound::Included(&b"a"[..]), ""),
            (Bound::Included(&b"c"[..]), Bound::Included(&b"e"[..]), ""),
        ];
        for (lower, upper, expected) in cases {
            let backward: String = expected.chars().rev().collect();
            assert_eq!(keys(lower, upper, Direction::Forward), expected, "{variant:?} {lower:?}");
            assert_eq!(keys(lower, upper, Direction::Backward), backward, "{variant:?} {lower:?}");
        }
        let mut cursor =
            snapshot.range(T, Bound::Included(b"b"), Bound::Excluded(b"h"), Direction::Forward);
        let cursor = cursor.as_mut().unwrap();
        for (target, expected) in
            [(&b"c"[..], Some(&b"f"[..])), (b"h", None), (b"a", Some(b"b")), (b"", Some(b"b"))]
        {
            cursor.seek(target).unwrap();
            assert_eq!(cursor.next().unwrap().map(|(key, _)| key), expected, "{target:?}");
        }
        let mut cursor =
            snapshot.range(T, Bound::Excluded(b"b"), Bound::Included(b"h"), Direction::Backward);
        let cursor = cursor.as_mut().unwrap();
        for (target, expected) in
            [(&b"g"[..], Some(&b"f"[..])), (b"c", None), (b"z", Some(b"h")), (b"h", Some(b"h"))]
        {
            cursor.seek(target).unwrap();
            assert_eq!(cursor.next().unwrap().map(|(key, _)| key), expected, "{target:?}");
        }
    }
}

#[test]
fn history_gives_back_events_and_changes_and_goes_on() {
    for variant in VARIANTS {
        let mut opened = variant.open();
        let mut history = opened.store.history(0).unwrap();
        assert!(history.next().unwrap().is_none());
        let first = write(&opened.store, b"first", |operation| {
            operation.put(T, b"a", b"overwritten")?;
            operation.put(T, b"a", b"1")?;
            operation.delete(Table(3), b"b")
        });
        let second = write(&opened.store, b"only an event", |_| Ok(()));
        let record = history.next().unwrap().unwrap();
        assert_eq!((record.seq, record.event), (first, &b"first"[..]));
        let changes: Vec<_> = record.changes().map(|c| (c.table, c.key, c.value)).collect();
        assert_eq!(changes, [(T, &b"a"[..], Some(&b"1"[..])), (Table(3), b"b", None)]);
        assert_eq!(history.next().unwrap().unwrap().seq, second);
        assert!(history.next().unwrap().is_none());
        let third = write(&opened.store, b"third", |operation| operation.put(T, b"c", b"3"));
        assert_eq!(history.next().unwrap().unwrap().seq, third, "{variant:?}: goes on");
        drop(history);
        opened = opened.reopen();
        let mut history = opened.store.history(second).unwrap();
        assert_eq!(history.next().unwrap().unwrap().event, b"only an event");
        assert_eq!(history.next().unwrap().unwrap().seq, third);
        write(&opened.store, b"fourth", |_| Ok(()));
        assert_eq!(history.next().unwrap().unwrap().event, b"fourth");
    }
}

#[test]
fn a_deadline_ends_a_wait() {
    for variant in VARIANTS {
        let opened = variant.open();
        let deadline = Instant::now() + Duration::from_millis(20);
        assert!(!opened.store.wait_durable(1, Some(deadline)).unwrap());
        let seq = write(&opened.store, b"", |operation| operation.put(T, b"a", b""));
        opened.store.wait_written(seq).unwrap();
        assert!(opened.store.written() >= seq && opened.store.durable() >= seq);
        assert!(opened.store.try_writer().unwrap().is_some());
        let writer = opened.store.writer().unwrap();
        assert!(opened.store.try_writer().unwrap().is_none());
        drop(writer);
    }
}

#[test]
fn a_closed_store_says_so() {
    for variant in VARIANTS {
        let opened = variant.open();
        let other = opened.store.clone();
        write(&other, b"", |operation| operation.put(T, b"a", b"1"));
        let snapshot = other.snapshot().unwrap();
        opened.store.close().unwrap();
        assert_eq!(other.writer().err().unwrap().kind(), ErrorKind::Closed, "{variant:?}");
        assert_eq!(other.wait_durable(9, None).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(snapshot.get(T, b"a").unwrap(), Some(&b"1"[..]));
    }
}

#[test]
fn a_thread_with_the_writer_is_not_let_wait_for_itself() {
    for variant in VARIANTS {
        let opened = variant.open();
        let store = &opened.store;
        let held = |error: headwater_store::Error| {
            assert_eq!(error.kind(), ErrorKind::WriterHeld, "{variant:?}: {error}");
        };
        let before = write(store, b"", |operation| operation.put(T, b"k", b"before"));
        let mut writer = store.writer().unwrap();
        let mut operation = writer.begin();
        operation.put(T, b"k", b"v").unwrap();
        let seq = operation.commit(0, b"").unwrap();
        held(store.checkpoint().unwrap_err());
        held(store.writer().err().unwrap());
        held(store.clone().close().unwrap_err());
        held(store.wait_durable(seq, None).unwrap_err());
        held(store.wait_written(seq).unwrap_err());
        assert!(store.try_writer().unwrap().is_none());
        assert!(store.wait_durable(before, None).unwrap(), "what is published may be waited for");
        // Another thread is let wait, and is served once the writer is dropped.
        let other = std::thread::spawn({
            let store = store.clone();
            move || store.checkpoint()
        });
        drop(writer);
        other.join().unwrap().unwrap();
        store.checkpoint().unwrap();
        assert!(store.wait_durable(seq, None).unwrap());
        drop(store.writer().unwrap());
        drop(opened.reopen());
    }
}

#[test]
fn a_snapshot_sees_every_brief_writer_before_it() {
    const THREADS: u32 = 4;
    const WRITES: u32 = 2_000;
    for variant in VARIANTS {
        let opened = variant.open();
        let store = &opened.store;
        let write = |thread: u32| {
            let mut last = 0;
            for number in 0..WRITES {
                // Some writers take long, most are brief, now and then everything moves to the tree.
                let brief = !(number + thread).is_multiple_of(7);
                let writer = if brief { store.try_brief_writer().unwrap() } else { None };
                let mut writer = writer.unwrap_or_else(|| store.writer().unwrap());
                let mut operation = writer.begin();
                operation.put(T, &thread.to_be_bytes(), &number.to_be_bytes()).unwrap();
                last = operation.commit(0, b"").unwrap();
                drop(writer);
                assert!(store.last() >= last);
                if number % 3 == thread % 3 {
                    let snapshot = store.snapshot().unwrap();
                    let seen = snapshot.get(T, &thread.to_be_bytes()).unwrap();
                    assert_eq!(seen, Some(&number.to_be_bytes()[..]), "{variant:?}");
                    assert!(snapshot.seq() >= last);
                }
                if number == WRITES / 2 && thread == 0 {
                    store.checkpoint().unwrap();
                }
            }
            store.wait_durable(last, None).unwrap();
        };
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || write(thread));
            }
        });
        let reopened = opened.reopen();
        let snapshot = reopened.store.snapshot().unwrap();
        for thread in 0..THREADS {
            let seen = snapshot.get(T, &thread.to_be_bytes()).unwrap();
            assert_eq!(seen, Some(&(WRITES - 1).to_be_bytes()[..]), "{variant:?}");
        }
    }
}

#[test]
fn a_snapshot_taken_under_a_brief_writer_is_refused_where_it_would_wait() {
    for variant in VARIANTS {
        let opened = variant.open();
        for _ in 0..2 {
            let mut writer = opened.store.try_brief_writer().unwrap().unwrap();
            let mut operation = writer.begin();
            operation.put(T, b"k", b"v").unwrap();
            operation.commit(0, b"").unwrap();
        }
        let writer = opened.store.try_brief_writer().unwrap().unwrap();
        let refused = opened.store.snapshot().map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WriterHeld, "{variant:?}");
        drop(writer);
        assert_eq!(opened.store.snapshot().unwrap().get(T, b"k").unwrap(), Some(&b"v"[..]));
        let _writer = opened.store.writer().unwrap();
        opened.store.snapshot().unwrap();
    }
}
