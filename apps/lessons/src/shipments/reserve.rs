//! Sending a truck in a transaction: looking for a free one and sending it are one step, which no two dispatchers take
//! with the same truck. Whoever comes second is told to begin again, which the connector does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater::bson::{Bson, doc};
use headwater::{ErrorKind, Headwater};

use super::Yard;
use super::dispatch::{Outcome, Shipment};
use crate::error::{Error, Result};

/// Sends the wanted truck, or another one that is free: which one of them `chance` decides. Also gives how often the
/// transaction ran.
///
/// # Errors
/// Everything but a truck that is busy.
pub(super) async fn send(
    headwater: &Headwater,
    yard: &Yard,
    shipment: &Shipment,
    chance: u64,
) -> Result<(Outcome, usize)> {
    let runs = AtomicUsize::new(0);
    let sent = headwater.transaction(None, |session| {
        runs.fetch_add(1, Ordering::Relaxed);
        // Only the driver's own operations take a session.
        let trucks = yard.trucks.driver().clone();
        let shipments = yard.shipments.driver().clone();
        let shipment = shipment.clone();
        Box::pin(async move {
            let all = trucks.distinct("_id", doc! {}).session(&mut *session).await?;
            let all: BTreeSet<i32> = all.iter().filter_map(Bson::as_i32).collect();
            if !all.contains(&shipment.truck()) {
                return Ok(Outcome::Unknown);
            }
            let busy = shipments.distinct("truck_id", doc! {}).session(&mut *session).await?;
            let busy: BTreeSet<i32> = busy.iter().filter_map(Bson::as_i32).collect();
            let Some(truck) = choose(shipment.truck(), &all, &busy, chance) else {
                return Ok(Outcome::NoneLeft);
            };
            shipments.insert_one(shipment.with(truck)).session(&mut *session).await?;
            Ok(shipment.sent_with(truck))
        })
    });
    let outcome = sent.await?;
    Ok((outcome, runs.into_inner()))
}

/// Refuses a deployment without transactions: it is asked by one that only reads.
///
/// # Errors
/// Exit code 3 if it has none; why it does not answer.
pub(super) async fn require_transactions(headwater: &Headwater, yard: &Yard) -> Result<()> {
    let asked = headwater.transaction(None, |session| {
        let trucks = yard.trucks.driver().clone();
        Box::pin(async move {
            trucks.find_one(doc! {}).session(&mut *session).await?;
            Ok(())
        })
    });
    match asked.await {
        Err(error) if error.kind() == ErrorKind::Transaction => Err(Error::refused(format!(
            "shipments --transaction needs transactions, which this deployment does not have: {error}"
        ))),
        asked => Ok(asked?),
    }
}

/// The wanted truck if it is free, else one of the others.
fn choose(wanted: i32, all: &BTreeSet<i32>, busy: &BTreeSet<i32>, chance: u64) -> Option<i32> {
    if !busy.contains(&wanted) {
        return Some(wanted);
    }
    let free: Vec<i32> = all.difference(busy).copied().collect();
    let at = chance.checked_rem(free.len() as u64)?;
    free.get(usize::try_from(at).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l1_the_wanted_truck_comes_first_and_chance_decides_among_the_others() {
        let all = BTreeSet::from([1, 2, 3, 4]);
        assert_eq!(choose(4, &all, &BTreeSet::new(), 7), Some(4));
        let busy = BTreeSet::from([2, 4]);
        let chosen: BTreeSet<_> =
            (0..9).map(|chance| choose(4, &all, &busy, chance).unwrap()).collect();
        assert_eq!(chosen, BTreeSet::from([1, 3]));
        assert_eq!(choose(4, &all, &all, 7), None);
    }
}
