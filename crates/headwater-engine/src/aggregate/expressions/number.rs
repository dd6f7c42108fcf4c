//! Numbers as operators take them.

use crate::bson::{Raw, View};

/// The integer that a number is, if it is whole and has at most 32 bits.
pub(crate) fn whole_i32(raw: Raw<'_>) -> Option<i32> {
    i32::try_from(whole_i64(raw)?).ok()
}

/// The integer that a number is, if it is whole and has at most 64 bits.
pub(crate) fn whole_i64(raw: Raw<'_>) -> Option<i64> {
    match raw.view() {
        View::Int32(value) => Some(i64::from(value)),
        View::Int64(value) => Some(value),
        View::Double(value) => {
            let fits = value.fract() == 0.0
                && (-9.223_372_036_854_775_8e18..9.223_372_036_854_775_8e18).contains(&value);
            fits.then_some(value as i64)
        }
        _ => None,
    }
}
