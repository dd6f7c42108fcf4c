//! Retryable writes: what each statement of a session's last transaction number has done, kept in the store in the same
//! operation as the write itself, so that a resend is answered and not done again, across restarts too.
//!
//! Source: MongoDB's driver specification of retryable writes. A session keeps only its highest transaction number.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use headwater_store::{Direction, Operation, Read};
use parking_lot::Mutex;

use crate::bson::{Doc, DocBuf, DocWriter, Raw, View};
use crate::catalog::tables;
use crate::error::{Code, Error, Result};
use crate::limits::{SESSION_MINUTES, SESSIONS_MAX};

/// Statements that share one record in the store.
const STATEMENTS_A_RECORD: i32 = 64;

/// All sessions that this run has seen.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<[u8; 16], Slot>>);

#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<Session>>,
    used: Instant,
    /// Whether the client has ended it; what its writes did is kept all the same.
    ended: bool,
}

/// One session's retryable writes.
#[derive(Debug, Default)]
pub struct Session {
    loaded: bool,
    transaction: i64,
    statements: HashMap<i32, Outcome>,
}

/// What a statement did: the fields of its reply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Documents inserted, matched or deleted.
    pub n: i32,
    /// Documents changed.
    pub modified: i32,
    /// The `_id` of an upserted document, in a field `_id`.
    pub upserted: Option<DocBuf>,
    /// The whole reply of a `findAndModify`.
    pub reply: Option<DocBuf>,
}

impl Sessions {
    /// The session of that id.
    ///
    /// # Errors
    /// Too many sessions.
    pub fn get(&self, id: [u8; 16]) -> Result<Arc<Mutex<Session>>> {
        let mut slots = self.0.lock();
        if slots.len() >= SESSIONS_MAX && !slots.contains_key(&id) {
            return Err(Error::new(
                Code(261),
                "Unable to add session into the cache because the number of active sessions is too high",
            ));
        }
        let slot = slots.entry(id).or_insert_with(|| Slot {
            session: Arc::default(),
            used: Instant::now(),
            ended: false,
        });
        slot.used = Instant::now();
        slot.ended = false;
        Ok(slot.session.clone())
    }

    /// Says that sessions are still used; makes those that are not known yet.
    ///
    /// # Errors
    /// Those of [`Sessions::get`].
    pub fn refresh(&self, ids: &[[u8; 16]]) -> Result<()> {
        ids.iter().try_for_each(|id| self.get(*id).map(drop))
    }

    /// Says that clients have ended sessions.
    pub fn end(&self, ids: &[[u8; 16]]) {
        let mut slots = self.0.lock();
        for id in ids {
            if let Some(slot) = slots.get_mut(id) {
                slot.ended = true;
            }
        }
    }

    /// The sessions that have not ended, with the milliseconds since 1970 when each was used last.
    pub fn list(&self) -> Vec<([u8; 16], i64)> {
        let now_ms = crate::engine::now_ms();
        let slots = self.0.lock();
        let row = |(id, slot): (&[u8; 16], &Slot)| {
            let idle_ms = i64::try_from(slot.used.elapsed().as_millis()).unwrap_or(i64::MAX);
            (*id, now_ms.saturating_sub(idle_ms))
        };
        slots.iter().filter(|(_, slot)| !slot.ended).map(row).collect()
    }

    /// Forgets sessions that were not used for their life time and gives their ids, so that their records can go.
    pub fn expire(&self) -> Vec<[u8; 16]> {
        let limit = std::time::Duration::from_secs(60 * SESSION_MINUTES.unsigned_abs() as u64);
        let mut slots = self.0.lock();
        let old: Vec<_> =
            slots.iter().filter(|(_, s)| s.used.elapsed() > limit).map(|(id, _)| *id).collect();
        for id in &old {
            slots.remove(id);
        }
        old
    }

    /// How many sessions are known.
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }
}

