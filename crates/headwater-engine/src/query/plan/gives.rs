//! What a scan can hand on without fetching documents, for what a query wants of them.

use super::eligible::{Content, KeyField};
use super::index::Candidate;
use super::tree::{Gives, IndexScan};
use super::{Query, Wants};
use crate::query::bounds::Form;
use crate::query::matcher::{Matcher, Node, Test};
use crate::query::path::Path;
use crate::query::sort::SortPattern;

impl Candidate<'_, '_> {
    /// What the index gives for what is wanted; `sorted` says whether it gives the order too.
    pub(super) fn gives(&self, query: &Query, sorted: bool) -> Gives {
        match &query.wants {
            Wants::Documents => Gives::Documents,
            Wants::Count if self.exact => Gives::Nothing,
            Wants::Distinct(path) if self.exact => self.distinct(query, path),
            // Entries of a document with arrays do not tell the types of its numbers.
            Wants::Fields(_) if !self.scan.index.is_multikey() && self.covers(query, sorted) => {
                Gives::Keys
            }
            Wants::Fields(_) | Wants::Count | Wants::Distinct(_) => Gives::Documents,
        }
    }

    /// Whether the values at the paths that are wanted are in the keys: what MongoDB answers without documents.
    pub(super) fn covers(&self, query: &Query, sorted: bool) -> bool {
        let Wants::Fields(paths) = &query.wants else { return false };
        let sort = query.sort.as_ref().filter(|_| !sorted);
        let fields = paths.iter().map(String::as_str).chain(sort_paths(sort));
        self.holds_values()
            && fields.into_iter().all(|path| self.has(path))
            && sort.is_none_or(|sort| sort.fields().is_some())
            && (self.exact || query.matcher.as_ref().is_none_or(|m| self.decides_alike(m.root())))
    }

    fn distinct(&self, query: &Query, path: &str) -> Gives {
        let at = self.scan.fields.iter().position(|field| field.path.as_str() == path);
        let plain = self.scan.index.order == query.order && !is_positional(path);
        // Of arrays the keys are the values, if those of all documents are asked for; beside arrays MongoDB asks an index
        // that the filter bounds.
        let whole = query.matcher.is_none();
        let index = &self.scan.index;
        let holds_values = |at: &usize| {
            self.eligible.fields.get(*at).is_some_and(|field| {
                let beside = !whole && field.multikey == 0 && self.is_bounded();
                matches!(field.content, Content::Values(Form::Values))
                    && (!index.is_multikey() || beside || whole && *at == 0)
            })
        };
        at.filter(|_| plain).filter(holds_values).map_or(Gives::Documents, Gives::Distinct)
    }

    /// Whether the value at a path is in the keys: it is not where arrays were met on the way, of which each key has an
    /// element.
    fn has(&self, path: &str) -> bool {
        let is_it = |field: &KeyField<'_>| field.path.as_str() == path && field.multikey == 0;
        !is_positional(path) && self.eligible.fields.iter().any(is_it)
    }

    /// Whether the keys hold values as documents do, but for arrays.
    fn holds_values(&self) -> bool {
        let index = &self.scan.index;
        index.typed
            && !index.clustered
            && index.order.collation().is_none()
            && self
                .eligible
                .fields
                .iter()
                .all(|field| matches!(field.content, Content::Values(Form::Values)))
    }

    /// Whether the filter says the same of a document of the index's fields, absent ones null, as of the whole.
    fn decides_alike(&self, node: &Node) -> bool {
        match node {
            Node::And(nodes) | Node::Or(nodes) | Node::Nor(nodes) => {
                nodes.iter().all(|node| self.decides_alike(node))
            }
            Node::Not(node) => self.decides_alike(node),
            Node::Always(_) => true,
            Node::Field { path, test } => {
                let blind =
                    matches!(test, Test::Compare(_) | Test::In(_) | Test::Regex(_) | Test::Mod(_));
                blind && self.has(path.as_str())
            }
            Node::Sample(_) | Node::Expr(_) | Node::Schema(_) => false,
        }
    }
}

/// Whether a path has a name that may be the position of an element.
fn is_positional(path: &str) -> bool {
    Path::parse(path).is_ok_and(|path| path.parts().iter().any(|part| part.index().is_some()))
}

fn sort_paths(sort: Option<&SortPattern>) -> impl Iterator<Item = &str> {
    sort.and_then(SortPattern::fields).into_iter().flatten().map(|(path, _)| path.as_str())
}

impl Query {
    /// The fields of a scan, a bit for each, of which it matters whether a value is absent or null.
    pub(super) fn told_apart(&self, scans: &[IndexScan]) -> u64 {
        let (true, Wants::Fields(paths), [scan]) = (self.tells_absent, &self.wants, scans) else {
            return 0;
        };
        let is_wanted = |path: &str| paths.iter().any(|wanted| wanted == path);
        let bits = scan.fields.iter().zip(0..u64::BITS);
        let wanted = bits.filter(|(field, _)| is_wanted(field.path.as_str()));
        wanted.fold(0, |bits, (_, at)| bits | 1 << at)
    }

    /// Whether no document can match, whatever there is.
    pub(super) fn is_empty(&self) -> bool {
        self.matcher.as_deref().is_some_and(never)
    }
}

fn never(matcher: &Matcher) -> bool {
    match matcher.root() {
        Node::Always(yes) => !yes,
        Node::Field { test: Test::In(list), .. } => {
            list.values.is_empty() && list.regexes.is_empty()
        }
        _ => false,
    }
}
