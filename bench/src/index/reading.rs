//! Finding through indexes: one document by a secondary index beside one by `_id`, a covered range beside a fetched one, a
//! range with its documents beside what the store alone does for the same keys, a list of ids beside as many finds.

use std::ops::Bound;

use headwater_engine::bson::{DocWriter, Raw, Value};
use headwater_store::{Direction, Options, Read, Store, Table};

use super::{Database, Plan, processor_us, write_document};

const ROUNDS: u64 = 5;
/// Processor time that each measurement takes at least, in microseconds.
const TAKES_US: f64 = 400_000.0;
const DOCUMENTS: Table = Table(1);
const INDEX: Table = Table(2);
/// Documents of a range.
const RANGE: u64 = 100;

pub(super) fn run(plan: &Plan) -> Result<(), String> {
    let database = Database::open(plan)?;
    database.insert(0, plan.documents, 1000)?;
    database.create(&["number"])?;
    let alone = Alone::filled(plan)?;
    let mut numbers: Vec<u64> = (0..plan.documents).map(number).collect();
    numbers.sort_unstable();
    println!(
        "{} documents of 1 KB; microseconds of processor time, {ROUNDS} rounds",
        plan.documents
    );
    let picks =
        |round: u64| move |n: u64| (n + round * 7919).wrapping_mul(0x9E37_79B9) % plan.documents;
    let mut rows: Vec<(&str, Vec<f64>)> = Vec::new();
    for round in 0..ROUNDS {
        let pick = picks(round);
        let range = |n: u64| {
            let at = (pick(n) as usize).min(numbers.len().saturating_sub(RANGE as usize + 1));
            (numbers[at], numbers[at + RANGE as usize])
        };
        let by_id = measure(|n| database.find(|find| find.i64("_id", pick(n) as i64), &[], 1))?;
        let by_number =
            measure(|n| database.find(|find| find.i64("number", number(pick(n)) as i64), &[], 1))?;
        let bounds = |find: &mut DocWriter, (from, to): (u64, u64)| {
            find.document("number", |number| {
                number.i64("$gte", from as i64);
                number.i64("$lt", to as i64);
            });
        };
        let whole = measure(|n| database.find(|find| bounds(find, range(n)), &[], RANGE))?;
        let projected =
            measure(|n| database.find(|find| bounds(find, range(n)), &["number", "count"], RANGE))?;
        let covered =
            measure(|n| database.find(|find| bounds(find, range(n)), &["number"], RANGE))?;
        let store = measure(|n| alone.range(range(n)))?;
        let list = measure(|n| {
            let ids = |find: &mut DocWriter| {
                find.document("_id", |id| {
                    id.array("$in", |list| {
                        let id = |k| Value::i64(pick(n * 100 + k) as i64);
                        (0..100).for_each(|k| id(k).raw().into_iter().for_each(|id| list.raw(id)));
                    });
                });
            };
            database.find(ids, &[], 0)
        })?;
        let taken = [by_id, by_number, whole, projected, covered, store, list];
        for (at, us) in taken.into_iter().enumerate() {
            match rows.get_mut(at) {
                Some(row) => row.1.push(us),
                None => rows.push((NAMES[at], vec![us])),
            }
        }
    }
    let medians: Vec<f64> = rows.iter_mut().map(|(_, us)| median(us)).collect();
    for ((name, _), us) in rows.iter().zip(&medians) {
        println!("  {name:<44} {us:>9.2}");
    }
    let [by_id, by_number, whole, projected, covered, store, list] = medians[..] else {
        return Err("a row is missing".into());
    };
    println!(
        "one by a secondary index / one by _id         {:>6.2}  (at most 1.6)",
        by_number / by_id
    );
    println!(
        "covered / fetched and projected, documents/s  {:>6.2}  (at least 3)",
        projected / covered
    );
    println!("covered / fetched as a whole, documents/s     {:>6.2}", whole / covered);
    println!(
        "range of {RANGE}, fetched / the store's rate       {:>6.2}  (at least 0.6)",
        store / whole
    );
    println!(
        "$in of 100 ids / 100 finds by _id             {:>6.2}  (at most 0.6)",
        list / (100.0 * by_id)
    );
    Ok(())
}

