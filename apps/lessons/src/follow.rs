//! Following the inventory: what it holds, then every change of it, none missed and none twice.
//!
//! The stream is opened first and the collection read afterwards. Events from before the end of that reading may be
//! part of what was read: they are held back until the stream has passed that moment, then what was read already is
//! left out. Events are fetched when they are asked for, so a reader that is slow holds the server's cursor back. That
//! the stream goes on after a failure is the connector's work.

mod overlap;

use std::collections::VecDeque;
use std::time::Duration;

use headwater::bson::Document;
use headwater::changes::Watch;
use headwater::options::FullDocumentType;
use headwater::{ChangeEvent, ChangeStream, Database, ResumeToken};

use self::overlap::Overlap;
use crate::error::Result;
use crate::inventory;
use crate::output;
use crate::stop::Stop;

/// How long the server holds an empty answer back.
const AWAIT: Duration = Duration::from_millis(250);
const BATCH: u32 = 100;
/// How long a question that is under way may take when it is time to end.
const LAST_ANSWER: Duration = Duration::from_millis(750);

/// What happens, in order.
#[derive(Debug)]
pub enum Step {
    /// What the inventory holds.
    Documents(Vec<Document>),
    /// A change as the server wrote it, and the place behind it.
    Event(Document, ResumeToken),
    /// Nothing new up to the place.
    Quiet(Option<ResumeToken>),
    /// The server forgot the position; what the inventory holds comes next.
    HistoryLost,
}

/// Follows the inventory.
pub struct Follower {
    changes: ChangeStream<Document>,
    database: Database,
    /// The inventory is to be read as soon as the stream is open again.
    unread: bool,
    overlap: Option<Overlap>,
    ready: VecDeque<Step>,
    broken: bool,
}

/// What the server said to a question: an event, or that there is none.
type Answer = headwater::Result<Option<ChangeEvent<Document>>>;

impl Follower {
    /// Opens the stream, with lookup of the full document; without a place the inventory is read too. A place that the
    /// server does not know is the first step.
    ///
    /// # Errors
    /// The server has no change streams or does not answer.
    pub async fn open(
        watch: Watch<Document>,
        database: Database,
        place: Option<ResumeToken>,
    ) -> Result<Follower> {
        let watch = watch
            .full_document(FullDocumentType::UpdateLookup)
            .max_await_time(AWAIT)
            .batch_size(BATCH)
            .patience(Duration::ZERO)
            .start_over_when_lost();
        let read = place.is_none();
        let changes = match place {
            Some(place) => watch.start_after(place).await?,
            None => watch.await?,
        };
        let ready = VecDeque::new();
        let mut follower =
            Follower { changes, database, unread: false, overlap: None, ready, broken: false };
        if read {
            follower.read().await?;
        }
        Ok(follower)
    }

    /// The next step; none when it is time to end.
    ///
    /// # Errors
    /// The server refuses to go on. That it is away is none: the stream goes on when it is back.
    pub async fn next(&mut self, stop: &mut Stop) -> Result<Option<Step>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            if stop.cause().is_some() {
                return Ok(None);
            }
            match self.ask(stop).await {
                Some(answer) => self.take(answer).await?,
                None => self.settle(),
            }
            if stop.cause().is_some() {
                self.settle();
            }
        }
    }

    /// One question. When it is under way it is waited for: a cursor in use cannot be closed.
    async fn ask(&mut self, stop: &mut Stop) -> Option<Answer> {
        let question = self.changes.next_if_any();
        tokio::pin!(question);
        tokio::select! {
            biased;
            _ = stop.wait() => tokio::time::timeout(LAST_ANSWER, question).await.ok(),
            answer = &mut question => Some(answer),
        }
    }

    async fn take(&mut self, answer: Answer) -> Result<()> {
        let event = match answer {
            Ok(event) => event,
            Err(error) if error.is_history_lost() => {
                self.settle();
                self.unread = true;
                self.ready.push_back(Step::HistoryLost);
                return Ok(());
            }
            Err(error) => {
                self.complain(&error.to_string());
                return if self.changes.is_alive() { Ok(()) } else { Err(error.into()) };
            }
        };
        if self.unread
            && let Err(error) = self.read().await
        {
            // Nothing is lost with the event: the inventory is read later than it happened.
            self.complain(&error.to_string());
            return Ok(());
        }
        self.broken = false;
        match event {
            Some(event) => self.hold_or_pass(&event)?,
            None => self.note_silence(),
        }
        Ok(())
    }

    fn hold_or_pass(&mut self, event: &ChangeEvent<Document>) -> Result<()> {
        let place = event.token.clone();
        let event = Document::try_from(&**event.raw())
            .map_err(|error| crate::error::Error::failed(error.to_string()))?;
        match &mut self.overlap {
            Some(overlap) if overlap.covers(&event) => overlap.held.push((event, place)),
            _ => {
                self.settle();
                self.ready.push_back(Step::Event(event, place));
            }
        }
        Ok(())
    }

    fn note_silence(&mut self) {
        if self.overlap.as_ref().is_some_and(|overlap| overlap.read.elapsed() >= AWAIT) {
            self.settle();
        }
        if self.overlap.is_none() {
            self.ready.push_back(Step::Quiet(self.changes.resume_token()));
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
        self.unread = false;
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
