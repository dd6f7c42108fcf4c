//! The `index` argument of `collMod`: hides an index from the planner or shows it again, changes how long its documents
//! live, and makes it unique in two steps.

use std::sync::Arc;

use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocWriter};
use crate::catalog::Collection;
use crate::commands::Fields;
use crate::error::{Code, Error, Result};
use crate::index::{Index, expire_seconds};
use crate::query::plan::same_pattern;

/// What a command asks of an index.
struct Asked {
    expire_after: Option<i32>,
    hidden: Option<bool>,
    prepare_unique: Option<bool>,
    unique: bool,
    dry_run: bool,
}

/// Where it says what it changed.
pub(super) struct Told<'t> {
    /// The reply: what was and what is.
    pub(super) reply: &'t mut DocWriter,
    /// The change event: what was.
    pub(super) before: &'t mut DocWriter,
}

/// Changes the index that `argument` names. Gives its place if it is to become unique, which needs a look at its entries.
///
/// # Errors
/// `InvalidOptions` (72), `IndexNotFound` (27), `BadValue` (2).
pub(super) fn change(
    argument: Doc<'_>,
    dry_run: bool,
    collection: &mut Collection,
    told: &mut Told<'_>,
) -> Result<Option<usize>> {
    let fields = Fields::new(argument, "collMod.index");
    let known = ["expireAfterSeconds", "hidden", "keyPattern", "name", "prepareUnique", "unique"];
    fields.only(&known)?;
    let (name, pattern) = (fields.str("name")?, fields.document("keyPattern")?);
    let asked = asked(fields, dry_run)?;
    match (name, pattern) {
        (None, None) => return invalid("Must specify either index name or key pattern."),
        (Some(_), Some(_)) => return invalid("Cannot specify both key pattern and name."),
        _ => {}
    }
    let settings = ["expireAfterSeconds", "hidden", "prepareUnique", "unique"];
    if !settings.iter().any(|name| fields.get(name).is_some()) {
        return invalid("no expireAfterSeconds, hidden, unique, or prepareUnique field");
    }
    let at = find(collection, name, pattern)?;
    let Some(mut index) = collection.indexes.get(at).cloned() else { return Ok(None) };
    if let Some(seconds) = asked.expire_after {
        index = expiring(&index, seconds, told)?;
    }
    if let Some(hidden) = asked.hidden {
        index = hiding(&index, hidden, told)?;
    }
    if let Some(prepare) = asked.prepare_unique {
        index = preparing(&index, prepare, told)?;
    }
    if let Some(slot) = collection.indexes.get_mut(at) {
        *slot = index.clone();
    }
    if !asked.unique || index.unique {
        return Ok(None);
    }
    if !index.prepare_unique && !asked.dry_run {
        return invalid(
            "Cannot make index unique with 'prepareUnique=false'. Run collMod to set it first.",
        );
    }
    can_be_unique(&index)?;
    Ok(Some(at))
}

fn invalid<T>(message: &str) -> Result<T> {
    Err(Error::new(Code::INVALID_OPTIONS, message))
}

fn asked(fields: Fields<'_>, dry_run: bool) -> Result<Asked> {
    let expire_after = match fields.get("expireAfterSeconds") {
        Some(value) if value.kind.is_number() => {
            let seconds = expire_seconds(value);
            Some(seconds.map_err(|why| Error::new(Code::INVALID_OPTIONS, why))?)
        }
        Some(value) => {
            let expected = ["long", "int", "decimal", "double"];
            return Err(fields.wrong_type("expireAfterSeconds", value.kind, &expected));
        }
        None => None,
    };
    let asked = Asked {
        expire_after,
        hidden: fields.loose_bool("hidden")?,
        prepare_unique: fields.loose_bool("prepareUnique")?,
        unique: fields.loose_bool("unique")?.unwrap_or(false),
        dry_run,
    };
    if fields.loose_bool("unique")? == Some(false) {
        return Err(Error::new(Code::BAD_VALUE, "Cannot make index non-unique"));
    }
    let others =
        asked.expire_after.is_some() || asked.hidden.is_some() || asked.prepare_unique.is_some();
    if dry_run && (others || !asked.unique) {
        return invalid("dryRun mode is only supported for making an index unique");
    }
    Ok(asked)
}

fn expiring(index: &Arc<Index>, seconds: i32, told: &mut Told<'_>) -> Result<Arc<Index>> {
    if index.is_id() {
        return invalid("the _id field does not support TTL indexes");
    }
    if index.directions.len() > 1 {
        return invalid("compound indexes do not support TTL");
    }
    if index.wildcard.is_some() {
        return invalid("wildcard indexes do not support TTL");
    }
    if let Some(old) = index.expire_after {
        told.reply.i64("expireAfterSeconds_old", i64::from(old));
        told.before.i64("expireAfterSeconds", i64::from(old));
    }
    told.reply.i64("expireAfterSeconds_new", i64::from(seconds));
    index.with_expire_after(seconds).map(Arc::new)
}

fn hiding(index: &Arc<Index>, hidden: bool, told: &mut Told<'_>) -> Result<Arc<Index>> {
    if index.is_id() {
        return Err(Error::new(Code::BAD_VALUE, "can't hide _id index"));
    }
    if index.hidden == hidden {
        return Ok(index.clone());
    }
    told.reply.bool("hidden_old", index.hidden);
    told.reply.bool("hidden_new", hidden);
    told.before.bool("hidden", index.hidden);
    index.with_flag("hidden", hidden).map(Arc::new)
}

fn preparing(index: &Arc<Index>, prepare: bool, told: &mut Told<'_>) -> Result<Arc<Index>> {
    if index.unique || index.prepare_unique == prepare {
        return Ok(index.clone());
    }
    if prepare {
        can_be_unique(index)?;
    }
    told.reply.bool("prepareUnique_old", index.prepare_unique);
    told.reply.bool("prepareUnique_new", prepare);
    told.before.bool("prepareUnique", index.prepare_unique);
    index.with_flag("prepareUnique", prepare).map(Arc::new)
}

fn can_be_unique(index: &Index) -> Result<()> {
    match index.hashed.is_some() || index.wildcard.is_some() {
        true => invalid("hashed and wildcard indexes cannot be unique"),
        false => Ok(()),
    }
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