const NAMES: [&str; 7] = [
    "find of one document by _id",
    "find of one document by a secondary index",
    "range of 100 documents",
    "range of 100 documents, two fields",
    "range of 100 documents, covered",
    "range of 100 keys and documents, store alone",
    "$in of 100 ids",
];

pub(super) fn number(at: u64) -> u64 {
    at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
}

pub(super) fn median(us: &mut [f64]) -> f64 {
    us.sort_by(f64::total_cmp);
    us.get(us.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Processor time of one operation.
pub(super) fn measure(mut operation: impl FnMut(u64) -> Result<(), String>) -> Result<f64, String> {
    let (mut count, started) = (0, processor_us());
    loop {
        for _ in 0..200 {
            operation(count)?;
            count += 1;
        }
        let taken = processor_us() - started;
        if taken >= TAKES_US {
            return Ok(taken / count as f64);
        }
    }
}

impl Database {
    /// Runs a find and checks how many documents it gives; 0 stands for any number.
    fn find(
        &self,
        filter: impl FnOnce(&mut DocWriter),
        fields: &[&str],
        expected: u64,
    ) -> Result<(), String> {
        let reply = self.run("find", |find| {
            find.document("filter", filter);
            if !fields.is_empty() {
                find.document("projection", |projection| {
                    projection.i32("_id", 0);
                    fields.iter().for_each(|field| projection.i32(field, 1));
                });
            }
        })?;
        let cursor = reply.as_doc().get("cursor").and_then(Raw::as_doc);
        let batch = cursor.and_then(|cursor| cursor.get("firstBatch")).and_then(Raw::as_array);
        let found = batch.map_or(0, |batch| batch.iter().count() as u64);
        match expected == 0 || found == expected {
            true => Ok(()),
            false => Err(format!("{found} documents in place of {expected}")),
        }
    }
}

/// The same documents and index entries in a store without an engine.
struct Alone {
    store: Store,
    _folder: tempfile::TempDir,
}

impl Alone {
    fn filled(plan: &Plan) -> Result<Alone, String> {
        let failed = |error: headwater_store::Error| error.to_string();
        let folder = match &plan.folder {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        let folder = folder.map_err(|error| error.to_string())?;
        let store = Store::open(folder.path(), Options::default()).map_err(failed)?;
        for first in (0..plan.documents).step_by(1000) {
            let mut writer = store.writer().map_err(failed)?;
            let mut operation = writer.begin();
            for at in first..plan.documents.min(first + 1000) {
                let mut doc = DocWriter::new();
                write_document(&mut doc, at);
                let key = [&7_u32.to_be_bytes()[..], &at.to_be_bytes()].concat();
                operation.put(DOCUMENTS, &key, doc.finish().as_doc().as_bytes()).map_err(failed)?;
                let entry =
                    [&9_u32.to_be_bytes()[..], &number(at).to_be_bytes(), &at.to_be_bytes()];
                operation.put(INDEX, &entry.concat(), b"").map_err(failed)?;
            }
            operation.commit(0, b"").map_err(failed)?;
        }
        store.checkpoint().map_err(failed)?;
        Ok(Alone { store, _folder: folder })
    }

    /// Walks a range of the index and copies its documents.
    fn range(&self, (from, to): (u64, u64)) -> Result<(), String> {
        let failed = |error: headwater_store::Error| error.to_string();
        let snapshot = self.store.snapshot().map_err(failed)?;
        let key = |number: u64| [&9_u32.to_be_bytes()[..], &number.to_be_bytes()].concat();
        let (lower, upper) = (key(from), key(to));
        let bounds = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let cursor = snapshot.range(INDEX, bounds.0, bounds.1, Direction::Forward);
        let mut cursor = cursor.map_err(failed)?;
        let mut found = Vec::with_capacity(128 * 1024);
        let mut count = 0;
        while let Some((entry, _)) = cursor.next().map_err(failed)? {
            let record = entry.last_chunk::<8>().copied().unwrap_or_default();
            let document = [&7_u32.to_be_bytes()[..], &record].concat();
            let bytes = snapshot.get(DOCUMENTS, &document).map_err(failed)?;
            found.extend_from_slice(bytes.unwrap_or_default());
            count += 1;
        }
        match count == RANGE && found.len() as u64 > RANGE * 500 {
            true => Ok(()),
            false => Err(format!("{count} entries in place of {RANGE}")),
        }
    }
}
