//! `find`: the documents of a collection that match, in an order, in batches.

use super::collation::chosen;
use super::collection_uuid;
use super::cursors::{First, reply_first, reply_one};
use super::inline::{computes, filter_computes};
use super::{Command, Context, Fields, Flow, Needs, views};
use crate::aggregate::expressions::{Offered, Scope};
use crate::bson::key::Direction;
use crate::bson::{Doc, Raw};
use crate::catalog::Collection;
use crate::collation::ValueOrder;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::query::find::{Shape, Tailing, start};
use crate::query::plan::{Asked, Hint, KeyRange, Query, choose, may_name_one};
use crate::query::projection::Projection;
use crate::query::sort::SortPattern;
use crate::request::Mode;
use crate::status;

pub(super) const COMMAND: Command = Command {
    name: "find",
    aliases: &[],
    help: "Gives the documents of a collection that match a filter",
    needs: Needs::Read,
    fields: &[
        "allowDiskUse",
        "allowPartialResults",
        "awaitData",
        "batchSize",
        "collation",
        "collectionUUID",
        "filter",
        "hint",
        "let",
        "limit",
        "max",
        "min",
        "mirrored",
        "noCursorTimeout",
        "oplogReplay",
        "projection",
        "returnKey",
        "showRecordId",
        "singleBatch",
        "skip",
        "sort",
        "tailable",
        "term",
    ],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    namespace.check_dollar()?;
    let filter = fields.strict_document("filter")?.unwrap_or(Doc::EMPTY);
    let sort = fields.strict_document("sort")?.unwrap_or(Doc::EMPTY);
    let projection = fields.strict_document("projection")?.unwrap_or(Doc::EMPTY);
    check_types(fields, sort)?;
    SortPattern::natural(sort)?;
    let mut first = First::of_size(fields.cut_count("batchSize")?);
    first.single = fields.strict_bool("singleBatch")?;
    first.no_timeout = fields.strict_bool("noCursorTimeout")?;
    let inline = context.mode == Mode::Inline;
    let by_id = filter.get("_id").is_some();
    let one = by_id || filter.iter().nth(1).is_none();
    if inline && (!one || filter_computes(filter) || computes(fields)) {
        return Ok(Flow::Busy);
    }
    let Some(run) = context.read()? else { return Ok(Flow::Busy) };
    collection_uuid::check(&run.catalog, &namespace, collection_uuid::asked(fields)?)?;
    let collection = run.catalog.collection(namespace.db(), namespace.collection()).cloned();
    if inline && !by_id && !collection.as_ref().is_some_and(|found| may_name_one(filter, found)) {
        return Ok(Flow::Busy);
    }
    if collection.is_none() && views::is_view(context, &namespace)? {
        drop(run);
        return match context.mode {
            Mode::Inline => Ok(Flow::Busy),
            Mode::Blocking => views::find(context, &namespace, first),
        };
    }
    let mut shape = Shape {
        skip: fields.cut_count("skip")?.unwrap_or(0).unsigned_abs(),
        limit: fields.cut_count("limit")?.filter(|&limit| limit > 0).map(i64::unsigned_abs),
        ..Shape::default()
    };
    first.disk_use = allow_disk_use(fields)?;
    shape.tailing = tailing(fields, sort)?;
    shape.show.record_id = fields.strict_bool("showRecordId")?;
    let key_only = fields.strict_bool("returnKey")?;
    let range = key_range(fields)?;
    let run = run.with_disk_use(first.disk_use);
    let said = fields.strict_document("collation")?.filter(|doc| !doc.is_empty());
    let collation = chosen(said)?.or(collection.as_ref().and_then(|c| c.collation()));
    let variables = fields.document("let")?;
    let with_let = variables
        .map(|let_doc| Scope::collated(Some(let_doc), now_ms(), collation.clone()))
        .transpose()?;
    let scope = || {
        let scope = with_let.clone().map_or_else(|| Scope::new(None, now_ms()), Ok)?;
        Ok(scope.with_collation(collation.clone()))
    };
    let order = ValueOrder::new(collation.clone());
    let hint = fields.raw("hint").filter(|h| !is_empty(*h)).map(Hint::parse).transpose()?;
    let plain = hint.is_none() && sort.is_empty() && range.is_everything();
    let mut query = match plain && shape.tailing.is_none() {
        true => {
            let whole = projection.is_empty() && !key_only;
            Query::express(filter, &order, collection.as_deref(), whole, scope)?
        }
        false => Query::parse(filter, &mut scope()?)?,
    };
    if inline && !query.is_of_one_entry() {
        return Ok(Flow::Busy);
    }
    if !projection.is_empty() {
        let mut scope = scope()?;
        let sorted = !sort.is_empty() && sort.get("$natural").is_none();
        scope.offer_metadata(Offered::All { sorted });
        let compiled = Projection::parse_find(projection, &mut scope)?;
        compiled.check_filter(filter)?;
        shape.show.projection = Some(compiled);
    }
    if key_only {
        shape.show.key_only = Some(sort_key_names(projection));
    }
    if shape.show.projection.as_ref().is_some_and(Projection::needs_position) && query.id_only {
        query = Query::parse(filter, &mut scope()?)?;
    }
    if !plain || shape.tailing.is_some() || !projection.is_empty() {
        query.asked = Some(Box::new(Asked {
            projection: projection.to_buf(),
            collation: said.map(Doc::to_buf).unwrap_or_default(),
            limit: shape.limit,
            batch: fields.cut_count("batchSize")?,
            skip: shape.skip,
            in_pipeline: false,
        }));
    }
    query.hint = hint;
    query.range = range;
    set_order(&mut query, sort)?;
    status::count(&context.shared.status.operations.query, 1);
    let Some(collection) = collection else {
        // A batch size of 0 makes no cursor for documents that are not there.
        return Ok(reply_one(namespace.as_str(), None, run.cluster_time()));
    };
    if let Some(id) = express(&query, &shape, first, &collection) {
        collection.id_index().into_iter().for_each(|index| index.accesses.count());
        let found = crate::collection::find_by_id(run.store(), &collection, id)?;
        crate::profile::took_id(&collection, found.is_some());
        let document = found.map(|(_, document)| document);
        return Ok(reply_one(namespace.as_str(), document, run.cluster_time()));
    }
    if shape.tailing.is_some() {
        if collection.settings.capped.is_none() {
            let dump = query.dump(&collection);
            let why = "tailable cursor requested on non capped collection";
            return Err(Error::new(
                Code::BAD_VALUE,
                format!("error processing query: {dump} {why}"),
            ));
        }
        query.natural = Some(Direction::Ascending);
    }
    let name = namespace.as_str().to_owned();
    shape.sort = query.sort.clone();
    shape.show.sort = query.sort.clone();
    query.wants = shape.show.wants();
    query.limit = shape.limit.map(|limit| limit.saturating_add(shape.skip));
    let chosen = choose(run.store(), &collection, query)?;
    let reply = reply_first(context, &run, name, first, start(chosen, shape));
    reply.map_err(|error| error.with_prefix("Executor error during find command :: caused by :: "))
}

