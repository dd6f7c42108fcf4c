//! The order of values of every type, with texts compared as a collation says.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Collation;
use crate::bson::key::{Direction, append_with};
use crate::bson::{Raw, Texts, Type, Value, compare, compare_with, equal};

/// How values compare: texts by their bytes or by a collation. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueOrder(Option<Arc<Collation>>);

impl ValueOrder {
    /// The order with a collation, or by bytes without one.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use headwater_engine::bson::Value;
    /// use headwater_engine::collation::{Collation, Options, ValueOrder};
    /// let options = Options { strength: 2, ..Options::of_locale("en") };
    /// let order = ValueOrder::new(Collation::new("en", options).map(Arc::new));
    /// assert!(order.compare_values(&Value::str("Ada"), &Value::str("ada")).is_eq());
    /// assert!(ValueOrder::default().compare_values(&Value::str("Ada"), &Value::str("ada")).is_lt());
    /// ```
    pub fn new(collation: Option<Arc<Collation>>) -> ValueOrder {
        ValueOrder(collation)
    }

    /// The collation of texts, `None` if they compare by their bytes.
    pub fn collation(&self) -> Option<&Arc<Collation>> {
        self.0.as_ref()
    }

    /// Compares two values.
    #[inline]
    pub fn compare(&self, a: Raw<'_>, b: Raw<'_>) -> Ordering {
        match &self.0 {
            None => compare(a, b),
            Some(collation) => {
                let order = |a: &str, b: &str| collation.compare(a, b);
                compare_with(a, b, Some(Texts { order: &order, symbols: false }))
            }
        }
    }

    /// As [`ValueOrder::compare`] for values that may be missing: missing ties with undefined, below null.
    pub fn compare_values(&self, a: &Value<'_>, b: &Value<'_>) -> Ordering {
        const UNDEFINED: Raw<'static> = Raw { kind: Type::Undefined, data: &[] };
        self.compare(a.raw().unwrap_or(UNDEFINED), b.raw().unwrap_or(UNDEFINED))
    }

    /// Whether two values are equal.
    #[inline]
    pub fn equal(&self, a: Raw<'_>, b: Raw<'_>) -> bool {
        match &self.0 {
            None => equal(a, b),
            Some(_) => self.compare(a, b).is_eq(),
        }
    }

    /// Appends the key of a value: keys compare as bytes as the values compare.
    pub fn append_key(&self, value: Raw<'_>, direction: Direction, out: &mut Vec<u8>) {
        match &self.0 {
            None => append_with(out, value, direction, None),
            Some(collation) => {
                let collate = |text: &str, out: &mut Vec<u8>| collation.append_key(text, out);
                append_with(out, value, direction, Some(&collate));
            }
        }
    }

    /// The ascending key of a value.
    pub fn key(&self, value: Raw<'_>) -> Vec<u8> {
        let mut key = Vec::with_capacity(16);
        self.append_key(value, Direction::Ascending, &mut key);
        key
    }
}

/// Whether values of a type are texts or may hold some.
pub(crate) fn may_hold_texts(kind: Type) -> bool {
    matches!(kind, Type::String | Type::Symbol | Type::Document | Type::Array)
}
