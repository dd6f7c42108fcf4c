//! The filters of waiting streams that see the same documents: equal filters are one, and a filter that requires a value
//! at a path is found by that value. Knows nothing of scopes or of the log.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::Filter;
use super::members::Members;
use super::ticket::Ticket;
use crate::bson::key::append;
use crate::bson::{Doc, Raw, Type};
use crate::query::matcher::Matcher;
use crate::query::path::{Leaf, Path, Root};

/// Bytes of the longest value that filters are found by.
const VALUE_BYTES_MAX: usize = 1024;
/// Most values at one path that one filter is found by.
const VALUES_MAX: usize = 1000;

/// Waiting streams by their filters.
#[derive(Debug, Default)]
pub(super) struct Filters {
    groups: BTreeMap<u64, Group>,
    next: u64,
    shared: HashMap<Same, u64>,
    found_by: Vec<FoundBy>,
    /// Filters that no value leads to.
    rest: Vec<u64>,
    /// Room for those that an event is to be shown to.
    asked: Vec<u64>,
}

/// Streams of one filter.
#[derive(Debug)]
struct Group {
    matcher: Arc<Matcher>,
    shared: bool,
    by: Option<Values>,
    members: Members,
}

/// A path and the encoded values of which one must be there.
#[derive(Debug, Clone)]
struct Values {
    path: Path,
    keys: Vec<Box<[u8]>>,
}

/// The groups that require a value at a path.
#[derive(Debug)]
struct FoundBy {
    path: Path,
    groups: HashMap<Box<[u8]>, Vec<u64>>,
}

/// A filter, the same as another if its bytes are.
#[derive(Debug)]
struct Same(Arc<Matcher>);

impl Borrow<[u8]> for Same {
    fn borrow(&self) -> &[u8] {
        self.0.filter().as_bytes()
    }
}

impl PartialEq for Same {
    fn eq(&self, other: &Same) -> bool {
        self.0.filter().as_bytes() == other.0.filter().as_bytes()
    }
}

impl Eq for Same {}

impl Hash for Same {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.filter().as_bytes().hash(state);
    }
}

impl Filters {
    /// Adds a stream; the number names its group.
    pub(super) fn add(&mut self, filter: &Filter, ticket: &Arc<Ticket>) -> u64 {
        let (matcher, shared) = match filter {
            Filter::Shared(matcher) => (matcher, true),
            Filter::Own(matcher) => (matcher, false),
        };
        let known = shared.then(|| self.shared.get(matcher.filter().as_bytes()).copied()).flatten();
        let id = known.unwrap_or_else(|| self.begin(matcher, shared));
        if let Some(group) = self.groups.get_mut(&id) {
            group.members.add(ticket);
        }
        id
    }

    fn begin(&mut self, matcher: &Arc<Matcher>, shared: bool) -> u64 {
        let id = self.next;
        self.next += 1;
        let by = values(matcher);
        match &by {
            None => self.rest.push(id),
            Some(values) => {
                let at = self.found_by.iter().position(|found_by| found_by.path == values.path);
                let at = at.unwrap_or_else(|| {
                    let path = values.path.clone();
                    self.found_by.push(FoundBy { path, groups: HashMap::new() });
                    self.found_by.len() - 1
                });
                for key in &values.keys {
                    self.found_by[at].groups.entry(key.clone()).or_default().push(id);
                }
            }
        }
        if shared {
            self.shared.insert(Same(Arc::clone(matcher)), id);
        }
        let group = Group { matcher: Arc::clone(matcher), shared, by, members: Members::default() };
        self.groups.insert(id, group);
        id
    }

    /// Takes a stream out of its group, if it is still there.
    pub(super) fn remove(&mut self, id: u64, ticket: &Ticket) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.members.remove(ticket);
        if group.members.is_empty() {
            self.end(id);
        }
    }

    fn end(&mut self, id: u64) {
        let Some(group) = self.groups.remove(&id) else { return };
        if group.shared {
            self.shared.remove(group.matcher.filter().as_bytes());
        }
        let Some(values) = group.by else {
            self.rest.retain(|&other| other != id);
            return;
        };
        let Some(at) = self.found_by.iter().position(|found_by| found_by.path == values.path)
        else {
            return;
        };
        for key in &values.keys {
            if let Some(groups) = self.found_by[at].groups.get_mut(key) {
                groups.retain(|&other| other != id);
                if groups.is_empty() {
                    self.found_by[at].groups.remove(key);
                }
            }
        }
        if self.found_by[at].groups.is_empty() {
            self.found_by.swap_remove(at);
        }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Calls the streams whose filters a document passes, or fails on. Returns how many filters were asked.
    pub(super) fn call(&mut self, doc: Doc<'_>, seq: u64, called: &mut Vec<Arc<Ticket>>) -> u64 {
        let mut asked = std::mem::take(&mut self.asked);
        asked.clear();
        asked.extend_from_slice(&self.rest);
        self.find(doc, &mut asked);
        for &id in &asked {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            if group.matcher.matches(doc).unwrap_or(true) {
                group.members.call(seq, called);
                if group.members.is_empty() {
                    self.end(id);
                }
            }
        }
        let count = asked.len() as u64;
        self.asked = asked;
        count
    }

    /// Calls all streams.
    pub(super) fn call_all(&mut self, seq: u64, called: &mut Vec<Arc<Ticket>>) {
        let all: Vec<u64> = self.groups.keys().copied().collect();
        for id in all {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.members.call(seq, called);
            if group.members.is_empty() {
                self.end(id);
            }
        }
    }

    /// The groups that a value of the document leads to.
    fn find(&self, doc: Doc<'_>, found: &mut Vec<u64>) {
        let before = found.len();
        let mut key = Vec::new();
        for FoundBy { path, groups } in &self.found_by {
            let mut visit = |value: Option<Raw<'_>>, _| {
                if let Some(value) = value.filter(|value| finds(*value)) {
                    key.clear();
                    append(&mut key, value);
                    found.extend(groups.get(&key[..]).into_iter().flatten());
                }
                Ok(false)
            };
            // The walk that filters take: what a filter sees at the path is what is looked up. It fails never.
            let _ = path.walk(Root::Doc(doc), Leaf::Elements, &mut visit);
        }
        if found.len() > before + 1 {
            found[before..].sort_unstable();
            found.dedup();
        }
    }
}

/// Whether filters are found by values of this kind and size. Equal values are both or neither.
fn finds(value: Raw<'_>) -> bool {
    let plain = match value.kind {
        Type::String | Type::Symbol | Type::ObjectId | Type::Bool | Type::Date => true,
        Type::Timestamp | Type::Binary => true,
        kind => kind.is_number(),
    };
    plain && value.data.len() <= VALUE_BYTES_MAX
}

/// By which of its requirements a filter is found: one on what was written, if there is one, for many events have the
/// same operation and namespace.
fn values(matcher: &Matcher) -> Option<Values> {
    let requirements = matcher.requirements();
    let usable = requirements.iter().filter(|requirement| {
        let values = &requirement.values;
        values.len() <= VALUES_MAX && values.iter().all(|value| finds(*value))
    });
    let is_coarse = |path: &Path| {
        let first = path.parts().first().map_or(&b""[..], |part| part.name());
        matches!(first, b"operationType" | b"ns" | b"to")
    };
    let best = usable.min_by_key(|requirement| is_coarse(requirement.path))?;
    let keys = best.values.iter().map(|value| {
        let mut key = Vec::new();
        append(&mut key, *value);
        key.into()
    });
    Some(Values { path: best.path.clone(), keys: keys.collect() })
}
