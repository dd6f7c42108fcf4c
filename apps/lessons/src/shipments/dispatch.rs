//! Sending a truck: the one that is wanted, or another one that is free, whoever else sends trucks at the same time.
//!
//! Unless transactions do it in one step, nothing is reserved: the unique index decides, and whoever is refused tries
//! the next truck. A truck that was refused is not tried again, so there are at most as many attempts as trucks.

use std::collections::BTreeSet;

use headwater::Headwater;
use headwater::bson::oid::ObjectId;
use headwater::bson::{Bson, Document, doc};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::{INDEX, Yard, reserve};
use crate::error::Result;

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Shipment {
    id: ObjectId,
    truck: i32,
    goods: Document,
}

impl Shipment {
    /// A shipment that is wanted with a truck. The same value sent twice is one shipment.
    pub fn of(truck: i32, source: &str, destination: &str, product: &str, quantity: i32) -> Self {
        let goods = doc! {
            "source": source,
            "destination": destination,
            "product": product,
            "quantity": quantity,
        };
        Shipment { id: ObjectId::new(), truck, goods }
    }

    /// The truck that is wanted.
    pub(super) fn truck(&self) -> i32 {
        self.truck
    }

    /// What became of it when that truck took it.
    pub(super) fn sent_with(&self, truck: i32) -> Outcome {
        if truck == self.truck { Outcome::Sent(self.id) } else { Outcome::Instead(truck) }
    }

    /// Its document, under way with a truck.
    pub(super) fn with(&self, truck: i32) -> Document {
        let mut document = doc! { "_id": self.id, "truck_id": truck };
        document.extend(self.goods.clone());
        document
    }
}

/// What became of a shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The truck that was wanted is under way, with this id.
    Sent(ObjectId),
    /// Another truck is under way.
    Instead(i32),
    /// The truck is under way already, and no other one was looked for.
    Busy,
    /// The truck is under way already, and so is every other one.
    NoneLeft,
    /// There is no such truck.
    Unknown,
}

impl Outcome {
    /// The line for the user who wanted a truck.
    pub fn message(&self, truck: i32) -> String {
        let busy = format!("Truck #{truck} is currently performing a shipment.");
        match self {
            Outcome::Sent(id) => id.to_hex(),
            Outcome::Instead(other) => format!("{busy} Truck #{other} has been sent out instead."),
            Outcome::Busy => format!("{busy} Please select another truck."),
            Outcome::NoneLeft => format!("{busy} Could not find another truck."),
            Outcome::Unknown => format!("Truck #{truck} does not exist."),
        }
    }
}

/// Sends trucks, one after the other.
pub struct Dispatch {
    yard: Yard,
    random: StdRng,
    /// Where each shipment is a transaction.
    transactions: Option<Headwater>,
    attempts: usize,
}

/// What the collection said to an insert.
enum Answer {
    /// The shipment is under way with this truck, since now or since the same request before.
    Sent(i32),
    Busy,
}

impl Dispatch {
    /// With its own source of chance, which spreads dispatchers over the free trucks.
    pub(super) fn new(yard: Yard, random: StdRng) -> Dispatch {
        Dispatch { yard, random, transactions: None, attempts: 0 }
    }

    /// Sends each shipment in a transaction of the connection, if there is one.
    pub(super) fn in_transactions(mut self, of: Option<Headwater>) -> Dispatch {
        self.transactions = of;
        self
    }

    /// How many inserts, or runs of its transaction, the last shipment took.
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// Sends the wanted truck or none.
    ///
    /// # Errors
    /// Everything but a truck that is busy.
    pub async fn send_with(&mut self, shipment: &Shipment) -> Result<Outcome> {
        self.attempts = 0;
        Ok(match self.insert(shipment, shipment.truck).await? {
            Answer::Sent(truck) => shipment.sent_with(truck),
            Answer::Busy => Outcome::Busy,
        })
    }

