//! Which keys of an index a filter can match: intervals over encoded keys.
//!
//! Knows filters and keys. Knows no index; the planner says which paths one has and which of their names met arrays.
//! Intervals are of ascending keys; see [`Interval::inverted`] for descending ones.

mod expressions;
mod interval;
mod tests_to_keys;

pub use interval::Interval;

use std::borrow::Borrow;

use crate::bson::Raw;
use crate::bson::key::{Collate, Direction};
use crate::query::matcher::{Matcher, Node, Test};
use crate::query::path::{Multikey, Part, Path};
use interval::{complement, intersect, union};

/// What a filter says about the keys of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Ascending, disjoint; none if no document can match.
    pub intervals: Vec<Interval>,
    /// Whether every key inside comes from a document that passes what the intervals were made of.
    pub exact: bool,
}

/// How the keys were made.
#[derive(Clone, Copy, Default)]
pub struct Keys<'c> {
    /// Writes the collation keys of texts, if the index has a collation.
    pub collate: Option<Collate<'c>>,
    /// Whether texts in the filter compare otherwise than in the index.
    pub foreign: bool,
    /// The hash of a value, if hashes stand in the keys of a path.
    pub hash: Option<&'c dyn Fn(Raw<'_>) -> i64>,
    /// What stands in the keys, path by path; values where the list ends.
    pub forms: &'c [Form],
}

/// What stands in the keys of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The values, null for what is absent.
    #[default]
    Values,
    /// Values that hold no fields and no elements, as in a wildcard index: nothing for what is absent, for a document
    /// that has fields, or for an array as a whole.
    Leaves,
    /// A hash of the value.
    Hashes,
}

/// A possible bound of a path.
#[derive(Debug, Clone)]
struct Candidate {
    bounds: Bounds,
    /// The `$elemMatch` it comes from, as its place in the filter: bounds from one may be used together.
    element: Option<usize>,
}

/// What is asked about.
struct Question<'q> {
    parts: &'q [Part],
    /// One bit for each part that met an array.
    multikey: u64,
    keys: Keys<'q>,
    form: Form,
    /// Whether elements of an array are asked about as values.
    in_element: bool,
}

impl Bounds {
    /// Whether no document can match.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Whether each interval holds the keys of one value: what an equality prefix of a compound index needs.
    pub fn is_points(&self) -> bool {
        self.intervals.iter().all(|interval| interval.is_point(Direction::Ascending))
    }

    fn points(self: &Bounds) -> usize {
        if self.is_points() { self.intervals.len() } else { usize::MAX }
    }
}

/// The keys of `path` that documents matching the filter have, `None` if the filter says nothing of use. `multikey`
/// says whether any name of the path met an array.
///
/// ```
/// use headwater_engine::aggregate::expressions::Scope;
/// use headwater_engine::bson::DocWriter;
/// use headwater_engine::query::{bounds, matcher::Matcher};
///
/// let mut filter = DocWriter::new();
/// filter.document("a", |a| {
///     a.i32("$gte", 1);
///     a.i32("$lt", 5);
/// });
/// let matcher = Matcher::parse(filter.finish().as_doc(), &mut Scope::new(None, 0)?)?;
/// let bounds = bounds::for_path(&matcher, "a", false).unwrap();
/// assert_eq!(bounds.intervals.len(), 1);
/// assert!(bounds.exact);
/// # Ok::<(), headwater_engine::Error>(())
/// ```
pub fn for_path(matcher: &Matcher, path: &str, multikey: bool) -> Option<Bounds> {
    let path = Path::parse(path).ok()?;
    let bits = if multikey { u64::MAX } else { 0 };
    for_paths(matcher, &[path], &Multikey(vec![bits]), Keys::default()).pop().flatten()
}

