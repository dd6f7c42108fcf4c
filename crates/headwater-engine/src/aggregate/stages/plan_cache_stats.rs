//! `$planCacheStats`: a document for each choice of a plan that is remembered of a collection.

use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::Context;
use crate::bson::{DocBuf, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Ready, Stage};

const NAME: &str = "$planCacheStats";

#[derive(Debug)]
struct PlanCacheStats {
    db: Box<str>,
    collection: Box<str>,
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let failed = |message: String| Error::new(Code::FAILED_TO_PARSE, message);
    let Some(doc) = raw.as_doc() else {
        let found = raw.kind.alias();
        return Err(failed(format!("{NAME} value must be an object. Found: {found}")));
    };
    for field in doc {
        let name = field.name_str();
        if name != "allHosts" {
            let message = format!(
                "{NAME} parameters object may contain only 'allHosts' field. Found: {name}"
            );
            return Err(failed(message));
        }
        match field.value.kind {
            Type::Bool if field.value.as_bool() == Some(true) => {
                let message =
                    format!("{NAME} stage supports allHosts parameter only for sharded clusters");
                return Err(Error::location(4_503_200, message));
            }
            Type::Bool => {}
            found => {
                let message = format!("wrong type for field (allHosts) {} != bool", found.alias());
                return Err(Error::location(13111, message));
            }
        }
    }
    let collection = context.collection.unwrap_or_default().into();
    Ok(vec![Arc::new(PlanCacheStats { db: context.db.into(), collection })])
}

impl StageSpec for PlanCacheStats {
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
    spec: Arc<PlanCacheStats>,
    rows: Option<Ready>,
}

impl Stage for Giving {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        let rows = match &mut self.rows {
            Some(rows) => rows,
            rows => rows.insert(Ready::new(self.spec.rows(env)?)),
        };
        rows.next(env)
    }
}

impl PlanCacheStats {
    fn rows(&self, env: &dyn Environment) -> Result<Vec<DocBuf>> {
        let PlanCacheStats { db, collection } = self;
        env.cached_plans(db, collection)?.ok_or_else(|| {
            let message = format!("collection '{db}.{collection}' does not exist");
            Error::location(50933, message)
        })
    }
}
