//! The document of a symbol: its key and its price. Knows no server.

use headwater::bson::{Bson, Document};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A document of the collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// The ticker symbol.
    #[serde(rename = "_id")]
    pub symbol: String,
    /// The price; none where a document holds no whole number, or the price was not asked for.
    #[serde(default, serialize_with = "as_int32", deserialize_with = "leniently")]
    pub price: Option<i64>,
}

impl Stock {
    /// A symbol with its price.
    pub fn new(symbol: impl Into<String>, price: i32) -> Stock {
        Stock { symbol: symbol.into(), price: Some(i64::from(price)) }
    }
}

/// The price in a document or in the updated fields of an event: a whole number of any type.
pub fn price_in(document: &Document) -> Option<i64> {
    whole(document.get("price")?)
}

fn whole(price: &Bson) -> Option<i64> {
    match price {
        Bson::Int32(price) => Some(i64::from(*price)),
        Bson::Int64(price) => Some(*price),
        Bson::Double(price) if price.fract() == 0.0 && price.abs() < 1e15 => Some(*price as i64),
        _ => None,
    }
}

/// What others wrote there must not keep the rest from being read.
fn leniently<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(whole(&Bson::deserialize(deserializer)?))
}

/// Prices are 32-bit integers in the collection.
fn as_int32<S: Serializer>(price: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match price.map(i32::try_from) {
        Some(Ok(price)) => serializer.serialize_i32(price),
        Some(Err(_)) => price.serialize(serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use headwater::bson::{deserialize_from_document, doc, serialize_to_document};

    use super::*;

    #[test]
    fn t1_a_stock_has_a_key_and_a_32_bit_price_and_nothing_else() {
        let stock = Stock::new("MDB", 97);
        let document = serialize_to_document(&stock).unwrap();
        assert_eq!(document, doc! { "_id": "MDB", "price": 97_i32 });
        assert_eq!(deserialize_from_document::<Stock>(document).unwrap(), stock);
    }

    #[test]
    fn b17_a_strange_price_is_none() {
        for (price, expected) in [
            (Bson::Int64(31), Some(31)),
            (Bson::Double(31.0), Some(31)),
            (Bson::Double(31.5), None),
            (Bson::Double(f64::NAN), None),
            (Bson::String("31".to_owned()), None),
            (Bson::Null, None),
        ] {
            let document = doc! { "_id": "IBM", "price": price, "more": 1 };
            assert_eq!(price_in(&document), expected, "{document}");
            assert_eq!(deserialize_from_document::<Stock>(document).unwrap().price, expected);
        }
        assert_eq!(deserialize_from_document::<Stock>(doc! { "_id": "IBM" }).unwrap().price, None);
    }
}