impl Session {
    /// Takes up a transaction number. Called with the writer held.
    ///
    /// # Errors
    /// `TransactionTooOld` (225); those of the store.
    pub fn begin(&mut self, read: &dyn Read, id: &[u8; 16], transaction: i64) -> Result<()> {
        if !self.loaded {
            self.load(read, id)?;
        }
        if transaction < self.transaction {
            return Err(Error::new(
                Code::TRANSACTION_TOO_OLD,
                format!(
                    "Retryable write with txnNumber {transaction} is prohibited on session {} because a newer retryable write with txnNumber {} has already started on this session.",
                    crate::object_id::uuid_text(id),
                    self.transaction
                ),
            ));
        }
        if transaction > self.transaction {
            self.transaction = transaction;
            self.statements.clear();
        }
        Ok(())
    }

    /// What the statement did, if it was done.
    pub fn done(&self, statement: i32) -> Option<&Outcome> {
        self.statements.get(&statement)
    }

    /// Writes into the operation that the statement was done, and notes it; [`Session::undo`] if the operation fails.
    ///
    /// # Errors
    /// Those of the store.
    pub fn record(
        &mut self,
        op: &mut Operation<'_, '_>,
        id: &[u8; 16],
        statement: i32,
        outcome: Outcome,
    ) -> Result<()> {
        self.statements.insert(statement, outcome);
        let record = statement.div_euclid(STATEMENTS_A_RECORD);
        op.put(tables::SESSIONS, &key(id, record), self.write(record).as_doc().as_bytes())?;
        Ok(())
    }

    /// Takes back the note of a statement whose operation failed.
    pub fn undo(&mut self, statement: i32) {
        self.statements.remove(&statement);
    }

    fn write(&self, record: i32) -> DocBuf {
        let mut doc = DocWriter::new();
        doc.i64("txn", self.transaction);
        let first = record * STATEMENTS_A_RECORD;
        doc.array("stmts", |rows| {
            for statement in first..first.saturating_add(STATEMENTS_A_RECORD) {
                let Some(outcome) = self.statements.get(&statement) else { continue };
                rows.document(|row| {
                    row.i32("s", statement);
                    row.i32("n", outcome.n);
                    if outcome.modified != 0 {
                        row.i32("m", outcome.modified);
                    }
                    if let Some(upserted) = &outcome.upserted {
                        row.doc("u", upserted.as_doc());
                    }
                    if let Some(reply) = &outcome.reply {
                        row.doc("r", reply.as_doc());
                    }
                });
            }
        });
        doc.finish()
    }

    fn load(&mut self, read: &dyn Read, id: &[u8; 16]) -> Result<()> {
        let (lower, upper) = (key(id, 0), key(id, i32::MAX));
        let (lower, upper) = (Bound::Included(&lower[..]), Bound::Included(&upper[..]));
        let mut cursor = read.range(tables::SESSIONS, lower, upper, Direction::Forward)?;
        while let Some((_, value)) = cursor.next()? {
            self.load_record(Doc::trusted(value));
        }
        self.loaded = true;
        Ok(())
    }

    fn load_record(&mut self, record: Doc<'_>) {
        let Some(View::Int64(transaction)) = record.get("txn").map(Raw::view) else { return };
        if transaction < self.transaction {
            return; // left over from a longer batch of an earlier transaction
        }
        if transaction > self.transaction {
            self.transaction = transaction;
            self.statements.clear();
        }
        let Some(rows) = record.get("stmts").and_then(Raw::as_array) else { return };
        for row in rows.iter().filter_map(Raw::as_doc) {
            let int = |name: &str| match row.get(name).map(Raw::view) {
                Some(View::Int32(value)) => value,
                _ => 0,
            };
            let doc = |name: &str| row.get(name).and_then(Raw::as_doc).map(Doc::to_buf);
            let outcome =
                Outcome { n: int("n"), modified: int("m"), upserted: doc("u"), reply: doc("r") };
            self.statements.insert(int("s"), outcome);
        }
    }
}

/// The store's key of a session's record.
pub fn key(id: &[u8; 16], record: i32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(id);
    key[16..].copy_from_slice(&record.to_be_bytes());
    key
}
