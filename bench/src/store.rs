//! The store beside LMDB alone (synced) and fjall 3: interleaved rounds in one run, medians.
//! Parts: writes, reads, bulk, open, growth; all of them without a name.

mod engine;
mod fjall;
mod headwater;
mod lmdb;
mod parts;

use engine::{ENGINES, Failure};
use parts::Plan;

/// One figure of every engine, ours first.
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    figures: Vec<f64>,
    /// Whether more is better.
    more: bool,
}

/// `store [PART..] [--documents N] [--rounds N] [--seconds N] [--folder DIR]`
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    measure(words).map_err(|error| error.to_string())
}

fn measure(words: &[String]) -> Result<(), Failure> {
    let (plan, wanted) = Plan::parse(words)?;
    let names: Vec<_> = ENGINES.iter().map(|(name, _)| *name).collect();
    println!("| | unit | {} | ours / LMDB | ours / fjall |", names.join(" | "));
    println!("|---|---|{}---|---|", "---|".repeat(names.len()));
    for (name, part) in parts::PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part(&plan, &mut |row| print(&row))?;
        }
    }
    Ok(())
}

fn print(row: &Row) {
    let Row { name, unit, figures, more } = row;
    let cells: Vec<_> = figures.iter().map(|figure| spell(*figure)).collect();
    let ours = figures.first().copied().unwrap_or(f64::NAN);
    let ratio = |at: usize| match (figures.get(at), more) {
        (Some(other), true) => format!("{:.2}", ours / other),
        (Some(other), false) => format!("{:.2} of the time", ours / other),
        (None, _) => "-".to_owned(),
    };
    println!("| {name} | {unit} | {} | {} | {} |", cells.join(" | "), ratio(1), ratio(2));
}

fn spell(figure: f64) -> String {
    match figure {
        figure if figure >= 10_000.0 => format!("{:.0}k", figure / 1_000.0),
        figure if figure >= 100.0 => format!("{figure:.0}"),
        figure => format!("{figure:.2}"),
    }
}

/// `store-load ENGINE FOLDER`: writes with eight threads until it is killed.
pub(crate) fn load_forever(words: &[String]) -> Result<(), String> {
    let [name, folder] = words else { return Err("store-load ENGINE FOLDER".to_owned()) };
    parts::load_forever(name, folder.as_ref()).map_err(|error| error.to_string())
}
