//! The `index` argument of `collMod`: hides an index from the planner or shows it again.

use std::sync::Arc;

use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocWriter};
use crate::catalog::Collection;
use crate::commands::Fields;
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::query::plan::same_pattern;

/// Changes the index that `argument` names; writes `hidden_old` and `hidden_new` to `reply`, and to `before` what was.
///
/// # Errors
/// `InvalidOptions` (72), `IndexNotFound` (27), `BadValue` (2); 'not supported' for what only later versions do.
pub(super) fn change(
    argument: Doc<'_>,
    collection: &mut Collection,
    reply: &mut DocWriter,
    before: &mut DocWriter,
) -> Result<()> {
    let fields = Fields::new(argument, "collMod.index");
    fields.only(&[
        "expireAfterSeconds",
        "hidden",
        "keyPattern",
        "name",
        "prepareUnique",
        "unique",
    ])?;
    let invalid = |message: &str| Err(Error::new(Code::INVALID_OPTIONS, message));
    let (name, pattern) = (fields.str("name")?, fields.document("keyPattern")?);
    let hidden = fields.loose_bool("hidden")?;
    let others = ["expireAfterSeconds", "prepareUnique", "unique"];
    let other = others.iter().find(|name| fields.get(name).is_some());
    match (name, pattern) {
        (None, None) => return invalid("Must specify either index name or key pattern."),
        (Some(_), Some(_)) => return invalid("Cannot specify both key pattern and name."),
        _ => {}
    }
    if hidden.is_none() && other.is_none() {
        return invalid("no expireAfterSeconds, hidden, unique, or prepareUnique field");
    }
    let at = find(collection, name, pattern)?;
    if let Some(other) = other {
        return Err(Error::not_supported(format!("the index option '{other}' of collMod")));
    }
    let (Some(index), Some(hidden)) = (collection.indexes.get(at).cloned(), hidden) else {
        return Ok(());
    };
    if index.is_id() {
        return Err(Error::new(Code::BAD_VALUE, "can't hide _id index"));
    }
    if index.hidden == hidden {
        return Ok(());
    }
    reply.bool("hidden_old", index.hidden);
    reply.bool("hidden_new", hidden);
    before.bool("hidden", index.hidden);
    if let Some(slot) = collection.indexes.get_mut(at) {
        *slot = Arc::new(index.with_flag("hidden", hidden)?);
    }
    Ok(())
}

/// The place of the one index that is named.
fn find(collection: &Collection, name: Option<&str>, pattern: Option<Doc<'_>>) -> Result<usize> {
    let namespace = &collection.namespace;
    let named = |index: &Index| match (name, pattern) {
        (Some(name), _) => index.name == name,
        (None, Some(pattern)) => same_pattern(index.key_pattern(), pattern),
        (None, None) => false,
    };
    let mut found = (0..).zip(&collection.indexes).filter(|(_, index)| named(index));
    let shown = || match (name, pattern) {
        (Some(name), _) => name.to_owned(),
        (None, pattern) => document_text(pattern.unwrap_or(Doc::EMPTY)),
    };
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some((_, one)), Some((_, other))) => Err(Error::new(
            Code::AMBIGUOUS_INDEX_KEY_PATTERN,
            format!(
                "index keyPattern {} matches {{{}}} and {{{}}}, must use index name. Conflicting indexes: {}, {}",
                shown(),
                one.name,
                other.name,
                document_text(one.spec.as_doc()),
                document_text(other.spec.as_doc())
            ),
        )),
        (None, _) => Err(Error::new(
            Code::INDEX_NOT_FOUND,
            format!("cannot find index {} for ns {namespace}", shown()),
        )),
    }
}
