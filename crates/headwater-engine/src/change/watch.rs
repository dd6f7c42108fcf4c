//! One reader for all waiting change streams: the tail reads each record of the log once, and calls the streams that it
//! concerns. A stream that nothing concerns is neither woken nor reads anything.
//!
//! A stream that has read to the durable end takes a `Watch`. While its ticket is not called, everything up to where
//! the tail has come is known to be of no concern to it. Once it is called, or where it has to know more than the tail
//! does, it reads the log for itself, as if there were no tail. So the tail may call too often, but never too seldom.

mod filters;
mod interests;
mod members;
mod tail;
mod ticket;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::options::Shown;
use super::scope::Scope;
use crate::engine::Shared;
use crate::query::matcher::Matcher;
use interests::{Interests, Place};
pub use ticket::Ticket;

/// The streams that wait, and the tail that reads for them.
#[derive(Debug)]
pub struct Watches {
    room: Arc<Room>,
    shared: Weak<Shared>,
    /// Who has to look again when collections come, go or change.
    of_catalog: Mutex<Vec<Weak<Ticket>>>,
}

/// What the tail has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Records that it read.
    pub records: u64,
    /// Filters that it asked about events.
    pub filters: u64,
    /// Streams that it called.
    pub calls: u64,
}

/// What the tail and the streams share.
#[derive(Debug, Default)]
struct Room {
    state: Mutex<State>,
    /// Up to here everything is evaluated for everybody who waits.
    checked: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    interests: Interests,
    /// What was done so far: always of whole records.
    figures: Figures,
    /// Counts the times that the tail begins anew.
    run: u64,
    thread: Option<JoinHandle<()>>,
    /// The store has ended, or the engine: nobody reads for others any more.
    ended: bool,
}

/// What a stream waits for.
#[derive(Debug, Clone)]
pub(super) struct Interest {
    pub scope: Scope,
    pub shown: Shown,
    /// Without one, every event that is shown concerns the stream.
    pub filter: Option<Filter>,
}

/// The filter that every event of a stream has to pass first.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    /// The same as any other of the same bytes: filters of streams have no collation.
    Shared(Arc<Matcher>),
    /// It has variables, whose values its bytes do not tell.
    Own(Arc<Matcher>),
}

/// A stream's place among those that wait; dropping it gives the place up.
#[derive(Debug)]
pub(super) struct Watch {
    room: Arc<Room>,
    place: Place,
    ticket: Arc<Ticket>,
}

/// What became of a stream that wants to wait.
pub(super) enum Armed {
    /// It waits.
    Waits(Watch),
    /// More is durable than the stream has read.
    Behind,
    /// There is no tail: the stream has to wait for the store.
    Alone,
}

impl Filter {
    /// A stream's filter as far as others may evaluate it for the stream: `None` if it answers at random.
    pub(super) fn of(matcher: &Arc<Matcher>) -> Option<Filter> {
        let bytes = matcher.filter().as_bytes();
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        if has(b"$rand") || has(b"$sampleRate") {
            return None;
        }
        let matcher = Arc::clone(matcher);
        Some(if has(b"$$") { Filter::Own(matcher) } else { Filter::Shared(matcher) })
    }
}

impl Watches {
    /// No streams. The tail reads the store of `shared` once there are some.
    pub(crate) fn new(shared: Weak<Shared>) -> Watches {
        Watches { room: Arc::default(), shared, of_catalog: Mutex::default() }
    }

    /// Lets a stream wait that has read everything up to `durable`, and needs nothing up to `read`.
    pub(super) fn arm(&self, interest: &Interest, durable: u64, read: u64) -> Armed {
        let mut state = self.room.state.lock();
        if state.ended {
            return Armed::Alone;
        }
        if state.thread.is_none() {
            match tail::start(self.shared.clone(), &self.room) {
                Ok(thread) => state.thread = Some(thread),
                Err(_) => return Armed::Alone,
            }
        }
        if state.interests.is_empty() {
            state.run += 1;
            self.room.checked.store(durable, Ordering::Release);
        } else if self.room.checked.load(Ordering::Acquire) > durable {
            return Armed::Behind;
        }
        let ticket = Arc::new(Ticket::new(read));
        let first = state.interests.is_empty();
        let place = state.interests.add(interest, &ticket);
        if first && let Some(thread) = &state.thread {
            thread.thread().unpark();
        }
        Armed::Waits(Watch { room: Arc::clone(&self.room), place, ticket })
    }

    /// Has a ticket called when the catalog changes. A change of the catalog is seen after the record that tells of it.
    pub(super) fn call_on_catalog(&self, ticket: &Arc<Ticket>) {
        let mut waiting = self.of_catalog.lock();
        waiting.retain(|other| other.upgrade().is_some_and(|other| !other.is_called()));
        waiting.push(Arc::downgrade(ticket));
    }

    /// Calls those who wait for a change of the catalog: it can be seen now.
    pub(crate) fn catalog_changed(&self) {
        let waiting = std::mem::take(&mut *self.of_catalog.lock());
        for ticket in waiting.iter().filter_map(Weak::upgrade) {
            ticket.call();
            ticket.wake();
        }
    }

    /// Calls everybody and ends the tail; afterwards it holds nothing of the engine.
    pub(crate) fn close(&self) {
        self.room.end();
        let thread = self.room.state.lock().thread.take();
        if let Some(thread) = thread {
            // It fails if the thread panicked, which has been told.
            let _ = thread.join();
        }
    }

    /// What the tail has done so far.
    pub fn figures(&self) -> Figures {
        self.room.state.lock().figures
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        // The tail itself may be who lets go last, and cannot wait for itself.
        self.room.end();
    }
}

impl Room {
    fn end(&self) {
        let mut called = Vec::new();
        let mut state = self.state.lock();
        state.ended = true;
        state.call_all(&mut called);
        if let Some(thread) = &state.thread {
            thread.thread().unpark();
        }
        drop(state);
        wake(&called);
    }
}

impl State {
    /// Calls everybody.
    fn call_all(&mut self, called: &mut Vec<Arc<Ticket>>) {
        let before = called.len();
        self.interests.call_all(called);
        self.figures.calls += (called.len() - before) as u64;
    }
}

/// Wakes those who were called.
fn wake(called: &[Arc<Ticket>]) {
    called.iter().for_each(|ticket| ticket.wake());
}

impl Watch {
    /// Up to where nothing concerns the stream; `None` if it has to look for itself.
    pub(super) fn idle(&self) -> Option<u64> {
        // In this order: the tail calls before it says how far it has come.
        let checked = self.room.checked.load(Ordering::Acquire);
        (!self.ticket.is_called()).then(|| checked.max(self.ticket.read()))
    }

    /// Says that the stream has read up to `seq` for itself.
    pub(super) fn has_read(&self, seq: u64) {
        self.ticket.has_read(seq);
    }

    /// What wakes whoever waits for the stream.
    pub(super) fn ticket(&self) -> Arc<Ticket> {
        Arc::clone(&self.ticket)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.room.state.lock().interests.remove(&self.place, &self.ticket);
        // Who still waits finds the stream gone.
        self.ticket.call();
        self.ticket.wake();
    }
}
