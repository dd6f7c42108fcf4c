//! Which indexes may answer a query, and what the keys of each are made of: all that a planner needs to know of kinds of
//! indexes. Knows nothing of cost, and reads no index.
//!
//! A planner takes the list of [`eligible`], bounds the fields of each by [`Eligible::bounds`] from the first on, and may
//! leave any of them unbounded: what it then reads holds every document that matches, as long as
//! [`Eligible::complete`]. The filter still has to be applied to what is found.

mod implied;
mod wildcard;

pub(crate) use implied::implies;

use std::borrow::Cow;
use std::sync::Arc;

use crate::bson::Raw;
use crate::bson::key::{Collate, Direction};
use crate::catalog::Collection;
use crate::collation::ValueOrder;
use crate::index::{Index, hashed};
use crate::query::bounds::{self, Bounds, Form, Interval, Keys};
use crate::query::matcher::Matcher;
use crate::query::path::{Multikey, Path};

/// An index that may answer a query through the fields of its keys. A wildcard index is eligible once for each path
/// that it can be asked about.
#[derive(Debug)]
pub(crate) struct Eligible<'q> {
    /// The index.
    pub index: &'q Arc<Index>,
    /// What its keys are made of, in order.
    pub fields: Vec<KeyField<'q>>,
    /// Whether every document that matches has a key in it. A hinted index may lack some, no other.
    pub complete: bool,
}

/// One part of an index's keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyField<'q> {
    /// The path of the document that it holds values of.
    pub path: Cow<'q, Path>,
    /// Its direction.
    pub direction: Direction,
    /// One bit for each name of the path that met an array in some document, the first name lowest.
    pub multikey: u64,
    /// What stands in the key.
    pub content: Content,
}

/// What a part of a key is made of.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// The values at the path, in their order.
    Values(Form),
    /// What the query says nothing about, but the index: only these keys can be met.
    Known(Vec<Interval>),
}

impl KeyField<'_> {
    /// Whether documents stand in it in the order of the values at its path, as far as no arrays were met.
    pub(crate) fn is_ordered(&self) -> bool {
        matches!(self.content, Content::Values(Form::Values | Form::Leaves))
    }
}

impl Eligible<'_> {
    /// The keys that documents which match `matcher` have, field by field; `None` where any key could be theirs.
    /// `order` is how the query compares values.
    pub(crate) fn bounds(
        &self,
        matcher: Option<&Matcher>,
        order: &ValueOrder,
    ) -> Vec<Option<Bounds>> {
        let mut found = match matcher {
            Some(matcher) => self.asked(matcher, order),
            None => vec![None; self.fields.len()],
        };
        for (field, bounds) in self.fields.iter().zip(&mut found) {
            if let Content::Known(intervals) = &field.content {
                *bounds = Some(Bounds { intervals: intervals.clone(), exact: true });
            }
        }
        found
    }

    /// Whether the bounds of [`Eligible::bounds`] decide alone: every key inside all of them is of a document that
    /// matches.
    pub(crate) fn decides(
        &self,
        matcher: Option<&Matcher>,
        order: &ValueOrder,
        found: &[Option<Bounds>],
    ) -> bool {
        let plain = |field: &KeyField<'_>| matches!(field.content, Content::Values(Form::Values));
        let Some(matcher) = matcher else { return true };
        self.fields.iter().all(plain)
            && self.ask(order, |paths, multikey, keys| {
                bounds::decide(matcher, paths, multikey, keys, found)
            })
    }

    fn asked(&self, matcher: &Matcher, order: &ValueOrder) -> Vec<Option<Bounds>> {
        self.ask(order, |paths, multikey, keys| bounds::for_paths(matcher, paths, multikey, keys))
    }

    fn ask<T>(
        &self,
        order: &ValueOrder,
        answer: impl FnOnce(&[&Path], &Multikey, Keys<'_>) -> T,
    ) -> T {
        let collation = self.index.order.collation();
        let collate = |text: &str, out: &mut Vec<u8>| {
            if let Some(collation) = collation {
                collation.append_key(text, out);
            }
        };
        let forms: Vec<Form> = self.fields.iter().map(KeyField::form).collect();
        let collate = collation.map(|_| &collate as Collate<'_>);
        let hash = |value: Raw<'_>| hashed::hash(value, collation.map(AsRef::as_ref));
        let foreign = self.index.order != *order;
        let keys = Keys { collate, foreign, hash: Some(&hash), forms: &forms };
        let paths: Vec<&Path> = self.fields.iter().map(|field| &*field.path).collect();
        let multikey = Multikey(self.fields.iter().map(|field| field.multikey).collect());
        answer(&paths, &multikey, keys)
    }
}

impl KeyField<'_> {
    fn form(&self) -> Form {
        match self.content {
            Content::Values(form) => form,
            Content::Known(_) => Form::Values,
        }
    }
}

/// The indexes that may answer a query with that filter: those that are neither hidden nor lack a document that the
/// filter may match.
pub(crate) fn eligible<'q>(
    collection: &'q Collection,
    matcher: Option<&'q Matcher>,
) -> Vec<Eligible<'q>> {
    collection.indexes.iter().flat_map(|index| of_index(index, matcher)).collect()
}

/// What one index can be asked, as [`eligible`] has it of all.
pub(crate) fn of_index<'q>(
    index: &'q Arc<Index>,
    matcher: Option<&'q Matcher>,
) -> Vec<Eligible<'q>> {
    let mut found = if index.hidden { Vec::new() } else { views(index, matcher) };
    found.retain(|one| one.complete);
    found
}

/// What a hinted index can be asked, even if it lacks documents. A wildcard index has to have them.
///
/// # Errors
/// Why an index of a kind that cannot answer every query cannot answer this one.
pub(crate) fn hinted<'q>(
    index: &'q Arc<Index>,
    matcher: Option<&'q Matcher>,
) -> Result<Vec<Eligible<'q>>, &'static str> {
    let mut found = views(index, matcher);
    if index.wildcard.is_some() && !passes_filter(index, matcher) {
        found.clear();
    }
    match &index.wildcard {
        Some(wildcard) if found.is_empty() => Err(wildcard::refusal(wildcard, matcher)),
        _ => Ok(found),
    }
}

fn views<'q>(index: &'q Arc<Index>, matcher: Option<&'q Matcher>) -> Vec<Eligible<'q>> {
    match &index.wildcard {
        Some(wildcard) => wildcard::views(index, wildcard, matcher),
        None => {
            let complete = is_complete(index, matcher);
            vec![Eligible { index, fields: fields(index), complete }]
        }
    }
}

fn fields(index: &Index) -> Vec<KeyField<'_>> {
    let paths = index.paths.paths().iter().zip(&index.directions).enumerate();
    let field = |(at, (path, direction)): (usize, (_, &Direction))| KeyField {
        path: Cow::Borrowed(path),
        direction: *direction,
        multikey: index.arrays.of_path(at),
        content: Content::Values(match index.hashed == Some(at) {
            true => Form::Hashes,
            false => Form::Values,
        }),
    };
    paths.map(field).collect()
}

/// Whether every document that matches has a key in the index.
fn is_complete(index: &Index, matcher: Option<&Matcher>) -> bool {
    let is_there = |path: &Path| matcher.is_some_and(|matcher| implied::is_there(matcher, path));
    (!index.sparse || index.paths.paths().iter().any(is_there)) && passes_filter(index, matcher)
}

/// Whether every document that matches passes the filter of a partial index.
fn passes_filter(index: &Index, matcher: Option<&Matcher>) -> bool {
    index.partial.as_deref().is_none_or(|filter| implies(matcher, filter))
}
