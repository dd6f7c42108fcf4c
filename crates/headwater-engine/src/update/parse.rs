//! From an update document with operators to the update tree.

use super::modifier::Operand;
use super::path::Path;
use super::table::UPDATES;
use super::text;
use super::tree::Operators;
use crate::bson::{Doc, Element};
use crate::error::{Code, Error, Result};
use crate::limits::COMMAND_DEPTH_MAX;

/// Adds every operator of `update` to the tree.
pub(super) fn operators(update: Doc<'_>, tree: &mut Operators) -> Result<()> {
    for operator in update {
        let name = operator.name_str();
        let Ok(row) = UPDATES.binary_search_by_key(&name, |row| row.name) else {
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
        let Some(row) = UPDATES.get(row) else { continue };
        for field in fields {
            (row.parse)(field, tree)?;
        }
    }
    Ok(())
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
    if path.parts.len() > COMMAND_DEPTH_MAX {
        return Err(super::too_deep());
    }
    Ok(path)
}

/// The usual row of the table: one path, one leaf.
pub(super) fn leaf<M: super::modifier::Modifier + 'static>(
    field: Element<'_>,
    tree: &mut Operators,
    parse: impl FnOnce(&Operand<'_>) -> Result<M>,
) -> Result<()> {
    let path = path(field.name_str())?;
    let modifier = parse(&Operand { path: &path, value: field.value })?;
    tree.insert(&path, Box::new(modifier))
}
