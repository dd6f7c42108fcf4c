//! `$densify`: adds documents where a field has gaps. Here is what may be asked for; [`run`] makes the documents.

mod run;

use std::sync::Arc;

use super::{Parsed, StageSpec, parse_sort_pattern};
use crate::aggregate::expressions::date::unit::{Unit, unknown_unit};
use crate::aggregate::expressions::{Path, Scope};
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::{Array, Doc, DocWriter, Number, Raw, Type, Value, compare_values};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::query::exec::Stage;
use crate::query::sort::SortPattern;

const NAME: &str = "$densify";

#[derive(Debug)]
struct Densify {
    field: Path,
    partition: Vec<Path>,
    /// How values that partition compare.
    values: ValueOrder,
    /// The order in which documents are met.
    order: SortPattern,
    step: Number,
    unit: Option<Unit>,
    bounds: Bounds,
}

#[derive(Debug)]
enum Bounds {
    /// From the smallest to the largest value of all documents.
    Full,
    /// From the smallest to the largest value of the partition.
    Partition,
    /// From the first to below the second value.
    Between(Value<'static>, Value<'static>),
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let found = raw.kind.alias();
        let message = format!("The {NAME} stage specification must be an object, found {found}");
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    };
    let (mut field, mut fields, mut range) = (None, None, None);
    for element in doc {
        let value = element.value;
        match element.name {
            b"field" => {
                expect(value, Type::String, NAME, "field")?;
                field = value.as_str();
            }
            b"partitionByFields" => {
                expect(value, Type::Array, NAME, "partitionByFields")?;
                fields = value.as_array();
                check_texts(fields, NAME)?;
            }
            b"range" => {
                expect(value, Type::Document, NAME, "range")?;
                range = value.as_doc().map(Range::parse).transpose()?;
            }
            _ => return Err(unknown_field(NAME, element.name_str())),
        }
    }
    let name = field.ok_or_else(|| missing_field(NAME, "field"))?;
    let range = range.ok_or_else(|| missing_field(NAME, "range"))?;
    let partitioned = fields.is_some_and(|fields| !fields.is_empty());
    let (step, unit, bounds) = range.check(partitioned)?;
    let parts = || fields.into_iter().flat_map(|fields| fields.iter()).filter_map(Raw::as_str);
    for part in parts() {
        if part == name || name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')) {
            let message = format!(
                "partitionByFields '{part}' cannot include field '{name}' that is being densified."
            );
            return Err(Error::location(8_993_000, message));
        }
    }
    let field = Path::parse(name)?;
    let partition: Vec<Path> = parts().map(Path::parse).collect::<Result<_>>()?;
    let values = context.scope.order().clone();
    let by = if matches!(bounds, Bounds::Full) { &[] } else { &partition[..] };
    let order = sort_order(by, &field, context.scope)?;
    Ok(vec![Arc::new(Densify { field, partition, values, order, step, unit, bounds })])
}

/// Checks that `partitionByFields` are texts.
///
/// # Errors
/// `TypeMismatch` (14).
pub(super) fn check_texts(fields: Option<Array<'_>>, stage: &str) -> Result<()> {
    for (at, raw) in fields.into_iter().flat_map(|fields| fields.iter()).enumerate() {
        expect(raw, Type::String, stage, &format!("partitionByFields.{at}"))?;
    }
    Ok(())
}

/// The order by these fields and the one that has gaps.
fn sort_order(partition: &[Path], field: &Path, scope: &Scope) -> Result<SortPattern> {
    let mut pattern = DocWriter::new();
    partition.iter().for_each(|path| pattern.i32(&path.dotted(), 1));
    pattern.i32(&field.dotted(), 1);
    parse_sort_pattern(pattern.finish().as_doc(), scope)
}

/// The `range` as it is written.
struct Range<'a> {
    step: Number,
    unit: Option<&'a str>,
    bounds: Raw<'a>,
}

