//! Filters: a filter document compiled once into a tree that is asked about raw documents.
//!
//! Knows values and paths. Knows nothing of collections, indexes or plans; what a plan needs to learn of a filter it
//! asks of [`Matcher::equalities`] and of [`crate::query::bounds`].

mod arithmetic;
mod array;
mod bits;
mod canonical;
mod comparison;
mod element;
mod equalities;
mod failure;
mod logical;
mod operand;
mod parse;
mod regex;
mod schema;
mod special;
mod table;
mod test;

pub(crate) use canonical::canonical as write_expression;
pub use canonical::{Canonical, hash as shape_hash};
pub(crate) use comparison::{Comparison, Relation};
pub use equalities::Equality;
pub(crate) use operand::{Operand, class, is_nan};
pub(crate) use regex::{Regex, is_special};
pub(crate) use special::{SPECIAL, refuse_special};
pub use table::{MATCHERS, UNSUPPORTED};
pub(crate) use test::Test;

use crate::aggregate::expressions::{Expression, Scope, is_true};
use crate::aggregate::random::Random;
use crate::bson::{Doc, DocBuf, DocWriter, Fields, Raw};
use crate::error::Result;
use crate::query::path::{Path, Root};

/// A compiled filter.
#[derive(Debug)]
pub struct Matcher {
    root: Node,
    filter: DocBuf,
}

/// What matching told besides yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MatchDetails {
    /// The position of the element that matched, in the outermost array that the last array predicate opened: what the
    /// positional `$` stands for.
    pub position: Option<u32>,
}

/// One node of the tree.
#[derive(Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Nor(Vec<Node>),
    Not(Box<Node>),
    Field { path: Path, test: Test },
    Always(bool),
    Sample(f64),
    Expr(Box<Expression>),
    Schema(Box<schema::Schema>),
}

/// What a run of the matcher carries along.
struct Run<'r> {
    details: Option<&'r mut MatchDetails>,
}

impl Matcher {
    /// Compiles a filter. `scope` holds the variables that `$expr` may use.
    ///
    /// ```
    /// use headwater_engine::aggregate::expressions::Scope;
    /// use headwater_engine::bson::DocWriter;
    /// use headwater_engine::query::matcher::Matcher;
    ///
    /// let mut filter = DocWriter::new();
    /// filter.document("a.b", |b| b.i32("$gt", 1));
    /// let matcher = Matcher::parse(filter.finish().as_doc(), &mut Scope::new(None, 0)?)?;
    ///
    /// let mut doc = DocWriter::new();
    /// doc.array("a", |a| a.document(|d| d.f64("b", 1.5)));
    /// assert!(matcher.matches(doc.finish().as_doc())?);
    /// # Ok::<(), headwater_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// 2 (`BadValue`) and 9 (`FailedToParse`) mostly, in MongoDB's words; `CommandNotSupported` for what is known but
    /// not supported.
    pub fn parse(filter: Doc<'_>, scope: &mut Scope) -> Result<Matcher> {
        Ok(Matcher { root: parse::filter(filter, scope)?, filter: filter.to_buf() })
    }

    /// Compiles the condition on one value, as `$pull` has it: `{$gt: 5}`, a regular expression, or a value to equal.
    /// Ask [`Matcher::matches_field`] with the name `""`.
    ///
    /// # Errors
    /// As [`Matcher::parse`].
    pub fn parse_condition(condition: Raw<'_>, scope: &mut Scope) -> Result<Matcher> {
        let mut filter = DocWriter::new();
        filter.raw("", condition);
        Matcher::parse(filter.finish().as_doc(), scope)
    }

