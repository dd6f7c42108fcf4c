//! What one update operator does at one path: the leaf of the update tree. Knows no paths but the one it stands at.

use std::fmt;

use super::path::Path;
use super::{Now, parse, text};
use crate::aggregate::expressions::Scope;
use crate::bson::{Array, Doc, Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::Result;

/// An operator with its operand, compiled.
pub(super) trait Modifier: fmt::Debug + Send + Sync {
    /// What becomes of a value that is there.
    fn existing<'a>(&'a self, value: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>>;

    /// The value to create where there is none.
    fn missing<'a>(&'a self, place: &Place<'_, 'a>) -> Result<Option<Value<'a>>>;

    /// What to say where the path leads through something that is neither document nor array.
    fn unreachable(&self, _: &Place<'_, '_>) -> Result<Unreachable> {
        Ok(Unreachable::CannotCreate)
    }

    /// Levels of nesting that the operand adds below the path.
    fn depth(&self) -> usize {
        0
    }
}

/// What an operator does to a value.
#[derive(Debug)]
pub(super) enum Change<'a> {
    Keep,
    Set(Value<'a>),
    /// The array, which is what was there and behind it, from index `from` on, the values of `new`.
    Append {
        array: Value<'a>,
        from: usize,
        new: Array<'a>,
    },
    /// Removes a field; an array element becomes null.
    Remove,
}

/// How an operator takes a path that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreachable {
    /// It wanted to create the path.
    CannotCreate,
    /// It creates nothing, but the path must be possible.
    CannotTraverse,
    /// Nothing is there, nothing is to do.
    Ignored,
}

/// Where and when an operator is applied.
#[derive(Debug)]
pub(super) struct Place<'n, 'a> {
    /// The whole document before the update.
    pub(super) root: Doc<'a>,
    /// The path from the top.
    pub(super) path: &'n str,
    /// The name of the field, or the index of the array element, as text.
    pub(super) name: &'n str,
    /// Whether an upsert is making a new document.
    pub(super) insert: bool,
    /// The moment of the update.
    pub(super) now: &'a Now,
}

impl Place<'_, '_> {
    /// The document's `_id` as error messages show it: `_id: 1`.
    pub(super) fn id(&self) -> String {
        text::id(self.root)
    }
}

/// What the parser of an operator gets.
#[derive(Debug)]
pub(super) struct Operand<'a> {
    /// The path.
    pub(super) path: &'a Path,
    /// The operand at that path.
    pub(super) value: Raw<'a>,
    /// The variables of the statement.
    pub(super) scope: Option<&'a Scope>,
}

impl Operand<'_> {
    /// A scope to parse filters with.
    pub(super) fn scope(&self) -> Result<Scope> {
        parse::scope(self.scope)
    }

    /// How values compare.
    pub(super) fn order(&self) -> ValueOrder {
        self.scope.map(|scope| scope.order().clone()).unwrap_or_default()
    }

    /// The element as error messages show it: `a: 1`.
    pub(super) fn text(&self) -> String {
        text::element(&self.path.text, self.value)
    }
}

/// The number of nested levels of a value: 0 for a scalar.
pub(super) fn nesting(value: Raw<'_>) -> usize {
    match value.kind {
        Type::Document | Type::Array => {
            1 + Doc::trusted(value.data).iter().map(|e| nesting(e.value)).max().unwrap_or(0)
        }
        _ => 0,
    }
}
