//! Open cursors: kept between `getMore`s, found by id, closed when idle. Knows nothing of what a cursor runs.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bson::DocBuf;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::limits::{CURSOR_IDLE_MS_MAX, CURSORS_MAX};
use crate::query::cursor::Body;
use crate::request::StableApi;

/// An open cursor.
pub struct Cursor {
    /// Its id, never 0.
    pub id: i64,
    /// The namespace that its replies show and that `getMore` must name.
    pub namespace: String,
    /// The session that opened it; only that one may go on.
    pub session: Option<[u8; 16]>,
    /// Whether it is never closed for being idle.
    pub no_timeout: bool,
    /// Whether its sorts may use the disk.
    pub disk_use: bool,
    /// The cluster time that it reads at, if that is not the present.
    pub moment: Option<u64>,
    /// What the command that opened it said of the Stable API; a `getMore` must say the same.
    pub api: StableApi,
    /// How long its `getMore`s may take together, if the command that opened it had a time limit.
    pub time_left: Option<Duration>,
    /// What was done with it.
    pub activity: Activity,
    /// What it runs.
    pub body: Box<dyn Body>,
}

/// What was done with a cursor, for whoever asks for the idle ones.
#[derive(Debug, Clone)]
pub struct Activity {
    /// The command that opened it.
    pub command: DocBuf,
    /// When it was opened, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was used last, in milliseconds since 1970.
    pub last_ms: i64,
    /// Documents given.
    pub documents: i64,
    /// Batches given.
    pub batches: i64,
}

impl Activity {
    /// That of a cursor whose first batch was given just now.
    pub fn new(command: DocBuf, documents: usize) -> Activity {
        let created_ms = now_ms();
        let mut activity =
            Activity { command, created_ms, last_ms: created_ms, documents: 0, batches: 0 };
        activity.gave(documents);
        activity
    }

    /// Counts a batch.
    pub fn gave(&mut self, documents: usize) {
        self.last_ms = now_ms();
        let documents = i64::try_from(documents).unwrap_or(i64::MAX);
        self.documents = self.documents.saturating_add(documents);
        self.batches += 1;
    }
}

/// A cursor at rest, as others see it.
#[derive(Debug)]
pub struct Idle {
    /// Its id.
    pub id: i64,
    /// Its namespace.
    pub namespace: String,
    /// The session that opened it.
    pub session: Option<[u8; 16]>,
    /// Whether it is never closed for being idle.
    pub no_timeout: bool,
    /// Whether it stays open at its end.
    pub tails: bool,
    /// What was done with it.
    pub activity: Activity,
}

/// All open cursors.
#[derive(Default)]
pub struct Cursors {
    slots: Mutex<HashMap<i64, Slot>>,
    next: AtomicU64,
    hasher: RandomState,
}

/// A cursor at rest, or the place of one that a `getMore` has taken.
enum Slot {
    Idle { cursor: Cursor, since: Instant },
    Busy { killed: bool, session: Option<[u8; 16]> },
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursors").field("open", &self.slots.lock().len()).finish()
    }
}

