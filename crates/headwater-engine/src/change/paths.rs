//! `disambiguatedPaths` of an update's description: the components of the paths that read in more than one way, because a
//! field's own name is a number or has a dot. Found by walking the document as the update left it.

use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw, View};

/// One component of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'p> {
    Name(&'p str),
    Index(i32),
}

/// The ambiguous paths of a description with their components. `new` is the document behind the update.
pub(super) fn disambiguated(description: Doc<'_>, new: Doc<'_>) -> DocBuf {
    let mut out = DocWriter::new();
    let list = |name| description.get(name).and_then(Raw::as_array);
    for field in description.get("updatedFields").and_then(Raw::as_doc).into_iter().flatten() {
        let is_it = |found: Option<Raw<'_>>| {
            found.is_some_and(|f| f.kind == field.value.kind && f.data == field.value.data)
        };
        write(&mut out, field.name_str(), new, &is_it);
    }
    for path in list("removedFields").into_iter().flat_map(Array::iter).filter_map(Raw::as_str) {
        write(&mut out, path, new, &|found| found.is_none());
    }
    for array in list("truncatedArrays").into_iter().flat_map(Array::iter).filter_map(Raw::as_doc) {
        let path = array.get("field").and_then(Raw::as_str).unwrap_or_default();
        let size = match array.get("newSize").map(Raw::view) {
            Some(View::Int32(size)) => usize::try_from(size).ok(),
            _ => None,
        };
        let is_it = |found: Option<Raw<'_>>| {
            found.and_then(Raw::as_array).is_some_and(|array| Some(array.iter().count()) == size)
        };
        write(&mut out, path, new, &is_it);
    }
    out.finish()
}

fn write(out: &mut DocWriter, path: &str, new: Doc<'_>, is_it: &dyn Fn(Option<Raw<'_>>) -> bool) {
    if !path.contains('.') && !is_number(path) {
        return;
    }
    let mut parts = Vec::new();
    if !resolve(new.as_raw(), path, is_it, &mut parts) {
        return;
    }
    let ambiguous =
        |part: &Part<'_>| matches!(part, Part::Name(name) if name.contains('.') || is_number(name));
    if !parts.iter().any(ambiguous) {
        return;
    }
    out.array(path, |out| {
        for part in &parts {
            match part {
                Part::Name(name) => out.str(name),
                Part::Index(at) => out.i32(*at),
            }
        }
    });
}

/// Splits `path` into the components that lead from `value` to what `is_it` knows; the shortest names first. A document
/// is no deeper than its limit, so neither is this.
fn resolve<'p>(
    value: Raw<'_>,
    path: &'p str,
    is_it: &dyn Fn(Option<Raw<'_>>) -> bool,
    parts: &mut Vec<Part<'p>>,
) -> bool {
    if let Some(array) = value.as_array() {
        let (first, rest) = path.split_once('.').map_or((path, None), |(f, r)| (f, Some(r)));
        let Ok(at) = first.parse::<i32>() else { return false };
        let found = usize::try_from(at).ok().and_then(|at| array.get(at));
        return step(Part::Index(at), rest, found, is_it, parts);
    }
    let Some(doc) = value.as_doc() else { return false };
    let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let (name, rest) = (&path[..end], path.get(end + 1..));
        if step(Part::Name(name), rest, doc.get(name), is_it, parts) {
            return true;
        }
    }
    false
}

fn step<'p>(
    part: Part<'p>,
    rest: Option<&'p str>,
    found: Option<Raw<'_>>,
    is_it: &dyn Fn(Option<Raw<'_>>) -> bool,
    parts: &mut Vec<Part<'p>>,
) -> bool {
    parts.push(part);
    let leads_there = match (rest, found) {
        (None, found) => is_it(found),
        (Some(rest), Some(found)) => resolve(found, rest, is_it, parts),
        (Some(_), None) => false,
    };
    if !leads_there {
        parts.pop();
    }
    leads_there
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}
