//! What is said when there is no plan: of which query, and why. Source of the form: recorded answers.

use std::fmt::{Display, Write};

use super::Query;
use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocBuf};
use crate::catalog::Collection;
use crate::collation::ValueOrder;
use crate::error::{Code, Error};
use crate::query::matcher::{Canonical, Matcher};
use crate::query::sort::SortPattern;

/// What errors show of a query beside what the planner needs.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The projection of a find.
    pub projection: DocBuf,
    /// The collation as the client wrote it.
    pub collation: DocBuf,
    /// Documents asked for at most.
    pub limit: Option<u64>,
    /// Documents in the first batch, if the client says so.
    pub batch: Option<i64>,
    /// Documents to leave out.
    pub skip: u64,
    /// Whether it is the head of a pipeline.
    pub in_pipeline: bool,
}

impl Query {
    /// The query as errors show it.
    pub fn dump(&self, collection: &Collection) -> String {
        let filter = self.matcher.as_deref().map_or(Doc::EMPTY, Matcher::filter);
        let tree = Canonical::of(filter);
        let sort = self.sort.as_ref().map_or(Doc::EMPTY, SortPattern::spec);
        let (nothing, namespace) = (Asked::default(), collection.namespace.as_str());
        let asked = self.asked.as_deref().unwrap_or(&nothing);
        let (sort, projection) = (document_text(sort), document_text(asked.projection.as_doc()));
        let (amounts, collation) = (asked.amounts(), asked.collation(&self.order));
        format!(
            "ns={namespace}{amounts}Tree: {tree}\nSort: {sort}\nProj: {projection}\n{collation}"
        )
    }

    /// The error for a query without a plan.
    #[cold]
    pub(super) fn refused(&self, collection: &Collection, code: Code, why: impl Display) -> Error {
        let dump = self.dump(collection);
        let message = format!(
            "error enumerating plans for query: {dump} planner returned error :: caused by :: {why}"
        );
        Error::new(code, message)
    }
}

impl Asked {
    /// A query of which nothing else is shown.
    pub fn with_collation(collation: Doc<'_>) -> Asked {
        Asked { collation: collation.to_buf(), ..Asked::default() }
    }

    fn amounts(&self) -> String {
        let mut out = String::new();
        let amounts = [
            ("limit", self.limit),
            ("batchSize", self.batch.map(i64::unsigned_abs)),
            ("skip", Some(self.skip).filter(|&skip| skip > 0)),
        ];
        for (name, amount) in amounts {
            if let Some(amount) = amount {
                let _ = write!(out, " {name}={amount}");
            }
        }
        out
    }

    fn collation(&self, order: &ValueOrder) -> String {
        let spec = match order.collation() {
            _ if !self.collation.as_doc().is_empty() => document_text(self.collation.as_doc()),
            Some(collation) if self.in_pipeline => document_text(collation.spec()),
            None if self.in_pipeline => "{ locale: \"simple\" }".to_owned(),
            _ => return String::new(),
        };
        format!("Collation: {spec}\n")
    }
}
