//! The way to the documents as stages: collection and index scans, and what joins several of them.

use super::index::write_index;
use super::node::{Node, Work, document, number, shown_filter};
use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, DocWriter};
use crate::index::Index;
use crate::query::bounds::Interval;
use crate::query::plan::ends::{End, Ends, text};
use crate::query::plan::tree::{Access, Gives, IndexScan, Plan};
use crate::query::scan::{Counts, Taken};

/// What is drawn: a way, and what it took if it was gone.
pub(super) struct Drawing<'d> {
    pub(super) plan: &'d Plan,
    pub(super) access: &'d Access,
    /// The order that is asked for.
    pub(super) sort: Doc<'d>,
    /// Whether the way is that of a single document which nothing else is asked of.
    pub(super) express: bool,
    /// What the way took, and how many documents it gave.
    pub(super) ran: Option<(&'d Taken, u64)>,
}

impl Drawing<'_> {
    /// The stages up to the documents that match.
    pub(super) fn draw(&self) -> Node {
        match self.access {
            Access::Nothing => self.source(
                Node::new("EOF", |out| out.str("type", "predicateEvalsToFalse")),
                0,
                |_| {},
            ),
            Access::Collection { reverse } => self.collection(*reverse, "COLLSCAN", |_| {}),
            Access::Id(key) => self.by_id(key),
            Access::Index(scan) if scan.index.clustered => self.clustered(scan),
            Access::Index(scan) => self.on_index(scan),
            Access::Any(scans) => self.fetched(self.joined("OR", scans, |_| {})),
            Access::Merge(scans) => {
                let sort = |out: &mut DocWriter| out.doc("sortPattern", self.sort);
                let scans: Vec<IndexScan> = scans.iter().map(of_one_range).collect();
                self.fetched(self.joined("SORT_MERGE", &scans, sort))
            }
            Access::All(scans) => self.fetched(self.joined("AND_HASH", scans, |_| {})),
        }
    }

    /// The filter that is tested of what is found.
    fn residual(&self) -> Option<DocBuf> {
        self.plan.residual().and_then(|matcher| shown_filter(matcher.filter()))
    }

    /// A stage that reads `units` things and gives what matches.
    fn source(&self, node: Node, units: u64, figures: impl FnOnce(&mut DocWriter)) -> Node {
        match self.ran {
            None => node,
            Some((taken, found)) => {
                let (ended, advanced) = (taken.ended, found);
                let units = units + u64::from(ended);
                node.worked(Work { units, advanced, ended }, figures)
            }
        }
    }

    fn collection(
        &self,
        reverse: bool,
        name: &'static str,
        more: impl FnOnce(&mut DocWriter),
    ) -> Node {
        let node = Node::new(name, |out| {
            out.str("direction", direction(reverse));
            more(out);
        });
        let docs = self.ran.map_or(0, |(taken, _)| taken.docs);
        let node = node.filtered(self.residual());
        self.source(node, docs, |out| number(out, "docsExamined", docs))
    }

    fn by_id(&self, key: &[u8]) -> Node {
        let index = self.plan.collection.id_index();
        let residual = self.residual();
        if !self.express || residual.is_some() {
            let Some(index) = index.filter(|index| !index.clustered) else {
                return self.collection(false, "CLUSTERED_IXSCAN", |_| {});
            };
            let end = crate::bson::key::successor(key).unwrap_or_default();
            let mut scan = IndexScan::of_range(index.clone(), (key.to_vec(), end), false);
            scan.fields.iter_mut().for_each(|field| {
                let value = key.get(size_of_val(&index.id)..).unwrap_or_default().to_vec();
                field.intervals = vec![Interval::starting_with(value)];
            });
            return self.on_index(&scan);
        }
        let clustered = index.is_none_or(|index| index.clustered);
        let name = if clustered { "EXPRESS_CLUSTERED_IXSCAN" } else { "EXPRESS_IXSCAN" };
        let mut node = Node::new(name, |out| {
            if let Some(index) = index.filter(|_| !clustered) {
                out.doc("keyPattern", index.key_pattern());
                out.str("indexName", &index.name);
            }
        });
        if let Some((taken, found)) = self.ran {
            node.returned = found;
            node.figures = document(|out| {
                number(out, "keysExamined", taken.keys);
                number(out, "docsExamined", taken.docs);
            });
        }
        node
    }

    fn clustered(&self, scan: &IndexScan) -> Node {
        if scan.is_whole() {
            return self.collection(scan.reverse, "COLLSCAN", |_| {});
        }
        let ends = self.ends(&scan.index);
        let bounds = scan.fields.first().map(|field| ends.intervals(field, false));
        self.collection(scan.reverse, "CLUSTERED_IXSCAN", |out| {
            let bounds = bounds.as_deref().unwrap_or_default();
            let value = |end: Option<&End>| end.and_then(|end| end.value.raw().map(raw_copy));
            if let Some((kind, data)) = value(bounds.first().map(|(from, _)| from)) {
                out.raw("minRecord", crate::bson::Raw { kind, data: &data });
            }
            if let Some((kind, data)) = value(bounds.last().map(|(_, to)| to)) {
                out.raw("maxRecord", crate::bson::Raw { kind, data: &data });
            }
        })
    }

    /// One index, and what is made of its entries.
    fn on_index(&self, scan: &IndexScan) -> Node {
        let counts = self.ran.map(|(taken, _)| Entries::of_one(taken));
        match self.plan.gives {
            Gives::Documents => self.fetched(self.index("IXSCAN", scan, counts)),
            Gives::Keys => self.index("IXSCAN", scan, counts).filtered(self.residual()),
            Gives::Nothing => match self.single(scan) {
                Some(bounds) => self.counting(scan, &bounds, counts),
                None => self.index("IXSCAN", scan, counts),
            },
            Gives::Distinct(_) => self.fetched(self.index("DISTINCT_SCAN", scan, counts)),
        }
    }

    fn joined(
        &self,
        name: &'static str,
        scans: &[IndexScan],
        fields: impl FnOnce(&mut DocWriter),
    ) -> Node {
        let input = |(at, scan): (usize, &IndexScan)| {
            let counts = self.ran.and_then(|(taken, _)| taken.scans.get(at));
            self.index(
                "IXSCAN",
                scan,
                counts.map(|counts| Entries { counts: *counts, ..Entries::default() }),
            )
        };
        let inputs: Vec<Node> = scans.iter().enumerate().map(input).collect();
        let units = inputs.iter().filter_map(|input| input.work).map(|work| work.units).sum();
        let given: u64 = inputs.iter().map(|input| input.returned).sum();
        let node = Node::new(name, fields).on_all(inputs);
        match self.ran {
            None => node,
            Some((taken, _)) => {
                // Of an intersection the last scan alone gives documents.
                let advanced = match self.access {
                    Access::All(_) => taken.docs,
                    _ => given.saturating_sub(taken.dropped),
                };
                node.worked(Work { units, advanced, ended: taken.ended }, |out| {
                    number(out, "dupsTested", taken.tested);
                    number(out, "dupsDropped", taken.dropped);
                })
            }
        }
    }

    /// The stage that looks up the documents of entries.
    fn fetched(&self, entries: Node) -> Node {
        if self.plan.gives == Gives::Nothing {
            return entries;
        }
        let work = entries.work;
        let node = Node::new("FETCH", |_| {}).filtered(self.residual()).on(entries);
        match (self.ran, work) {
            (Some((taken, found)), Some(work)) => node.worked(work.passing(found), |out| {
                number(out, "docsExamined", taken.docs);
                out.i32("alreadyHasObj", 0);
            }),
            _ => node,
        }
    }

    fn index(&self, name: &'static str, scan: &IndexScan, entries: Option<Entries>) -> Node {
        let ends = self.ends(&scan.index);
        let node = Node::new(name, |out| {
            write_index(out, scan);
            out.str("direction", direction(scan.reverse));
            // Of a range from key to key, as `min` and `max` name it, the fields are not bounded.
            let of_keys = scan.ranged == 0 && !scan.is_whole() && !scan.ranges.is_empty();
            let of_keys = of_keys && scan.fields.iter().all(|field| field.is_everything());
            let fields = if of_keys { &[][..] } else { scan.fields.as_slice() };
            out.document("indexBounds", |out| {
                for field in fields {
                    out.array(field.path.as_str(), |out| {
                        let intervals = ends.intervals(field, scan.reverse);
                        intervals.iter().for_each(|interval| out.str(&text(interval)));
                    });
                }
            });
        });
        match entries {
            None => node,
            Some(entries) => node.worked(entries.work(), |out| entries.write(out)),
        }
    }

    fn counting(&self, scan: &IndexScan, bounds: &[(End, End)], ran: Option<Entries>) -> Node {
        let node = Node::new("COUNT_SCAN", |out| {
            write_index(out, scan);
            out.document("indexBounds", |out| {
                let (first, second) = match scan.reverse {
                    false => (("startKey", "startKeyInclusive"), ("endKey", "endKeyInclusive")),
                    true => (("endKey", "endKeyInclusive"), ("startKey", "startKeyInclusive")),
                };
                let (from, to): (Vec<&End>, Vec<&End>) =
                    bounds.iter().map(|(from, to)| (from, to)).unzip();
                for ((key, inclusive), ends) in [(first, from), (second, to)] {
                    out.document(key, |out| {
                        for (field, end) in scan.fields.iter().zip(&ends) {
                            if let Some(value) = end.value.raw() {
                                out.raw(field.path.as_str(), value);
                            }
                        }
                    });
                    out.bool(inclusive, ends.iter().all(|end| end.inclusive));
                }
            });
        });
        match ran {
            None => node,
            Some(entries) => {
                let keys = entries.counts.keys;
                let node = Node { figures_first: true, ..node };
                node.worked(entries.work(), |out| number(out, "keysExamined", keys))
            }
        }
    }

    /// The one interval of each field of a scan, if no field has several.
    fn single(&self, scan: &IndexScan) -> Option<Vec<(End, End)>> {
        let ends = self.ends(&scan.index);
        let only = |field| match <[_; 1]>::try_from(ends.intervals(field, scan.reverse)) {
            Ok([interval]) => Some(interval),
            Err(_) => None,
        };
        scan.fields.iter().map(only).collect()
    }

    fn ends(&self, index: &Index) -> Ends {
        Ends::of(self.plan.matcher.as_deref(), &index.order)
    }
}

