//! The wildcard in a specification: what it holds by its path and its projection, and whether that may be.

use super::key::{WILDCARD, is_wildcard};
use super::options::{unfit, wrong};
use crate::aggregate::expressions::Scope;
use crate::bson::{Doc, DocWriter, Number, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::query::projection::Projection;

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

/// Checks the wildcard of a specification that has one, or that it has no projection for one.
///
/// # Errors
/// `TypeMismatch` (14), `FailedToParse` (9), `BadValue` (2), `CannotCreateIndex` (67), 31253, 31254, 51271, 7246204,
/// 7246208, 7246209.
pub(super) fn check(spec: Doc<'_>, key: Doc<'_>, version: i32) -> Result<()> {
    let projection = projection(spec)?;
    let Some(field) = key.iter().find(|element| is_wildcard(element.name_str())) else {
        return match projection {
            None => Ok(()),
            Some(_) => {
                let why = "The field 'wildcardProjection' is only allowed in 'wildcard' indexes";
                Err(wrong(spec, Code::BAD_VALUE, why))
            }
        };
    };
    let refused = |why: &str| Err(wrong(spec, Code::CANNOT_CREATE_INDEX, why));
    if version < 2 {
        return refused(&format!(
            "Index type 'wildcard' is not allowed with index version v: {version}"
        ));
    }
    let path = field.name_str();
    if path != WILDCARD && projection.is_some() {
        let why = "The field 'wildcardProjection' is only allowed when 'key' is {\"$**\": ±1}";
        return Err(wrong(spec, Code::FAILED_TO_PARSE, why));
    }
    let is_compound = key.iter().nth(1).is_some();
    if is_compound && path == WILDCARD && projection.is_none() {
        return refused(
            "Compound wildcard indexes on all fields must also specify 'wildcardProjection' option",
        );
    }
    let Some(fields) = wildcard_fields(path, projection) else {
        return refused("wildcardProjection");
    };
    if is_compound {
        check_apart(spec, key, path, &fields)?;
    }
    if spec.get("expireAfterSeconds").is_some() {
        let why = "cannot make a TTL index :: caused by :: Index type 'wildcard' does not support the 'expireAfterSeconds' option";
        return Err(unfit(spec, Code::CANNOT_CREATE_INDEX, why));
    }
    for option in ["unique", "sparse"] {
        if super::options::flag(spec, option)? {
            let why = format!("Index type 'wildcard' does not support the '{option}' option");
            return Err(unfit(spec, Code::CANNOT_CREATE_INDEX, &why));
        }
    }
    Ok(())
}

/// The projection, if it is one.
fn projection(spec: Doc<'_>) -> Result<Option<Doc<'_>>> {
    let Some(value) = spec.get("wildcardProjection") else { return Ok(None) };
    let Some(projection) = value.as_doc() else {
        let kind = value.kind.alias();
        let why =
            format!("The field 'wildcardProjection' must be a non-empty object, but got {kind}");
        return Err(wrong(spec, Code::TYPE_MISMATCH, &why));
    };
    if projection.is_empty() {
        let why = "The 'wildcardProjection' field can't be an empty object";
        return Err(wrong(spec, Code::FAILED_TO_PARSE, why));
    }
    let failed = |error: Error| {
        let why = format!(
            "Failed to parse projection: wildcardProjection :: caused by :: {}",
            error.message()
        );
        wrong(spec, error.code(), &why)
    };
    check_plain(projection).map_err(failed)?;
    let mut scope = Scope::new(None, 0)?;
    Projection::parse_find(projection, &mut scope).map_err(failed)?;
    Ok(Some(projection))
}

/// Refuses what computes.
fn check_plain(projection: Doc<'_>) -> Result<()> {
    let computed = "Bad projection specification, cannot use computed fields when parsing a spec in kBanComputedFields mode";
    for element in projection {
        let name = element.name_str();
        if name.ends_with(".$") || name == "$" {
            let why = "Cannot use positional projection in aggregation projection";
            return Err(Error::location(31324, why));
        }
        match element.value.as_doc() {
            _ if name.starts_with('$') => return Err(Error::location(51271, computed)),
            Some(inside) if !inside.is_empty() => check_plain(inside)?,
            Some(_) => return Err(Error::location(51271, computed)),
            None if element.value.kind == Type::Bool || element.value.kind.is_number() => {}
            None => return Err(Error::location(51271, computed)),
        }
    }
    Ok(())
}

/// The other fields of a compound index must not be among those of the wildcard.
fn check_apart(spec: Doc<'_>, key: Doc<'_>, path: &str, fields: &WildcardFields) -> Result<()> {
    let is_at_or_below = |path: &str, head: &str| {
        path.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let others = key.iter().map(|e| e.name_str()).filter(|name| !is_wildcard(name));
    for other in others {
        let overlaps = |head: &&String| is_at_or_below(other, head);
        let refused = match &fields.included {
            None if fields.excluded.iter().any(|head| is_at_or_below(other, head)) => None,
            None => Some((
                7_246_209,
                format!(
                    "wildcardProjection paths must exclude all regular index fields, however '{other}'is not excluded"
                ),
            )),
            Some(included) => included.iter().find(overlaps).map(|head| match path {
                WILDCARD => (
                    7_246_208,
                    format!(
                        "Index Key and Wildcard Projection cannot contain overlapping fields, however '{other}' index field is overlapping with '{head}' wildcardProjection path"
                    ),
                ),
                _ => (
                    7_246_204,
                    format!(
                        "A wildcard index field should not overlap with and index key fields if wildcard projection is empty, however '{other}' is overlapping with the wildcard index field."
                    ),
                ),
            }),
        };
        if let Some((code, why)) = refused {
            return Err(wrong(spec, Code(code), &why));
        }
    }
    Ok(())
}

/// A specification's projection as paths, so that two can be compared.
pub(crate) fn normal_projection(spec: Doc<'_>) -> Option<impl PartialEq> {
    let projection = spec.get("wildcardProjection").and_then(Raw::as_doc)?;
    wildcard_fields(WILDCARD, Some(projection))
}
