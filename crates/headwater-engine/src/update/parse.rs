//! From an update document with operators to the update tree.

use super::UpdateOptions;
use super::array_filters::ArrayFilters;
use super::modifier::{Modifier, Operand};
use super::path::Path;
use super::table::UPDATES;
use super::text;
use super::tree::Operators;
use crate::aggregate::expressions::Scope;
use crate::bson::{Doc, Element};
use crate::error::{Code, Error, Result};
use crate::limits::UPDATE_PATH_PARTS_MAX;

/// Parses one update document.
#[derive(Debug)]
pub(super) struct Parser<'p> {
    pub(super) tree: Operators,
    scope: Option<&'p Scope>,
}

impl<'p> Parser<'p> {
    /// Parses the array filters, to start with.
    pub(super) fn new(options: &UpdateOptions<'p>) -> Result<Parser<'p>> {
        Ok(Parser { tree: Operators::new(array_filters(options)?), scope: options.scope })
    }

    /// Adds every operator of `update` to the tree.
    pub(super) fn operators(mut self, update: Doc<'_>) -> Result<Operators> {
        for operator in update {
            let name = operator.name_str();
            let row = UPDATES.binary_search_by_key(&name, |row| row.name);
            let Some(row) = row.ok().and_then(|row| UPDATES.get(row)) else {
                return Err(Error::new(
                    Code::FAILED_TO_PARSE,
                    format!(
                        "Unknown modifier: {name}. Expected a valid update modifier or pipeline-style update \
                         specified as an array"
                    ),
                ));
            };
            let Some(fields) = operator.value.as_doc() else {
                return Err(not_fields(operator));
            };
            fields.iter().try_for_each(|field| (row.parse)(field, &mut self))?;
        }
        self.tree.filters.check_used(update)?;
        Ok(self.tree)
    }
}

fn array_filters(options: &UpdateOptions<'_>) -> Result<ArrayFilters> {
    match options.array_filters {
        Some(filters) => ArrayFilters::parse(Some(filters), &mut scope(options.scope)?),
        None => Ok(ArrayFilters::default()),
    }
}

/// Checks the array filters of an update that has no use for them, which MongoDB takes if they are filters.
///
/// # Errors
/// Those of the filters.
pub(super) fn check_array_filters(options: &UpdateOptions<'_>) -> Result<()> {
    array_filters(options).map(drop)
}

/// A scope to parse with: the statement's, or one without variables.
pub(super) fn scope(given: Option<&Scope>) -> Result<Scope> {
    given.cloned().map_or_else(|| Scope::new(None, 0), Ok)
}

#[cold]
fn not_fields(operator: Element<'_>) -> Error {
    Error::new(
        Code::FAILED_TO_PARSE,
        format!(
            "Modifiers operate on fields but we found type {} instead. For example: {{$mod: {{<field>: ...}}}} \
             not {{{}}}",
            operator.value.kind.alias(),
            text::element(operator.name_str(), operator.value)
        ),
    )
}

/// Splits a path; one that is deeper than any document is refused.
pub(super) fn path(text: &str) -> Result<Path> {
    let path = Path::parse(text)?;
    if path.parts.len() > UPDATE_PATH_PARTS_MAX {
        let dots = UPDATE_PATH_PARTS_MAX - 1;
        return Err(Error::location(
            10_396_001,
            format!("Field paths cannot contain more than {dots} '.'"),
        ));
    }
    Ok(path)
}

/// The usual row of the table: one path, one leaf.
pub(super) fn leaf<M: Modifier + 'static>(
    field: Element<'_>,
    parser: &mut Parser<'_>,
    parse: impl FnOnce(&Operand<'_>) -> Result<M>,
) -> Result<()> {
    let path = path(field.name_str())?;
    parser.tree.check_path(&path)?;
    let operand = Operand { path: &path, value: field.value, scope: parser.scope };
    let modifier = parse(&operand)?;
    parser.tree.insert(&path, Box::new(modifier))
}
