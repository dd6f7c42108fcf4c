//! Groups that are done: in the order in which they first came, and those of documents that were put aside.

use std::vec::IntoIter;

use super::GroupSpec;
use super::places::Places;
use crate::aggregate::accumulators::{Group, State};
use crate::bson::{Doc, DocBuf, Value};
use crate::error::Result;
use crate::query::exec::Environment;
use crate::query::sort::Sorted;

/// A group with its `_id`.
pub(super) type Held = (Value<'static>, Group);

/// Groups in the order in which they first came.
#[derive(Default)]
pub(super) struct Groups {
    parts: Vec<Part>,
    width: usize,
    /// Those that were taken apart already.
    whole: IntoIter<Held>,
}

/// Groups of one filling.
pub(super) struct Part {
    pub(super) ids: IntoIter<Value<'static>>,
    pub(super) states: IntoIter<State>,
    /// When each came first, where there are other parts.
    pub(super) firsts: IntoIter<u64>,
}

impl Groups {
    /// The groups of some parts, each with so many accumulators.
    pub(super) fn new(parts: Vec<Part>, width: usize) -> Groups {
        Groups { parts, width, whole: Vec::new().into_iter() }
    }

    /// Groups one by one.
    pub(super) fn of_whole(whole: Vec<Held>) -> Groups {
        Groups { whole: whole.into_iter(), ..Groups::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.ids.len() == 0) && self.whole.len() == 0
    }

    /// The part whose next group came first.
    fn next_part(&mut self) -> Option<&mut Part> {
        if self.parts.len() < 2 {
            return self.parts.first_mut();
        }
        let left = self.parts.iter_mut().filter(|part| part.ids.len() > 0);
        left.min_by_key(|part| part.firsts.as_slice().first().copied())
    }
}

impl Iterator for Groups {
    type Item = Held;

    fn next(&mut self) -> Option<Held> {
        let width = self.width;
        if let Some(part) = self.next_part()
            && let Some(id) = part.ids.next()
        {
            part.firsts.next();
            return Some((id, Group::of(part.states.by_ref().take(width).collect())));
        }
        self.whole.next()
    }
}

/// The groups of documents that were put aside: one at a time, begun by what memory has of it.
pub(super) struct Spilled {
    pub(super) places: Places,
    pub(super) held: Vec<Option<Held>>,
    pub(super) rest: Sorted,
    /// The first document of the next group.
    pub(super) next: Option<(Vec<u8>, DocBuf)>,
}

impl Spilled {
    pub(super) fn next(&mut self, spec: &GroupSpec, env: &dyn Environment) -> Result<Option<Held>> {
        let first = match self.next.take() {
            Some(first) => Some(first),
            None => self.rest.next_with_key().transpose()?,
        };
        let Some((key, doc)) = first else { return Ok(None) };
        let place = self.places.get(&key).and_then(|at| self.held.get_mut(at));
        let (id, mut group) = match place.and_then(Option::take) {
            Some(held) => held,
            None => begin(spec, doc.as_doc())?,
        };
        group.add(&spec.statements, doc.as_doc())?;
        while let Some((other, doc)) = self.rest.next_with_key().transpose()? {
            env.check()?;
            if other != key {
                self.next = Some((other, doc));
                break;
            }
            group.add(&spec.statements, doc.as_doc())?;
        }
        Ok(Some((id, group)))
    }
}

fn begin(spec: &GroupSpec, doc: Doc<'_>) -> Result<Held> {
    let id = super::owned(spec.id.evaluate(doc)?);
    let group = Group::new(&spec.statements, id.as_doc().unwrap_or(Doc::EMPTY))?;
    Ok((id, group))
}
