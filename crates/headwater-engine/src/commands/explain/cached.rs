//! What is remembered of choices of plans, as `$planCacheStats` shows it.

use std::sync::Arc;

use super::draw::Drawing;
use super::node::Node;
use super::planner::plan_key;
use super::question::Purpose;
use super::top::Top;
use crate::aggregate::expressions::{Offered, Scope};
use crate::bson::{DocBuf, DocWriter};
use crate::catalog::Collection;
use crate::engine::now_ms;
use crate::error::Result;
use crate::query::exec::Environment;
use crate::query::find::Show;
use crate::query::matcher::shape_hash;
use crate::query::plan::cache::Entry;
use crate::query::plan::{Hint, Query, choose};
use crate::query::projection::Projection;
use crate::query::run::Run;
use crate::query::sort::SortPattern;
use crate::status::host_name;

/// A document for each entry. No plan was tried out for one, so that nothing is said of what that took.
///
/// # Errors
/// Those of the store.
pub(crate) fn rows(view: &Run<'_>, collection: &Arc<Collection>) -> Result<Vec<DocBuf>> {
    let entries = collection.plans.entries(collection);
    let host = host_name();
    entries.iter().map(|entry| row(view, collection, entry, &host)).collect()
}

fn row(view: &Run<'_>, collection: &Arc<Collection>, entry: &Entry, host: &str) -> Result<DocBuf> {
    view.check()?;
    let (shape, mut out) = (entry.shape(), DocWriter::new());
    let hash = shape_hash(&shape);
    out.str("version", "1");
    out.str("queryHash", &hash);
    out.str("planCacheShapeHash", &hash);
    out.str("planCacheKey", &plan_key(&shape, collection));
    out.bool("isActive", entry.is_active);
    out.i64("works", i64::try_from(entry.works).unwrap_or(i64::MAX));
    out.date("timeOfCreation", entry.created_ms);
    out.document("createdFromQuery", |out| {
        out.doc("query", entry.filter.as_doc());
        out.doc("sort", entry.sort.as_doc());
        out.doc("projection", entry.projection.as_doc());
        if let Some(collation) = &entry.collation {
            out.doc("collation", collation.spec());
        }
    });
    // What was compiled with variables of its command cannot be drawn without them.
    if let Ok(plan) = plan(view, collection, entry) {
        out.document("cachedPlan", |out| plan.write_plan(out));
    }
    out.bool("indexFilterSet", false);
    out.i64("estimatedSizeBytes", i64::try_from(entry.bytes()).unwrap_or(i64::MAX));
    out.str("host", host);
    Ok(out.finish())
}

/// The plan of the query that an entry was made for, through the index that is remembered.
fn plan(view: &Run<'_>, collection: &Arc<Collection>, entry: &Entry) -> Result<Node> {
    let (sort, projection) = (entry.sort.as_doc(), entry.projection.as_doc());
    let mut scope = Scope::new(None, now_ms())?.with_collation(entry.collation.clone());
    let mut query = Query::parse(entry.filter.as_doc(), &mut scope)?;
    if !sort.is_empty() {
        let pattern = SortPattern::parse(sort)?.with_collation(entry.collation.clone());
        query.sort = Some(pattern);
    }
    let mut show = Show::default();
    if !projection.is_empty() {
        scope.offer_metadata(Offered::All { sorted: !sort.is_empty() });
        show.projection = Some(Projection::parse_find(projection, &mut scope)?);
    }
    query.wants = show.wants();
    let index = collection.indexes.get(entry.index);
    query.hint = index.map(|index| Hint::Name(index.name.clone()));
    let chosen = choose(view.store(), collection, query)?;
    let access = &chosen.plan.access;
    let drawing = Drawing { plan: &chosen.plan, access, sort, express: false, ran: None };
    let purpose =
        Purpose::Find { skip: 0, limit: None, projection, key_only: false, record_id: false };
    let (sorted, gives, memory) = (chosen.sorted, chosen.plan.gives, view.stage_bytes_max());
    let top = Top { purpose: &purpose, sort, sorted, gives, ran: None, memory };
    Ok(top.above(drawing.draw()))
}
