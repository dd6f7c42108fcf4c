//! The table of update operators.

use super::tree::Operators;
use super::{arithmetic, current_date, parse, push, set};
use crate::bson::Element;
use crate::error::Result;

/// An update operator: its name and how a field of its operand becomes a leaf of the update tree.
#[derive(Debug)]
pub struct Row {
    /// The name, with its `$`.
    pub name: &'static str,
    pub(super) parse: fn(Element<'_>, &mut Operators) -> Result<()>,
}

macro_rules! rows {
    ($($name:literal => $parse:expr;)*) => {
        &[$(Row { name: $name, parse: |field, tree| parse::leaf(field, tree, $parse) },)*]
    };
}

/// Every update operator, sorted by name.
pub const UPDATES: &[Row] = rows! {
    "$currentDate" => current_date::CurrentDate::parse;
    "$inc" => arithmetic::Arithmetic::inc;
    "$mul" => arithmetic::Arithmetic::mul;
    "$push" => push::Push::parse;
    "$set" => set::Set::parse;
    "$setOnInsert" => set::Set::parse_on_insert;
    "$unset" => set::Unset::parse;
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(UPDATES.is_sorted_by(|a, b| a.name < b.name));
    }
}
