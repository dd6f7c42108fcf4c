//! Following the inventory: what it holds, then every change of it, none missed and none twice.
//!
//! The stream is opened first and the collection read afterwards. Events from before the end of that reading may be
//! part of what was read: they are held back until the stream has passed that moment, then what was read already is
//! left out.

mod overlap;

use std::collections::VecDeque;

use headwater::Database;
use headwater::bson::Document;

use self::overlap::Overlap;
use crate::changes::{AWAIT, Changes, Place, Scope, Signal};
use crate::error::Result;
use crate::inventory;
use crate::output;
use crate::stop::Stop;

/// What happens, in order.
#[derive(Debug)]
pub enum Step {
    /// What the inventory holds.
    Documents(Vec<Document>),
    /// A change, and the place behind it.
    Event(Document, Place),
    /// Nothing new up to the place.
    Quiet(Place),
    /// The server forgot the position; what the inventory holds comes next.
    HistoryLost,
}

/// How long a poll that is under way may take when it is time to end.
const LAST_POLL: std::time::Duration = std::time::Duration::from_millis(750);

/// Follows the inventory.
pub struct Follower {
    changes: Changes,
    database: Database,
    overlap: Option<Overlap>,
    ready: VecDeque<Step>,
    broken: bool,
}

impl Follower {
    /// Opens the stream; from [`Place::Now`] the inventory is read too.
    ///
    /// # Errors
    /// The server has no change streams or does not answer.
    pub async fn open(
        scope: Scope,
        database: Database,
        pipeline: Vec<Document>,
        place: Place,
    ) -> Result<Follower> {
        let read = place == Place::Now;
        let changes = Changes::open(scope, pipeline, place).await?;
        let ready = VecDeque::new();
        let mut follower = Follower { changes, database, overlap: None, ready, broken: false };
        if read {
            follower.read().await?;
        }
        Ok(follower)
    }

    /// The next step; none when it is time to end.
    pub async fn next(&mut self, stop: &mut Stop) -> Option<Step> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            if stop.cause().is_some() {
                return None;
            }
            match self.poll(stop).await {
                Some(signal) => self.take(signal).await,
                None => self.settle(),
            }
            if stop.cause().is_some() {
                self.settle();
            }
        }
    }

    /// One signal. A question that is under way is waited for: a cursor in use cannot be closed.
    async fn poll(&mut self, stop: &mut Stop) -> Option<Signal> {
        let poll = self.changes.next();
        tokio::pin!(poll);
        tokio::select! {
            biased;
            _ = stop.wait() => tokio::time::timeout(LAST_POLL, poll).await.ok(),
            signal = &mut poll => Some(signal),
        }
    }

    async fn take(&mut self, signal: Signal) {
        match signal {
            Signal::Event(event) => self.hold_or_pass(event),
            Signal::Quiet => {
                if self.overlap.as_ref().is_some_and(|overlap| overlap.read.elapsed() >= AWAIT) {
                    self.settle();
                }
                if self.overlap.is_none() {
                    self.ready.push_back(Step::Quiet(self.changes.place().clone()));
                }
            }
            Signal::Open { anew } => {
                self.broken = false;
                if anew && let Err(error) = self.read().await {
                    self.changes.start_over();
                    self.complain(&error.to_string());
                }
            }
            Signal::Broken(cause) => self.complain(&cause),
            Signal::HistoryLost => {
                self.settle();
                self.ready.push_back(Step::HistoryLost);
            }
        }
    }

    fn hold_or_pass(&mut self, event: Document) {
        let place = self.changes.place().clone();
        match &mut self.overlap {
            Some(overlap) if overlap.covers(&event) => overlap.held.push((event, place)),
            _ => {
                self.settle();
                self.ready.push_back(Step::Event(event, place));
            }
        }
    }

    /// Once per outage.
    fn complain(&mut self, cause: &str) {
        if !self.broken {
            output::note("Change stream closed because of an error.");
            output::note(cause);
        }
        self.broken = true;
    }

    async fn read(&mut self) -> Result<()> {
        let snapshot = inventory::read(&self.database).await?;
        self.overlap = Some(Overlap::new(self.database.name(), &snapshot));
        self.ready.push_back(Step::Documents(snapshot.documents));
        Ok(())
    }

    fn settle(&mut self) {
        for (event, place) in self.overlap.take().into_iter().flat_map(Overlap::news) {
            self.ready.push_back(Step::Event(event, place));
        }
    }
}
