//! Arguments by name: the fields of an operator's object argument, each with the errors of its operator.

use super::{Expression, Scope};
use crate::bson::{Doc, Raw};
use crate::error::{Error, Result};

/// The named arguments of one operator as they stand in the command.
#[derive(Debug)]
pub(super) struct Named<'a, const N: usize>([Option<Raw<'a>>; N]);

impl<'a, const N: usize> Named<'a, N> {
    /// Sorts the fields of `doc` to `names`; `unknown` makes the error for a field that is not among them.
    pub(super) fn parse(
        doc: Doc<'a>,
        names: [&str; N],
        unknown: impl Fn(&str) -> Error,
    ) -> Result<Named<'a, N>> {
        let mut values = [None; N];
        for element in doc {
            let at = names.iter().position(|name| name.as_bytes() == element.name);
            match at.and_then(|at| values.get_mut(at)) {
                Some(value) => *value = Some(element.value),
                None => return Err(unknown(element.name_str())),
            }
        }
        Ok(Named(values))
    }

    /// The argument as it stands.
    pub(super) fn raw(&self, at: usize) -> Option<Raw<'a>> {
        self.0.get(at).copied().flatten()
    }

    /// The argument as it stands, or an error.
    pub(super) fn required(&self, at: usize, missing: impl FnOnce() -> Error) -> Result<Raw<'a>> {
        self.raw(at).ok_or_else(missing)
    }

    /// The argument compiled, if it is given.
    pub(super) fn expression(&self, at: usize, scope: &mut Scope) -> Result<Option<Expression>> {
        self.raw(at).map(|raw| Expression::parse(raw, scope)).transpose()
    }
}
