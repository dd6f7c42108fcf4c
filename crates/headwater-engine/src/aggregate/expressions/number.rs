//! Numbers as operators take them.

use crate::bson::{Number, Raw};

/// The integer that a number is, if it is whole and has at most 32 bits.
pub(crate) fn whole_i32(raw: Raw<'_>) -> Option<i32> {
    Number::from_raw(raw)?.to_i32_exact()
}
