//! Measurements. `cargo run --release -p headwater-bench -- NAME`; without a name it lists them.

mod aggregate;
mod connector;
mod engine;
mod index;
mod processor;
mod query;
mod store;
mod update;
mod walker;
mod wire;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A measurement: its name, what it shows, how it runs.
type Row = (&'static str, &'static str, fn(&[String]) -> Result<(), String>);

const MEASUREMENTS: &[Row] = &[
    (
        "aggregate",
        "pipelines over a collection beside SQLite: aggregate [--documents N] [--rounds N] [--only WORD]",
        aggregate::run,
    ),
    ("bare", "the server in front of nothing, which `wire` measures: bare ADDR", wire::bare::run),
    (
        "connector",
        "the connector beside the bare driver, and its promises: connector [overhead|table] [--rounds N]",
        connector::run,
    ),
    ("echo", "the echo server that `wire` compares with: echo ADDR", wire::echo::run),
    ("engine", "commands through the engine without sockets", engine::run),
    ("index", "building indexes and writing with them: index [PART..] [--documents N]", index::run),
    ("query", "queries of whole collections beside a plain scan", query::run),
    ("start", "from the server's start to its first answer, its memory and size", wire::start::run),
    ("store", "the store beside LMDB alone and fjall: store [PART..] [--documents N]", store::run),
    ("store-load", "the process that `store` kills: store-load ENGINE FOLDER", store::load_forever),
    ("update", "updates of documents in memory, beside copying the document", update::run),
    ("walker", "the raw BSON walker on a filter of one field, beside the bson crate", walker::run),
    ("wire", "the server by its sockets, beside an echo server of the same framing", wire::run),
];

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = words.split_first() else {
        for (name, meaning, _) in MEASUREMENTS {
            println!("{name:<10} {meaning}");
        }
        return std::process::ExitCode::SUCCESS;
    };
    let result = match MEASUREMENTS.iter().find(|row| row.0 == name) {
        Some((_, _, run)) => run(rest),
        None => Err(format!("no measurement is called {name}")),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