    /// Sends the wanted truck, or another one that is free.
    ///
    /// # Errors
    /// Everything but a truck that is busy.
    pub async fn send(&mut self, shipment: &Shipment) -> Result<Outcome> {
        if let Some(headwater) = self.transactions.clone() {
            let chance = self.random.random();
            let (outcome, runs) = reserve::send(&headwater, &self.yard, shipment, chance).await?;
            self.attempts = runs;
            return Ok(outcome);
        }
        if self.yard.trucks.find_by_id(shipment.truck).await?.is_none() {
            self.attempts = 0;
            return Ok(Outcome::Unknown);
        }
        let first = self.send_with(shipment).await?;
        if first != Outcome::Busy {
            return Ok(first);
        }
        let mut refused = BTreeSet::from([shipment.truck]);
        loop {
            let mut free = self.free(&refused).await?;
            if free.is_empty() {
                return Ok(Outcome::NoneLeft);
            }
            // Each dispatcher in an order of its own: they do not all run after the same truck.
            free.shuffle(&mut self.random);
            for truck in free {
                match self.insert(shipment, truck).await? {
                    Answer::Sent(truck) => return Ok(shipment.sent_with(truck)),
                    Answer::Busy => refused.insert(truck),
                };
            }
        }
    }

    /// The trucks that are not under way, without those that refused already.
    async fn free(&self, refused: &BTreeSet<i32>) -> Result<Vec<i32>> {
        let busy = self.yard.shipments.distinct("truck_id", doc! {}).await?;
        let busy: BTreeSet<i32> = busy.iter().filter_map(Bson::as_i32).collect();
        let all = self.yard.trucks.distinct("_id", doc! {}).await?;
        let free = all.iter().filter_map(Bson::as_i32);
        Ok(free.filter(|truck| !busy.contains(truck) && !refused.contains(truck)).collect())
    }

    async fn insert(&mut self, shipment: &Shipment, truck: i32) -> Result<Answer> {
        self.attempts += 1;
        let document = shipment.with(truck);
        let Err(error) = self.yard.shipments.insert_one(&document).await else {
            return Ok(Answer::Sent(truck));
        };
        let Some(key) = error.duplicate_key() else { return Err(error.into()) };
        if key.index.as_deref() == Some(INDEX) {
            return Ok(Answer::Busy);
        }
        // The same request again is no error, whichever truck took it; another one under its id is.
        let there = self.yard.shipments.find_by_id(shipment.id).await?;
        let with = there.as_ref().and_then(|there| there.get_i32("truck_id").ok());
        match with {
            Some(truck) if there == Some(shipment.with(truck)) => Ok(Answer::Sent(truck)),
            _ => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    async fn yard() -> (Headwater, Yard) {
        let headwater = Headwater::open_in_memory().await.unwrap();
        let yard = Yard {
            shipments: headwater.collection("shipments"),
            trucks: headwater.collection("trucks"),
        };
        yard.clear().await.unwrap();
        yard.fill_trucks(8, &mut StdRng::seed_from_u64(1)).await.unwrap();
        (headwater, yard)
    }

    fn socks(truck: i32) -> Shipment {
        Shipment::of(truck, "New York", "Atlanta", "socks", 40)
    }

    #[tokio::test]
    async fn l3_the_same_request_again_is_success_whichever_truck_took_it() {
        let (_headwater, yard) = yard().await;
        let mut dispatch = Dispatch::new(yard.clone(), StdRng::seed_from_u64(1));
        let (first, second) = (socks(4), socks(4));
        let sent = dispatch.send(&first).await.unwrap();
        assert_eq!(sent, Outcome::Sent(first.id));
        assert_eq!(dispatch.send(&first).await.unwrap(), sent);
        let instead = dispatch.send(&second).await.unwrap();
        assert!(matches!(instead, Outcome::Instead(_)), "{instead:?}");
        assert_eq!(dispatch.send(&second).await.unwrap(), instead);
        assert_eq!(yard.shipments.count(doc! {}).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn l3_another_shipment_under_the_same_id_is_an_error_and_no_busy_truck() {
        let (_headwater, yard) = yard().await;
        let mut dispatch = Dispatch::new(yard.clone(), StdRng::seed_from_u64(1));
        let first = socks(4);
        dispatch.send(&first).await.unwrap();
        let mut other = socks(5);
        other.id = first.id;
        other.goods.insert("quantity", 80);
        let error = dispatch.send(&other).await.unwrap_err();
        assert!(error.to_string().contains("duplicate key"), "{error}");
        assert_eq!(error.exit_code(), 1);
        let there = yard.shipments.find_many(doc! {}).await.unwrap();
        assert_eq!(there, [first.with(4)]);
    }
}
