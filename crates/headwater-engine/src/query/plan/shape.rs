//! The shape of a query: what decides its plan but for values. Queries of one shape are shown under one hash.

use super::Query;
use crate::aggregate::expressions::document_text;
use crate::bson::Doc;
use crate::query::matcher::{Canonical, Matcher};
use crate::query::sort::SortPattern;

impl Query {
    /// The shape of the query with that projection, as text.
    pub fn shape(&self, projection: Doc<'_>) -> String {
        let filter = self.matcher.as_deref().map_or(Doc::EMPTY, Matcher::filter);
        let filter = Canonical::of(filter).shape();
        let sort = document_text(self.sort.as_ref().map_or(Doc::EMPTY, SortPattern::spec));
        let collation = self.order.collation().map(|collation| document_text(collation.spec()));
        let collation = collation.unwrap_or_default();
        format!("{filter}\n{sort}\n{}\n{collation}", document_text(projection))
    }
}
