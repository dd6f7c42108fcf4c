//! Writing to time series: how a measurement is stored, and what may be changed of it. Source: recorded replies.

use std::borrow::Cow;

use crate::aggregate::expressions::document_text;
use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type};
use crate::catalog::TimeSeries;
use crate::error::{Code, Error, Result};
use crate::limits::COMMAND_DEPTH_MAX;

/// A measurement as it is stored: time and meta field first, the fields inside the meta field sorted.
///
/// # Errors
/// `BadValue` (2) if the time is no date.
pub(super) fn measurement(series: &TimeSeries, doc: Doc<'_>) -> Result<DocBuf> {
    let time = &series.time_field;
    let Some(at) = doc.get(time).filter(|at| at.kind == Type::Date) else {
        let message =
            format!("'{time}' must be present and contain a valid BSON UTC datetime value");
        return Err(Error::new(Code::BAD_VALUE, message));
    };
    let mut out = DocWriter::new();
    out.raw(time, at);
    let meta_field = series.meta_field.as_deref().unwrap_or(time);
    if let Some(meta) = doc.get(meta_field).filter(|_| meta_field != time) {
        write_sorted(&mut out, meta_field, meta, COMMAND_DEPTH_MAX);
    }
    for element in doc {
        if element.name != time.as_bytes() && element.name != meta_field.as_bytes() {
            out.raw_bytes(element.name, element.value);
        }
    }
    Ok(out.finish())
}

fn write_sorted(out: &mut DocWriter, name: &str, value: Raw<'_>, left: usize) {
    match sorted(value, left) {
        Cow::Borrowed(data) => out.raw(name, Raw { kind: value.kind, data }),
        Cow::Owned(data) => out.raw(name, Raw { kind: value.kind, data: &data }),
    }
}

/// The bytes of a value with the fields of its documents in the order of their names.
fn sorted<'a>(value: Raw<'a>, left: usize) -> Cow<'a, [u8]> {
    let Some(left) = left.checked_sub(1) else { return Cow::Borrowed(value.data) };
    if let Some(doc) = value.as_doc() {
        let mut elements: Vec<_> = doc.iter().collect();
        elements.sort_by_key(|element| element.name);
        let mut out = DocWriter::new();
        for element in elements {
            write_sorted(&mut out, element.name_str(), element.value, left);
        }
        return Cow::Owned(out.into_bytes());
    }
    let Some(array) = value.as_array() else { return Cow::Borrowed(value.data) };
    let mut out = ArrayWriter::new();
    for element in array.iter() {
        out.raw(Raw { kind: element.kind, data: &sorted(element, left) });
    }
    Cow::Owned(out.into_bytes())
}

/// An update of a time series as its statement asks for it.
pub(super) struct Asked<'a> {
    pub filter: Doc<'a>,
    pub update: Raw<'a>,
    pub multi: bool,
    pub upsert: bool,
}

/// Refuses what must not be changed: only the meta field may, and only of many measurements that are found by it.
///
/// # Errors
/// `InvalidOptions` (72).
pub(super) fn check_update(series: &TimeSeries, asked: &Asked<'_>) -> Result<()> {
    let refused = |message: &str| Err(Error::new(Code::INVALID_OPTIONS, message));
    if !asked.multi {
        return refused("Cannot perform a non-multi update on a time-series collection");
    }
    if asked.upsert {
        return refused("Cannot perform an upsert on a time-series collection");
    }
    let Some(meta) = &series.meta_field else {
        return refused(
            "Cannot perform an update on a time-series collection that does not have a metaField",
        );
    };
    if asked.update.as_array().is_some() {
        return refused(
            "Cannot perform an update on a time-series collection using a pipeline update",
        );
    }
    check_filter(asked.filter, meta, COMMAND_DEPTH_MAX)?;
    let operators = asked.update.as_doc().unwrap_or(Doc::EMPTY);
    if operators.first().is_some_and(|first| !first.name.starts_with(b"$")) {
        return refused(
            "Cannot perform an update on a time-series collection using a replacement document",
        );
    }
    for operator in operators {
        for element in operator.value.as_doc().into_iter().flatten() {
            let renamed = element.value.as_str().filter(|_| operator.name == b"$rename");
            let paths = [Some(element.name_str()), renamed];
            if paths.into_iter().flatten().any(|path| !is_under(path, meta)) {
                return refused(&format!(
                    "Cannot perform an update on a time-series collection which updates a field that is not the metaField '{meta}'"
                ));
            }
        }
    }
    Ok(())
}

fn check_filter(filter: Doc<'_>, meta: &str, left: usize) -> Result<()> {
    let refused = |message: String| Err(Error::new(Code::INVALID_OPTIONS, message));
    let Some(left) = left.checked_sub(1) else { return Ok(()) };
    for element in filter {
        match element.name_str() {
            "$expr" => {
                return refused(
                    "Cannot use $expr when performing an update or delete on a time-series collection"
                        .to_owned(),
                );
            }
            "$and" | "$or" | "$nor" => {
                let branches = element.value.as_array().into_iter().flat_map(|all| all.iter());
                for branch in branches.filter_map(Raw::as_doc) {
                    check_filter(branch, meta, left)?;
                }
            }
            name if name.starts_with('$') || is_under(name, meta) => {}
            _ => {
                return refused(format!(
                    "Cannot perform an update or delete on a time-series collection when querying on a field that is not the metaField '{meta}'"
                ));
            }
        }
    }
    Ok(())
}

/// Refuses indexes that a time series must not have.
///
/// # Errors
/// `InvalidOptions` (72), `CannotCreateIndex` (67).
pub(super) fn check_index(series: &TimeSeries, spec: Doc<'_>) -> Result<()> {
    let on = |option: &str| spec.get(option).and_then(Raw::as_bool).unwrap_or(false);
    let refused = |message: &str| Err(Error::new(Code::INVALID_OPTIONS, message));
    if on("unique") {
        return refused("Unique indexes are not supported on time-series collections");
    }
    let key = spec.get("key").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let of_meta = |path: &str| series.meta_field.as_deref().is_some_and(|m| is_under(path, m));
    for element in key {
        let (path, kind) = (element.name_str(), element.value.as_str());
        if kind == Some("text") {
            return refused("Text indexes are not supported on time-series collections");
        }
        if let Some(kind) = kind.filter(|kind| !of_meta(path) && *kind != "2dsphere") {
            let shown = document_text(key);
            let message = format!(
                "BadValue: Invalid index spec for time-series collection: {shown}. Indexes on measurement fields must be ascending or descending (numbers only), or '2dsphere': {path}: \"{kind}\""
            );
            return Err(Error::new(Code::CANNOT_CREATE_INDEX, message));
        }
        if on("sparse") && !of_meta(path) && path != series.time_field {
            return refused("Sparse indexes are not supported on time-series measurements");
        }
    }
    Ok(())
}

fn is_under(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