/// The bounds of the fields of a compound index that may be used together, field by field.
///
/// Two fields below one array (`a.b` and `a.c`) are bounded together only by what has to hold for the same element.
pub fn for_paths<P: Borrow<Path>>(
    matcher: &Matcher,
    paths: &[P],
    multikey: &Multikey,
    keys: Keys<'_>,
) -> Vec<Option<Bounds>> {
    let bits = |at: usize| multikey.0.get(at).copied().unwrap_or(0);
    let mut chosen: Vec<Option<Candidate>> = Vec::new();
    for (at, path) in paths.iter().map(P::borrow).enumerate() {
        let form = keys.forms.get(at).copied().unwrap_or_default();
        let question =
            Question { parts: path.parts(), multikey: bits(at), keys, form, in_element: false };
        let mut candidates = Vec::new();
        collect(matcher.root(), &question, &mut candidates);
        candidates.retain(|candidate| {
            chosen.iter().zip(paths).enumerate().all(|(earlier, (other, other_path))| {
                let together = shared_array(path, bits(at), other_path.borrow(), bits(earlier));
                let Some(other) = other.as_ref().filter(|_| together) else { return true };
                candidate.element.is_some() && candidate.element == other.element
            })
        });
        candidates.sort_by_key(|candidate| {
            (
                candidate.bounds.points(),
                candidate.bounds.intervals.len(),
                candidate.element.is_none(),
            )
        });
        chosen.push(candidates.into_iter().next());
    }
    chosen.into_iter().map(|candidate| candidate.map(|candidate| candidate.bounds)).collect()
}

/// Whether keys inside `found`, the bounds that [`for_paths`] gave, are of matching documents only: every condition is
/// on one of the paths, is told exactly by its bounds, and was put into those that were found.
pub(crate) fn decide<P: Borrow<Path>>(
    matcher: &Matcher,
    paths: &[P],
    multikey: &Multikey,
    keys: Keys<'_>,
    found: &[Option<Bounds>],
) -> bool {
    let mut conditions = Vec::new();
    flatten(matcher.root(), &mut conditions);
    // Bounds say what one of several negated branches says.
    if conditions.iter().any(|node| matches!(node, Node::Nor(none) if none.len() != 1)) {
        return false;
    }
    if let [Node::Field { .. }] = conditions.as_slice() {
        return found.iter().flatten().any(|bounds| bounds.exact);
    }
    let mut asked = vec![0; paths.len()];
    conditions.iter().all(|node| {
        (0..paths.len()).any(|at| {
            let Some(path) = paths.get(at).map(P::borrow) else { return false };
            let multikey = multikey.0.get(at).copied().unwrap_or(0);
            let form = keys.forms.get(at).copied().unwrap_or_default();
            let mut candidates = Vec::new();
            let question =
                Question { parts: path.parts(), multikey, keys, form, in_element: false };
            collect(node, &question, &mut candidates);
            let told = match candidates.as_slice() {
                [only] => only.bounds.exact && only.element.is_none(),
                _ => false,
            };
            let Some(times) = asked.get_mut(at).filter(|_| told) else { return false };
            *times += 1;
            // Conditions on one path through an array may be met by different elements: only one is in the bounds.
            found.get(at).is_some_and(Option::is_some) && (multikey == 0 || *times == 1)
        })
    })
}

fn flatten<'m>(node: &'m Node, into: &mut Vec<&'m Node>) {
    match node {
        Node::And(all) => all.iter().for_each(|node| flatten(node, into)),
        Node::Always(true) => {}
        node => into.push(node),
    }
}

/// Whether two paths go through one array.
fn shared_array(a: &Path, a_bits: u64, b: &Path, b_bits: u64) -> bool {
    let shared = a.parts().iter().zip(b.parts()).take_while(|(a, b)| a == b).count();
    let mask = 1_u64.checked_shl(shared as u32).map_or(u64::MAX, |bit| bit - 1);
    (a_bits | b_bits) & mask != 0
}

