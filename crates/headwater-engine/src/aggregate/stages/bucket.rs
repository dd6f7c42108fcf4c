//! `$bucket`: stands for a `$group` by the boundary at or below a value, and a `$sort` by `_id`.

use std::sync::Arc;

use super::group::{GroupSpec, parse_output};
use super::{Parsed, sort};
use crate::aggregate::expressions::{Expression, Frame, Operator, Scope, bson_text, value_text};
use crate::aggregate::pipeline::Context;
use crate::bson::{Doc, DocWriter, Raw, Type, Value, canonical_class};
use crate::collation::ValueOrder;
use crate::error::{Error, Result};

/// The expression that puts a value into its bucket.
#[derive(Debug)]
struct Bucket {
    group_by: Expression,
    boundaries: Vec<Value<'static>>,
    default: Option<Value<'static>>,
    order: ValueOrder,
}

impl Operator for Bucket {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let value = self.group_by.eval(frame)?;
        let at_or_below = |bound: &Value<'_>| self.order.compare_values(bound, &value).is_le();
        let at = self.boundaries.partition_point(at_or_below);
        if at > 0 && at < self.boundaries.len() {
            return Ok(self.boundaries.get(at - 1).and_then(Value::raw).into());
        }
        match &self.default {
            Some(default) => Ok(default.raw().into()),
            None => {
                let message = "$switch could not find a matching branch for an input, and no default was specified.";
                Err(Error::location(40066, message))
            }
        }
    }
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let what = "Argument to $bucket stage must be an object, but found type: ";
        return Err(Error::location(40201, format!("{what}{}.", raw.kind.alias())));
    };
    let (mut group_by, mut boundaries, mut default, mut output) = (None, None, None, None);
    for element in doc {
        let value = element.value;
        match element.name {
            b"groupBy" => {
                let what = "The $bucket 'groupBy' field must be defined as a $-prefixed path or an expression, but found: ";
                if !is_computed(value) {
                    return Err(Error::location(40202, format!("{what}{}.", bson_text(value))));
                }
                group_by = Some(Expression::parse(value, context.scope)?);
            }
            b"boundaries" => boundaries = Some(parse_boundaries(value, context.scope)?),
            b"default" => match Expression::parse(value, context.scope)? {
                Expression::Constant(value) => default = Some(value),
                _ => {
                    let what =
                        "The $bucket 'default' field must be a constant expression, but found: ";
                    return Err(Error::location(40195, format!("{what}{}.", bson_text(value))));
                }
            },
            b"output" => match value.as_doc() {
                Some(doc) => output = Some(doc),
                None => {
                    let what = "The $bucket 'output' field must be an object, but found type: ";
                    return Err(Error::location(40196, format!("{what}{}.", value.kind.alias())));
                }
            },
            _ => {
                let message = format!("Unrecognized option to $bucket: {}.", element.name_str());
                return Err(Error::location(40197, message));
            }
        }
    }
    let (Some(group_by), Some(boundaries)) = (group_by, boundaries) else {
        let message = "$bucket requires 'groupBy' and 'boundaries' to be specified.";
        return Err(Error::location(40198, message));
    };
    let order = context.scope.order().clone();
    check_default(&order, default.as_ref(), &boundaries)?;
    let id = Expression::Special(Box::new(Bucket { group_by, boundaries, default, order }));
    let group = GroupSpec::new(id, parse_output(output, context.scope)?, context.scope);
    let mut order = DocWriter::new();
    order.i32("_id", 1);
    let mut parsed: Parsed = vec![Arc::new(group)];
    parsed.extend(sort::parse(order.finish().as_doc().as_raw(), context)?);
    Ok(parsed)
}

/// Whether a value is a reference or an operator.
pub(super) fn is_computed(raw: Raw<'_>) -> bool {
    match raw.kind {
        Type::String => raw.as_str().is_some_and(|text| text.starts_with('$')),
        Type::Document => {
            raw.as_doc().and_then(Doc::first).is_some_and(|first| first.name.starts_with(b"$"))
        }
        _ => false,
    }
}

fn parse_boundaries(raw: Raw<'_>, scope: &mut Scope) -> Result<Vec<Value<'static>>> {
    let Some(array) = raw.as_array() else {
        let what = "The $bucket 'boundaries' field must be an array, but found type: ";
        return Err(Error::location(40200, format!("{what}{}.", raw.kind.alias())));
    };
    let constant = |raw: Raw<'_>| match Expression::parse(raw, scope)? {
        Expression::Constant(value) => Ok(value),
        _ => {
            let what = "The $bucket 'boundaries' field must be an array of constant values, but found value: ";
            Err(Error::location(40191, format!("{what}{}.", bson_text(raw))))
        }
    };
    let values = array.iter().map(constant).collect::<Result<Vec<_>>>()?;
    if values.len() < 2 {
        let what = "The $bucket 'boundaries' field must have at least 2 values, but found ";
        return Err(Error::location(40192, format!("{what}{} value(s).", values.len())));
    }
    for (at, pair) in values.windows(2).enumerate() {
        let [Some(low), Some(high)] = [pair.first(), pair.get(1)].map(|v| v.and_then(Value::raw))
        else {
            continue;
        };
        if canonical_class(low.kind) != canonical_class(high.kind) {
            let (a, b) = (low.kind.alias(), high.kind.alias());
            let what = "All values in the the 'boundaries' option to $bucket must have the same type. Found conflicting types ";
            return Err(Error::location(40193, format!("{what}{a} and {b}.")));
        }
        if scope.order().compare(low, high).is_ge() {
            let (a, b) = (value_text(&low.into()), value_text(&high.into()));
            let next = at + 1;
            let what = "The 'boundaries' option to $bucket must be sorted, but elements ";
            let message = format!(
                "{what}{at} and {next} are not in ascending order ({a} is not less than {b})."
            );
            return Err(Error::location(40194, message));
        }
    }
    Ok(values)
}

/// The default must lie outside the boundaries.
fn check_default(
    order: &ValueOrder,
    default: Option<&Value<'_>>,
    boundaries: &[Value<'_>],
) -> Result<()> {
    let (Some(default), Some(low), Some(high)) = (default, boundaries.first(), boundaries.last())
    else {
        return Ok(());
    };
    let (Some(kind), Some(low_kind)) = (default.kind(), low.kind()) else { return Ok(()) };
    let same = canonical_class(kind) == canonical_class(low_kind);
    let below = order.compare_values(default, low).is_lt();
    if same && !below && order.compare_values(default, high).is_lt() {
        let message = "The $bucket 'default' field must be less than the lowest boundary or greater than or equal to the highest boundary.";
        return Err(Error::location(40199, message));
    }
    Ok(())
}