/// What reading one index took.
#[derive(Debug, Clone, Copy, Default)]
struct Entries {
    counts: Counts,
    tested: u64,
    dropped: u64,
}

impl Entries {
    fn of_one(taken: &Taken) -> Entries {
        // A lookup by `_id` has one entry at most.
        let by_id = Counts { keys: taken.keys, inside: taken.docs, seeks: 1, ended: taken.ended };
        let counts = taken.scans.first().copied().unwrap_or(by_id);
        Entries { counts, tested: taken.tested, dropped: taken.dropped }
    }

    fn work(&self) -> Work {
        let Counts { keys, inside, ended, .. } = self.counts;
        let advanced = inside.saturating_sub(self.dropped);
        Work { units: keys + u64::from(ended), advanced, ended }
    }

    fn write(&self, out: &mut DocWriter) {
        number(out, "keysExamined", self.counts.keys);
        number(out, "seeks", self.counts.seeks);
        number(out, "dupsTested", self.tested);
        number(out, "dupsDropped", self.dropped);
    }
}

/// A scan of one range of several, its leading fields bound to the values that all keys of the range share.
fn of_one_range(scan: &IndexScan) -> IndexScan {
    let mut narrowed = scan.clone();
    let [(lower, _)] = scan.ranges.as_slice() else { return narrowed };
    let mut at = size_of_val(&scan.index.id);
    for field in &mut narrowed.fields {
        if at >= scan.merged_from {
            break;
        }
        let rest = lower.get(at..).unwrap_or_default();
        let directed = field.directed();
        let is_shared =
            |one: &Interval| one.is_point(field.direction) && rest.starts_with(&one.lower);
        let shared = directed.iter().position(is_shared);
        let Some(place) = shared else { break };
        at += directed[place].lower.len();
        // Descending fields have their intervals in the order of ascending values.
        let place = match field.direction {
            Direction::Ascending => place,
            Direction::Descending => directed.len() - 1 - place,
        };
        field.intervals = field.intervals.get(place).cloned().into_iter().collect();
    }
    narrowed
}

fn raw_copy(raw: crate::bson::Raw<'_>) -> (crate::bson::Type, Vec<u8>) {
    (raw.kind, raw.data.to_vec())
}

fn direction(reverse: bool) -> &'static str {
    if reverse { "backward" } else { "forward" }
}
