//! A change stream that outlives failures and drops of its collection. The only place that knows the driver's change
//! stream.
//!
//! Events are fetched when they are asked for, so a reader that is slow holds the server's cursor back: at most one
//! batch is waiting here.

use std::time::Duration;

use headwater::bson::{Bson, Document, deserialize_from_bson, serialize_to_bson};
use headwater::mongodb::change_stream::ChangeStream;
use headwater::mongodb::change_stream::event::{ChangeStreamEvent, ResumeToken};
use headwater::mongodb::options::FullDocumentType;
use headwater::{Collection, Database, Headwater};
use rand::Rng;

use crate::error::{Error, Result};

/// How long the server holds an empty answer back.
pub const AWAIT: Duration = Duration::from_millis(250);
const BATCH: u32 = 100;
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// `InvalidResumeToken`, `ChangeStreamFatalError` and `ChangeStreamHistoryLost`: the position is worth nothing.
const POSITION_LOST: [i32; 3] = [260, 280, 286];

/// What is watched.
#[derive(Debug, Clone)]
pub enum Scope {
    /// One collection.
    Collection(Collection<Document>),
    /// A whole database.
    Database(Database),
    /// Everything.
    Deployment(Headwater),
}

/// Where a stream begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// With what happens from now on.
    Now,
    /// Behind an event.
    Behind(ResumeToken),
    /// Behind the event that ended a stream because its collection was dropped.
    BehindInvalidate(ResumeToken),
}

impl Place {
    /// As a document for a file; none for [`Place::Now`].
    pub fn to_bson(&self) -> Option<Bson> {
        let (name, token) = match self {
            Place::Now => return None,
            Place::Behind(token) => ("after", token),
            Place::BehindInvalidate(token) => ("afterInvalidate", token),
        };
        let mut place = Document::new();
        place.insert(name, serialize_to_bson(token).ok()?);
        Some(Bson::Document(place))
    }

    /// From what [`Place::to_bson`] gave.
    pub fn from_document(place: &Document) -> Option<Place> {
        let token = |name| deserialize_from_bson(place.get(name)?.clone()).ok();
        token("after")
            .map(Place::Behind)
            .or_else(|| token("afterInvalidate").map(Place::BehindInvalidate))
    }
}

/// What the stream tells.
#[derive(Debug)]
pub enum Signal {
    /// It is open again, at the place where it was or, with `anew`, at now.
    Open {
        /// Changes in between were not seen.
        anew: bool,
    },
    /// One event, as the server wrote it.
    Event(Document),
    /// Nothing happened.
    Quiet,
    /// It does not work right now; it is opened again in a moment.
    Broken(String),
    /// The server does not know the position any more.
    HistoryLost,
}

type Stream = ChangeStream<Document>;

/// A stream of changes.
pub struct Changes {
    scope: Scope,
    pipeline: Vec<Document>,
    place: Place,
    stream: Option<Stream>,
    back_off: Duration,
}

impl Changes {
    /// Opens the stream with lookup of the full document. A position that the server does not know is told as the
    /// first signal.
    ///
    /// # Errors
    /// The server has no change streams or does not answer. Later failures are signals.
    pub async fn open(scope: Scope, pipeline: Vec<Document>, place: Place) -> Result<Changes> {
        let mut changes =
            Changes { scope, pipeline, place, stream: None, back_off: Duration::ZERO };
        match changes.start().await {
            Ok(()) => Ok(changes),
            Err(error) if is_lost(&error) => Ok(changes),
            Err(error) => Err(Error::from(error)),
        }
    }

    /// The next signal, after at most one question to the server.
    pub async fn next(&mut self) -> Signal {
        let Some(stream) = &mut self.stream else { return self.reopen().await };
        let outcome = stream.next_if_any().await;
        match outcome {
            Ok(Some(event)) => {
                let token = event.get("_id").cloned();
                let token = token.and_then(|token| deserialize_from_bson(token).ok());
                let invalidated = event.get_str("operationType").ok() == Some("invalidate");
                match token {
                    Some(token) if invalidated => {
                        self.place = Place::BehindInvalidate(token);
                        self.stream = None;
                    }
                    Some(token) => self.place = Place::Behind(token),
                    None => {}
                }
                Signal::Event(event)
            }
            Ok(None) => {
                if let (Some(token), Place::Now | Place::Behind(_)) =
                    (stream.resume_token(), &self.place)
                {
                    self.place = Place::Behind(token);
                }
                if !stream.is_alive() {
                    self.stream = None;
                }
                Signal::Quiet
            }
            Err(error) => self.give_up(error.into()),
        }
    }

    /// The position behind the last event.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Begins anew with what happens from now on, after a pause.
    pub fn start_over(&mut self) {
        self.place = Place::Now;
        self.stream = None;
        self.slow_down();
    }

    async fn reopen(&mut self) -> Signal {
        let pause = self.back_off.mul_f64(rand::rng().random_range(0.5..=1.0));
        tokio::time::sleep(pause).await;
        let anew = self.place == Place::Now;
        match self.start().await {
            Ok(()) => Signal::Open { anew },
            Err(error) => self.give_up(error),
        }
    }

    fn give_up(&mut self, error: headwater::Error) -> Signal {
        self.stream = None;
        if is_lost(&error) {
            self.place = Place::Now;
            return Signal::HistoryLost;
        }
        self.slow_down();
        Signal::Broken(error.to_string())
    }

    fn slow_down(&mut self) {
        self.back_off = (self.back_off * 2).clamp(BACK_OFF_MIN, BACK_OFF_MAX);
    }

    async fn start(&mut self) -> headwater::Result<()> {
        let watch = match &self.scope {
            Scope::Collection(collection) => collection.driver().watch(),
            Scope::Database(database) => database.driver().watch(),
            Scope::Deployment(headwater) => headwater.driver().watch(),
        };
        let watch = watch
            .pipeline(self.pipeline.clone())
            .full_document(FullDocumentType::UpdateLookup)
            .max_await_time(AWAIT)
            .batch_size(BATCH);
        let stream: ChangeStream<ChangeStreamEvent<Document>> = match self.place.clone() {
            Place::Now => watch.await?,
            Place::Behind(token) => watch.resume_after(token).await?,
            Place::BehindInvalidate(token) => watch.start_after(token).await?,
        };
        if let (Place::Now, Some(token)) = (&self.place, stream.resume_token()) {
            self.place = Place::Behind(token);
        }
        self.stream = Some(stream.with_type());
        self.back_off = Duration::ZERO;
        Ok(())
    }
}

fn is_lost(error: &headwater::Error) -> bool {
    error.code().is_some_and(|code| POSITION_LOST.contains(&code))
}

#[cfg(test)]
mod tests {
    use headwater::bson::doc;

    use super::*;

    #[test]
    fn a_place_survives_a_file() {
        let token: ResumeToken = deserialize_from_bson(Bson::from(doc! { "_data": "82" })).unwrap();
        for place in [Place::Behind(token.clone()), Place::BehindInvalidate(token)] {
            let kept = place.to_bson().unwrap();
            assert_eq!(Place::from_document(kept.as_document().unwrap()), Some(place));
        }
        assert_eq!(Place::Now.to_bson(), None);
        assert_eq!(Place::from_document(&doc! {}), None);
    }
}
