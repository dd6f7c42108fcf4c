//! What a filter implies: conservative proofs over filters. A proof that is not found costs the use of an index, a wrong
//! one would cost documents.

use crate::bson::Type;
use crate::query::matcher::{Comparison, Matcher, Node, Operand, Relation, Test, class, is_nan};
use crate::query::path::Path;

/// Whether every document that matches has something at the path.
pub(super) fn is_there(matcher: &Matcher, path: &Path) -> bool {
    node_is_there(matcher.root(), path)
}

/// Whether every document that matches, or every one without a filter, passes `filter`, that of a partial index.
pub(crate) fn implies(matcher: Option<&Matcher>, filter: &Matcher) -> bool {
    let everything = Node::And(Vec::new());
    node_implies(matcher.map_or(&everything, Matcher::root), filter.root())
}

fn node_is_there(node: &Node, path: &Path) -> bool {
    // A numeric name may be a position, which indexes and filters see in different ways.
    let is_plain = path.parts().iter().all(|part| part.index().is_none());
    match node {
        Node::And(all) => all.iter().any(|node| node_is_there(node, path)),
        Node::Or(any) => any.iter().all(|node| node_is_there(node, path)),
        Node::Field { path: own, test } => {
            is_plain && own.parts().starts_with(path.parts()) && !test.passes_absent()
        }
        Node::Not(node) => refuses_absent(node, path),
        Node::Nor(none) => none.iter().any(|node| refuses_absent(node, path)),
        Node::Always(yes) => !yes,
        Node::Sample(_) | Node::Expr(_) | Node::Schema(_) => false,
    }
}

/// Whether a document without the path passes `node`, so that one which does not has it. Behind an array of no elements a
/// name is neither absent nor there, so a path of one name alone is safe.
fn refuses_absent(node: &Node, path: &Path) -> bool {
    match node {
        Node::Field { path: own, test } => {
            own.parts() == path.parts() && own.parts().len() == 1 && test.passes_absent()
        }
        _ => false,
    }
}

fn node_implies(node: &Node, wanted: &Node) -> bool {
    match (node, wanted) {
        (_, Node::Always(true)) | (Node::Always(false), _) => true,
        (_, Node::And(all)) => all.iter().all(|wanted| node_implies(node, wanted)),
        (Node::Or(any), _) => any.iter().all(|node| node_implies(node, wanted)),
        (Node::And(all), _) if all.iter().any(|node| node_implies(node, wanted)) => true,
        (_, Node::Or(any)) => any.iter().any(|wanted| node_implies(node, wanted)),
        (_, Node::Field { path, test: Test::Exists }) => node_is_there(node, path),
        (Node::Field { path, test }, Node::Field { path: other, test: wanted }) => {
            path.parts() == other.parts() && test_implies(test, wanted)
        }
        _ => false,
    }
}

/// Whether every value, and what is absent, that passes `test` passes `wanted`: both look at the same values of a path.
fn test_implies(test: &Test, wanted: &Test) -> bool {
    match (test, wanted) {
        (Test::Compare(own), _) if own.relation == Relation::Eq => {
            equality_implies(&own.operand, wanted)
        }
        (Test::Compare(own), Test::Compare(wanted)) => comparison_implies(own, wanted),
        (Test::Compare(own), Test::Type(types)) => {
            let value = own.operand.raw();
            !can_be_anything(value.kind) && same_class(value.kind).all(|kind| types.contains(kind))
        }
        (Test::In(list), _) => {
            let regexes = list.regexes.is_empty();
            regexes && list.values.iter().all(|value| equality_implies(value, wanted))
        }
        (Test::Type(own), Test::Type(wanted)) => own.iter().all(|kind| wanted.contains(kind)),
        _ => false,
    }
}

/// Whether what equals `value` passes.
fn equality_implies(value: &Operand, wanted: &Test) -> bool {
    let raw = value.raw();
    match wanted {
        Test::Compare(wanted) if !same_order(value, &wanted.operand) => false,
        // What equals null may be absent.
        Test::Compare(wanted) if raw.kind == Type::Null => {
            wanted.relation == Relation::Eq && is_same(value, &wanted.operand)
        }
        Test::Compare(wanted) => wanted.matches_value(raw),
        Test::In(list) => {
            list.values.iter().any(|other| same_order(value, other) && is_same(value, other))
        }
        Test::Type(types) => {
            raw.kind != Type::Null && same_class(raw.kind).all(|kind| types.contains(kind))
        }
        _ => false,
    }
}

fn comparison_implies(own: &Comparison, wanted: &Comparison) -> bool {
    let (value, bound) = (own.operand.raw(), wanted.operand.raw());
    if !same_order(&own.operand, &wanted.operand) || class(value.kind) != class(bound.kind) {
        return false;
    }
    if own.relation == wanted.relation && is_same(&own.operand, &wanted.operand) {
        return true;
    }
    if can_be_anything(value.kind) || is_nan(value) || is_nan(bound) {
        return false;
    }
    let order = wanted.operand.compare(value);
    match (own.relation, wanted.relation) {
        (Relation::Gt, Relation::Gt | Relation::Gte) | (Relation::Gte, Relation::Gte) => {
            order.is_ge()
        }
        (Relation::Gte, Relation::Gt) => order.is_gt(),
        (Relation::Lt, Relation::Lt | Relation::Lte) | (Relation::Lte, Relation::Lte) => {
            order.is_le()
        }
        (Relation::Lte, Relation::Lt) => order.is_lt(),
        _ => false,
    }
}

/// Whether an order relation with such a value admits values of other classes, or none at all.
fn can_be_anything(kind: Type) -> bool {
    matches!(kind, Type::MinKey | Type::MaxKey | Type::Null | Type::Undefined)
}

/// Whether texts in both compare in the same way.
fn same_order(a: &Operand, b: &Operand) -> bool {
    a.collation() == b.collation()
}

fn is_same(a: &Operand, b: &Operand) -> bool {
    a.raw().kind == b.raw().kind && a.raw().data == b.raw().data
}

/// The types whose values may equal one of that type, or stand in order with it.
fn same_class(kind: Type) -> impl Iterator<Item = Type> {
    (0..=u8::MAX).filter_map(Type::from_byte).filter(move |other| class(*other) == class(kind))
}
