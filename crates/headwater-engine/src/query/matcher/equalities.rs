//! Which fields a filter pins: to one value, what an upsert starts its document from; to one of a few, what a filter
//! can be found by.

use super::comparison::Relation;
use super::operand::Operand;
use super::test::Test;
use super::{Matcher, Node};
use crate::bson::Raw;
use crate::query::path::Path;

/// A path that has to equal a value for any document to match.
#[derive(Debug, Clone, Copy)]
pub struct Equality<'m> {
    /// The path.
    pub path: &'m Path,
    /// The value.
    pub value: Raw<'m>,
}

/// A path that has to equal one of some values for any document to match.
#[derive(Debug, Clone)]
pub(crate) struct Requirement<'m> {
    /// The path.
    pub path: &'m Path,
    /// The values.
    pub values: Vec<Raw<'m>>,
}

impl Matcher {
    /// What must hold in every match, as far as it is `$eq` or an `$in` without regular expressions, compared without
    /// collation.
    pub(crate) fn requirements(&self) -> Vec<Requirement<'_>> {
        let mut found = Vec::new();
        require(self.root(), &mut found);
        found
    }

    /// The equalities that hold in every match, in the order of the filter: of fields, `$eq`, `$in` and `$all` with one
    /// value, under `$and` and under an `$or` of one branch. A path may occur more than once.
    pub fn equalities(&self) -> Vec<Equality<'_>> {
        let mut found = Vec::new();
        collect(self.root(), &mut found);
        found
    }
}

fn collect<'m>(node: &'m Node, found: &mut Vec<Equality<'m>>) {
    match node {
        Node::And(all) => all.iter().for_each(|node| collect(node, found)),
        Node::Or(any) => {
            if let [only] = any.as_slice() {
                collect(only, found);
            }
        }
        Node::Field { path, test: Test::Compare(comparison) }
            if comparison.relation == Relation::Eq =>
        {
            found.push(Equality { path, value: comparison.operand.raw() });
        }
        _ => {}
    }
}

fn require<'m>(node: &'m Node, found: &mut Vec<Requirement<'m>>) {
    match node {
        Node::And(all) => all.iter().for_each(|node| require(node, found)),
        Node::Field { path, test: Test::Compare(comparison) }
            if comparison.relation == Relation::Eq && !comparison.operand.is_collated() =>
        {
            found.push(Requirement { path, values: vec![comparison.operand.raw()] });
        }
        Node::Field { path, test: Test::In(list) }
            if list.regexes.is_empty() && !list.values.iter().any(Operand::is_collated) =>
        {
            let values = list.values.iter().map(Operand::raw).collect();
            found.push(Requirement { path, values });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::expressions::Scope;
    use crate::bson::DocWriter;

    #[test]
    fn equalities_come_from_what_must_hold() {
        let mut filter = DocWriter::new();
        filter.i32("a", 1);
        filter.document("b.c", |b| b.array("$in", |list| list.i32(2)));
        filter.array("$and", |and| and.document(|d| d.document("d", |d| d.i32("$eq", 3))));
        filter.array("$or", |or| or.document(|d| d.i32("e", 4)));
        filter.document("f", |f| f.i32("$gt", 5));
        filter.document("g", |g| g.document("$not", |g| g.i32("$eq", 6)));
        let mut scope = Scope::new(None, 0).unwrap();
        let matcher = Matcher::parse(filter.finish().as_doc(), &mut scope).unwrap();
        let found: Vec<_> = matcher
            .equalities()
            .iter()
            .map(|e| (e.path.as_str().to_owned(), e.value.data[0]))
            .collect();
        let expected = [("a", 1), ("b.c", 2), ("d", 3), ("e", 4)];
        assert_eq!(found, expected.map(|(path, value)| (path.to_owned(), value)));
    }
}
