//! Sending a truck: the one that is wanted, or another one that is free, whoever else sends trucks at the same time.
//!
//! Nothing is reserved: the unique index decides, and whoever is refused tries the next truck. A truck that was refused
//! is not tried again, so there are at most as many attempts as trucks.

use std::collections::BTreeSet;

use headwater::bson::oid::ObjectId;
use headwater::bson::{Bson, Document, doc};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::{INDEX, Yard};
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

    fn with(&self, truck: i32) -> Document {
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
    attempts: usize,
}

/// What the collection said to an insert.
enum Answer {
    Inserted,
    Busy,
}

impl Dispatch {
    /// With its own source of chance, which spreads dispatchers over the free trucks.
    pub(super) fn new(yard: Yard, random: StdRng) -> Dispatch {
        Dispatch { yard, random, attempts: 0 }
    }

    /// How many inserts the last shipment took.
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
            Answer::Inserted => Outcome::Sent(shipment.id),
            Answer::Busy => Outcome::Busy,
        })
    }

    /// Sends the wanted truck, or another one that is free.
    ///
    /// # Errors
    /// Everything but a truck that is busy.
    pub async fn send(&mut self, shipment: &Shipment) -> Result<Outcome> {
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
                    Answer::Inserted => return Ok(Outcome::Instead(truck)),
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
            return Ok(Answer::Inserted);
        };
        let Some(key) = error.duplicate_key() else { return Err(error.into()) };
        if key.index.as_deref() == Some(INDEX) {
            return Ok(Answer::Busy);
        }
        // The same request again is no error; another one under its id is.
        match self.yard.shipments.find_by_id(shipment.id).await? {
            Some(there) if there == document => Ok(Answer::Inserted),
            _ => Err(error.into()),
        }
    }
}
