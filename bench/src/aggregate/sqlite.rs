//! The groupings of `$group`, by SQLite over a table with the same fields, in memory.

use std::time::Instant;

use rusqlite::{Connection, params};

use super::data::sale;
use super::{Plan, report};
use crate::processor::processor_us;

const QUERIES: [(&str, &str); 2] = [
    (
        "SQLite, GROUP BY a text of 10",
        "SELECT city, SUM(quantity), AVG(price) FROM sales GROUP BY city",
    ),
    (
        "SQLite, GROUP BY an integer of 100k",
        "SELECT article, SUM(quantity), AVG(price) FROM sales GROUP BY article",
    ),
];

/// Fills the table and runs the queries.
pub(super) fn run(plan: &Plan) -> Result<(), String> {
    let queries: Vec<_> = QUERIES.iter().filter(|(name, _)| plan.wants(name)).collect();
    if queries.is_empty() {
        return Ok(());
    }
    let connection = filled(plan.documents).map_err(|error| error.to_string())?;
    for (name, query) in queries {
        let mut taken = Vec::new();
        for _ in 0..plan.rounds {
            let (begun, before) = (Instant::now(), processor_us());
            drain(&connection, query).map_err(|error| error.to_string())?;
            taken.push((processor_us() - before, begun.elapsed().as_secs_f64()));
        }
        report(name, plan.documents, &taken, "-");
    }
    Ok(())
}

fn filled(documents: u64) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.execute_batch(
        "CREATE TABLE sales (id INTEGER PRIMARY KEY, city TEXT, article INTEGER, number INTEGER, \
         quantity INTEGER, price REAL, at INTEGER, shop INTEGER, note TEXT)",
    )?;
    let transaction = connection.transaction()?;
    {
        let mut insert =
            transaction.prepare("INSERT INTO sales VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        for at in 0..documents {
            let row = sale(at);
            insert.execute(params![
                row.id,
                row.city,
                row.article,
                row.number,
                row.quantity,
                row.price,
                row.at_ms,
                row.shop,
                row.note
            ])?;
        }
    }
    transaction.commit()?;
    Ok(connection)
}

fn drain(connection: &Connection, query: &str) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| row.get::<_, f64>(2))?;
    Ok(rows.count())
}
