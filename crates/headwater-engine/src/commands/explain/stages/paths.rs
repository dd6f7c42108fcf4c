//! What is done with fields by their paths, as a tree: `$project`, `$addFields` and their other names.

use crate::bson::{Array, Doc, DocWriter, Number, Raw, Type};
use crate::query::matcher::write_expression;

/// What becomes of the fields of a document, or of one inside.
#[derive(Default)]
pub(in super::super) struct Paths<'a> {
    /// Fields that are kept or left out.
    flags: Vec<(&'a str, bool)>,
    /// Those of which more is said, behind them.
    others: Vec<Other<'a>>,
    /// What is said of `_id`, where that has a place of its own.
    id: Option<(Place, bool)>,
}

/// A field of which more is said than whether it is kept.
struct Other<'a> {
    name: &'a str,
    /// What it is computed from; otherwise it is a document.
    computed: Option<Raw<'a>>,
    inside: Paths<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Last,
}

/// The fields of a `$project`.
pub(in super::super) fn projected(doc: Doc<'_>) -> Paths<'_> {
    let mut paths = Paths::default();
    let mut id = None;
    for field in doc {
        match (field.name, flag(field.value)) {
            (b"_id", Some(keep)) => id = Some(keep),
            _ => paths.insert(field.name_str(), field.value),
        }
    }
    let computes_id = paths.others.iter().any(|other| other.name == "_id");
    if !computes_id {
        let keeps = id.unwrap_or(true);
        let place = if paths.excludes(id) != keeps { Place::First } else { Place::Last };
        paths.id = Some((place, keeps));
    }
    paths
}

/// The fields of an `$addFields`.
pub(super) fn added(doc: Doc<'_>) -> Paths<'_> {
    let mut paths = Paths::default();
    doc.iter().for_each(|field| paths.compute(field.name_str(), field.value));
    paths
}

/// The fields of an `$unset`.
pub(in super::super) fn left_out(argument: Raw<'_>) -> Paths<'_> {
    let mut paths = Paths::default();
    let listed = argument.as_array().into_iter().flat_map(Array::iter).filter_map(Raw::as_str);
    let mut keeps_id = true;
    for name in argument.as_str().into_iter().chain(listed) {
        match name {
            "_id" => keeps_id = false,
            _ => paths.flag(name, false),
        }
    }
    paths.id = Some((if keeps_id { Place::Last } else { Place::First }, keeps_id));
    paths
}

/// Whether a value says to keep or to leave out.
fn flag(value: Raw<'_>) -> Option<bool> {
    match value.kind {
        Type::Bool => value.as_bool(),
        _ => Number::from_raw(value).map(|number| number.to_f64() != 0.0),
    }
}

impl<'a> Paths<'a> {
    /// Appends the tree.
    pub(in super::super) fn write(&self, out: &mut DocWriter) {
        let id = |out: &mut DocWriter, at: Place| match self.id {
            Some((place, keeps)) if place == at => out.bool("_id", keeps),
            _ => {}
        };
        id(out, Place::First);
        self.flags.iter().for_each(|(name, keep)| out.bool(name, *keep));
        for other in &self.others {
            match other.computed {
                None => out.document(other.name, |out| other.inside.write(out)),
                Some(value) => write_expression(out, other.name, value),
            }
        }
        id(out, Place::Last);
    }

    /// Whether fields are left out, where `id` is what is said of `_id`.
    fn excludes(&self, id: Option<bool>) -> bool {
        match self.first_flag() {
            Some(keeps) => !keeps,
            None => self.others.is_empty() && id == Some(false),
        }
    }

    fn first_flag(&self) -> Option<bool> {
        let own = self.flags.first().map(|(_, keep)| *keep);
        own.or_else(|| self.others.iter().find_map(|other| other.inside.first_flag()))
    }

    fn insert(&mut self, path: &'a str, value: Raw<'a>) {
        match (flag(value), inside(value)) {
            (Some(keep), _) => self.flag(path, keep),
            (None, Some(doc)) => {
                let holder = self.holder(path);
                doc.iter().for_each(|field| holder.insert(field.name_str(), field.value));
            }
            (None, None) => self.compute(path, value),
        }
    }

    fn flag(&mut self, path: &'a str, keep: bool) {
        let (holder, name) = self.parent(path);
        holder.flags.push((name, keep));
    }

    fn compute(&mut self, path: &'a str, value: Raw<'a>) {
        match inside(value) {
            Some(doc) => {
                let holder = self.holder(path);
                doc.iter().for_each(|field| holder.compute(field.name_str(), field.value));
            }
            None => {
                let (holder, name) = self.parent(path);
                let computed = Other { name, computed: Some(value), inside: Paths::default() };
                holder.others.push(computed);
            }
        }
    }

    /// What becomes of the document that a path ends in, and the name of the path's end there.
    fn parent(&mut self, path: &'a str) -> (&mut Paths<'a>, &'a str) {
        match path.rsplit_once('.') {
            Some((before, name)) => (self.holder(before), name),
            None => (self, path),
        }
    }

    /// What becomes of the document at a path.
    fn holder(&mut self, path: &'a str) -> &mut Paths<'a> {
        path.split('.').fold(self, |paths, name| {
            let is_it = |other: &Other<'_>| other.computed.is_none() && other.name == name;
            let known = paths.others.iter().position(is_it);
            let at = known.unwrap_or_else(|| {
                let inside = Paths::default();
                paths.others.push(Other { name, computed: None, inside });
                paths.others.len() - 1
            });
            &mut paths.others[at].inside
        })
    }
}

/// The fields of a document that is no expression.
fn inside(value: Raw<'_>) -> Option<Doc<'_>> {
    let doc = value.as_doc()?;
    doc.first().filter(|first| !first.name.starts_with(b"$")).map(|_| doc)
}
