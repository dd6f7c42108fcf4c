//! The thread that reads the durable end of the log for all waiting streams. It rests while nobody waits.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::thread::{self, JoinHandle};

use headwater_store::{History, Record};

use super::{Room, Ticket, wake};
use crate::bson::Raw;
use crate::change::document::look_up;
use crate::change::event::Event;
use crate::engine::{Shared, unparker};
use crate::query::run::Run;

/// Records after which those who were called are woken, even if there is more to read.
const RECORDS_A_TURN: usize = 64;

/// Starts the thread. It ends with the room, or with the engine.
pub(super) fn start(shared: Weak<Shared>, room: &Arc<Room>) -> std::io::Result<JoinHandle<()>> {
    let room = Arc::clone(room);
    let thread = thread::Builder::new().name("change-streams".to_owned());
    thread.spawn(move || {
        let mut tail = Tail { waker: unparker(thread::current()), room, place: None };
        loop {
            let Some(shared) = shared.upgrade() else { return };
            let turn = tail.turn(&shared);
            drop(shared);
            match turn {
                Turn::Again => {}
                Turn::Rest => thread::park(),
                Turn::End => return,
            }
        }
    })
}

/// How a turn ended.
enum Turn {
    /// There is more to do.
    Again,
    /// Nothing to do until the thread is woken.
    Rest,
    /// Nothing ever to do again.
    End,
}

struct Tail {
    waker: Waker,
    room: Arc<Room>,
    /// The run that is being read, and how far.
    place: Option<(u64, History)>,
}

impl Tail {
    /// Reads on for a while.
    fn turn(&mut self, shared: &Shared) -> Turn {
        let run = {
            let state = self.room.state.lock();
            if state.ended {
                return Turn::End;
            }
            if state.interests.is_empty() {
                self.place = None;
                return Turn::Rest;
            }
            state.run
        };
        let mut called = Vec::new();
        let turn = self.read(shared, run, &mut called);
        wake(&called);
        turn
    }

    fn read(&mut self, shared: &Shared, run: u64, called: &mut Vec<Arc<Ticket>>) -> Turn {
        let history = match self.place.take() {
            Some((of, history)) if of == run => Ok(history),
            _ => shared.store.history(self.room.checked.load(Ordering::Acquire) + 1),
        };
        let Ok(mut history) = history else { return self.give_up(called) };
        for _ in 0..RECORDS_A_TURN {
            // Read before the log: what becomes durable in between is read the next time.
            let durable = shared.store.durable();
            match history.next() {
                Ok(Some(record)) => {
                    if !self.room.check(shared, run, &record, called) {
                        return Turn::Again;
                    }
                }
                Ok(None) => {
                    self.room.reach(run, durable);
                    self.place = Some((run, history));
                    return self.wait(shared, durable);
                }
                // Overtaken by retention, or the log cannot be read: every stream finds out for itself.
                Err(_) => return self.give_up(called),
            }
        }
        self.place = Some((run, history));
        Turn::Again
    }

    /// Has the thread woken when something beyond `durable` is.
    fn wait(&self, shared: &Shared, durable: u64) -> Turn {
        match shared.store.poll_durable(durable + 1, &self.waker) {
            Ok(true) => Turn::Again,
            Ok(false) => Turn::Rest,
            Err(_) => {
                self.room.end();
                Turn::End
            }
        }
    }

    fn give_up(&self, called: &mut Vec<Arc<Ticket>>) -> Turn {
        self.room.state.lock().call_all(called);
        Turn::Again
    }
}

impl Room {
    /// Calls the streams that a record concerns. `false` if the run has ended, or nobody waits any more: the
    /// record is to be forgotten.
    fn check(
        &self,
        shared: &Shared,
        run: u64,
        record: &Record<'_>,
        called: &mut Vec<Arc<Ticket>>,
    ) -> bool {
        let event = Event::parse(record.event);
        let mut state = self.state.lock();
        if state.run != run || state.interests.is_empty() {
            return false;
        }
        if let Some(event) = &event {
            let mut look_up = |event: &Event<'_>, id: Option<Raw<'_>>| {
                // A view of now shows at least what this record did: only what is published becomes durable.
                look_up(&Run::now(shared, None)?, event, id)
            };
            let before = called.len();
            state.figures.filters += state.interests.call(record, event, &mut look_up, called);
            state.figures.calls += (called.len() - before) as u64;
        }
        state.figures.records += 1;
        self.checked.store(record.seq, Ordering::Release);
        true
    }

    /// Notes that everything up to `seq` is evaluated.
    fn reach(&self, run: u64, seq: u64) {
        let state = self.state.lock();
        if state.run == run {
            self.checked.fetch_max(seq, Ordering::Release);
        }
    }
}