    /// The filter it was compiled from.
    pub fn filter(&self) -> Doc<'_> {
        self.filter.as_doc()
    }

    /// Whether every document matches.
    pub fn is_always_true(&self) -> bool {
        self.root.is_always_true()
    }

    /// Whether the document matches.
    ///
    /// # Errors
    /// What an expression raises on this document, and a regular expression that runs over its limits.
    #[inline]
    pub fn matches(&self, doc: Doc<'_>) -> Result<bool> {
        if let Node::Field { path, test } = &self.root
            && let [part] = path.parts()
        {
            return test.matches_found(doc.get_bytes(part.name()), &mut Run { details: None });
        }
        self.root.matches(Root::Doc(doc), &mut Run { details: None })
    }

    /// As [`Matcher::matches`], and which array element matched.
    ///
    /// # Errors
    /// As [`Matcher::matches`].
    pub fn matches_with_position(&self, doc: Doc<'_>) -> Result<Option<MatchDetails>> {
        let mut details = MatchDetails::default();
        let found = self.root.matches(Root::Doc(doc), &mut Run { details: Some(&mut details) })?;
        Ok(found.then_some(details))
    }

    /// Whether a document with this one field would match: for `$pull` and for array filters, where `name` is the
    /// identifier.
    ///
    /// # Errors
    /// As [`Matcher::matches`].
    pub fn matches_field(&self, name: &str, value: Raw<'_>) -> Result<bool> {
        self.root.matches(Root::Field(name, value), &mut Run { details: None })
    }

    /// As [`Matcher::matches_field`], and which element of the field's array matched.
    ///
    /// # Errors
    /// As [`Matcher::matches`].
    pub fn field_position(&self, name: &str, value: Raw<'_>) -> Result<Option<u32>> {
        let mut details = MatchDetails::default();
        let mut run = Run { details: Some(&mut details) };
        let found = self.root.matches(Root::Field(name, value), &mut run)?;
        Ok(details.position.filter(|_| found))
    }

    /// The tree, for the planner.
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    fn is_always_true(&self) -> bool {
        match self {
            Node::Always(yes) => *yes,
            Node::And(all) => all.iter().all(Node::is_always_true),
            _ => false,
        }
    }

    /// Its place among the conditions of a conjunction: by its kind, then by its path.
    fn turn(&self) -> (u8, &str) {
        match self {
            Node::And(_) => (0, ""),
            Node::Or(_) => (1, ""),
            Node::Field { path, test } => (test.turn(), path.as_str()),
            Node::Not(_) => (30, ""),
            Node::Nor(_) => (31, ""),
            Node::Expr(_) | Node::Schema(_) | Node::Sample(_) => (40, ""),
            Node::Always(_) => (41, ""),
        }
    }

    fn matches(&self, root: Root<'_>, run: &mut Run<'_>) -> Result<bool> {
        match self {
            Node::Field { path, test } => test.matches_at(path, root, run),
            Node::And(all) => {
                let found = all_match(all, root, run)?;
                if !found {
                    run.forget();
                }
                Ok(found)
            }
            Node::Or(any) => any_matches(any, root),
            Node::Nor(none) => any_matches(none, root).map(|found| !found),
            Node::Not(node) => node.matches(root, &mut Run { details: None }).map(|found| !found),
            Node::Always(yes) => Ok(*yes),
            Node::Sample(rate) => Ok(sample(*rate)),
            Node::Schema(schema) => match root {
                Root::Doc(doc) => schema.admits(doc.as_raw()),
                Root::Field(..) => Ok(false),
            },
            Node::Expr(expression) => match root {
                Root::Doc(doc) => Ok(is_true(&expression.evaluate(doc)?)),
                Root::Field(..) => Ok(false),
            },
        }
    }

    /// Whether a value matches that is looked at by itself, as `$elemMatch: {$gt: 1}` does: arrays are not opened.
    fn matches_alone(&self, value: Raw<'_>, run: &mut Run<'_>) -> Result<bool> {
        match self {
            Node::Field { test, .. } => test.matches(Some(value), run),
            Node::And(all) => {
                for node in all {
                    if !node.matches_alone(value, run)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Not(node) => {
                node.matches_alone(value, &mut Run { details: None }).map(|found| !found)
            }
            Node::Always(yes) => Ok(*yes),
            Node::Or(_) | Node::Nor(_) | Node::Sample(_) | Node::Expr(_) | Node::Schema(_) => {
                Ok(false)
            }
        }
    }
}

/// Whether all nodes match. The document is walked once for all names.
fn all_match(nodes: &[Node], root: Root<'_>, run: &mut Run<'_>) -> Result<bool> {
    if run.details.is_some() {
        return all_match_in_turn(nodes, root, run);
    }
    let mut fields = match root {
        Root::Doc(doc) => Some(Fields::new(doc)),
        Root::Field(..) => None,
    };
    for node in nodes {
        let found = match (node, &mut fields) {
            (Node::Field { path, test }, Some(fields)) => match path.parts() {
                [part] => test.matches_found(fields.get_bytes(part.name()), run)?,
                _ => test.matches_at(path, root, run)?,
            },
            _ => node.matches(root, run)?,
        };
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As [`all_match`], in MongoDB's order: the element that the last test of an array finds is the one that counts.
fn all_match_in_turn(nodes: &[Node], root: Root<'_>, run: &mut Run<'_>) -> Result<bool> {
    let mut tests = Vec::new();
    flatten(nodes, &mut tests);
    tests.sort_by_key(|node| node.turn());
    for node in tests {
        if !node.matches(root, run)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn flatten<'n>(nodes: &'n [Node], into: &mut Vec<&'n Node>) {
    for node in nodes {
        match node {
            Node::And(inner) => flatten(inner, into),
            node => into.push(node),
        }
    }
}

fn any_matches(nodes: &[Node], root: Root<'_>) -> Result<bool> {
    for node in nodes {
        if node.matches(root, &mut Run { details: None })? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True for the given part of all calls.
fn sample(rate: f64) -> bool {
    Random::new().unit() < rate
}

impl Run<'_> {
    fn note(&mut self, position: Option<u32>) {
        if let (Some(details), Some(_)) = (self.details.as_deref_mut(), position) {
            details.position = position;
        }
    }

    fn forget(&mut self) {
        if let Some(details) = self.details.as_deref_mut() {
            details.position = None;
        }
    }
}
