//! Lecture 5, change streams: a warning when a fruit is running out.

pub mod ledger;
pub mod state;
pub mod thresholds;

use headwater::bson::{Document, doc};
use headwater::{JsonMode, ResumeToken, ToJson};

use self::ledger::{Ledger, Warning};
use self::state::StateFile;
use crate::arguments::Arguments;
use crate::deployment::Deployment;
use crate::error::Result;
use crate::follow::{Follower, Step};
use crate::inventory;
use crate::output;
use crate::stop::Stop;

/// Said when the collection was dropped.
pub const DROPPED: &str = "inventory was dropped, watching the new one";
/// Said when the server does not know the position any more.
pub const HISTORY_LOST: &str = "the history of changes is lost, reading the inventory anew";

/// Warns until told to end.
///
/// # Errors
/// The server has no change streams, or does not answer at the start; the state file cannot be used.
pub async fn run(deployment: &Deployment, arguments: &Arguments, mut stop: Stop) -> Result<()> {
    let inventory = inventory::of(deployment);
    let mut ledger = Ledger::new(arguments.below.clone(), arguments.every);
    let file = arguments.state.as_ref();
    let file = file.map(|path| StateFile::new(path, inventory.namespace()));
    let place = match &file {
        Some(file) => file.read(&mut ledger)?,
        None => None,
    };
    let mut watcher = Watcher { ledger, file, json: arguments.json, place, warnings: 0 };
    let changes = inventory.watch().pipeline([filter(&arguments.below, arguments.every)]);
    let mut follower =
        Follower::open(changes, deployment.database(), watcher.place.clone()).await?;
    while arguments.events.is_none_or(|limit| watcher.warnings < limit) {
        let Some(step) = follower.next(&mut stop).await? else { break };
        watcher.take(step)?;
    }
    watcher.keep()
}

/// What the stream lets through: quantities, and what ends a fruit or the collection.
fn filter(below: &thresholds::Thresholds, every: bool) -> Document {
    let ends = ["delete", "drop", "rename", "dropDatabase", "invalidate"];
    if every {
        let low = doc! { "$lt": below.highest() };
        return doc! { "$match": { "$or": [
            { "fullDocument.quantity": low.clone() },
            // The lookup may find a later quantity than the event's.
            { "updateDescription.updatedFields.quantity": low },
            { "operationType": { "$in": ends.to_vec() } },
        ] } };
    }
    let mut kinds = vec!["insert", "replace"];
    kinds.extend(ends);
    doc! { "$match": { "$or": [
        { "updateDescription.updatedFields.quantity": { "$exists": true } },
        { "operationType": { "$in": kinds } },
    ] } }
}

struct Watcher {
    ledger: Ledger,
    file: Option<StateFile>,
    json: bool,
    /// Everything up to here has been said; none before the first event.
    place: Option<ResumeToken>,
    warnings: u64,
}

impl Watcher {
    fn take(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Documents(documents) => {
                for warning in self.ledger.start(&documents) {
                    self.say(&warning)?;
                }
                Ok(())
            }
            Step::Event(event, place) => self.event(&event, place),
            Step::Quiet(place) => {
                if place != self.place {
                    self.place = place;
                    self.keep()?;
                }
                Ok(())
            }
            Step::HistoryLost => output::line(HISTORY_LOST),
        }
    }

    fn event(&mut self, event: &Document, place: ResumeToken) -> Result<()> {
        let warning = self.ledger.event(event);
        if let Some(warning) = &warning {
            self.say(warning)?;
        }
        self.place = Some(place);
        if event.get_str("operationType").ok() == Some("invalidate") {
            self.ledger.forget();
            output::line(DROPPED)?;
        }
        // Between warnings a repeated event changes nothing, so the place may lag behind.
        if warning.is_some() { self.keep() } else { Ok(()) }
    }

    fn say(&mut self, warning: &Warning) -> Result<()> {
        self.warnings += 1;
        let Warning { fruit, quantity } = warning;
        if self.json {
            let line = doc! { "type": fruit, "quantity": quantity };
            return output::line(&line.to_json(JsonMode::Relaxed));
        }
        output::line(&format!("There are only {quantity} units left of {fruit}!"))
    }

    fn keep(&self) -> Result<()> {
        match &self.file {
            Some(file) => file.write(&self.ledger, self.place.as_ref()),
            None => Ok(()),
        }
    }
}
