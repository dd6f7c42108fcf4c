//! Where a change stream comes from: what is watched, how, and the command that opens it behind a place.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::options::AggregateOptions;
use mongodb::raw_batch_cursor::RawBatchCursor;

use super::store::TokenStore;
use super::token::ResumeToken;
use crate::connector::Headwater;
use crate::error::classify::Family;
use crate::error::{Error, Result};
use crate::operation::{Operation, Safety};

/// What is watched.
#[derive(Clone)]
pub(super) enum Target {
    Collection { database: String, collection: mongodb::Collection<Document> },
    Database(mongodb::Database),
    Deployment,
}

/// Where a stream begins.
#[derive(Clone, Default)]
pub(super) enum Place {
    /// With what comes from now on.
    #[default]
    Now,
    /// With what came since.
    Since(Timestamp),
    /// Behind a token, which must not be that of an `invalidate`.
    ResumeAfter(ResumeToken),
    /// Behind a token.
    StartAfter(ResumeToken),
}

/// Everything that is said when the stream is opened, and again after a break.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) headwater: Headwater,
    pub(super) target: Target,
    /// What stands in `$changeStream` beside the place.
    pub(super) shown: Document,
    pub(super) pipeline: Vec<Document>,
    pub(super) options: AggregateOptions,
    pub(super) splits: bool,
    pub(super) ends_with_invalidate: bool,
    pub(super) starts_over: bool,
    pub(super) patience: Option<Duration>,
    pub(super) store: Option<Arc<dyn TokenStore>>,
}

impl Source {
    pub(super) fn new(headwater: Headwater, target: Target) -> Source {
        Source {
            headwater,
            target,
            shown: Document::new(),
            pipeline: Vec::new(),
            options: AggregateOptions::default(),
            splits: false,
            ends_with_invalidate: false,
            starts_over: false,
            patience: None,
            store: None,
        }
    }

    /// Opens the cursor, tried again as every read.
    pub(super) async fn open(&self, place: &Place) -> Result<RawBatchCursor> {
        let stages = self.stages(place);
        let admin;
        let database = match &self.target {
            Target::Collection { collection, .. } => {
                let call = || {
                    let aggregate = collection.aggregate(stages.iter().cloned());
                    aggregate.with_options(self.options.clone()).batch()
                };
                return self.headwater.0.resilience.run(self.operation(), call).await;
            }
            Target::Database(database) => database,
            Target::Deployment => {
                admin = self.headwater.0.client.database("admin");
                &admin
            }
        };
        let call = || {
            let aggregate = database.aggregate(stages.iter().cloned());
            aggregate.with_options(self.options.clone()).batch()
        };
        self.headwater.0.resilience.run(self.operation(), call).await
    }

    fn stages(&self, place: &Place) -> Vec<Document> {
        let mut argument = self.shown.clone();
        if matches!(self.target, Target::Deployment) {
            argument.insert("allChangesForCluster", true);
        }
        let (name, value) = match place {
            Place::Now => ("", Bson::Null),
            Place::Since(time) => ("startAtOperationTime", (*time).into()),
            Place::ResumeAfter(token) => ("resumeAfter", token.clone().into()),
            Place::StartAfter(token) => ("startAfter", token.clone().into()),
        };
        if !name.is_empty() {
            argument.insert(name, value);
        }
        let mut stages = vec![doc! { "$changeStream": argument }];
        stages.extend(self.pipeline.iter().cloned());
        if self.splits {
            stages.push(doc! { "$changeStreamSplitLargeEvent": {} });
        }
        stages
    }

    pub(super) fn operation(&self) -> Operation<'_> {
        let (database, collection) = self.names();
        let operation = Operation::new("watch", database, collection, Safety::Read);
        operation.family(Family::ChangeStream)
    }

    fn names(&self) -> (&str, Option<&str>) {
        match &self.target {
            Target::Collection { database, collection } => (database, Some(collection.name())),
            Target::Database(database) => (database.name(), None),
            Target::Deployment => ("admin", None),
        }
    }

    /// The error, with where it happened.
    pub(super) fn place_error(&self, error: Error) -> Error {
        error.at("watch", self.operation().namespace())
    }

    pub(super) fn error(&self, error: mongodb::error::Error) -> Error {
        self.place_error(Error::of_driver(error, Family::ChangeStream))
    }

    /// How long a batch may take: as long as the server holds an empty one back, and as long as any answer may take.
    pub(super) fn batch_time(&self) -> Duration {
        let retry = &self.headwater.resilience_settings().retry;
        // What servers wait unless they are told otherwise.
        let held = self.options.max_await_time.unwrap_or(Duration::from_secs(1));
        held + retry.attempt_timeout.unwrap_or(retry.deadline)
    }
}
