//! The stages above the way to the documents: what sorts, leaves out, cuts off, shows, counts and changes.

use super::node::{Node, Work, number};
use super::question::Purpose;
use super::ran::Ran;
use crate::bson::{Doc, DocWriter, Type};
use crate::query::plan::tree::Gives;
use crate::query::sort::runs::Spilled;

/// What stands above a way.
pub(super) struct Top<'t> {
    pub(super) purpose: &'t Purpose<'t>,
    pub(super) sort: Doc<'t>,
    /// Whether the way gives the order that is asked for.
    pub(super) sorted: bool,
    pub(super) gives: Gives,
    pub(super) ran: Option<&'t Ran>,
    /// Bytes that a sort may hold in memory.
    pub(super) memory: usize,
}

impl Top<'_> {
    /// The whole plan above a way.
    pub(super) fn above(&self, way: Node) -> Node {
        match self.ran {
            Some(ran) => self.on_top(way.timed(ran.finding)),
            None => self.on_top(way),
        }
    }

    /// The way with the order alone, as it is tried out for what does not hand its documents on.
    pub(super) fn in_order(&self, way: Node) -> Node {
        match self.purpose {
            Purpose::Find { .. } => self.above(way),
            _ if self.sort.is_empty() => way,
            _ => self.sort(way, "default"),
        }
    }

    fn on_top(&self, way: Node) -> Node {
        match self.purpose {
            Purpose::Find { skip, limit, .. } => {
                let node = self.skip(self.sort(way, "simple"), *skip);
                let node = self.shown(node, *skip, *limit);
                let single = node.name.starts_with("EXPRESS");
                match limit.filter(|_| self.sorted && !single) {
                    Some(limit) => self.limit(node, limit, self.window(*skip, Some(limit))),
                    None => node,
                }
            }
            Purpose::Count { skip, limit } => self.count(way, *skip, *limit),
            Purpose::Distinct => way,
            Purpose::Update { given, .. } | Purpose::Delete { given, .. } => {
                let ordered = !self.sort.is_empty();
                let node = self.sort(way, "default");
                let found = self.ran.map_or(0, |ran| ran.sorted);
                let node = match given.filter(|_| ordered && self.sorted) {
                    Some(_) => self.limit(node, 1, found),
                    None => node,
                };
                let node = self.write(node);
                match given.filter(|given| !given.is_empty()) {
                    Some(projection) => {
                        let node = node_of("PROJECTION_DEFAULT", projection, node);
                        self.passing(node, found)
                    }
                    None => node,
                }
            }
        }
    }

    /// Documents left behind the first `skip`, `limit` at most.
    fn window(&self, skip: u64, limit: Option<u64>) -> u64 {
        let found = self.ran.map_or(0, |ran| ran.sorted).saturating_sub(skip);
        limit.map_or(found, |limit| found.min(limit))
    }

    /// A stage above another that passes on some of what comes.
    fn passing(&self, node: Node, advanced: u64) -> Node {
        match (self.ran, node.inputs.first().map(|input| input.work)) {
            (Some(_), Some(Some(work))) => node.worked(work.passing(advanced), |_| {}),
            (Some(_), _) => Node { returned: advanced, ..node },
            (None, _) => node,
        }
    }

    fn sort(&self, way: Node, kind: &str) -> Node {
        if self.sorted {
            return way;
        }
        let input = way.work;
        let node = Node::new("SORT", |out| {
            out.doc("sortPattern", self.sort);
            number(out, "memLimit", self.memory as u64);
            if let Some(most) = self.purpose.most() {
                number(out, "limitAmount", most);
            }
            out.str("type", kind);
        });
        match (self.ran, input) {
            (Some(ran), Some(input)) => {
                let ended = input.ended;
                let units = input.units + ran.sorted + u64::from(ended);
                let work = Work { units, advanced: ran.sorted, ended };
                let node = node.on(way).worked(work, |out| {
                    number(out, "totalDataSizeSorted", ran.found_bytes);
                    write_spilled(out, ran.spilled);
                });
                node.timed(ran.sorting)
            }
            _ => node.on(way),
        }
    }

    fn skip(&self, input: Node, skip: u64) -> Node {
        if skip == 0 {
            return input;
        }
        let node = Node::new("SKIP", |out| number(out, "skipAmount", skip)).on(input);
        self.passing(node, self.window(skip, None))
    }

    fn limit(&self, input: Node, limit: u64, given: u64) -> Node {
        let node = Node::new("LIMIT", |out| number(out, "limitAmount", limit)).on(input);
        match (self.ran, node.inputs.first().and_then(|input| input.work)) {
            (Some(_), Some(work)) => {
                // At its limit it comes to its end where its input need not.
                let ended = work.ended || given >= limit;
                let units = work.units + u64::from(ended && !work.ended);
                node.worked(Work { units, advanced: given, ended }, |_| {})
            }
            _ => node,
        }
    }

    fn shown(&self, input: Node, skip: u64, limit: Option<u64>) -> Node {
        let Purpose::Find { projection, key_only, record_id, .. } = *self.purpose else {
            return input;
        };
        let given = self.window(skip, limit);
        if input.work.is_none() && input.inputs.is_empty() && input.name.starts_with("EXPRESS") {
            let mut node = input;
            if !projection.is_empty() {
                let mut fields = DocWriter::new();
                fields.extend(node.fields.as_doc());
                fields.doc("projection", projection);
                fields.bool("projectionCovered", false);
                node.fields = fields.finish();
            }
            return node;
        }
        if key_only {
            return self.passing(Node::new("RETURN_KEY", |_| {}).on(input), given);
        }
        if projection.is_empty() && !record_id {
            return input;
        }
        let name = match self.gives {
            Gives::Keys => "PROJECTION_COVERED",
            _ if !record_id && is_simple(projection) => "PROJECTION_SIMPLE",
            _ => "PROJECTION_DEFAULT",
        };
        let node = Node::new(name, |out| {
            out.document("transformBy", |out| {
                out.extend(projection);
                if record_id {
                    out.document("$recordId", |out| out.str("$meta", "recordId"));
                }
            });
        });
        self.passing(node.on(input), given)
    }

    fn count(&self, input: Node, skip: u64, limit: Option<u64>) -> Node {
        let node = Node::new("COUNT", |_| {}).on(input);
        let Some(ran) = self.ran else { return node };
        let work = node.inputs.first().and_then(|input| input.work).unwrap_or_default();
        let units = work.units + u64::from(!work.ended);
        let (counted, skipped) = (self.window(skip, limit), ran.sorted.min(skip));
        node.worked(Work { units, advanced: 0, ended: true }, |out| {
            number(out, "nCounted", counted);
            number(out, "nSkipped", skipped);
        })
    }

    fn write(&self, input: Node) -> Node {
        let express = input.name == "EXPRESS_IXSCAN" && input.inputs.is_empty();
        let name = match (self.purpose, express) {
            (Purpose::Update { .. }, true) => "EXPRESS_UPDATE",
            (Purpose::Update { .. }, false) => "UPDATE",
            (_, true) => "EXPRESS_DELETE",
            (Purpose::Delete { many: true, .. }, false) => "BATCHED_DELETE",
            _ => "DELETE",
        };
        let found = self.ran.map_or(0, |ran| ran.sorted);
        let given = matches!(
            self.purpose,
            Purpose::Update { given: Some(_), .. } | Purpose::Delete { given: Some(_), .. }
        );
        let returned = if given { found } else { 0 };
        let figures = |out: &mut DocWriter| {
            let Some(ran) = self.ran else { return };
            let upserts = matches!(self.purpose, Purpose::Update { upsert: true, .. });
            let upserted = u64::from(upserts && found == 0);
            let updates = matches!(self.purpose, Purpose::Update { .. });
            if updates && !express {
                number(out, "nMatched", found);
            }
            if updates || express {
                number(out, "nWouldModify", ran.changed);
                number(out, "nWouldUpsert", upserted);
            }
            if !updates || express {
                number(out, "nWouldDelete", if updates { 0 } else { found });
            }
        };
        if express {
            let mut more = DocWriter::new();
            more.extend(input.figures.as_doc());
            figures(&mut more);
            return Node { name, figures: more.finish(), returned, ..input };
        }
        let work = input.work;
        let node = Node::new(name, |_| {}).on(input);
        match (self.ran, work) {
            (Some(_), Some(work)) => {
                let work = Work { advanced: returned, ended: true, ..work };
                node.worked(work, figures)
            }
            _ => node,
        }
    }
}

/// Appends what a stage put on the disk.
pub(super) fn write_spilled(out: &mut DocWriter, spilled: Spilled) {
    out.bool("usedDisk", spilled.runs > 0);
    number(out, "spills", spilled.runs);
    number(out, "spilledBytes", spilled.bytes);
    number(out, "spilledRecords", spilled.records);
    number(out, "spilledDataStorageSize", spilled.bytes);
}

fn node_of(name: &'static str, projection: Doc<'_>, input: Node) -> Node {
    Node::new(name, |out| out.doc("transformBy", projection)).on(input)
}

/// Whether a projection does no more than keep or drop whole fields.
fn is_simple(projection: Doc<'_>) -> bool {
    projection.iter().all(|field| {
        let plain = field.value.kind.is_number() || field.value.kind == Type::Bool;
        plain && !field.name.contains(&b'.') && !field.name.ends_with(b"$")
    })
}
