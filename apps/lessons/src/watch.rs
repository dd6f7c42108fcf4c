//! Lecture 5, change streams: every change of the inventory, as the server tells it.

use headwater::{JsonMode, ToJson};

use crate::arguments::Arguments;
use crate::deployment::Deployment;
use crate::error::Result;
use crate::follow::{Follower, Step};
use crate::inventory;
use crate::low_stock::{DROPPED, HISTORY_LOST};
use crate::output;
use crate::stop::Stop;

/// Prints the documents of the inventory and then each event, until told to end.
///
/// # Errors
/// The server has no change streams, or does not answer at the start.
pub async fn run(deployment: &Deployment, arguments: &Arguments, mut stop: Stop) -> Result<()> {
    let inventory = inventory::of(deployment);
    inventory::fill_if_empty(&inventory).await?;
    let changes = match (arguments.whole_deployment, arguments.whole_database) {
        (true, _) => deployment.headwater().watch(),
        (false, true) => deployment.database().watch(),
        (false, false) => inventory.watch(),
    };
    let mut follower = Follower::open(changes, deployment.database(), None).await?;
    let mut events = 0;
    while arguments.events.is_none_or(|limit| events < limit) {
        let Some(step) = follower.next(&mut stop).await? else { break };
        match step {
            Step::Documents(documents) => {
                for document in documents {
                    output::line(&document.to_json(JsonMode::Relaxed))?;
                }
            }
            Step::Event(event, _) => {
                output::line(&event.to_json(JsonMode::Relaxed))?;
                events += 1;
                if event.get_str("operationType").ok() == Some("invalidate") {
                    output::note(DROPPED);
                }
            }
            Step::Quiet(_) => {}
            Step::HistoryLost => output::note(HISTORY_LOST),
        }
    }
    Ok(())
}
