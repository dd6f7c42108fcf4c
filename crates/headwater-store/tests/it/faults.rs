//! EIO, ENOSPC and short writes at every single I/O call of a workload: never an acknowledgement
//! after a failure, the store poisoned with a clear error, and consistent when opened again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use headwater_store::{ErrorKind, Store, Table};

use crate::random::Random;
use crate::simulated::{Fault, Simulated};
use crate::workload::{Ending, Life, folder, options};

const OPERATIONS: u64 = 30;

#[test]
fn every_call_may_fail() {
    let calls = {
        let (folder, disk) = (folder(), Simulated::new());
        let store = Store::open(folder.path(), options(&disk)).unwrap();
        let ending = Life::new(folder.path()).run(&store, OPERATIONS, &mut Random::new(7));
        assert_eq!(ending, Ending::Done);
        store.close().unwrap();
        disk.calls()
    };
    assert!(calls > 60, "{calls} calls");
    for fault in [Fault::Eio, Fault::Enospc, Fault::ShortWrite] {
        for call in 1..=calls {
            fail_at(call, fault);
        }
    }
}

fn fail_at(call: u64, fault: Fault) {
    let mut random = Random::new(call);
    let (folder, disk) = (folder(), Simulated::new());
    let mut life = Life::new(folder.path());
    disk.fail(call, fault);
    match Store::open(folder.path(), options(&disk)) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{fault:?} at {call}: {error}"),
        Ok(store) => {
            match life.run(&store, OPERATIONS, &mut Random::new(7)) {
                Ending::Done => {}
                Ending::Refused(kind) => {
                    assert_eq!(kind, ErrorKind::Poisoned, "{fault:?} at {call}");
                    assert_ne!(fault, Fault::ShortWrite, "a short write is continued");
                    stays_poisoned(&store);
                }
            }
            drop(store);
        }
    }
    let disk = disk.after_power_cut(&mut random);
    let store = Store::open(folder.path(), options(&disk)).unwrap();
    if let Err(error) = life.check(&store) {
        panic!("{fault:?} at call {call}: {error}");
    }
    assert_eq!(life.run(&store, 5, &mut random), Ending::Done);
}

fn stays_poisoned(store: &Store) {
    let poisoned = |error: headwater_store::Error| {
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.to_string().contains("stopped acknowledging"), "{error}");
    };
    poisoned(store.writer().err().unwrap());
    poisoned(store.try_writer().err().unwrap());
    poisoned(store.wait_durable(u64::MAX, None).unwrap_err());
    poisoned(store.wait_written(u64::MAX).unwrap_err());
    poisoned(store.poll_durable(u64::MAX, Waker::noop()).unwrap_err());
    poisoned(store.checkpoint().unwrap_err());
    assert!(store.snapshot().is_ok(), "reads go on");
    assert!(store.stats().poisoned);
}

#[test]
fn waiters_are_woken_by_a_failed_sync() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (folder, disk) = (folder(), Simulated::new());
    let store = Store::open(folder.path(), options(&disk)).unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    assert!(!store.poll_durable(900, &waker).unwrap());
    assert!(!store.poll_durable(900, &waker).unwrap(), "registered once");
    assert!(!store.poll_durable(901, &waker).unwrap());
    store.forget_durable(901, &waker);
    let blocked = std::thread::spawn({
        let store = store.clone();
        move || store.wait_durable(1_000, None)
    });
    disk.fail(1, Fault::Eio);
    let mut writer = store.writer().unwrap();
    let mut operation = writer.begin();
    operation.put(Table(0), b"k", b"v").unwrap();
    operation.commit(0, b"").unwrap();
    drop(writer);
    assert_eq!(blocked.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    // The wake-ups come one after the other.
    while count.0.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}
