//! What is explained: the query inside a command, read as the command itself reads it.

use crate::aggregate::expressions::{Offered, Scope};
use crate::bson::{Doc, Raw};
use crate::catalog::Collection;
use crate::commands::collation::{argument, chosen};
use crate::commands::count::limit;
use crate::commands::delete::Delete;
use crate::commands::find::{key_range, set_order};
use crate::commands::find_and_modify::Task;
use crate::commands::update::{Entry, is_of_one_id};
use crate::commands::{Context, Fields};
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::find::Show;
use crate::query::plan::{Asked, Hint, Query, Wants};
use crate::query::projection::Projection;
use crate::update::Update;

/// A query and what is done with its documents.
pub(super) struct Question<'a> {
    pub(super) namespace: Namespace,
    pub(super) query: Query,
    /// The filter as it was written.
    pub(super) filter: Doc<'a>,
    /// The order as it was written.
    pub(super) sort: Doc<'a>,
    pub(super) purpose: Purpose<'a>,
}

/// What is done with the documents of a query.
pub(super) enum Purpose<'a> {
    Find { skip: u64, limit: Option<u64>, projection: Doc<'a>, key_only: bool, record_id: bool },
    Count { skip: u64, limit: Option<u64> },
    Distinct,
    Update { update: Box<Update>, many: bool, upsert: bool, given: Option<Doc<'a>> },
    Delete { many: bool, given: Option<Doc<'a>> },
}

impl Purpose<'_> {
    /// Documents that are needed at most, those left out included.
    pub(super) fn most(&self) -> Option<u64> {
        match self {
            Purpose::Find { skip, limit, .. } | Purpose::Count { skip, limit } => {
                limit.map(|limit| limit.saturating_add(*skip))
            }
            Purpose::Update { many: false, .. } | Purpose::Delete { many: false, .. } => Some(1),
            _ => None,
        }
    }

    /// Whether documents are changed.
    pub(super) fn writes(&self) -> bool {
        matches!(self, Purpose::Update { .. } | Purpose::Delete { .. })
    }
}

impl<'a> Question<'a> {
    /// The question of a command, whose own context this is; `None` for a command that has none.
    ///
    /// # Errors
    /// Those of the command's arguments.
    pub(super) fn of(
        context: &Context<'a>,
        collection: Option<&Collection>,
    ) -> Result<Option<Question<'a>>> {
        let fields = context.fields();
        let namespace = context.namespace()?;
        Ok(Some(match context.command.name {
            "find" => find(fields, namespace, collection)?,
            "count" => count(context, namespace, collection)?,
            "distinct" => {
                let path = fields.str("key")?.ok_or_else(|| fields.missing("key"))?;
                let filter = fields.document("query")?.unwrap_or(Doc::EMPTY);
                let mut query = query(fields, filter, collection)?;
                query.wants = Wants::Distinct(path.to_owned());
                Question { namespace, query, filter, sort: Doc::EMPTY, purpose: Purpose::Distinct }
            }
            "update" => update(context, namespace, collection)?,
            "delete" => delete(context, namespace, collection)?,
            "findAndModify" => find_and_modify(context, namespace)?,
            _ => return Ok(None),
        }))
    }
}

fn scope(fields: Fields<'_>, collection: Option<&Collection>) -> Result<Scope> {
    let collation = chosen(argument(fields)?)?.or(collection.and_then(Collection::collation));
    Scope::collated(fields.document("let")?, now_ms(), collation)
}

/// The query of a command with a filter, a hint and a collation.
fn query(fields: Fields<'_>, filter: Doc<'_>, collection: Option<&Collection>) -> Result<Query> {
    let mut query = Query::parse(filter, &mut scope(fields, collection)?)?;
    query.hint = Hint::argument(fields)?;
    query.explains = true;
    Ok(query)
}

