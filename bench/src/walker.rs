//! The raw walker: how fast a filter on one field runs over documents in memory, beside the `bson` crate.

use std::hint::black_box;
use std::time::{Duration, Instant};

use headwater_engine::aggregate::expressions::Scope;
use headwater_engine::bson::{self as raw, Doc, DocWriter, Raw, Type, compare, key};
use headwater_engine::query::matcher::Matcher;

const DOCUMENTS: usize = 200_000;
const ROUNDS: usize = 9;

/// One way to find out how many documents match.
type Way = (&'static str, fn(&[Vec<u8>], &'static str) -> usize);

const WAYS: &[Way] = &[
    ("Doc::get", |docs, field| {
        count(docs, |bytes| Doc::trusted(bytes).get(field).is_some_and(is_seven))
    }),
    ("Doc::iter", |docs, field| {
        count(docs, |bytes| {
            let mut fields = Doc::trusted(bytes).iter();
            fields.any(|e| e.name == field.as_bytes() && is_seven(e.value))
        })
    }),
    ("Matcher, equality", |docs, field| filtered(docs, |filter| filter.i32(field, 7))),
    ("Matcher, $gt and $lt", |docs, field| {
        filtered(docs, |filter| {
            filter.document(field, |test| {
                test.i32("$gt", 6);
                test.i32("$lt", 8);
            });
        })
    }),
    ("validate", |docs, _| count(docs, |bytes| raw::validate(bytes).is_ok())),
    ("bson RawDocument::get", |docs, field| {
        count(docs, |bytes| {
            let doc =
                bson::RawDocument::from_bytes(bytes).unwrap_or_else(|error| panic!("{error}"));
            doc.get_i32(field).is_ok_and(|value| value == 7)
        })
    }),
    ("bson Document, decoded", |docs, field| {
        count(docs, |bytes| {
            let doc = bson::Document::from_reader(bytes);
            doc.is_ok_and(|doc| doc.get_i32(field).is_ok_and(|value| value == 7))
        })
    }),
];

/// `walker`
pub(crate) fn run(_words: &[String]) -> Result<(), String> {
    let docs: Vec<Vec<u8>> = (0..DOCUMENTS).map(document).collect();
    let bytes: usize = docs.iter().map(Vec::len).sum();
    println!("{DOCUMENTS} documents of {} bytes, one thread, best of {ROUNDS}", bytes / DOCUMENTS);
    println!("{:<26} {:>10} {:>10} {:>10}", "", "field", "ns/doc", "GB/s");
    for (name, way) in WAYS {
        for field in ["n", "score", "absent"] {
            let time = best(|| {
                black_box(way(black_box(&docs), field));
            });
            report(name, field, time, bytes);
        }
    }
    orders(&docs);
    Ok(())
}

/// Nanoseconds that the walker takes for one document to find out whether `field` is seven.
pub(crate) fn match_nanos(field: &'static str) -> f64 {
    let docs: Vec<Vec<u8>> = (0..DOCUMENTS).map(document).collect();
    let way = |bytes: &[u8]| Doc::trusted(bytes).get(field).is_some_and(is_seven);
    let time = best(|| {
        black_box(count(black_box(&docs), way));
    });
    time.as_nanos() as f64 / DOCUMENTS as f64
}

/// Comparison and keys of one field.
fn orders(docs: &[Vec<u8>]) {
    for field in ["_id", "score", "name"] {
        let values: Vec<Raw<'_>> =
            docs.iter().filter_map(|bytes| Doc::trusted(bytes).get(field)).collect();
        let bytes: usize = values.iter().map(|raw| raw.data.len()).sum();
        let time = best(|| {
            let less = values.windows(2).filter(|pair| match pair {
                [a, b] => compare(*a, *b).is_lt(),
                _ => false,
            });
            black_box(less.count());
        });
        report("compare", field, time, bytes);
        let mut out = Vec::new();
        let time = best(|| {
            for value in &values {
                out.clear();
                key::append(&mut out, *value);
                black_box(&out);
            }
        });
        report("key::append", field, time, bytes);
    }
}

fn report(name: &str, field: &str, time: Duration, bytes: usize) {
    let nanos = time.as_nanos() as f64;
    let (each, rate) = (nanos / DOCUMENTS as f64, bytes as f64 / nanos);
    println!("{name:<26} {field:>10} {each:>10.1} {rate:>10.2}");
}

fn count(docs: &[Vec<u8>], matches: impl Fn(&[u8]) -> bool) -> usize {
    docs.iter().filter(|bytes| matches(bytes)).count()
}

fn filtered(docs: &[Vec<u8>], fill: impl FnOnce(&mut DocWriter)) -> usize {
    let mut filter = DocWriter::new();
    fill(&mut filter);
    let scope = Scope::new(None, 0);
    let matcher = scope.and_then(|mut scope| Matcher::parse(filter.finish().as_doc(), &mut scope));
    let Ok(matcher) = matcher else { return 0 };
    count(docs, |bytes| matcher.matches(Doc::trusted(bytes)).unwrap_or(false))
}

fn is_seven(value: Raw<'_>) -> bool {
    value.kind == Type::Int32 && value.data == [7, 0, 0, 0]
}

fn best(mut run: impl FnMut()) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

/// A document of usual shape: 239 bytes, an int32 `n` near its end.
pub(crate) fn document(at: usize) -> Vec<u8> {
    let mut id = [0; 12];
    id[4..].copy_from_slice(&(at as u64).to_be_bytes());
    let mut doc = DocWriter::new();
    doc.object_id("_id", id);
    doc.str("name", &format!("Person number {at:06}"));
    doc.str("email", &format!("person.{at:06}@example.com"));
    doc.i32("age", (at % 90) as i32);
    doc.bool("active", at.is_multiple_of(3));
    doc.f64("score", at as f64 / 7.0);
    doc.date("created", 1_700_000_000_000 + at as i64);
    doc.document("address", |address| {
        address.str("city", "Springfield");
        address.str("zip", &format!("{:05}", at % 100_000));
    });
    doc.array("tags", |tags| {
        tags.str("red");
        tags.str("blue");
    });
    doc.i32("n", (at % 100) as i32);
    doc.finish().into_bytes()
}
