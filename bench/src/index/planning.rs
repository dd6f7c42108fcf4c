//! What choosing a plan takes: a query that one document answers, with more and more indexes that it bounds, beside the same
//! query with its best index named, which leaves nothing to choose.

use headwater_engine::bson::DocWriter;

use super::reading::{measure, median, number};
use super::{Database, FIELDS, Plan};

const ROUNDS: u64 = 5;

pub(super) fn run(plan: &Plan) -> Result<(), String> {
    let database = Database::open(plan)?;
    database.insert(0, plan.documents, 1000)?;
    println!(
        "| indexes that the filter bounds | processor us | with a hint | choosing, us | of it |"
    );
    println!("|---|---|---|---|---|");
    for count in 1..=FIELDS.len() {
        database.create(&FIELDS[count - 1..count])?;
        let (mut free, mut hinted) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let pick = |n: u64| (n + round * 7919).wrapping_mul(0x9E37_79B9) % plan.documents;
            free.push(measure(|n| find(&database, pick(n), false))?);
            hinted.push(measure(|n| find(&database, pick(n), true))?);
        }
        let (free, hinted) = (median(&mut free), median(&mut hinted));
        let choosing = free - hinted;
        let part = 100.0 * choosing / free;
        println!("| {count} | {free:.2} | {hinted:.2} | {choosing:.2} | {part:.0} % |");
    }
    Ok(())
}

fn find(database: &Database, at: u64, hinted: bool) -> Result<(), String> {
    let filter = |find: &mut DocWriter| {
        find.i64("number", number(at) as i64);
        find.document("code", |code| code.str("$gte", ""));
        find.document("price", |price| price.f64("$gte", 0.0));
        find.document("at", |at| at.date("$gte", 0));
        find.document("count", |count| count.i32("$gte", 0));
    };
    database.run("find", |find| {
        find.document("filter", filter);
        if hinted {
            find.str("hint", "number_1");
        }
    })?;
    Ok(())
}
