//! `distinct`: the different values of a field among the documents that match.

use std::sync::Arc;

use super::collation::{argument, chosen};
use super::{Command, Context, Flow, Needs, views};
use crate::aggregate::expressions::Scope;
use crate::bson::key::Collate;
use crate::bson::{Doc, DocWriter, Raw, Type};
use crate::catalog::Collection;
use crate::engine::now_ms;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::query::distinct::Distinct;
use crate::query::exec::Environment;
use crate::query::path::{KeyPaths, Path};
use crate::query::plan::{Asked, Gives, Hint, Query, Wants, choose};
use crate::query::scan::{Next, Scan};
use crate::status;

pub(super) const COMMAND: Command = Command {
    name: "distinct",
    aliases: &[],
    help: "Gives the different values of a field",
    needs: Needs::Read,
    fields: &["collation", "hint", "key", "mirrored", "query"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    fields.strict_bool("mirrored")?;
    let namespace = context.namespace()?;
    namespace.check_dollar()?;
    let path = fields.str("key")?.ok_or_else(|| fields.missing("key"))?;
    if path.contains('\0') {
        let message = "Key field cannot contain an embedded null byte";
        return Err(Error::location(31032, message));
    }
    let filter = fields.document("query")?.unwrap_or(Doc::EMPTY);
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    if views::is_view(context, &namespace)? {
        let (distinct, moment) = views::distinct(context, &namespace, path)?;
        context.int_ok = true;
        return Ok(reply(&distinct, moment));
    }
    let Some(run) = context.read()? else { return Ok(Flow::Busy) };
    let collection = run.catalog.collection(namespace.db(), namespace.collection());
    let said = argument(fields)?;
    let collation = chosen(said)?.or(collection.and_then(|c| c.collation()));
    let mut query =
        Query::parse(filter, &mut Scope::new(None, now_ms())?.with_collation(collation.clone()))?;
    query.hint = Hint::argument(fields)?;
    query.asked = said.map(|said| Box::new(Asked::with_collation(said)));
    status::count(&context.shared.status.operations.query, 1);
    let mut distinct = Distinct::new(path);
    if let Some(collection) = collection {
        // MongoDB's time series are views.
        context.int_ok = collection.settings.time_series.is_some();
        let collate = collation
            .as_ref()
            .map(|collation| move |text: &str, out: &mut Vec<u8>| collation.append_key(text, out));
        let collate = collate.as_ref().map(|collate| collate as Collate<'_>);
        query.wants = Wants::Distinct(path.to_owned());
        let answering = answering(collection, path, &query).cloned();
        let plan = choose(run.store(), collection, query)?.plan;
        let bounded = plan.access.scans().iter().any(|scan| scan.ranged > 0);
        let by_keys = matches!(plan.gives, Gives::Distinct(0)) && bounded;
        let by_keys = by_keys && !names_null(filter.as_raw());
        let keys = KeyPaths::new(vec![Path::parse(path)?]);
        let mut scan = Scan::new(plan);
        run.scan(&mut scan, &mut |_, doc| {
            match &answering {
                Some(index) if holds(index, doc) => distinct.add_keys(doc, &keys, collate)?,
                Some(_) => {}
                None if by_keys => distinct.add_keys(doc, &keys, collate)?,
                None => distinct.add(doc, collate)?,
            }
            Ok(Next::Continue)
        })?;
    }
    Ok(reply(&distinct, run.cluster_time()))
}

/// The index that MongoDB reads the values from where those of all documents are asked for: they are its keys then,
/// whatever way is taken here.
fn answering<'c>(collection: &'c Collection, path: &str, query: &Query) -> Option<&'c Arc<Index>> {
    let numbered = path.split('.').any(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    if query.matcher.is_some() || numbered {
        return None;
    }
    let hinted = |index: &Index| match &query.hint {
        None => true,
        Some(Hint::Name(name)) => index.name == *name,
        Some(Hint::Pattern(pattern)) => {
            index.spec.as_doc().get("key").and_then(Raw::as_doc) == Some(pattern.as_doc())
        }
        Some(Hint::Natural(_)) => false,
    };
    let answers = |index: &&Arc<Index>| {
        let kind = (index.hashed.is_some(), index.wildcard.is_some(), index.partial.is_some());
        let leads = index.paths.paths().first().is_some_and(|first| first.as_str() == path);
        kind == (false, false, false)
            && leads
            && !index.hidden
            && index.order == query.order
            && hinted(index)
    };
    collection.indexes.iter().filter(answers).min_by_key(|index| index.paths.paths().len())
}

/// Whether a filter has a null in it: MongoDB looks at the documents then.
fn names_null(value: Raw<'_>) -> bool {
    let inside = |doc: Doc<'_>| doc.iter().any(|element| names_null(element.value));
    match value.kind {
        Type::Null => true,
        Type::Document | Type::Array => inside(Doc::trusted(value.data)),
        _ => false,
    }
}

/// Whether a document is in an index.
fn holds(index: &Index, doc: Doc<'_>) -> bool {
    !index.sparse || index.paths.paths().iter().any(|path| path.get(doc).is_some())
}

fn reply(distinct: &Distinct, moment: Option<u64>) -> Flow {
    let mut reply = DocWriter::new();
    reply.array("values", |values| distinct.write(values));
    if let Some(time) = moment {
        reply.timestamp("atClusterTime", time);
    }
    Flow::Reply(reply)
}
