//! `$indexStats`: a document for each index of a collection, with how often it was used.

use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::Context;
use crate::bson::{Doc, DocBuf, Raw};
use crate::error::{Error, Result};
use crate::query::exec::{Environment, Ready, Stage};

const NAME: &str = "$indexStats";

#[derive(Debug)]
struct IndexStats {
    db: Box<str>,
    collection: Box<str>,
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    if !raw.as_doc().is_some_and(Doc::is_empty) {
        let message = "The $indexStats stage specification must be an empty object";
        return Err(Error::location(28803, message));
    }
    let collection = context.collection.unwrap_or_default().into();
    Ok(vec![Arc::new(IndexStats { db: context.db.into(), collection })])
}

impl StageSpec for IndexStats {
    fn name(&self) -> &'static str {
        NAME
    }

    fn start(self: Arc<Self>, _: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Giving { spec: self, rows: None })
    }

    fn is_source(&self) -> bool {
        true
    }
}

struct Giving {
    spec: Arc<IndexStats>,
    rows: Option<Ready>,
}

impl Stage for Giving {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        let rows = match &mut self.rows {
            Some(rows) => rows,
            rows => {
                let found = env.index_uses(&self.spec.db, &self.spec.collection)?;
                rows.insert(Ready::new(found))
            }
        };
        rows.next(env)
    }
}
