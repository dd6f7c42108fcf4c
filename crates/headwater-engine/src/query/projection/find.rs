//! Compiling `find`'s projection: what only it has is `$slice`, `$elemMatch`, the positional `$` and `$meta`.

use super::Projection;
use super::parse::{Builder, Kind, as_flag, each_field, is_operator, refuse_inner_position};
use super::tree::{Field, Slice};
use crate::aggregate::expressions::{self, Expression, Scope, document_text};
use crate::bson::{Doc, DocWriter, Number, Raw};
use crate::error::{Error, Result};
use crate::query::matcher::{Matcher, refuse_special};

/// What has been seen of the operators.
#[derive(Default)]
struct Seen {
    positional: bool,
    elem_match: bool,
    slice: bool,
    meta: bool,
}

pub(super) fn parse(spec: Doc<'_>, scope: &mut Scope) -> Result<Projection> {
    let mut builder = Builder::new(scope);
    let mut seen = Seen::default();
    each_field(spec, "", 0, &mut |path, value| {
        if let Some(path) = path.strip_suffix(".$") {
            return positional(path, value, &mut builder, &mut seen);
        }
        refuse_inner_position(path)?;
        expressions::Path::parse(path)?;
        let Some(value) = value else { return builder.root.check_open(path) };
        if let Some(keep) = as_flag(value) {
            return builder.flag(path, keep);
        }
        let operator = value.as_doc().filter(|doc| is_operator(*doc)).and_then(Doc::first);
        match operator.map(|first| (first.name, first.value)) {
            Some((b"$slice", argument)) => slice(path, value, argument, &mut builder, &mut seen),
            Some((b"$elemMatch", argument)) => {
                elem_match(path, value, argument, &mut builder, &mut seen)
            }
            Some((b"$meta", _)) if value.as_doc().is_some_and(|doc| doc.iter().count() == 1) => {
                seen.meta = true;
                let expression = Expression::parse(value, builder.scope)?;
                builder.root.insert(path, Field::Compute(expression))
            }
            _ => builder.compute(path, value),
        }
    })?;
    let fallback = if spec.is_empty() || ((seen.slice || seen.meta) && builder.id != Some(true)) {
        Kind::Exclusion
    } else {
        Kind::Inclusion
    };
    if builder.kind.is_none() && seen.elem_match && !seen.slice {
        builder.kind = Some(Kind::Inclusion);
    }
    let needs = builder.scope.metadata_needs();
    let mut projection = builder.finish(fallback);
    projection.positional = seen.positional;
    projection.needs = needs;
    Ok(projection)
}

fn positional(
    path: &str,
    value: Option<Raw<'_>>,
    builder: &mut Builder<'_>,
    seen: &mut Seen,
) -> Result<()> {
    let refuse = |code, message| Err(Error::location(code, message));
    expressions::Path::parse(path)?;
    let Some(value) = value.filter(|value| value.as_doc().is_none()) else {
        let message = "positional projection cannot be used with an expression or sub object";
        return refuse(31271, message);
    };
    match as_flag(value) {
        None => return refuse(31308, "positional projection cannot be used with a literal"),
        Some(false) => {
            return refuse(31395, "positional projection cannot be used with exclusion");
        }
        Some(true) => {}
    }
    if seen.positional {
        return refuse(31276, "Cannot specify more than one positional projection per query.");
    }
    if seen.elem_match {
        return refuse(31256, "Cannot specify positional operator and $elemMatch.");
    }
    if builder.kind == Some(Kind::Exclusion) {
        let message = format!("Cannot do inclusion on field {path}.$ in exclusion projection");
        return Err(Error::location(31253, message));
    }
    seen.positional = true;
    builder.include(path, Field::Positional)
}

fn slice(
    path: &str,
    value: Raw<'_>,
    argument: Raw<'_>,
    builder: &mut Builder<'_>,
    seen: &mut Seen,
) -> Result<()> {
    let as_find =
        parse_slice(argument).and_then(|slice| builder.root.insert(path, Field::Slice(slice)));
    let Err(error) = as_find else {
        seen.slice = true;
        return Ok(());
    };
    // Only these mean that neither form was meant: a wrong number of arguments, an exclusion.
    let expression = match builder.compute(path, value) {
        Err(error) if matches!(error.code().0, 28667 | 31252) => error,
        other => return other,
    };
    let text = value.as_doc().map(document_text).unwrap_or_default();
    Err(Error::location(
        expression.code().0,
        format!(
            "Invalid $slice syntax. The given syntax {text} did not match the find() syntax because :: {}: {} :: The \
             given syntax did not match the expression $slice syntax. :: caused by :: {}",
            error.code().name(),
            error.message(),
            expression.message()
        ),
    ))
}

fn parse_slice(argument: Raw<'_>) -> Result<Slice> {
    if let Some(number) = Number::from_raw(argument) {
        let count = number.to_i64_saturating();
        let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        return Ok(if count < 0 { Slice::Last(size) } else { Slice::First(size) });
    }
    let Some(array) = argument.as_array() else {
        let message = "$slice only supports numbers and [skip, limit] arrays";
        return Err(Error::location(31273, message));
    };
    let mut values = array.iter();
    let (Some(skip), Some(limit), None) = (values.next(), values.next(), values.next()) else {
        let message = "$slice array argument should be of form [skip, limit]";
        return Err(Error::location(31272, message));
    };
    let (Some(skip), Some(limit)) = (Number::from_raw(skip), Number::from_raw(limit)) else {
        let message = "$slice skip and limit arguments must be numbers";
        return Err(Error::location(31257, message));
    };
    match usize::try_from(limit.to_i64_saturating()) {
        Ok(limit @ 1..) => Ok(Slice::Window { skip: skip.to_i64_saturating(), limit }),
        _ => Err(Error::location(31258, "$slice limit must be positive")),
    }
}

fn elem_match(
    path: &str,
    value: Raw<'_>,
    argument: Raw<'_>,
    builder: &mut Builder<'_>,
    seen: &mut Seen,
) -> Result<()> {
    if argument.as_doc().is_none() {
        let kind = argument.kind.alias();
        let message = format!("elemMatch: Invalid argument, object required, but got {kind}");
        return Err(Error::location(31274, message));
    }
    if seen.positional {
        let message = "Cannot specify positional operator and $elemMatch.";
        return Err(Error::location(31255, message));
    }
    if path.contains('.') {
        let message = "Cannot use $elemMatch projection on a nested field.";
        return Err(Error::location(31275, message));
    }
    argument.as_doc().map_or(Ok(()), |filter| refuse_special(filter, &["$jsonSchema"]))?;
    let mut filter = DocWriter::new();
    filter.raw(path, value);
    let matcher = Matcher::parse(filter.finish().as_doc(), builder.scope)?;
    seen.elem_match = true;
    builder.root.insert(path, Field::ElemMatch(Box::new(matcher)))
}
