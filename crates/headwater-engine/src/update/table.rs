//! The table of update operators.

use super::parse::leaf;
use super::tree::Operators;
use super::{arithmetic, current_date, push, set};
use crate::bson::Element;
use crate::error::Result;

/// An update operator.
#[derive(Debug)]
pub struct Row {
    /// The name, with its `$`.
    pub name: &'static str,
    pub(super) parse: Parse,
}

/// Makes a field of an operator's operand a leaf of the update tree.
type Parse = fn(Element<'_>, &mut Operators) -> Result<()>;

const fn row(name: &'static str, parse: Parse) -> Row {
    Row { name, parse }
}

/// Every update operator, sorted by name.
pub const UPDATES: &[Row] = &[
    row("$currentDate", |field, tree| leaf(field, tree, current_date::CurrentDate::parse)),
    row("$inc", |field, tree| leaf(field, tree, arithmetic::Arithmetic::inc)),
    row("$mul", |field, tree| leaf(field, tree, arithmetic::Arithmetic::mul)),
    row("$push", |field, tree| leaf(field, tree, push::Push::parse)),
    row("$set", |field, tree| leaf(field, tree, set::Set::parse)),
    row("$setOnInsert", |field, tree| leaf(field, tree, set::Set::parse_on_insert)),
    row("$unset", |field, tree| leaf(field, tree, set::Unset::parse)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(UPDATES.is_sorted_by(|a, b| a.name < b.name));
    }
}
