//! What a wildcard index can be asked: one path at a time, its values if the filter can only be met by values that are
//! leaves, or that there is anything at or below it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Content, Eligible, KeyField, implied, passes_filter};
use crate::bson::Type;
use crate::bson::key::Direction;
use crate::index::Index;
use crate::index::wildcard::{PATH_FIELD, Wildcard, path_key};
use crate::query::bounds::{self, Form, Interval, Keys};
use crate::query::matcher::{Comparison, Matcher, Node, Relation, Test};
use crate::query::path::{Multikey, Path};

/// The ways in which `index` may answer a filter; none without one.
pub(super) fn views<'q>(
    index: &'q Arc<Index>,
    wildcard: &'q Wildcard,
    matcher: Option<&'q Matcher>,
) -> Vec<Eligible<'q>> {
    let Some(matcher) = matcher else { return Vec::new() };
    let complete = passes_filter(index, Some(matcher));
    let first = index.paths.paths().first().filter(|_| wildcard.at > 0);
    if first.is_some_and(|first| !implied::is_there(matcher, first)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let asked = asked(matcher);
    if asked.iter().any(|path| goes_through_two_arrays(index, path)) {
        return Vec::new();
    }
    for path in asked.iter().filter_map(|path| Path::parse(path).ok()) {
        if !wildcard.covers(&path) {
            continue;
        }
        let wanted = match () {
            () if has_values_only(index, matcher, &path) => Wanted::Values(&path),
            () if implied::is_there(matcher, &path)
                && asks_for_anything(matcher.root(), &path, multikey(index, &path) > 0) =>
            {
                Wanted::Anything(&path)
            }
            // Of what it is asked for, what is absent is not in it.
            () if bounds_nothing(matcher.root(), &path) => {
                let fields = fields(index, wildcard, Wanted::Anything(&path));
                found.push(Eligible { index, fields, complete: false });
                continue;
            }
            () => continue,
        };
        found.push(Eligible { index, fields: fields(index, wildcard, wanted), complete });
    }
    if found.is_empty() && first.is_some() {
        let fields = others(index).take(wildcard.at).collect();
        found.push(Eligible { index, fields, complete });
    }
    found
}

/// Why an index that was hinted cannot answer, as MongoDB says it.
pub(super) fn refusal(wildcard: &Wildcard, matcher: Option<&Matcher>) -> &'static str {
    let names_field = |node: &Node| match node {
        Node::Field { path, test } => !matches!(test, Test::Size(_)) && wildcard.covers(path),
        Node::Not(_) => true,
        _ => false,
    };
    let is_asked = match matcher.map(Matcher::root) {
        Some(Node::And(all)) => all.iter().any(names_field),
        Some(node) => names_field(node),
        None => false,
    };
    match is_asked || wildcard.at > 0 && matcher.is_some() {
        true => "$hint: refusing to build whole-index solution, because it's a wildcard index",
        false => "No query solutions",
    }
}

