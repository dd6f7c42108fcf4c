//! Inserting with five secondary indexes beside inserting with none.

use super::{Database, FIELDS, Plan, processor_us};

/// How many times the processor time of an insert without indexes one with five may take.
const REACH: f64 = 3.5;
const ROUNDS: u64 = 5;

pub(super) fn run(plan: &Plan) -> Result<(), String> {
    let (none, five) = (Database::open(plan)?, Database::open(plan)?);
    five.create(&FIELDS)?;
    let documents = plan.documents.min(500_000) / ROUNDS;
    println!(
        "| insert of documents of 1 KB, {ROUNDS} rounds of {documents} | processor us, no index | five | times | reach |"
    );
    println!("|---|---|---|---|---|");
    let mut next = 0;
    for (name, batch) in [("one with a command", 1), ("1000 with a command", 1000)] {
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (database, costs) in [&none, &five].into_iter().zip(&mut costs) {
                let before = processor_us();
                database.insert(next, next + documents, batch)?;
                costs.push((processor_us() - before) / documents as f64);
            }
            next += documents;
        }
        let [plain, indexed] = costs.map(|costs| costs.iter().sum::<f64>() / costs.len() as f64);
        let times = indexed / plain;
        println!("| {name} | {plain:.2} | {indexed:.2} | {times:.2} | {REACH} |");
    }
    Ok(())
}
