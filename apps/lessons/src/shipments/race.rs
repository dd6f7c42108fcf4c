//! Many clients that want the same truck at the same moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater::Headwater;
use headwater::bson::{Bson, doc};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::dispatch::{Dispatch, Outcome, Shipment};
use super::{WANTED, Yard};
use crate::arguments::Arguments;
use crate::deployment::Deployment;
use crate::error::{Error, Result};
use crate::expectations::Expectations;
use crate::output;

/// Lets `clients` tasks ask for truck 4 while the first trucks are busy; each in a transaction, if there is a connection
/// for that.
pub(super) async fn run(
    deployment: &Deployment,
    yard: &Yard,
    arguments: &Arguments,
    clients: u32,
    transactions: Option<Headwater>,
) -> Result<()> {
    let mut expectations = Expectations::default();
    let trucks = arguments.trucks;
    let busy = arguments.busy.min(trucks);
    let mut random = deployment.random(0);
    yard.clear().await?;
    yard.fill_trucks(trucks, &mut random).await?;
    if busy > 0 {
        yard.fill_shipments(busy, &mut random).await?;
    }
    let (mut sent, mut without, mut most) = (0_u32, 0_u32, 0);
    let begin = Arc::new(Barrier::new(usize::try_from(clients).unwrap_or(usize::MAX)));
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let salt = 1 + u64::from(client);
        let mut dispatch = Dispatch::new(yard.clone(), deployment.random(salt))
            .in_transactions(transactions.clone());
        let begin = begin.clone();
        tasks.spawn(async move {
            begin.wait().await;
            let shipment = Shipment::of(WANTED, "New York", "Atlanta", "socks", 40);
            (dispatch.send(&shipment).await, dispatch.attempts())
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (outcome, attempts) = done.map_err(|error| Error::failed(error.to_string()))?;
        match outcome? {
            Outcome::Sent(_) | Outcome::Instead(_) => sent += 1,
            _ => without += 1,
        }
        most = most.max(attempts);
    }
    output::line(&format!("{sent} shipments sent, {without} without a truck"))?;
    if arguments.verbose {
        output::note(&format!("at most {most} attempts for a shipment"));
    }
    let free = u32::try_from(trucks - busy).unwrap_or_default();
    expectations.expect(sent == clients.min(free), || format!("{} sent", clients.min(free)));
    // A transaction begins again for as long as it takes.
    let bounded = transactions.is_none();
    expectations.expect(!bounded || most <= usize::try_from(trucks).unwrap_or_default(), || {
        "no more attempts than trucks".to_owned()
    });

    let used = yard.shipments.find_many(doc! {}).await?;
    let different: BTreeSet<i32> = used
        .iter()
        .filter_map(|shipment| shipment.get("truck_id").and_then(Bson::as_i32))
        .collect();
    let once = different.len() == used.len();
    let answer = if once { "yes" } else { "no" };
    output::line(&format!("every truck at most once: {answer}"))?;
    expectations.expect(once, || "no truck twice".to_owned());
    expectations.expect(used.len() == usize::try_from(busy).unwrap_or(0) + sent as usize, || {
        "a document for each shipment that was sent".to_owned()
    });
    expectations.met()
}