/// What is asked of one path.
enum Wanted<'p> {
    Values(&'p Path),
    Anything(&'p Path),
}

/// Whether every document that matches has a leaf at the path, and at no other path in its stead.
fn has_values_only(index: &Index, matcher: &Matcher, path: &Path) -> bool {
    let mut head = String::new();
    for (at, part) in path.parts().iter().enumerate() {
        // A number may be a position in an array, of which keys say nothing.
        if part.index().is_some() && index.arrays.is_array(&head) {
            return false;
        }
        if at > 0 {
            head.push('.');
        }
        head.push_str(part.as_str());
    }
    let keys = Keys { forms: &[Form::Leaves], ..Keys::default() };
    let multikey = Multikey(vec![multikey(index, path)]);
    bounds::for_paths(matcher, &[path], &multikey, keys).iter().any(Option::is_some)
}

/// Whether a filter asks of a path no more than that there is something, or for a position in an array below it. That
/// there is something but null is not asked of a path that met `arrays`.
fn asks_for_anything(node: &Node, path: &Path, arrays: bool) -> bool {
    match node {
        Node::And(all) => all.iter().any(|node| asks_for_anything(node, path, arrays)),
        Node::Or(any) => any.iter().all(|node| asks_for_anything(node, path, arrays)),
        Node::Field { path: own, test: Test::Exists | Test::Type(_) } if own == path => true,
        Node::Field { path: own, test: Test::Element(node) } if own == path => is_any_element(node),
        Node::Field { test: Test::Size(_) | Test::Bits(_), .. } => false,
        Node::Field { path: own, .. } => {
            let below = own.parts().strip_prefix(path.parts()).and_then(|rest| rest.first());
            below.is_some_and(|part| part.index().is_some())
        }
        Node::Not(node) => {
            let is_own = matches!(&**node, Node::Field { path: own, .. } if own == path);
            !arrays && is_own && is_null(node)
        }
        _ => false,
    }
}

/// Whether a filter compares the values at a path with what is less or greater than all values.
fn bounds_nothing(node: &Node, path: &Path) -> bool {
    match node {
        Node::And(all) => all.iter().any(|node| bounds_nothing(node, path)),
        Node::Field { path: own, test: Test::Compare(comparison) } => {
            own == path && is_endless(comparison)
        }
        _ => false,
    }
}

fn is_endless(comparison: &Comparison) -> bool {
    matches!(
        (comparison.operand.raw().kind, comparison.relation),
        (Type::MinKey, Relation::Gt | Relation::Gte) | (Type::MaxKey, Relation::Lt | Relation::Lte)
    )
}

/// Whether a condition is on null alone, that is whether its negation says no more than that a value is something else.
fn is_null(node: &Node) -> bool {
    let Node::Field { test: Test::Compare(comparison), .. } = node else { return false };
    let or_equal = matches!(comparison.relation, Relation::Eq | Relation::Gte | Relation::Lte);
    or_equal && comparison.operand.raw().kind == Type::Null
}

/// Whether a condition on an element says no more than that there is one.
fn is_any_element(node: &Node) -> bool {
    match node {
        Node::And(all) => all.iter().any(is_any_element),
        Node::Not(node) => is_null(node),
        Node::Field { test: Test::Compare(comparison), .. } => is_endless(comparison),
        _ => false,
    }
}

/// The names of a path that met arrays.
fn multikey(index: &Index, path: &Path) -> u64 {
    let mut head = String::new();
    let mut bits = 0;
    for (at, part) in path.parts().iter().enumerate() {
        if at > 0 {
            head.push('.');
        }
        head.push_str(part.as_str());
        if index.arrays.is_array(&head) {
            bits |= 1 << at.min(63);
        }
    }
    bits
}

/// The fields beside the wildcard.
fn others(index: &Index) -> impl Iterator<Item = KeyField<'_>> {
    let of_key = index.paths.paths().iter().zip(&index.directions);
    of_key.map(|(path, direction)| KeyField {
        path: Cow::Borrowed(path),
        direction: *direction,
        multikey: 0,
        content: Content::Values(Form::Values),
    })
}

fn fields<'q>(index: &'q Index, wildcard: &Wildcard, wanted: Wanted<'_>) -> Vec<KeyField<'q>> {
    let (path, paths, content) = match wanted {
        Wanted::Values(path) => {
            let paths = vec![Interval::starting_with(path_key(Some(path.as_str())))];
            (path, paths, Content::Values(Form::Leaves))
        }
        Wanted::Anything(path) => {
            let mut below = path_key(Some(&format!("{}.", path.as_str())));
            // Without the end of the text.
            below.pop();
            let itself = Interval::starting_with(path_key(Some(path.as_str())));
            let paths = vec![itself, Interval::starting_with(below)];
            (path, paths, Content::Known(vec![Interval::all()]))
        }
    };
    let mut fields = Vec::new();
    for (at, other) in others(index).enumerate() {
        if at != wildcard.at {
            fields.push(other);
            continue;
        }
        if let Ok(name) = Path::parse(PATH_FIELD) {
            fields.push(KeyField {
                path: Cow::Owned(name),
                direction: Direction::Ascending,
                multikey: 0,
                content: Content::Known(paths.clone()),
            });
        }
        fields.push(KeyField {
            path: Cow::Owned(path.clone()),
            direction: other.direction,
            multikey: multikey(index, path),
            content: content.clone(),
        });
    }
    fields
}

/// The paths that a filter names, and of those with numbers what stands before the first.
fn asked(matcher: &Matcher) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(matcher.root(), "", &mut found);
    found
}

fn collect(node: &Node, head: &str, found: &mut BTreeSet<String>) {
    match node {
        Node::And(nodes) | Node::Or(nodes) | Node::Nor(nodes) => {
            nodes.iter().for_each(|node| collect(node, head, found));
        }
        Node::Not(node) => collect(node, head, found),
        Node::Field { path, test } => {
            let whole = format!("{head}{}", path.as_str());
            // The first name is never a position.
            let names = whole.split('.').enumerate();
            let plain = names.take_while(|(at, name)| *at == 0 || !is_number(name));
            found.insert(plain.map(|(_, name)| name).collect::<Vec<_>>().join("."));
            if let Test::ElementDoc(node) = test {
                collect(node, &format!("{whole}."), found);
            }
            found.insert(whole);
        }
        Node::Always(_) | Node::Sample(_) | Node::Expr(_) | Node::Schema(_) => {}
    }
}

/// Whether a path has two positions after one another, of an array in an array: of those inside keys tell nothing.
fn goes_through_two_arrays(index: &Index, path: &str) -> bool {
    let names: Vec<&str> = path.split('.').collect();
    let is_it = |at: usize| {
        let pair =
            names.get(at..at + 2).is_some_and(|pair| pair.iter().all(|name| is_number(name)));
        pair && names.get(..at).is_some_and(|head| index.arrays.is_array(&head.join(".")))
    };
    (1..names.len()).any(is_it)
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}
