//! The shape of a query: what decides its plan but for values. Queries of one shape are shown under one hash.

use super::Query;
use crate::aggregate::expressions::document_text;
use crate::bson::Doc;
use crate::query::matcher::Canonical;
use crate::query::sort::SortPattern;

impl Query {
    /// The shape of the query with that filter and projection, as text.
    pub fn shape(&self, filter: Doc<'_>, projection: Doc<'_>) -> String {
        let filter = Canonical::of(filter).shape();
        let sort = document_text(self.sort.as_ref().map_or(Doc::EMPTY, SortPattern::spec));
        let collation = self.order.collation().map(|collation| document_text(collation.spec()));
        let collation = collation.unwrap_or_default();
        format!("{filter}\n{sort}\n{}\n{collation}", document_text(projection))
    }
}
