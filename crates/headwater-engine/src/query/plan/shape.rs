//! The shape of a query: what decides its plan but for values. Queries of one shape are shown under one hash.

use super::Query;
use crate::aggregate::expressions::document_text;
use crate::bson::Doc;
use crate::query::matcher::Canonical;
use crate::query::sort::SortPattern;

impl Query {
    /// The shape of the query with that filter and projection, as text.
    pub fn shape(&self, filter: Doc<'_>, projection: Doc<'_>) -> String {
        let sort = self.sort.as_ref().map_or(Doc::EMPTY, SortPattern::spec);
        let collation = self.order.collation().map(|collation| collation.spec());
        shape_text(filter, sort, projection, collation)
    }
}

/// The shape of a query of those parts; the filter is one that was parsed before.
pub fn shape_text(
    filter: Doc<'_>,
    sort: Doc<'_>,
    projection: Doc<'_>,
    collation: Option<Doc<'_>>,
) -> String {
    let filter = Canonical::of(filter).shape();
    let (sort, projection) = (document_text(sort), document_text(projection));
    format!("{filter}\n{sort}\n{projection}\n{}", collation.map(document_text).unwrap_or_default())
}
