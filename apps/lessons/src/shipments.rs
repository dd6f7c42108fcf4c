//! Lecture 3, error handling: trucks, shipments, and a unique index that refuses a truck twice.

pub mod dispatch;
mod goods;
mod race;
mod reserve;

use headwater::bson::{Bson, Document, doc};
use headwater::collection::Index;
use headwater::{Collection, Headwater};
use rand::rngs::StdRng;

use self::dispatch::{Dispatch, Outcome, Shipment};
use crate::arguments::Arguments;
use crate::deployment::Deployment;
use crate::error::{Error, Result};
use crate::expectations::Expectations;
use crate::output;

/// The index that lets a truck be under way only once.
pub const INDEX: &str = "truck_id_1";
const SHIPMENTS: i32 = 30;
const TRUCKS: i32 = 50;
/// The truck that everybody asks for.
const WANTED: i32 = 4;

/// Shows the scenario: step by step, as a race, or as the end of one shipment.
///
/// # Errors
/// An expectation does not hold, or the server fails.
pub async fn run(deployment: &Deployment, arguments: &Arguments) -> Result<()> {
    let yard = Yard::of(deployment);
    let transactions = arguments.transaction.then(|| deployment.headwater().clone());
    if let Some(headwater) = &transactions {
        reserve::require_transactions(headwater, &yard).await?;
    }
    match (arguments.complete, arguments.clients) {
        (Some(truck), _) => yard.complete(truck).await,
        (None, Some(clients)) => {
            race::run(deployment, &yard, arguments, clients, transactions).await
        }
        (None, None) => steps(deployment, &yard, arguments.verbose, transactions).await,
    }
}

/// The two collections.
#[derive(Clone)]
pub(crate) struct Yard {
    shipments: Collection<Document>,
    trucks: Collection<Document>,
}

impl Yard {
    fn of(deployment: &Deployment) -> Yard {
        Yard {
            shipments: deployment.collection("shipments"),
            trucks: deployment.collection("trucks"),
        }
    }

    /// Both collections empty, with the index made before there is any data.
    async fn clear(&self) -> Result<()> {
        self.shipments.drop_collection().await?;
        self.trucks.drop_collection().await?;
        self.guard().await.map(drop)
    }

