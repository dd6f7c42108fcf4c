//! Windows: which documents around one belong to it.

use std::ops::Range;

use super::Order;
use crate::aggregate::expressions::date::add::add;
use crate::aggregate::expressions::date::unit::{Unit, unknown_unit};
use crate::aggregate::expressions::date::zone::Zone;
use crate::aggregate::expressions::{Expression, Scope, bson_text, value_text};
use crate::bson::{Number, Raw, Type, Value, View, compare_values};
use crate::error::{Code, Error, Result};

/// The bounds of a window.
#[derive(Debug, Clone)]
pub(in super::super) enum Bounds {
    /// By the number of documents.
    Documents(Bound<i64>, Bound<i64>),
    /// By the value of the `sortBy` field.
    Range(Bound<Number>, Bound<Number>, Option<Unit>),
}

/// One bound.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Bound<T> {
    Unbounded,
    Current,
    At(T),
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::FAILED_TO_PARSE, message)
}

impl Bounds {
    /// The window of a whole partition.
    pub(super) const ALL: Bounds = Bounds::Documents(Bound::Unbounded, Bound::Unbounded);

    /// Parses a `window`.
    ///
    /// # Errors
    /// 9, 5339900 to 5339902.
    pub(super) fn parse(raw: Raw<'_>, order: Option<&Order>, scope: &mut Scope) -> Result<Bounds> {
        let Some(doc) = raw.as_doc() else {
            return Err(invalid("'window' field must be an object"));
        };
        let (documents, range, unit) = (doc.get("documents"), doc.get("range"), doc.get("unit"));
        let fields = doc.iter().count();
        match (documents, range) {
            (Some(_), Some(_)) => {
                Err(invalid("Window bounds can specify either 'documents' or 'unit', not both."))
            }
            (_, None) if unit.is_some() => {
                Err(invalid("Window bounds can only specify 'unit' with range-based bounds."))
            }
            (None, None) if fields > 0 => {
                let message = "'window' field can only contain 'documents' as the only argument or 'range' with an optional 'unit' field";
                Err(invalid(message))
            }
            (Some(_), None) if fields > 1 => {
                Err(invalid("'window' field that specifies documents cannot have other fields"))
            }
            (None, Some(_)) if fields > 1 + usize::from(unit.is_some()) => {
                let (given, other) =
                    if unit.is_some() { ("unit", "range") } else { ("range", "unit") };
                Err(invalid(format!(
                    "'window' field that specifies {given} cannot have other fields besides '{other}'"
                )))
            }
            (Some(documents), None) => by_documents(documents, order, scope),
            (None, Some(range)) => by_value(range, unit, order, scope),
            (None, None) => Ok(Bounds::ALL),
        }
    }

    /// The positions of the documents in the window of each of `count` documents, where these tell.
    pub(super) fn by_count(&self, count: usize) -> Option<Vec<Range<usize>>> {
        let Bounds::Documents(low, high) = self else { return None };
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let clamp = |at: i64| at.clamp(0, limit) as usize;
        let window = |at: usize| {
            let at = at as i64;
            let start = low.or_zero().map_or(0, |by| clamp(at.saturating_add(by)));
            let end =
                high.or_zero().map_or(count, |by| clamp(at.saturating_add(by).saturating_add(1)));
            start..end.max(start)
        };
        Some((0..count).map(window).collect())
    }

