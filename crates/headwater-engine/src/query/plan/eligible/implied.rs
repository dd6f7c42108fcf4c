//! What a filter implies: conservative proofs over filters. A proof that is not found costs the use of an index, a wrong
//! one would cost documents.

use crate::query::matcher::{Matcher, Node};
use crate::query::path::Path;

/// Whether every document that matches has something at the path.
pub(super) fn is_there(matcher: &Matcher, path: &Path) -> bool {
    // A numeric name may be a position, which indexes and filters see in different ways.
    path.parts().iter().all(|part| part.index().is_none()) && node_is_there(matcher.root(), path)
}

fn node_is_there(node: &Node, path: &Path) -> bool {
    match node {
        Node::And(all) => all.iter().any(|node| node_is_there(node, path)),
        Node::Or(any) => any.iter().all(|node| node_is_there(node, path)),
        Node::Field { path: own, test } => {
            own.parts().starts_with(path.parts()) && !test.passes_absent()
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
