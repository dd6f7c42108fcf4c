//! A stage that asks with `$meta` what is known of documents beside their fields: the record id, and what they were sorted
//! by. It must stand right behind what a find plan answers; documents that other stages have made are not described.

use std::sync::Arc;

use super::StageSpec;
use crate::aggregate::expressions::Metadata;
use crate::bson::DocBuf;
use crate::error::Result;
use crate::query::exec::{Environment, Stage};
use crate::query::scan::split_record;
use crate::query::sort::SortPattern;

/// Starts such a stage over documents that carry their record ids and are in the order of `sort`.
pub fn start(
    spec: Arc<dyn StageSpec>,
    source: Box<dyn Stage>,
    sort: Option<SortPattern>,
) -> Box<dyn Stage> {
    Box::new(Described { spec, source, sort })
}

struct Described {
    spec: Arc<dyn StageSpec>,
    source: Box<dyn Stage>,
    sort: Option<SortPattern>,
}

impl Stage for Described {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        let Some(joined) = self.source.next(env)? else { return Ok(None) };
        let (record, doc) = split_record(joined.as_doc());
        let sort_key = self.sort.as_ref().map(|sort| sort.values(doc.as_doc())).transpose()?;
        let metadata = Metadata { record: record.cast_signed(), sort_key, ..Metadata::default() };
        self.spec.describe(doc.as_doc(), &metadata).map(Some)
    }

    fn is_done(&self) -> bool {
        self.source.is_done()
    }
}