    /// Makes the index; its name.
    async fn guard(&self) -> Result<String> {
        let outcome = self.shipments.create_index(Index::on("truck_id").unique()).await;
        match outcome {
            Ok(name) => Ok(name),
            Err(error) if error.duplicate_key().is_some() => Err(Error::failed(format!(
                "no unique index on truck_id: {}",
                self.duplicates().await?.join(", ")
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// Which trucks are under way more than once.
    async fn duplicates(&self) -> Result<Vec<String>> {
        let pipeline = [
            doc! { "$group": { "_id": "$truck_id", "shipments": { "$sum": 1 } } },
            doc! { "$match": { "shipments": { "$gt": 1 } } },
            doc! { "$sort": { "_id": 1 } },
        ];
        let groups = self.shipments.aggregate(pipeline).all().await?;
        let text = |group: &Document| {
            let truck = group.get("_id").unwrap_or(&Bson::Null);
            let count = group.get("shipments").unwrap_or(&Bson::Null);
            format!("truck {truck} has {count} shipments")
        };
        Ok(groups.iter().map(text).collect())
    }

    async fn fill_shipments(&self, count: i32, random: &mut StdRng) -> Result<()> {
        let shipments = (0..count).map(|truck| goods::shipment(truck, random));
        let shipments: Vec<Document> = shipments.collect();
        self.shipments.insert_many(shipments).await?;
        Ok(())
    }

    async fn fill_trucks(&self, count: i32, random: &mut StdRng) -> Result<()> {
        let trucks = (0..count).map(|id| doc! { "_id": id, "license": goods::license(random) });
        let trucks: Vec<Document> = trucks.collect();
        self.trucks.insert_many(trucks).await?;
        Ok(())
    }

    async fn complete(&self, truck: i32) -> Result<()> {
        self.guard().await?;
        let removed = self.shipments.delete_one(doc! { "truck_id": truck }).await?;
        match removed {
            0 => Err(Error::failed(format!("Truck #{truck} is not performing a shipment."))),
            _ => output::line(&format!("Truck #{truck} has completed its shipment.")),
        }
    }
}

async fn steps(
    deployment: &Deployment,
    yard: &Yard,
    verbose: bool,
    transactions: Option<Headwater>,
) -> Result<()> {
    let mut expectations = Expectations::default();
    let mut random = deployment.random(0);
    yard.clear().await?;
    yard.fill_shipments(SHIPMENTS, &mut random).await?;
    let count = yard.shipments.count(doc! {}).await?;
    output::line(&count.to_string())?;
    expectations.expect(count == 30, || "30 shipments".to_owned());
    let first = yard.shipments.find_one(doc! { "truck_id": 0 }).await?;
    output::line(&shell(&first.unwrap_or_default()))?;
    let index = yard.guard().await?;
    output::line(&index)?;
    expectations.expect(index == INDEX, || format!("an index {INDEX}"));

    let socks = || Shipment::of(WANTED, "New York", "Atlanta", "socks", 40);
    let mut dispatch =
        Dispatch::new(yard.clone(), deployment.random(1)).in_transactions(transactions);
    let busy = dispatch.send_with(&socks()).await?;
    output::line(&busy.message(WANTED))?;
    expectations.expect(matches!(busy, Outcome::Busy), || "truck 4 to be busy".to_owned());

    yard.fill_trucks(TRUCKS, &mut random).await?;
    let count = yard.trucks.count(doc! {}).await?;
    output::line(&count.to_string())?;
    expectations.expect(count == 50, || "50 trucks".to_owned());
    let first = yard.trucks.find_by_id(0).await?;
    output::line(&shell(&first.unwrap_or_default()))?;
    reallocate(yard, &mut dispatch, verbose, &mut expectations).await?;

    yard.shipments.delete_one(doc! { "truck_id": WANTED }).await?;
    let last = dispatch.send(&socks()).await?;
    output::line(&last.message(WANTED))?;
    expectations.expect(matches!(last, Outcome::Sent(_)), || "truck 4 to be free".to_owned());
    expectations.met()
}

/// Twenty shipments with the free trucks, one too many, and one with a truck that does not exist.
async fn reallocate(
    yard: &Yard,
    dispatch: &mut Dispatch,
    verbose: bool,
    expectations: &mut Expectations,
) -> Result<()> {
    let mut sent = std::collections::BTreeSet::new();
    let socks = || Shipment::of(WANTED, "New York", "Atlanta", "socks", 40);
    for _ in 0..TRUCKS - SHIPMENTS {
        let outcome = dispatch.send(&socks()).await?;
        output::line(&outcome.message(WANTED))?;
        tell_attempts(dispatch, verbose);
        if let Outcome::Instead(truck) = outcome {
            expectations.expect((SHIPMENTS..TRUCKS).contains(&truck), || "a free truck".to_owned());
            sent.insert(truck);
        }
    }
    let count = yard.shipments.count(doc! {}).await?;
    expectations.expect(sent.len() == 20 && count == 50, || {
        format!("20 different trucks and 50 shipments, not {} and {count}", sent.len())
    });
    let outcome = dispatch.send(&socks()).await?;
    output::line(&outcome.message(WANTED))?;
    tell_attempts(dispatch, verbose);
    expectations.expect(matches!(outcome, Outcome::NoneLeft), || "no truck left".to_owned());
    let strange = Shipment::of(TRUCKS, "New York", "Atlanta", "socks", 40);
    let outcome = dispatch.send(&strange).await?;
    expectations.expect(matches!(outcome, Outcome::Unknown), || {
        "a truck that does not exist to be refused".to_owned()
    });
    if verbose {
        output::note(&outcome.message(TRUCKS));
    }
    Ok(())
}

fn tell_attempts(dispatch: &Dispatch, verbose: bool) {
    if verbose {
        output::note(&format!("{} attempts", dispatch.attempts()));
    }
}

/// A document as the shell prints it.
fn shell(document: &Document) -> String {
    let value = |value: &Bson| match value {
        Bson::ObjectId(id) => format!("ObjectId(\"{id}\")"),
        other => other.to_string(),
    };
    let fields: Vec<String> =
        document.iter().map(|(name, field)| format!("{name}: {}", value(field))).collect();
    format!("{{ {} }}", fields.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_as_in_the_shell() {
        let id = headwater::object_id("65a1b2c3d4e5f60718293a4b").unwrap();
        let document = doc! { "_id": id, "truck_id": 0, "source": "Miami" };
        assert_eq!(
            shell(&document),
            r#"{ _id: ObjectId("65a1b2c3d4e5f60718293a4b"), truck_id: 0, source: "Miami" }"#
        );
        assert_eq!(shell(&doc! { "_id": 0, "license": "A" }), r#"{ _id: 0, license: "A" }"#);
    }
}