impl Cursors {
    /// A new id: random, so that ids of an earlier run are not mistaken for one of this run.
    pub fn new_id(&self) -> i64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(self.next.fetch_add(1, Ordering::Relaxed));
        (hasher.finish() >> 1).max(1) as i64
    }

    /// Keeps a cursor for the next `getMore`.
    ///
    /// # Errors
    /// Too many open cursors.
    pub fn insert(&self, cursor: Cursor) -> Result<()> {
        let mut slots = self.slots.lock();
        if slots.len() >= CURSORS_MAX {
            return Err(Error::new(Code::EXCEEDED_MEMORY_LIMIT, "too many open cursors"));
        }
        slots.insert(cursor.id, Slot::Idle { cursor, since: Instant::now() });
        Ok(())
    }

    /// Takes a cursor out to run it; [`Cursors::put_back`] or [`Cursors::end`] must follow.
    ///
    /// # Errors
    /// `CursorNotFound` (43), `CursorInUse` (12051), `Unauthorized` (13) for a cursor of another namespace or session.
    pub fn take(&self, id: i64, namespace: &str, session: Option<[u8; 16]>) -> Result<Cursor> {
        let mut slots = self.slots.lock();
        match slots.get(&id) {
            None => Err(not_found(id)),
            Some(Slot::Busy { .. }) => {
                Err(Error::new(Code(12051), format!("cursor id {id} is already in use")))
            }
            Some(Slot::Idle { cursor, .. }) => {
                if cursor.namespace != namespace {
                    return Err(Error::new(
                        Code::UNAUTHORIZED,
                        format!(
                            "Requested getMore on namespace '{namespace}', but cursor belongs to a different namespace {}",
                            cursor.namespace
                        ),
                    ));
                }
                check_session(cursor, session)?;
                let session = cursor.session;
                match slots.insert(id, Slot::Busy { killed: false, session }) {
                    Some(Slot::Idle { cursor, .. }) => Ok(cursor),
                    _ => Err(not_found(id)),
                }
            }
        }
    }

    /// Returns a cursor that has more to give. Dropped if it was killed meanwhile.
    pub fn put_back(&self, cursor: Cursor) {
        let mut slots = self.slots.lock();
        let id = cursor.id;
        if let Some(Slot::Busy { killed: true, .. }) | None = slots.get(&id) {
            slots.remove(&id);
            return;
        }
        slots.insert(id, Slot::Idle { cursor, since: Instant::now() });
    }

    /// Forgets a cursor that was taken and has ended.
    pub fn end(&self, id: i64) {
        self.slots.lock().remove(&id);
    }

    /// Closes a cursor. Tells whether it was there.
    pub fn kill(&self, id: i64) -> bool {
        let mut slots = self.slots.lock();
        match slots.get_mut(&id) {
            Some(Slot::Busy { killed, .. }) => {
                *killed = true;
                true
            }
            Some(Slot::Idle { .. }) => {
                slots.remove(&id);
                true
            }
            _ => false,
        }
    }

    /// The cursors at rest, by id.
    pub fn idle(&self) -> Vec<Idle> {
        let slots = self.slots.lock();
        let of = |slot: &Slot| match slot {
            Slot::Idle { cursor, .. } => Some(Idle {
                id: cursor.id,
                namespace: cursor.namespace.clone(),
                session: cursor.session,
                no_timeout: cursor.no_timeout,
                tails: cursor.body.awaits_data(),
                activity: cursor.activity.clone(),
            }),
            Slot::Busy { .. } => None,
        };
        let mut idle: Vec<_> = slots.values().filter_map(of).collect();
        idle.sort_by_key(|cursor| cursor.id);
        idle
    }

    /// Closes the cursors of sessions.
    pub fn kill_sessions(&self, belongs: impl Fn(&[u8; 16]) -> bool) {
        self.slots.lock().retain(|_, slot| match slot {
            Slot::Idle { cursor, .. } => !cursor.session.as_ref().is_some_and(&belongs),
            Slot::Busy { killed, session } => {
                *killed |= session.as_ref().is_some_and(&belongs);
                true
            }
        });
    }

    /// Closes cursors that were idle for too long.
    pub fn expire(&self) {
        let limit = Duration::from_millis(CURSOR_IDLE_MS_MAX);
        self.slots.lock().retain(|_, slot| match slot {
            Slot::Idle { cursor, since } => cursor.no_timeout || since.elapsed() < limit,
            Slot::Busy { .. } => true,
        });
    }

    /// Closes all cursors.
    pub fn clear(&self) {
        self.slots.lock().clear();
    }

    /// Open cursors and how many of them are in use.
    pub fn figures(&self) -> (usize, usize) {
        let slots = self.slots.lock();
        let busy = slots.values().filter(|slot| matches!(slot, Slot::Busy { .. })).count();
        (slots.len(), busy)
    }
}

fn not_found(id: i64) -> Error {
    Error::new(Code::CURSOR_NOT_FOUND, format!("cursor id {id} not found"))
}

fn check_session(cursor: &Cursor, session: Option<[u8; 16]>) -> Result<()> {
    if cursor.session == session {
        return Ok(());
    }
    let id = cursor.id;
    let shown = |session: Option<[u8; 16]>| match session {
        Some(id) => crate::object_id::uuid_text(&id),
        None => "none".to_owned(),
    };
    let message = match (cursor.session, session) {
        (Some(own), None) => format!(
            "Cannot run getMore on cursor {id}, which was created in session {}, without an lsid",
            shown(Some(own))
        ),
        (None, given) => format!(
            "Cannot run getMore on cursor {id}, which was not created in a session, in session {}",
            shown(given)
        ),
        (own, given) => format!(
            "Cannot run getMore on cursor {id}, which was created in session {}, in session {}",
            shown(own),
            shown(given)
        ),
    };
    Err(Error::location(50738, message))
}