fn find<'a>(
    fields: Fields<'a>,
    namespace: Namespace,
    collection: Option<&Collection>,
) -> Result<Question<'a>> {
    let document = |name: &str| fields.strict_document(name).map(|d| d.unwrap_or(Doc::EMPTY));
    let (filter, sort, projection) =
        (document("filter")?, document("sort")?, document("projection")?);
    let skip = fields.cut_count("skip")?.unwrap_or(0).unsigned_abs();
    let limit = fields.cut_count("limit")?.filter(|&limit| limit > 0).map(i64::unsigned_abs);
    let mut query = query(fields, filter, collection)?;
    let (key_only, record_id) =
        (fields.strict_bool("returnKey")?, fields.strict_bool("showRecordId")?);
    let mut show = Show { record_id, ..Show::default() };
    if !projection.is_empty() {
        let mut scope = scope(fields, collection)?;
        let sorted = !sort.is_empty() && sort.get("$natural").is_none();
        scope.offer_metadata(Offered::All { sorted });
        let compiled = Projection::parse_find(projection, &mut scope)?;
        compiled.check_filter(filter)?;
        show.projection = Some(compiled);
    }
    show.key_only = key_only.then(Vec::new);
    query.wants = show.wants();
    query.limit = limit.map(|limit| limit.saturating_add(skip));
    query.range = key_range(fields)?;
    query.asked = Some(Box::new(Asked {
        projection: projection.to_buf(),
        collation: argument(fields)?.map(Doc::to_buf).unwrap_or_default(),
        limit,
        batch: fields.cut_count("batchSize")?,
        skip,
        in_pipeline: false,
    }));
    set_order(&mut query, sort)?;
    let purpose = Purpose::Find { skip, limit, projection, key_only, record_id };
    Ok(Question { namespace, query, filter, sort, purpose })
}

fn count<'a>(
    context: &Context<'a>,
    namespace: Namespace,
    collection: Option<&Collection>,
) -> Result<Question<'a>> {
    let fields = context.fields();
    let filter = fields.document("query")?.unwrap_or(Doc::EMPTY);
    let mut query = query(fields, filter, collection)?;
    query.wants = Wants::Count;
    let skip = fields.cut_count("skip")?.unwrap_or(0).unsigned_abs();
    let limit = limit(context)?;
    let purpose = Purpose::Count { skip, limit };
    Ok(Question { namespace, query, filter, sort: Doc::EMPTY, purpose })
}

/// The one statement of a write: several cannot be explained at once.
fn only<'a>(context: &Context<'a>, list: &str) -> Result<Doc<'a>> {
    match context.batch(list)?.as_slice() {
        [only] => Ok(*only),
        _ => {
            let message = "explained write batches must be of size 1";
            Err(Error::new(Code::INVALID_LENGTH, message))
        }
    }
}

fn update<'a>(
    context: &Context<'a>,
    namespace: Namespace,
    collection: Option<&Collection>,
) -> Result<Question<'a>> {
    let entry = Entry::parse(only(context, "updates")?)?;
    let variables = context.fields().document("let")?;
    let (update, mut query) = entry.compile(collection, variables, true)?;
    query.explains = true;
    let (many, upsert) = (entry.is_multi(), entry.upserts());
    let purpose = Purpose::Update { update: Box::new(update), many, upsert, given: None };
    Ok(Question { namespace, query, filter: entry.filter(), sort: entry.order(), purpose })
}

fn delete<'a>(
    context: &Context<'a>,
    namespace: Namespace,
    collection: Option<&Collection>,
) -> Result<Question<'a>> {
    let delete = Delete::parse(only(context, "deletes")?)?;
    let variables = context.fields().document("let")?;
    let mut query = delete.compile(collection, variables, true)?;
    query.explains = true;
    let (filter, many) = (delete.filter(), delete.is_multi());
    let purpose = Purpose::Delete { many, given: None };
    Ok(Question { namespace, query, filter, sort: Doc::EMPTY, purpose })
}

fn find_and_modify<'a>(context: &Context<'a>, namespace: Namespace) -> Result<Question<'a>> {
    let fields = context.fields();
    let (mut task, mut query) = Task::parse(context)?;
    task.read_projection(context)?;
    query.explains = true;
    let given = Some(fields.document("fields")?.unwrap_or(Doc::EMPTY));
    let sort = match is_of_one_id(&query) {
        true => Doc::EMPTY,
        false => fields.get("sort").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY),
    };
    let (filter, upsert) = (task.filter(), task.upserts());
    let purpose = match task.into_update() {
        Some(update) => Purpose::Update { update: Box::new(update), many: false, upsert, given },
        None => Purpose::Delete { many: false, given },
    };
    Ok(Question { namespace, query, filter, sort, purpose })
}