/// Checks arguments that are looked at later or not at all, which MongoDB reads for views too.
///
/// # Errors
/// `TypeMismatch` (14); those of [`tailing`].
fn check_types(fields: Fields<'_>, sort: Doc<'_>) -> Result<()> {
    for name in ["returnKey", "showRecordId", "allowPartialResults", "allowDiskUse", "mirrored"] {
        fields.strict_bool(name)?;
    }
    fields.strict_bool("oplogReplay").map_err(|error| {
        Error::new(error.code(), "Expected field oplogReplay to be of type bool")
    })?;
    for name in ["min", "max", "collation"] {
        fields.strict_document(name)?;
    }
    fields.number("term")?;
    tailing(fields, sort).map(drop)
}

/// The `_id` of a find that asks for nothing but the document with it: such a find takes neither plan nor cursor.
fn express<'q>(
    query: &'q Query,
    shape: &Shape,
    first: First,
    collection: &Collection,
) -> Option<&'q [u8]> {
    let plain = query.id_only && query.hint.is_none() && query.natural.is_none();
    let whole = shape.show.is_whole() && shape.skip == 0 && first.documents > 0;
    collection.id_index().and_then(|index| query.id_in(index)).filter(|_| plain && whole)
}

fn is_empty(hint: Raw<'_>) -> bool {
    hint.as_doc().is_some_and(Doc::is_empty)
}

