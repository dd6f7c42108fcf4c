//! The tree of a projection: what becomes of each field.

use crate::aggregate::expressions::Expression;
use crate::error::{Error, Result};
use crate::query::matcher::Matcher;

/// What becomes of the fields of a document.
#[derive(Debug)]
pub(super) struct Fields {
    /// In the order of the specification.
    pub(super) children: Vec<(Box<str>, Field)>,
    /// Whether fields that are not named are kept.
    pub(super) keep_rest: bool,
    /// Whether anything below is computed.
    pub(super) computes: bool,
}

/// What becomes of one field.
#[derive(Debug)]
pub(super) enum Field {
    Keep,
    Drop,
    Nested(Fields),
    Compute(Expression),
    Slice(Slice),
    /// The first element that a filter `{name: {$elemMatch: ..}}` matches.
    ElemMatch(Box<Matcher>),
    /// Kept, but of the first array on the way only the element that the filter matched.
    Positional,
}

/// Which elements of an array `$slice` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slice {
    First(usize),
    Last(usize),
    /// After skipping some, or starting so many before the end.
    Window {
        skip: i64,
        limit: usize,
    },
}

impl Field {
    pub(super) fn computes(&self) -> bool {
        match self {
            Field::Compute(_) | Field::ElemMatch(_) => true,
            Field::Nested(fields) => fields.computes,
            _ => false,
        }
    }
}

impl Fields {
    pub(super) fn new(keep_rest: bool) -> Fields {
        Fields { children: Vec::new(), keep_rest, computes: false }
    }

    pub(super) fn child(&self, name: &[u8]) -> Option<(usize, &Field)> {
        let at = self.children.iter().position(|(known, _)| known.as_bytes() == name)?;
        self.children.get(at).map(|(_, field)| (at, field))
    }

    /// Checks that a field can be put at a dotted path.
    ///
    /// # Errors
    /// As [`Fields::insert`].
    pub(super) fn check_free(&self, path: &str) -> Result<()> {
        let mut fields = self;
        let mut rest = path;
        loop {
            let (name, below) = match rest.split_once('.') {
                Some((name, below)) => (name, Some(below)),
                None => (rest, None),
            };
            match (fields.child(name.as_bytes()), below) {
                (None, _) => return Ok(()),
                (Some(_), None) => return Err(collision(path)),
                (Some((_, Field::Nested(nested))), Some(below)) => (fields, rest) = (nested, below),
                (Some(_), Some(below)) => return Err(collision_below(path, below)),
            }
        }
    }

    /// Checks that fields can be put below a dotted path.
    ///
    /// # Errors
    /// 31249 if another field is on the way.
    pub(super) fn check_open(&self, path: &str) -> Result<()> {
        match self.check_free(path) {
            Err(error) if error.code().0 == 31249 => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts a field at a dotted path.
    ///
    /// # Errors
    /// 31249, 31250 if another field is there or on the way.
    pub(super) fn insert(&mut self, path: &str, field: Field) -> Result<()> {
        self.insert_rest(path, path, field)
    }

    fn insert_rest(&mut self, path: &str, rest: &str, field: Field) -> Result<()> {
        self.computes |= field.computes();
        let (name, below) = match rest.split_once('.') {
            Some((name, below)) => (name, Some(below)),
            None => (rest, None),
        };
        let known = self.children.iter().position(|(known, _)| **known == *name);
        let Some(below) = below else {
            if known.is_some() {
                return Err(collision(path));
            }
            self.children.push((name.into(), field));
            return Ok(());
        };
        let at = known.unwrap_or_else(|| {
            let fields = Fields::new(self.keep_rest);
            self.children.push((name.into(), Field::Nested(fields)));
            self.children.len() - 1
        });
        match self.children.get_mut(at) {
            Some((_, Field::Nested(fields))) => fields.insert_rest(path, below, field),
            _ => Err(collision_below(path, below)),
        }
    }

    /// Collects the paths that are kept; false if there is more to the projection.
    pub(super) fn collect_included(&self, prefix: &str, paths: &mut Vec<String>) -> bool {
        !self.keep_rest
            && self.children.iter().all(|(name, field)| {
                let path = format!("{prefix}{name}");
                match field {
                    Field::Keep => paths.push(path),
                    Field::Drop if prefix.is_empty() && &**name == "_id" => {}
                    Field::Nested(fields) => {
                        return fields.collect_included(&format!("{path}."), paths);
                    }
                    _ => return false,
                }
                true
            })
    }
}

#[cold]
fn collision(path: &str) -> Error {
    Error::location(31250, format!("Path collision at {path}"))
}

#[cold]
fn collision_below(path: &str, below: &str) -> Error {
    Error::location(31249, format!("Path collision at {path} remaining portion {below}"))
}
