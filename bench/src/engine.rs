//! The engine without any socket: nanoseconds of one thread per operation, commands as drivers send them.
//!
//! engine [--documents N] [--only NAME]

use std::time::Instant;

use headwater_engine::bson::{DocBuf, DocWriter};
use headwater_engine::request::{Mode, Step};
use headwater_engine::{Client, Engine, EngineOptions, Request};

const SESSION: [u8; 16] = [7; 16];

/// Runs every operation for a while and prints a table.
///
/// # Errors
/// Arguments that do not parse; a command that fails.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut documents = 100_000;
    let mut only = None;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--documents", Some(count)) => {
                documents = count.parse().map_err(|_| "--documents takes a number".to_owned())?;
            }
            ("--only", Some(name)) => only = Some(name.clone()),
            _ => return Err("engine [--documents N] [--only NAME]".to_owned()),
        }
    }
    let engine = Engine::open_in_memory(EngineOptions::default()).map_err(|e| e.to_string())?;
    let client = engine.client("bench", "bench");
    let bench = Bench { engine, client, documents };
    bench.load();
    println!("| operation, {documents} documents of 1 KB | ns |\n|---|---|");
    type Make = fn(&Bench, u64) -> DocBuf;
    let rows: [(&str, Make); 6] = [
        ("ping", |_, _| command("ping", "admin", |_| {})),
        ("find by _id", |bench, at| bench.find(at)),
        ("find all, batch of 101", |_, _| command("find", "bench", |_| {})),
        ("insertOne, session and txnNumber", |_, at| insert(1_000_000_000 + at, Some(at))),
        ("insertOne, plain", |_, at| insert(2_000_000_000 + at, None)),
        ("$inc by _id, plain", |bench, at| bench.increment(at)),
    ];
    for (name, make) in rows {
        if only.as_ref().is_none_or(|only| name.starts_with(only.as_str())) {
            println!("| {name} | {} |", bench.measure(make)?);
        }
    }
    Ok(())
}

struct Bench {
    engine: Engine,
    client: Client,
    documents: u64,
}

impl Bench {
    fn load(&self) {
        for at in 0..self.documents {
            let insert = insert(at, None);
            self.engine
                .run_command(&self.client, &Request { body: insert.as_doc(), sequences: &[] });
        }
    }

    fn find(&self, at: u64) -> DocBuf {
        let id = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.documents;
        command("find", "bench", |find| {
            find.document("filter", |filter| filter.i64("_id", id as i64));
            find.i32("limit", 1);
            find.bool("singleBatch", true);
            write_session(find, None);
        })
    }

    fn increment(&self, at: u64) -> DocBuf {
        let id = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.documents;
        command("update", "bench", |update| {
            update.array("updates", |updates| {
                updates.document(|entry| {
                    entry.document("q", |q| q.i64("_id", id as i64));
                    entry.document("u", |u| u.document("$inc", |inc| inc.i32("count", 1)));
                });
            });
            update.bool("ordered", true);
            write_session(update, None);
        })
    }

    /// The shortest of several runs: what is slower was the machine.
    fn measure(&self, make: impl Fn(&Bench, u64) -> DocBuf) -> Result<u128, String> {
        const RUN: u64 = 20_000;
        let mut best = u128::MAX;
        for round in 0..5 {
            let commands: Vec<DocBuf> =
                (0..RUN).map(|at| make(self, round * RUN + at + 1)).collect();
            let started = Instant::now();
            for command in &commands {
                let request = Request { body: command.as_doc(), sequences: &[] };
                let mut step = self.engine.start(&self.client, &request, Mode::Inline, None);
                if matches!(step, Step::Busy) {
                    step = self.engine.start(&self.client, &request, Mode::Blocking, None);
                }
                let (Step::Done(reply) | Step::WhenDurable { reply, .. }) = step else {
                    return Err("a command waits".to_owned());
                };
                if reply.as_doc().get("errmsg").is_some() {
                    return Err(format!("{reply:?}"));
                }
            }
            best = best.min(started.elapsed().as_nanos() / u128::from(RUN));
        }
        Ok(best)
    }
}

fn command(name: &str, db: &str, fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
    let mut doc = DocWriter::new();
    match name {
        "ping" => doc.i32(name, 1),
        _ => doc.str(name, "c"),
    }
    fill(&mut doc);
    doc.str("$db", db);
    doc.finish()
}

fn insert(id: u64, transaction: Option<u64>) -> DocBuf {
    command("insert", "bench", |insert| {
        insert.array("documents", |documents| {
            documents.document(|doc| {
                doc.i64("_id", id as i64);
                doc.str("name", "a name of some length");
                doc.i32("count", 17);
                doc.str("filler", &"x".repeat(940));
            });
        });
        insert.bool("ordered", true);
        write_session(insert, transaction);
    })
}

fn write_session(out: &mut DocWriter, transaction: Option<u64>) {
    out.document("lsid", |lsid| lsid.binary("id", 4, &SESSION));
    if let Some(number) = transaction {
        out.i64("txnNumber", number as i64);
    }
}
