//! The wildcard in a specification: what it holds by its path and its projection, and whether that may be.

use super::key::{self, WILDCARD, is_at_or_below, is_wildcard};
use super::options::wrong;
use super::read::mistyped;
use crate::aggregate::expressions::{Path, Scope, is_known};
use crate::bson::{Doc, DocWriter, Number, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::query::projection::Projection;

/// What computes in a projection and is no expression elsewhere.
const OF_PROJECTIONS: [&str; 2] = ["$elemMatch", "$slice"];

/// What a wildcard index holds, as paths.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::index) struct WildcardFields {
    /// Nothing but what is at or below these; `None` for everything.
    pub(in crate::index) included: Option<Vec<String>>,
    /// Nothing of what is at or below these.
    pub(in crate::index) excluded: Vec<String>,
}

impl WildcardFields {
    /// A projection to what the index holds.
    pub(in crate::index) fn projection(&self) -> Option<Projection> {
        let mut spec = DocWriter::new();
        match &self.included {
            Some(included) => {
                let id = included.iter().any(|path| path == "_id" || path.starts_with("_id."));
                if !id {
                    spec.i32("_id", 0);
                }
                included.iter().for_each(|path| spec.i32(path, 1));
            }
            None => self.excluded.iter().for_each(|path| spec.i32(path, 0)),
        }
        Projection::parse_find(spec.finish().as_doc(), &mut Scope::new(None, 0).ok()?).ok()
    }
}

/// What a wildcard of that path and projection holds; `None` for a projection that is none.
pub(in crate::index) fn wildcard_fields(
    path: &str,
    projection: Option<Doc<'_>>,
) -> Option<WildcardFields> {
    let excluded = vec!["_id".to_owned()];
    if let Some(base) = path.strip_suffix(WILDCARD).and_then(|head| head.strip_suffix('.')) {
        return Some(WildcardFields {
            included: Some(vec![base.to_owned()]),
            excluded: Vec::new(),
        });
    }
    let Some(projection) = projection else {
        return Some(WildcardFields { included: None, excluded });
    };
    let mut flags = Vec::new();
    collect(projection, "", &mut flags)?;
    let id = flags.iter().find(|(path, _)| path == "_id").map(|(_, keep)| *keep);
    flags.retain(|(path, _)| path != "_id");
    let keeps = flags.first().map_or(id == Some(true), |(_, keep)| *keep);
    let mut paths: Vec<String> = flags.into_iter().map(|(path, _)| path).collect();
    paths.sort_unstable();
    Some(match keeps {
        true => {
            paths.extend((id == Some(true)).then(|| "_id".to_owned()));
            WildcardFields { included: Some(paths), excluded: Vec::new() }
        }
        false => {
            paths.extend((id != Some(true)).then(|| "_id".to_owned()));
            WildcardFields { included: None, excluded: paths }
        }
    })
}

/// The paths of a projection and whether each is kept; `None` if anything is neither kept nor dropped.
fn collect(projection: Doc<'_>, head: &str, out: &mut Vec<(String, bool)>) -> Option<()> {
    for element in projection {
        let path = format!("{head}{}", element.name_str());
        match element.value.kind {
            Type::Bool => out.push((path, element.value.as_bool()?)),
            Type::Document => collect(element.value.as_doc()?, &format!("{path}."), out)?,
            _ => out.push((path, !Number::from_raw(element.value)?.is_zero())),
        }
    }
    Some(())
}

/// Checks the projection of a specification.
///
/// # Errors
/// `BadValue` (2), `TypeMismatch` (14), `FailedToParse` (9), 7246200, 7246208 to 7246211, those of projections.
pub(super) fn check_projection(spec: Doc<'_>, value: Raw<'_>) -> Result<()> {
    let key = spec.get("key").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let Some(path) = key::wildcard_path(key) else {
        let why = "The field 'wildcardProjection' is only allowed in 'wildcard' indexes";
        return Err(wrong(spec, Code::BAD_VALUE, why));
    };
    let Some(projection) = value.as_doc() else {
        return Err(mistyped(spec, "wildcardProjection", "a non-empty object", value));
    };
    let failed = |why: &str| Err(wrong(spec, Code::FAILED_TO_PARSE, why));
    if path != WILDCARD {
        return failed(
            "The field 'wildcardProjection' is only allowed when 'key' is {\"$**\": ±1}",
        );
    }
    if projection.is_empty() {
        return failed("The 'wildcardProjection' field can't be an empty object");
    }
    check_apart(key, projection).map_err(|error| wrong(spec, error.code(), error.message()))?;
    parse(projection).map(|_| ()).map_err(|error| {
        let why = format!(
            "Failed to parse projection: wildcardProjection :: caused by :: {}",
            error.message()
        );
        wrong(spec, error.code(), &why)
    })
}

fn parse(projection: Doc<'_>) -> Result<Projection> {
    check_plain(projection, true)?;
    Projection::parse_find(projection, &mut Scope::new(None, 0)?)
}