/// Takes up the order that is asked for.
///
/// # Errors
/// Those of [`SortPattern::parse`]; `BadValue` (2) for `$natural` beside a hint.
pub(super) fn set_order(query: &mut Query, sort: Doc<'_>) -> Result<()> {
    if let Some(direction) = SortPattern::natural(sort)? {
        if matches!(query.hint, Some(Hint::Name(_) | Hint::Pattern(_))) {
            let message = "index hint not allowed with $natural sort order";
            return Err(Error::new(Code::BAD_VALUE, message));
        }
        query.natural = Some(direction);
    } else if !sort.is_empty() {
        let collation = query.order.collation().cloned();
        query.sort = Some(SortPattern::parse(sort)?.with_collation(collation));
    }
    Ok(())
}

/// Whether and how the cursor stays open at its end.
///
/// # Errors
/// `FailedToParse` (9), `BadValue` (2).
fn tailing(fields: Fields<'_>, sort: Doc<'_>) -> Result<Option<Tailing>> {
    let (tailable, awaits) = (fields.strict_bool("tailable")?, fields.strict_bool("awaitData")?);
    let bad = |message: &str| Err(Error::new(Code::BAD_VALUE, message));
    match (tailable, awaits) {
        (false, true) => {
            let message = "Cannot set 'awaitData' without also setting 'tailable'";
            Err(Error::new(Code::FAILED_TO_PARSE, message))
        }
        (false, false) => Ok(None),
        (true, _) if fields.strict_bool("singleBatch")? => {
            bad("cannot use tailable option with the 'singleBatch' option")
        }
        (true, _)
            if !sort.is_empty() && SortPattern::natural(sort)? != Some(Direction::Ascending) =>
        {
            bad("cannot use tailable option with a sort other than {$natural: 1}")
        }
        (true, awaits) => Ok(Some(if awaits { Tailing::Awaits } else { Tailing::Answers })),
    }
}

/// The arguments `min` and `max`.
///
/// # Errors
/// `TypeMismatch` (14), 51176 if they name different fields.
pub(super) fn key_range(fields: Fields<'_>) -> Result<KeyRange> {
    let min = fields.strict_document("min")?.unwrap_or(Doc::EMPTY);
    let max = fields.strict_document("max")?.unwrap_or(Doc::EMPTY);
    let same = min.iter().map(|e| e.name).eq(max.iter().map(|e| e.name));
    if !min.is_empty() && !max.is_empty() && !same {
        return Err(Error::location(51176, "min and max must have the same field names"));
    }
    Ok(KeyRange { min: min.to_buf(), max: max.to_buf() })
}

/// The fields of a projection that are `{$meta: "sortKey"}`: all of it that `returnKey` keeps.
fn sort_key_names(projection: Doc<'_>) -> Vec<String> {
    let is_sort_key = |raw: Raw<'_>| {
        let meta = raw.as_doc().and_then(|doc| doc.get("$meta"));
        meta.and_then(Raw::as_str) == Some("sortKey")
    };
    let named = projection.iter().filter(|element| is_sort_key(element.value));
    named.map(|element| element.name_str().to_owned()).collect()
}

/// The argument `allowDiskUse`: a sort may go to the disk unless it says no.
///
/// # Errors
/// `TypeMismatch` (14).
pub(super) fn allow_disk_use(fields: Fields<'_>) -> Result<bool> {
    Ok(fields.raw("allowDiskUse").is_none() || fields.strict_bool("allowDiskUse")?)
}
