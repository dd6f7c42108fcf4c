//! What the connector costs beside the bare driver: processor time of the client's one thread, in rounds that alternate
//! between the connector and a client of the driver alone, which nobody listens to. The database runs on threads of its
//! own, which are not counted.

use std::time::Instant;

use headwater::Collection;
use headwater::bson::{Document, doc};
use headwater::mongodb;

use super::figures::{median, thread_cpu_ns};
use super::{Plan, Subject, told};

/// More rounds than for the table: a share of a few per cent is looked for.
const ROUNDS_EACH: usize = 4;

#[derive(Clone, Copy)]
enum Way {
    Bare,
    Connector,
}

/// Processor time and time of one operation, in microseconds.
#[derive(Clone, Copy)]
struct Cost {
    cpu_us: f64,
    wall_us: f64,
}

pub(super) fn run(plan: &Plan) -> Result<(), String> {
    // One thread, so that all the client does is on its account.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(measure(plan))
}

async fn measure(plan: &Plan) -> Result<(), String> {
    let subject = Subject::open(&Plan { in_memory: true, ..plan.clone() }).await?;
    let things = subject.headwater.database("bench").collection::<Document>("overhead");
    things.drop_collection().await.map_err(told)?;
    let driver = mongodb::Client::with_uri_str(subject.headwater.uri()).await;
    let driver = driver.map_err(|error| error.to_string())?;
    let bare_things = driver.database("bench").collection::<Document>("overhead");
    println!("processor time of the client per operation, {} operations a round", plan.operations);
    println!("operation     bare µs  connector µs  overhead %   (time: bare µs, connector µs)");
    for name in ["insert_one", "find_one"] {
        let (mut bare, mut ours, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=plan.rounds * ROUNDS_EACH {
            // Who begins alternates too.
            let ways = [Way::Bare, Way::Connector];
            let (first, second) = (ways[round % 2], ways[(round + 1) % 2]);
            let one = cost(&things, &bare_things, name, first, plan.operations).await?;
            let other = cost(&things, &bare_things, name, second, plan.operations).await?;
            let (driver, connector) = if round % 2 == 0 { (one, other) } else { (other, one) };
            // The first round warms up.
            if round > 0 {
                shares.push((connector.cpu_us / driver.cpu_us - 1.0) * 100.0);
                bare.push(driver);
                ours.push(connector);
            }
        }
        let of = |costs: &[Cost], value: fn(&Cost) -> f64| {
            median(&costs.iter().map(value).collect::<Vec<f64>>())
        };
        println!(
            "{name:<12} {:>8.2} {:>13.2} {:>11.2}   ({:.2}, {:.2})",
            of(&bare, |cost| cost.cpu_us),
            of(&ours, |cost| cost.cpu_us),
            median(&shares),
            of(&bare, |cost| cost.wall_us),
            of(&ours, |cost| cost.wall_us),
        );
    }
    subject.headwater.close().await;
    Ok(())
}

async fn cost(
    things: &Collection<Document>,
    driver: &mongodb::Collection<Document>,
    name: &str,
    way: Way,
    operations: usize,
) -> Result<Cost, String> {
    let (begun, before) = (Instant::now(), thread_cpu_ns()?);
    for number in 0..operations {
        match (name, way) {
            ("insert_one", Way::Bare) => {
                driver.insert_one(thing(number)).await.map_err(|error| error.to_string())?;
            }
            ("insert_one", Way::Connector) => {
                things.insert_one(thing(number)).await.map_err(told)?;
            }
            (_, Way::Bare) => {
                let found = driver.find_one(wanted(number)).await;
                found.map_err(|error| error.to_string())?.ok_or("nothing found")?;
            }
            (_, Way::Connector) => {
                let found = things.find_one(wanted(number)).await.map_err(told)?;
                found.ok_or("nothing found")?;
            }
        }
    }
    let each = |ns: f64| ns / 1e3 / operations as f64;
    let cpu_us = each(thread_cpu_ns()? - before);
    Ok(Cost { cpu_us, wall_us: each(begun.elapsed().as_nanos() as f64) })
}

fn thing(number: usize) -> Document {
    doc! { "number": number as i64, "name": "a thing of the bench", "price": 12.5 }
}

/// The first of many: no index is needed to find it soon.
fn wanted(_: usize) -> Document {
    doc! { "number": 0_i64 }
}
