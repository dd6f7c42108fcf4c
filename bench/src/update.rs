//! What it costs to apply an update to a document in memory, beside copying the document.

use std::hint::black_box;
use std::time::Instant;

use headwater_engine::bson::{DocBuf, extjson};
use headwater_engine::update::{Now, Outcome, Update, UpdateOptions};

const NOW: Now = Now { ms: 1_700_000_000_000, timestamp: 1 << 32 };
const ROUNDS: u32 = 200_000;
const REPEATS: usize = 5;

const UPDATES: &[(&str, &str)] = &[
    ("$inc of a field", r#"{"$inc": {"n": 1}}"#),
    ("$set of a field", r#"{"$set": {"status": "done"}}"#),
    ("$set of a new field", r#"{"$set": {"fresh": 1}}"#),
    ("$set three levels down", r#"{"$set": {"o.p.q": 2}}"#),
    (
        "$set of five fields",
        r#"{"$set": {"n": 2, "status": "x", "o.p.q": 1, "a.3": 7, "fresh": 1}}"#,
    ),
    ("$push to 100 elements", r#"{"$push": {"a": 101}}"#),
    ("$addToSet to 100 elements", r#"{"$addToSet": {"a": 101}}"#),
    ("$pull of 100 elements", r#"{"$pull": {"a": 50}}"#),
    ("replacement", r#"{"x": 1, "y": {"z": [1, 2, 3]}}"#),
    ("pipeline $set", r#"[{"$set": {"n": {"$add": ["$n", 1]}}}]"#),
];

/// Prints nanoseconds per update, the best of some repeats.
pub(crate) fn run(_: &[String]) -> Result<(), String> {
    let document = document()?;
    let bytes = document.as_doc().as_bytes();
    println!("a document of {} bytes; nanoseconds", bytes.len());
    report("copying it", || {
        black_box(black_box(bytes).to_vec());
        Ok(())
    })?;
    for (name, text) in UPDATES {
        let wrapped = extjson::parse(&format!("{{\"u\": {text}}}")).map_err(|e| e.to_string())?;
        let update = wrapped.as_doc().get("u").ok_or("an update")?;
        let update = Update::parse(update, &UpdateOptions::default()).map_err(|e| e.to_string())?;
        report(name, || match black_box(&update).apply(document.as_doc(), None, &NOW) {
            Ok(Outcome::Changed { document, description }) => {
                black_box((document, description));
                Ok(())
            }
            other => Err(format!("{name}: {other:?}")),
        })?;
    }
    Ok(())
}

fn report(name: &str, mut once: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            once()?;
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(ROUNDS));
    }
    println!("{name:<28} {:>8.0}", best * 1e9);
    Ok(())
}

/// About 2 KB: an `_id`, a number, some texts, a nested document, an array of 100 numbers.
fn document() -> Result<DocBuf, String> {
    let array: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    let text = format!(
        r#"{{"_id": {{"$oid": "0123456789abcdef01234567"}}, "status": "new", "n": 1, "text": "{}",
            "o": {{"p": {{"q": 1}}}}, "a": [{}], "end": true}}"#,
        "x".repeat(900),
        array.join(",")
    );
    extjson::parse(&text).map_err(|e| e.to_string())
}
