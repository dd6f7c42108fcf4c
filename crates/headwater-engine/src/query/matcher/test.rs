//! The tests that a value at a path is put to.

use super::arithmetic::Modulo;
use super::bits::Bits;
use super::comparison::{Comparison, List};
use super::element::Types;
use super::regex::Regex;
use super::{Node, Run};
use crate::bson::{Array, Doc, Raw, Type};
use crate::error::Result;
use crate::query::path::{Leaf, Path, Root};

/// A test of a value.
#[derive(Debug)]
pub(crate) enum Test {
    /// `$eq`, `$lt`, `$lte`, `$gt`, `$gte`.
    Compare(Comparison),
    /// `$in`.
    In(Box<List>),
    /// `$regex`.
    Regex(Box<Regex>),
    /// `$exists: true`.
    Exists,
    /// `$type`.
    Type(Types),
    /// `$mod`.
    Mod(Modulo),
    /// `$bitsAllSet` and the like.
    Bits(Box<Bits>),
    /// `$size`.
    Size(i64),
    /// `$elemMatch` on elements that are documents.
    ElementDoc(Box<Node>),
    /// `$elemMatch` on elements as values.
    Element(Box<Node>),
}

impl Test {
    /// Its place among other kinds of tests, in the order in which MongoDB sorts them.
    pub(super) fn turn(&self) -> u8 {
        match self {
            Test::ElementDoc(_) => 2,
            Test::Element(_) => 3,
            Test::Size(_) => 4,
            Test::Compare(comparison) => comparison.turn(),
            Test::Regex(_) => 10,
            Test::Mod(_) => 11,
            Test::Exists => 12,
            Test::In(_) => 13,
            Test::Bits(_) => 14,
            Test::Type(_) => 32,
        }
    }

    /// Whether a document that has nothing at the path passes.
    pub(crate) fn passes_absent(&self) -> bool {
        match self {
            Test::Compare(comparison) => comparison.matches(None),
            Test::In(list) => list.has_null(),
            _ => false,
        }
    }

    /// How arrays at the end of the path are looked at.
    pub(super) fn leaf(&self) -> Leaf {
        match self {
            Test::Size(_) | Test::ElementDoc(_) | Test::Element(_) => Leaf::Whole,
            _ => Leaf::Elements,
        }
    }

    pub(super) fn matches_at(
        &self,
        path: &Path,
        root: Root<'_>,
        run: &mut Run<'_>,
    ) -> Result<bool> {
        let mut at = None;
        let found = path.walk(root, self.leaf(), &mut |value, position| {
            let found = self.matches(value, run)?;
            if found {
                at = position;
            }
            Ok(found)
        })?;
        if found {
            run.note(at);
        }
        Ok(found)
    }

    /// As [`Test::matches_at`], for a value that was found at the end of a path, `None` if nothing is there.
    #[inline]
    pub(super) fn matches_found(&self, value: Option<Raw<'_>>, run: &mut Run<'_>) -> Result<bool> {
        if let Some(Raw { kind: Type::Array, data }) = value
            && self.leaf() == Leaf::Elements
        {
            for element in Array::trusted(data).iter() {
                if self.matches(Some(element), run)? {
                    return Ok(true);
                }
            }
        }
        self.matches(value, run)
    }

    /// Whether one value passes; arrays are not opened, `None` is an absent value.
    #[inline]
    pub(super) fn matches(&self, value: Option<Raw<'_>>, run: &mut Run<'_>) -> Result<bool> {
        match self {
            Test::Compare(comparison) => Ok(comparison.matches(value)),
            Test::Exists => Ok(value.is_some()),
            _ => match value {
                Some(value) => self.matches_present(value, run),
                None => Ok(matches!(self, Test::In(list) if list.has_null())),
            },
        }
    }

    fn matches_present(&self, value: Raw<'_>, run: &mut Run<'_>) -> Result<bool> {
        match self {
            Test::Compare(_) | Test::Exists => Ok(true),
            Test::In(list) => list.matches(value),
            Test::Regex(regex) => regex.matches(value),
            Test::Type(types) => Ok(types.contains(value.kind)),
            Test::Mod(modulo) => Ok(modulo.matches(value)),
            Test::Bits(bits) => Ok(bits.matches(value)),
            Test::Size(len) => {
                Ok(value.as_array().is_some_and(|a| i64::try_from(a.len()) == Ok(*len)))
            }
            Test::ElementDoc(node) => any_element(value, run, |element, _| match element.kind {
                Type::Document | Type::Array => {
                    node.matches(Root::Doc(Doc::trusted(element.data)), &mut Run { details: None })
                }
                _ => Ok(false),
            }),
            Test::Element(node) => {
                any_element(value, run, |element, run| node.matches_alone(element, run))
            }
        }
    }
}

fn any_element<'a>(
    value: Raw<'a>,
    run: &mut Run<'_>,
    mut matches: impl FnMut(Raw<'a>, &mut Run<'_>) -> Result<bool>,
) -> Result<bool> {
    let Some(array) = value.as_array() else { return Ok(false) };
    for (element, at) in array.iter().zip(0..) {
        if matches(element, run)? {
            run.note(Some(at));
            return Ok(true);
        }
    }
    Ok(false)
}