impl<'a> Range<'a> {
    fn parse(range: Doc<'a>) -> Result<Range<'a>> {
        const RANGE: &str = "$densify.range";
        let (mut step, mut unit, mut bounds) = (None, None, None);
        for element in range {
            match element.name {
                b"step" if matches!(element.value.kind, Type::Null | Type::Undefined) => {}
                b"step" => {
                    let number = Number::from_raw(element.value).ok_or_else(|| {
                        let found = element.value.kind.alias();
                        let what = "expected types '[long, int, decimal, double]'";
                        let message = format!(
                            "BSON field '{RANGE}.step' is the wrong type '{found}', {what}"
                        );
                        Error::new(Code::TYPE_MISMATCH, message)
                    })?;
                    step = Some(number);
                }
                b"unit" => {
                    expect(element.value, Type::String, RANGE, "unit")?;
                    unit = element.value.as_str();
                }
                b"bounds" => bounds = Some(element.value),
                _ => return Err(unknown_field(RANGE, element.name_str())),
            }
        }
        let step = step.ok_or_else(|| missing_field(RANGE, "step"))?;
        let bounds = bounds.ok_or_else(|| missing_field(RANGE, "bounds"))?;
        Ok(Range { step, unit, bounds })
    }

    fn check(self, partitioned: bool) -> Result<(Number, Option<Unit>, Bounds)> {
        let step = self.step;
        if !step.compare(Number::Int32(0)).is_gt() {
            let message =
                "The step parameter in a range statement must be a strictly positive numeric value";
            return Err(Error::location(5_733_401, message));
        }
        let unit = |name| Unit::parse(name).ok_or_else(|| unknown_unit(name));
        let unit = self.unit.map(unit).transpose()?;
        if unit.is_some() && step.to_i64_exact().is_none() {
            let message = "The step parameter in a range statement must be a whole number when densifying a date range";
            return Err(Error::location(6_586_400, message));
        }
        Ok((step, unit, parse_bounds(self.bounds, step, unit, partitioned)?))
    }
}

fn parse_bounds(
    bounds: Raw<'_>,
    step: Number,
    unit: Option<Unit>,
    partitioned: bool,
) -> Result<Bounds> {
    Ok(match (bounds.as_str(), bounds.as_array()) {
        (Some("full"), _) => Bounds::Full,
        (Some("partition"), _) if partitioned => Bounds::Partition,
        (Some("partition"), _) => {
            let message = "One cannot specify the bounds as 'partition' without specifying a non-empty array of \
                           partitionByFields. You may have meant to specify 'full' bounds.";
            return Err(Error::location(5_733_408, message));
        }
        (Some(_), _) => {
            return Err(Error::location(
                5_946_802,
                "Bounds string must either be 'full' or 'partition'",
            ));
        }
        (None, Some(array)) => {
            let values: Vec<Raw<'_>> = array.iter().collect();
            let [low, high] = values[..] else {
                let message =
                    "A bounding array in a range statement must have exactly two elements";
                return Err(Error::location(5_733_403, message));
            };
            check_pair(low, high, step, unit)?;
            Bounds::Between(Value::owned(low.kind, low.data), Value::owned(high.kind, high.data))
        }
        (None, None) => {
            let message = "The bounds in a range statement must be the string 'full', 'partition', or an ascending array of two numbers or two dates";
            return Err(Error::location(5_733_404, message));
        }
    })
}

fn check_pair(low: Raw<'_>, high: Raw<'_>, step: Number, unit: Option<Unit>) -> Result<()> {
    let error = |code, message: &str| Err(Error::location(code, message));
    let mixed = "A bounding array must contain either both dates or both numeric types";
    if compare_values(&low.into(), &high.into()).is_gt() {
        let message =
            "A bounding array must be an ascending array of either two dates or two numbers";
        return error(5_733_402, message);
    }
    match (low.kind, unit) {
        (kind, Some(_)) if kind.is_number() => {
            error(5_733_409, "Numeric bounds may not have unit parameter")
        }
        (kind, None) if kind.is_number() => match high.kind {
            other if !other.is_number() => error(5_733_406, mixed),
            other if kind != other || kind != step.kind() => {
                error(5_876_900, "Upper bound, lower bound, and step must all have the same type")
            }
            _ => Ok(()),
        },
        (Type::Date, _) if high.kind != Type::Date => error(5_733_406, mixed),
        (Type::Date, None) => error(5_733_410, "A bounding array of dates must specify a unit"),
        (Type::Date, Some(_)) => Ok(()),
        _ => error(5_946_800, "Explicit bounds must be numeric or dates"),
    }
}

impl StageSpec for Densify {
    fn name(&self) -> &'static str {
        NAME
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(run::Densifying::new(self, source))
    }
}
