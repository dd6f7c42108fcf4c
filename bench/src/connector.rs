//! The connector on the embedded database: what it costs beside the bare driver, and the six figures of its promises.
//!
//! `connector [overhead|table] [--rounds N] [--operations N] [--documents N] [--memory] [--uri URI] [--only ROW]`
//!
//! `--only` measures the rows of the table whose name holds the word.

mod figures;
mod overhead;
mod table;

use headwater::Headwater;

/// What to measure, and how much of it.
#[derive(Clone)]
struct Plan {
    overhead: bool,
    table: bool,
    rounds: usize,
    operations: usize,
    documents: usize,
    in_memory: bool,
    uri: Option<String>,
    only: Option<String>,
}

pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let plan = Plan::read(words)?;
    if plan.overhead {
        overhead::run(&plan)?;
    }
    if plan.table {
        table::run(&plan)?;
    }
    Ok(())
}

impl Plan {
    fn read(words: &[String]) -> Result<Plan, String> {
        let mut plan = Plan {
            overhead: true,
            table: true,
            rounds: 5,
            operations: 20_000,
            documents: 1_000_000,
            in_memory: false,
            uri: None,
            only: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = || {
                let number = words.next().and_then(|word| word.parse().ok());
                number.filter(|number| *number > 0).ok_or(format!("{word} needs a number"))
            };
            match word.as_str() {
                "overhead" => plan.table = false,
                "table" => plan.overhead = false,
                "--rounds" => plan.rounds = number()?,
                "--operations" => plan.operations = number()?,
                "--documents" => plan.documents = number()?,
                "--memory" => plan.in_memory = true,
                "--uri" => plan.uri = words.next().cloned(),
                "--only" => plan.only = words.next().cloned(),
                _ => return Err(format!("{word} is not understood")),
            }
        }
        Ok(plan)
    }
}

/// The database that is measured, and the folder that goes with it.
struct Subject {
    headwater: Headwater,
    _folder: Option<tempfile::TempDir>,
}

impl Subject {
    async fn open(plan: &Plan) -> Result<Subject, String> {
        let (headwater, folder) = match &plan.uri {
            Some(uri) => (Headwater::connect(uri).await, None),
            None if plan.in_memory => (Headwater::open_in_memory().await, None),
            None => {
                let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
                (Headwater::open(folder.path().join("data")).await, Some(folder))
            }
        };
        Ok(Subject { headwater: headwater.map_err(|error| error.to_string())?, _folder: folder })
    }
}

fn told(error: headwater::Error) -> String {
    error.to_string()
}
