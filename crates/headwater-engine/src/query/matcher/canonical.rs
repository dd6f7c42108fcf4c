//! The canonical form of a filter: what `explain` calls the parsed query, what errors of the planner print, and what tells
//! the shapes of queries apart. Made from the filter's document whenever it is asked for; matching never needs it.
//!
//! Source of the rules: recorded answers. Conjunctions are flat, without repetitions, and sorted by kind, path and what
//! stands inside; an `$or` of equalities on one path is an `$in`; one of one is that one.

mod expression;
mod normal;
mod parse;
mod print;
mod shape;
mod values;
mod write;

use std::borrow::Cow;

use crate::bson::{Doc, DocBuf, Raw};

pub(crate) use expression::canonical;
pub use shape::hash;

/// A filter in canonical form.
#[derive(Debug, Clone, PartialEq)]
pub struct Canonical<'f> {
    root: Condition<'f>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
enum Condition<'f> {
    And(Vec<Condition<'f>>),
    Or(Vec<Condition<'f>>),
    Nor(Vec<Condition<'f>>),
    Not(Box<Condition<'f>>),
    Field {
        path: &'f str,
        test: Test<'f>,
    },
    Always(bool),
    /// An operator beside paths whose argument is shown as it is: `$expr`, `$jsonSchema`.
    Whole {
        name: &'f str,
        argument: DocBuf,
    },
}

/// What is asked of the values at a path.
#[derive(Debug, Clone, PartialEq)]
enum Test<'f> {
    Compare { relation: &'static str, value: Constant<'f> },
    In { values: Vec<Constant<'f>>, regexes: Vec<Pattern<'f>> },
    Regex(Pattern<'f>),
    Exists,
    Type(Vec<TypeName>),
    Mod(i64, i64),
    Bits { name: &'f str, positions: Vec<u32> },
    Size(i64),
    ElementDoc(Box<Condition<'f>>),
    Element(Box<Condition<'f>>),
}

/// A value, equal to others of the same type and bytes.
#[derive(Debug, Clone, Copy)]
struct Constant<'f>(Raw<'f>);

impl PartialEq for Constant<'_> {
    fn eq(&self, other: &Constant<'_>) -> bool {
        self.0.kind == other.0.kind && self.0.data == other.0.data
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Pattern<'f> {
    pattern: Cow<'f, str>,
    options: Cow<'f, str>,
}

/// A type as `$type` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TypeName {
    Number,
    Code(i32),
}

impl<'f> Canonical<'f> {
    /// The canonical form of a filter that [`super::Matcher::parse`] has taken: of others it tells nothing sensible.
    ///
    /// ```
    /// use headwater_engine::bson::{DocBuf, extjson};
    /// use headwater_engine::query::matcher::Canonical;
    ///
    /// let filter = extjson::parse_commands(r#"{"b": {"$in": [7]}, "a": {"$gt": 1}}"#)?;
    /// let canonical = Canonical::of(filter.as_doc());
    /// assert_eq!(canonical.to_string(), "$and\n    b $eq 7\n    a $gt 1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(filter: Doc<'f>) -> Canonical<'f> {
        Canonical { root: normal::ordered(parse::filter(filter)) }
    }

    /// Whether it asks for one of several things.
    pub fn is_alternative(&self) -> bool {
        matches!(self.root, Condition::Or(_))
    }

    /// Whether every document matches.
    pub fn is_everything(&self) -> bool {
        matches!(&self.root, Condition::And(all) if all.is_empty())
    }
}