    /// The positions of the documents in the window of each document of a partition, which are in the order of these
    /// values.
    pub(super) fn windows(&self, values: &[Value<'_>]) -> Result<Vec<Range<usize>>> {
        let count = values.len();
        let Bounds::Range(low, high, unit) = self else {
            return Ok(self.by_count(count).unwrap_or_default());
        };
        let mut windows = Vec::with_capacity(count);
        let everything = matches!((low, high), (Bound::Unbounded, Bound::Unbounded));
        for value in values {
            if everything {
                // What has no place on the axis is refused even where no distance is asked.
                Bound::Current.target(value, *unit)?;
            }
            let at = windows.len();
            let start = match low.target(value, *unit)? {
                _ if matches!(low, Bound::Current) => at,
                None => 0,
                Some(target) => values.partition_point(|v| compare_values(v, &target).is_lt()),
            };
            let end = match high.target(value, *unit)? {
                _ if matches!(high, Bound::Current) => at + 1,
                None => count,
                Some(target) => values.partition_point(|v| compare_values(v, &target).is_le()),
            };
            windows.push(start..end.max(start));
        }
        Ok(windows)
    }

    /// How far the bounds are from the current document, where documents are counted and none behind it is looked at; the
    /// lower one is `None` if each window begins at the first document.
    pub(super) fn back(&self) -> Option<(Option<i64>, i64)> {
        let Bounds::Documents(low, high) = self else { return None };
        let high = high.or_zero().filter(|high| *high <= 0)?;
        Some((low.or_zero(), high))
    }

    /// Whether each window begins at the first document.
    pub(super) fn grows(&self) -> bool {
        matches!(self, Bounds::Documents(Bound::Unbounded, _) | Bounds::Range(Bound::Unbounded, ..))
    }
}

impl<T> Bound<T> {
    /// The distance from the current document, `None` if it is unbounded.
    fn or(self, zero: T) -> Option<T> {
        match self {
            Bound::Unbounded => None,
            Bound::Current => Some(zero),
            Bound::At(by) => Some(by),
        }
    }
}

impl Bound<i64> {
    fn or_zero(self) -> Option<i64> {
        self.or(0)
    }
}

impl Bound<Number> {
    /// The value that the bound lies at, `None` if it is unbounded.
    fn target(self, value: &Value<'_>, unit: Option<Unit>) -> Result<Option<Value<'static>>> {
        let number = match self {
            Bound::Unbounded => return Ok(None),
            Bound::Current => Number::Int32(0),
            Bound::At(number) => number,
        };
        let found = value.kind().map_or("missing", Type::alias);
        let wrong = |code, what: &str| Error::location(code, format!("Invalid range: {what}"));
        match (unit, value.view()) {
            (Some(unit), Some(View::Date(ms))) => {
                let amount = number.to_i64_saturating();
                Ok(Some(Value::date(add(ms, unit, amount, &Zone::Utc)?)))
            }
            (Some(_), _) => Err(wrong(
                5_429_513,
                &format!("Expected the sortBy field to be a Date, but it was {found}"),
            )),
            (None, Some(View::Date(_))) => Err(wrong(
                5_429_413,
                "For windows that involve date or time ranges, a unit must be provided.",
            )),
            (None, _) => match Number::from_value(value) {
                Some(current) => Ok(Some(current.add(number).to_value())),
                None => Err(wrong(
                    5_429_414,
                    &format!("Expected the sortBy field to be a number, but it was {found}"),
                )),
            },
        }
    }
}

fn pair<'a>(name: &str, raw: Raw<'a>) -> Result<(Raw<'a>, Raw<'a>)> {
    let values: Vec<Raw<'a>> = raw.as_array().into_iter().flat_map(|array| array.iter()).collect();
    match values[..] {
        [low, high] if raw.kind == Type::Array => Ok((low, high)),
        _ => {
            let shown = bson_text(raw);
            Err(invalid(format!("Window bounds must be a 2-element array: {name}: {shown}")))
        }
    }
}

/// A bound: a word, or an expression without fields whose value `number` takes.
fn bound<T>(
    raw: Raw<'_>,
    scope: &mut Scope,
    number: impl FnOnce(&Value<'_>) -> Result<T>,
) -> Result<Bound<T>> {
    match raw.as_str() {
        Some("unbounded") => Ok(Bound::Unbounded),
        Some("current") => Ok(Bound::Current),
        Some(_) => Err(invalid("Window bounds must be 'unbounded', 'current', or a number.")),
        None => match Expression::parse_constant(raw, scope)?.as_constant() {
            Some(value) => number(value).map(Bound::At),
            None => Err(invalid("Window bounds expression must be a constant.")),
        },
    }
}

fn by_documents(raw: Raw<'_>, order: Option<&Order>, scope: &mut Scope) -> Result<Bounds> {
    let (low, high) = pair("documents", raw)?;
    let number = |value: &Value<'_>| {
        let number = Number::from_value(value).and_then(Number::to_i32_exact);
        number
            .map(i64::from)
            .ok_or_else(|| invalid("Numeric document-based bounds must be an integer"))
    };
    let (low, high) = (bound(low, scope, number)?, bound(high, scope, number)?);
    let (a, b) = (low.or_zero(), high.or_zero());
    if let (Some(a), Some(b)) = (a, b)
        && a > b
    {
        let message = format!("Lower bound must not exceed upper bound: [{a}, {b}]");
        return Err(Error::location(5_339_900, message));
    }
    if order.is_none() && (a.is_some() || b.is_some()) {
        return Err(Error::location(5_339_901, "Document-based bounds require a sortBy"));
    }
    Ok(Bounds::Documents(low, high))
}

fn by_value(
    raw: Raw<'_>,
    unit: Option<Raw<'_>>,
    order: Option<&Order>,
    scope: &mut Scope,
) -> Result<Bounds> {
    let (low, high) = pair("range", raw)?;
    let number = |value: &Value<'_>| {
        let number = Number::from_value(value);
        if unit.is_some() && number.and_then(Number::to_i32_exact).is_none() {
            return Err(invalid("With 'unit', range-based bounds must be an integer"));
        }
        number.ok_or_else(|| invalid("Range-based bounds expression must be a number"))
    };
    let (low, high) = (bound(low, scope, number)?, bound(high, scope, number)?);
    let unit = unit.map(|raw| {
        let name = raw.as_str().ok_or_else(|| invalid("'unit' must be a string"))?;
        Unit::parse(name).ok_or_else(|| unknown_unit(name))
    });
    let unit = unit.transpose()?;
    let zero = Number::Int32(0);
    if let (Some(a), Some(b)) = (low.or(zero), high.or(zero))
        && a.compare(b).is_gt()
    {
        let (a, b) = (value_text(&a.to_value()), value_text(&b.to_value()));
        let message = format!("Lower bound must not exceed upper bound: [{a}, {b}]");
        return Err(Error::location(5_339_900, message));
    }
    match order.and_then(|order| order.only.as_ref()) {
        None => Err(Error::location(5_339_902, "Range-based bounds require sortBy a single field")),
        Some((_, false)) => {
            Err(Error::location(8_947_401, "Range-based bounds require an ascending sortBy"))
        }
        Some((_, true)) => Ok(Bounds::Range(low, high, unit)),
    }
}