/// Refuses what computes.
fn check_plain(projection: Doc<'_>, outermost: bool) -> Result<()> {
    let computed = || {
        let why = "Bad projection specification, cannot use computed fields when parsing a spec in kBanComputedFields mode";
        Error::location(51271, why)
    };
    for element in projection {
        let name = element.name_str();
        if name.ends_with(".$") || name == "$" {
            let why = "Cannot use positional projection in aggregation projection";
            return Err(Error::location(31324, why));
        }
        if name.starts_with('$') && !outermost {
            return Err(match is_known(name) || OF_PROJECTIONS.contains(&name) {
                true => computed(),
                false => Error::location(31325, format!("Unknown expression {name}")),
            });
        }
        Path::parse(name)?;
        match element.value.as_doc() {
            Some(inside) if inside.is_empty() => {
                let why = format!("Invalid empty sub-projection: {name}");
                return Err(Error::location(51270, why));
            }
            Some(inside) => check_plain(inside, false)?,
            None if element.value.kind == Type::Bool || element.value.kind.is_number() => {}
            None => return Err(computed()),
        }
    }
    Ok(())
}

/// The fields of a projection must not overlap each other, nor the other fields of the index.
fn check_apart(key: Doc<'_>, projection: Doc<'_>) -> Result<()> {
    let others: Vec<&str> =
        key.iter().map(|e| e.name_str()).filter(|name| !is_wildcard(name)).collect();
    if others.is_empty() {
        return Ok(());
    }
    let fields: Vec<(&str, bool)> =
        projection.iter().map(|e| (e.name_str(), is_true(e.value))).collect();
    let of_kind = |kept: bool| {
        let paths = fields.iter().filter(move |(_, keep)| *keep == kept);
        paths.map(|(path, _)| *path).collect::<Vec<&str>>()
    };
    let (kept, dropped) = (of_kind(true), of_kind(false));
    for mut paths in [kept.clone(), dropped.clone()] {
        paths.sort_unstable();
        if let Some((head, path)) = overlapping(&paths) {
            let why = format!(
                "Fields in Wildcard Projection cannot overlap, however '{head}' is overlapped with '{path}"
            );
            return Err(Error::location(7_246_200, why));
        }
    }
    let is_kept = kept.iter().any(|path| *path != "_id");
    let is_dropped = dropped.iter().any(|path| *path != "_id");
    if is_kept && is_dropped {
        let why = "The wildcardProjection cannot combine inclusion and exclusion statements, with the exception that _id may be excluded for inclusion projections and included for exclusion projections";
        return Err(Error::location(7_246_211, why));
    }
    for other in &others {
        let above = |head: &&&str| is_at_or_below(other, head);
        if let Some(head) = kept.iter().find(above) {
            let why = format!(
                "Index Key and Wildcard Projection cannot contain overlapping fields, however '{other}' index field is overlapping with '{head}' wildcardProjection path"
            );
            return Err(Error::location(7_246_208, why));
        }
        let only_keeps_id = !is_dropped && !kept.is_empty();
        if is_kept || only_keeps_id || dropped.iter().any(|head| is_at_or_below(other, head)) {
            continue;
        }
        let why = format!(
            "wildcardProjection paths must exclude all regular index fields, however '{other}'is not excluded"
        );
        return Err(Error::location(if is_dropped { 7_246_209 } else { 7_246_210 }, why));
    }
    Ok(())
}

/// Two of these sorted paths, one of which is the other or below it.
fn overlapping<'p>(paths: &[&'p str]) -> Option<(&'p str, &'p str)> {
    paths.windows(2).find_map(|pair| match pair {
        [head, path] if is_at_or_below(path, head) => Some((*head, *path)),
        _ => None,
    })
}

/// Whether a value means that its field is kept.
fn is_true(value: Raw<'_>) -> bool {
    match value.kind {
        Type::Bool => value.as_bool() == Some(true),
        Type::Null | Type::Undefined => false,
        _ => Number::from_raw(value).is_none_or(|number| !number.is_zero()),
    }
}

/// Refuses options that an index with a wildcard cannot have.
///
/// # Errors
/// `CannotCreateIndex` (67).
pub(super) fn check_options(spec: Doc<'_>) -> Result<(), String> {
    let on = |option: &str| spec.get(option).is_some_and(is_true);
    let option = if on("sparse") {
        "sparse"
    } else if on("unique") {
        "unique"
    } else if spec.get("expireAfterSeconds").is_some() {
        "expireAfterSeconds"
    } else {
        return Ok(());
    };
    Err(format!("Index type 'wildcard' does not support the '{option}' option"))
}

/// A specification's projection as paths, so that two can be compared.
pub(crate) fn normal_projection(spec: Doc<'_>) -> Option<impl PartialEq> {
    let projection = spec.get("wildcardProjection").and_then(Raw::as_doc)?;
    wildcard_fields(WILDCARD, Some(projection))
}
