//! The table of update operators.

use super::parse::{Parser, leaf};
use super::{add_to_set, arithmetic, bit, current_date, extreme, pop, pull, push, rename, set};
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
type Parse = fn(Element<'_>, &mut Parser<'_>) -> Result<()>;

const fn row(name: &'static str, parse: Parse) -> Row {
    Row { name, parse }
}

/// Every update operator, sorted by name.
pub const UPDATES: &[Row] = &[
    row("$addToSet", |field, parser| leaf(field, parser, add_to_set::AddToSet::parse)),
    row("$bit", |field, parser| leaf(field, parser, bit::Bit::parse)),
    row("$currentDate", |field, parser| leaf(field, parser, current_date::CurrentDate::parse)),
    row("$inc", |field, parser| leaf(field, parser, arithmetic::Arithmetic::inc)),
    row("$max", |field, parser| leaf(field, parser, extreme::Extreme::max)),
    row("$min", |field, parser| leaf(field, parser, extreme::Extreme::min)),
    row("$mul", |field, parser| leaf(field, parser, arithmetic::Arithmetic::mul)),
    row("$pop", |field, parser| leaf(field, parser, pop::Pop::parse)),
    row("$pull", |field, parser| leaf(field, parser, pull::Pull::parse)),
    row("$pullAll", |field, parser| leaf(field, parser, pull::Pull::parse_all)),
    row("$push", |field, parser| leaf(field, parser, push::Push::parse)),
    row("$rename", rename::parse),
    row("$set", |field, parser| leaf(field, parser, set::Set::parse)),
    row("$setOnInsert", |field, parser| leaf(field, parser, set::Set::parse_on_insert)),
    row("$unset", |field, parser| leaf(field, parser, set::Unset::parse)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(UPDATES.is_sorted_by(|a, b| a.name < b.name));
    }
}
