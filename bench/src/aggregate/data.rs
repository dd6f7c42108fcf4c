//! The documents that pipelines run over.

use headwater_engine::bson::{DocBuf, DocWriter};

/// Partitions of the windows.
const PARTITIONS: u64 = 1000;
/// Customers of the orders.
pub(super) const CUSTOMERS: u64 = 10_000;
/// Values of the arrays.
pub(super) const TAGS: u64 = 10;
const CITIES: [&str; 10] = [
    "Amsterdam",
    "Berlin",
    "Copenhagen",
    "Dublin",
    "Edinburgh",
    "Florence",
    "Geneva",
    "Helsinki",
    "Innsbruck",
    "Lisbon",
];

/// A sale, as a document and as a row.
pub(super) struct Sale {
    pub(super) id: i64,
    pub(super) city: &'static str,
    pub(super) article: i32,
    pub(super) number: i64,
    pub(super) quantity: i32,
    pub(super) price: f64,
    pub(super) at_ms: i64,
    pub(super) shop: i32,
    pub(super) note: String,
}

/// The sale of a number: the same in every run.
pub(super) fn sale(at: u64) -> Sale {
    let random = at.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let below = |bits: u32, count: u64| ((random >> bits) % count) as i32;
    Sale {
        id: at as i64,
        city: CITIES[below(20, 10) as usize],
        article: below(24, 100_000),
        number: (random >> 8) as i64,
        quantity: below(28, 50),
        price: f64::from(below(32, 100_000)) / 100.0,
        at_ms: 1_700_000_000_000 + at as i64 * 1000,
        shop: (at % PARTITIONS) as i32,
        note: format!("{random:016x}").repeat(7) + "some note",
    }
}

/// The sale as a document.
pub(super) fn document(at: u64) -> DocBuf {
    let sale = sale(at);
    let mut doc = DocWriter::new();
    doc.i64("_id", sale.id);
    doc.str("city", sale.city);
    doc.i32("article", sale.article);
    doc.i64("number", sale.number);
    doc.i32("quantity", sale.quantity);
    doc.f64("price", sale.price);
    doc.date("at", sale.at_ms);
    doc.i32("shop", sale.shop);
    doc.str("note", &sale.note);
    doc.finish()
}

/// An order of one of the customers.
pub(super) fn order(at: u64) -> DocBuf {
    let mut doc = DocWriter::new();
    doc.i64("_id", at as i64);
    doc.i64("customer", (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 30) as i64 % CUSTOMERS as i64);
    doc.f64("total", at as f64 / 7.0);
    doc.str("note", &"x".repeat(180));
    doc.finish()
}

/// A customer.
pub(super) fn customer(at: u64) -> DocBuf {
    let mut doc = DocWriter::new();
    doc.i64("_id", at as i64);
    doc.str("name", &format!("Customer {at:06}"));
    doc.str("city", CITIES[(at % 10) as usize]);
    doc.str("note", &"x".repeat(160));
    doc.finish()
}

/// A document with an array of ten texts.
pub(super) fn tagged(at: u64) -> DocBuf {
    let mut doc = DocWriter::new();
    doc.i64("_id", at as i64);
    doc.i32("count", 1);
    doc.array("tags", |tags| {
        (0..TAGS).for_each(|n| tags.str(&format!("tag-{:02}", (at + n * n) % 20)));
    });
    doc.str("note", &"x".repeat(50));
    doc.finish()
}

/// The bytes of a sale.
pub(super) fn size() -> usize {
    document(0).as_doc().as_bytes().len()
}
