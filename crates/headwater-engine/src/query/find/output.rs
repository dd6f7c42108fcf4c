//! The way of a document that was found into the batch: left out, projected, shown with what is known of it.

use std::sync::Arc;

use crate::aggregate::expressions::{Metadata, Needs};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw};
use crate::collection::{RecordId, collated_key};
use crate::error::Result;
use crate::index::Index;
use crate::index::keys::key_inside;
use crate::query::cursor::Batch;
use crate::query::matcher::Matcher;
use crate::query::plan::Wants;
use crate::query::plan::tree::{Access, Plan};
use crate::query::projection::Projection;
use crate::query::scan::Next;
use crate::query::sort::SortPattern;

/// What a client sees of each document.
#[derive(Debug, Default)]
pub struct Show {
    /// The fields; all without one.
    pub projection: Option<Projection>,
    /// The record id behind the fields.
    pub record_id: bool,
    /// Instead of the fields the key of the index that was used, and at these names what the document was sorted by.
    pub key_only: Option<Vec<String>>,
    /// The order that is asked for, whoever gives it.
    pub sort: Option<SortPattern>,
}

impl Show {
    /// Whether that is the document and nothing else.
    pub fn is_whole(&self) -> bool {
        self.projection.is_none() && !self.record_id && self.key_only.is_none()
    }

    /// What of the documents has to be read for it.
    pub fn wants(&self) -> Wants {
        let projection = self.projection.as_ref().filter(|projection| {
            !projection.needs_position() && !self.needs().any() && self.key_only.is_none()
        });
        projection.and_then(Projection::included_paths).map_or(Wants::Documents, Wants::Fields)
    }

    /// What has to be known of a document beside its fields.
    pub(super) fn needs(&self) -> Needs {
        let mut needs = self.projection.as_ref().map(Projection::needs).unwrap_or_default();
        needs.record |= self.record_id;
        if let Some(names) = &self.key_only {
            needs.index_key = true;
            needs.sort_key |= !names.is_empty();
        }
        needs
    }
}

/// The ranges of an index through which the documents are found.
pub(super) struct Keys {
    index: Arc<Index>,
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
    reverse: bool,
}

impl Keys {
    /// Those of a plan; none if it walks the collection. `by_id` tells whether an access by `_id` counts.
    pub(super) fn of(plan: &Plan, by_id: bool) -> Option<Keys> {
        match &plan.access {
            Access::Index(scan) if !scan.index.clustered => {
                let (index, ranges) = (scan.index.clone(), scan.ranges.clone());
                Some(Keys { index, ranges, reverse: scan.reverse })
            }
            Access::Id(_) if by_id => {
                let index = plan.collection.id_index()?.clone();
                let (from, to) = (index.id.to_be_bytes(), (index.id + 1).to_be_bytes());
                let ranges = vec![(from.to_vec(), to.to_vec())];
                Some(Keys { index, ranges, reverse: false })
            }
            _ => None,
        }
    }

    /// The key of a document that the plan read, with the texts as the index holds them.
    fn key(&self, doc: Doc<'_>) -> Option<DocBuf> {
        let key = key_inside(&self.index, doc, &self.ranges, self.reverse)?;
        match self.index.order.collation() {
            Some(collation) => Some(collated_key(key.as_doc(), collation)),
            None => Some(key),
        }
    }
}

/// The way of a document into the batch.
pub(super) struct Output<'o> {
    pub(super) skip: &'o mut u64,
    pub(super) left: &'o mut Option<u64>,
    pub(super) show: &'o Show,
    pub(super) needs: Needs,
    pub(super) keys: Option<&'o Keys>,
    pub(super) matcher: Option<&'o Matcher>,
}

impl Output<'_> {
    pub(super) fn give(
        &mut self,
        record: RecordId,
        doc: Doc<'_>,
        batch: &mut Batch<'_>,
    ) -> Result<Next> {
        if *self.skip > 0 {
            *self.skip -= 1;
            return Ok(Next::Continue);
        }
        if !batch.has_room(doc.as_bytes().len()) {
            return Ok(Next::StopBefore);
        }
        match &self.show.projection {
            None if !self.needs.any() => batch.push(doc),
            projection => {
                let metadata = self.metadata(record, doc)?;
                match (&self.show.key_only, projection) {
                    (Some(names), _) => batch.build(|out| write_key(&metadata, names, out))?,
                    (None, projection) => {
                        batch.build(|out| self.fields(doc, projection.as_ref(), &metadata, out))?;
                    }
                }
            }
        }
        if let Some(left) = self.left {
            *left -= 1;
            if *left == 0 {
                return Ok(Next::Stop);
            }
        }
        Ok(if batch.is_full() { Next::Stop } else { Next::Continue })
    }

    fn fields(
        &self,
        doc: Doc<'_>,
        projection: Option<&Projection>,
        metadata: &Metadata,
        out: &mut DocWriter,
    ) -> Result<()> {
        match projection {
            None => out.extend(doc),
            Some(projection) => {
                let details = match self.matcher {
                    Some(matcher) if projection.needs_position() => {
                        matcher.matches_with_position(doc)?
                    }
                    _ => None,
                };
                projection.apply_with(doc, details.as_ref(), Some(metadata), out)?;
            }
        }
        if self.show.record_id {
            out.i64("$recordId", metadata.record);
        }
        Ok(())
    }

    fn metadata(&self, record: RecordId, doc: Doc<'_>) -> Result<Metadata> {
        let keys = self.keys.filter(|_| self.needs.index_key);
        let sort = self.show.sort.as_ref().filter(|_| self.needs.sort_key);
        Ok(Metadata {
            record: record.cast_signed(),
            index_key: keys.and_then(|keys| keys.key(doc)),
            sort_key: sort.map(|sort| sort.values(doc)).transpose()?,
        })
    }
}

fn write_key(metadata: &Metadata, names: &[String], out: &mut DocWriter) -> Result<()> {
    if let Some(key) = &metadata.index_key {
        out.extend(key.as_doc());
    }
    let sorted_by = metadata.sort_key.as_ref().map(|key| Array::trusted(key).as_raw());
    names.iter().for_each(|name| out.raw(name, sorted_by.unwrap_or(Raw::NULL)));
    Ok(())
}