/// Adds what `node` says of the path. What is added has to hold together for a document to match.
fn collect(node: &Node, question: &Question<'_>, found: &mut Vec<Candidate>) {
    match node {
        Node::And(all) => {
            let before = found.len();
            all.iter().for_each(|node| collect(node, question, found));
            if question.multikey == 0 {
                merge(found, before);
            }
        }
        Node::Or(any) => {
            let mut intervals = Vec::new();
            let mut exact = true;
            for node in any {
                let mut branch = Vec::new();
                collect(node, question, &mut branch);
                let Some(best) = branch.into_iter().min_by_key(|c| c.bounds.intervals.len()) else {
                    return;
                };
                exact &= best.bounds.exact && matches!(node, Node::Field { .. });
                intervals.extend(best.bounds.intervals);
            }
            let bounds = Bounds { intervals: union(intervals), exact };
            found.push(Candidate { bounds, element: None });
        }
        Node::Not(node) => {
            if let Node::Field { path, test } = &**node
                && path.parts() == question.parts
            {
                found.extend(negated(test, question));
            }
        }
        // Of several branches MongoDB asks no index.
        Node::Nor(none) => {
            if let [Node::Field { path, test }] = none.as_slice()
                && path.parts() == question.parts
            {
                found.extend(negated(test, question));
            }
        }
        Node::Always(false) => {
            let bounds = Bounds { intervals: Vec::new(), exact: true };
            found.push(Candidate { bounds, element: None });
        }
        Node::Field { path, test } => field(path, test, question, found),
        Node::Expr(expression) => expressions::collect(expression, question, found),
        _ => {}
    }
}

fn field(path: &Path, test: &Test, question: &Question<'_>, found: &mut Vec<Candidate>) {
    if path.parts() == question.parts {
        let element = matches!(test, Test::Element(_)).then(|| place(test));
        if let Test::Element(node) = test {
            // All of it has to hold for one element, which is one key.
            let mut inner = Vec::new();
            alone(node, &Question { in_element: true, ..*question }, &mut inner);
            merge(&mut inner, 0);
            found.extend(inner.into_iter().map(|mut candidate| {
                candidate.bounds.exact = false;
                Candidate { element, ..candidate }
            }));
        } else if let Some(mut bounds) = tests_to_keys::bounds(test, question) {
            bounds.exact &= path.parts().iter().all(|part| part.index().is_none());
            found.push(Candidate { bounds, element: None });
        }
        return;
    }
    let Test::ElementDoc(node) = test else { return };
    let Some(rest) = question.parts.strip_prefix(path.parts()).filter(|rest| !rest.is_empty())
    else {
        return;
    };
    let multikey = question.multikey.checked_shr(path.parts().len() as u32).unwrap_or(0);
    let mut inner = Vec::new();
    collect(node, &Question { parts: rest, multikey, ..*question }, &mut inner);
    found.extend(inner.into_iter().map(|mut candidate| {
        candidate.bounds.exact = false;
        Candidate { element: Some(place(test)), ..candidate }
    }));
}

/// What conditions on an element as a value say.
fn alone(node: &Node, question: &Question<'_>, found: &mut Vec<Candidate>) {
    match node {
        Node::And(all) => all.iter().for_each(|node| alone(node, question, found)),
        Node::Field { test, .. } => {
            let bounds = tests_to_keys::bounds(test, question);
            found.extend(bounds.map(|bounds| Candidate { bounds, element: None }));
        }
        _ => {}
    }
}

fn negated(test: &Test, question: &Question<'_>) -> Option<Candidate> {
    if question.form != Form::Values {
        return None;
    }
    let bounds = match test {
        Test::Exists => tests_to_keys::absent(question),
        Test::Regex(_) => return None,
        Test::In(list) if !list.regexes.is_empty() => return None,
        _ if question.multikey != 0 && tests_to_keys::is_of_null(test) => return None,
        _ => {
            let bounds = tests_to_keys::bounds(test, question).filter(|bounds| bounds.exact)?;
            Bounds { intervals: complement(bounds.intervals), exact: question.multikey == 0 }
        }
    };
    Some(Candidate { bounds, element: None })
}

/// Makes one candidate of all from `from` on.
fn merge(found: &mut Vec<Candidate>, from: usize) {
    let mut rest = found.drain(from..).collect::<Vec<_>>().into_iter();
    let Some(mut merged) = rest.next() else { return };
    for next in rest {
        merged.bounds.intervals = intersect(&merged.bounds.intervals, &next.bounds.intervals);
        merged.bounds.exact &= next.bounds.exact;
        merged.element = merged.element.or(next.element);
    }
    found.push(merged);
}

/// Tells one test from another: its address.
fn place(test: &Test) -> usize {
    std::ptr::from_ref(test).addr()
}
