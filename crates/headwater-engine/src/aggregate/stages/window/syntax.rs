//! How window functions are written: each with its own arguments, and with the errors of what does not belong there.

use super::Order;
use super::bounds::Bounds;
use super::function::{Function, Ranking};
use super::series::Smoothing;
use crate::aggregate::accumulators::{self, ACCUMULATORS};
use crate::aggregate::expressions::date::unit::{Unit, unknown_unit};
use crate::aggregate::expressions::{Expression, Scope, bson_text};
use crate::bson::{Doc, Element, Number, Raw, Value};
use crate::error::{Code, Error, Result};

/// Accumulators that are no window functions in MongoDB 8.0.
const NO_WINDOW: [&str; 1] = ["$mergeObjects"];
/// Those that do not belong to MongoDB's accumulators of one expression.
const NAMED_ARGUMENTS: [&str; 10] = [
    "$bottom",
    "$bottomN",
    "$firstN",
    "$lastN",
    "$maxN",
    "$median",
    "$minN",
    "$percentile",
    "$top",
    "$topN",
];
/// Functions of windows alone.
const SERIES: [&str; 11] = [
    "$covariancePop",
    "$covarianceSamp",
    "$denseRank",
    "$derivative",
    "$documentNumber",
    "$expMovingAvg",
    "$integral",
    "$linearFill",
    "$locf",
    "$rank",
    "$shift",
];

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::FAILED_TO_PARSE, message)
}

/// A function as it is written: `{$function: argument, window: {...}}`.
struct Written<'a> {
    name: &'a str,
    argument: Raw<'a>,
    spec: Doc<'a>,
    order: Option<&'a Order>,
}

impl Function {
    /// Parses `field: {$function: argument, window: {...}}`.
    ///
    /// # Errors
    /// 9 mostly.
    pub(super) fn parse(
        element: Element<'_>,
        order: Option<&Order>,
        scope: &mut Scope,
    ) -> Result<Function> {
        let field = element.name_str();
        let Some(spec) = element.value.as_doc() else {
            return Err(invalid(format!("The field '{field}' must be an object")));
        };
        let Some(function) = spec.iter().find(|part| part.name.starts_with(b"$")) else {
            let what = "Expected a $-prefixed window function";
            let first = spec.first().map(|part| format!(", {}", part.name_str()));
            return Err(invalid(format!("{what}{}", first.unwrap_or_default())));
        };
        let name = function.name_str();
        if !is_function(name) {
            return Err(invalid(format!("Unrecognized window function, {name}")));
        }
        Written { name, argument: function.value, spec, order }.parse(scope)
    }

    /// The function of a method of `$fill`.
    ///
    /// # Errors
    /// As [`Function::parse`].
    pub(in super::super) fn fill(
        method: &str,
        argument: Raw<'_>,
        order: Option<Doc<'_>>,
        scope: &mut Scope,
    ) -> Result<Function> {
        let order = order.map(|spec| Order::parse(spec, scope)).transpose()?;
        let name = if method == "linear" { "$linearFill" } else { "$locf" };
        Written { name, argument, spec: Doc::EMPTY, order: order.as_ref() }.parse(scope)
    }
}

impl Written<'_> {
    fn parse(&self, scope: &mut Scope) -> Result<Function> {
        match self.name {
            "$rank" | "$denseRank" | "$documentNumber" => self.rank(),
            "$shift" => self.shift(scope),
            "$expMovingAvg" => self.smoothing(scope),
            "$derivative" | "$integral" => self.rate(scope),
            "$covariancePop" | "$covarianceSamp" => self.covariance(scope),
            "$linearFill" => {
                self.no_window("'window' field is not allowed in $linearFill")?;
                self.one_sort(605_001)?;
                Ok(Function::LinearFill(Expression::parse(self.argument, scope)?))
            }
            "$locf" => {
                self.no_window("'window' field is not allowed in $locf")?;
                Ok(Function::CarryForward(Expression::parse(self.argument, scope)?))
            }
            _ => self.accumulator(scope),
        }
    }

    /// Reads what stands beside the function: the window, if there is one, and nothing else.
    fn window(&self, scope: &mut Scope, unknown: impl Fn(&str) -> Error) -> Result<Option<Bounds>> {
        let mut bounds = None;
        for part in self.spec {
            match part.name_str() {
                "window" => bounds = Some(Bounds::parse(part.value, self.order, scope)?),
                name if name == self.name => {}
                name => return Err(unknown(name)),
            }
        }
        Ok(bounds)
    }

    /// Checks that nothing stands beside the function.
    fn no_window(&self, refusal: &str) -> Result<()> {
        for part in self.spec {
            match part.name_str() {
                "window" => return Err(invalid(refusal)),
                name if name == self.name => {}
                name => return Err(unknown_argument(name)),
            }
        }
        Ok(())
    }

    /// Checks that documents are in the order of one field.
    fn one_sort(&self, code: i32) -> Result<()> {
        if self.order.and_then(Order::only).is_some() {
            return Ok(());
        }
        let what = "must be specified with a top level sortBy expression with exactly one element";
        Err(Error::location(code, format!("{} {what}", self.name)))
    }

    fn rank(&self) -> Result<Function> {
        if self.spec.iter().nth(1).is_some() {
            let message = "Rank style window functions take no other arguments";
            return Err(Error::location(5_371_601, message));
        }
        if !self.argument.as_doc().is_some_and(Doc::is_empty) {
            let message = format!("{} must be specified with '{{}}' as the value", self.name);
            return Err(Error::location(5_371_603, message));
        }
        self.one_sort(5_371_602)?;
        Ok(Function::Rank(match self.name {
            "$rank" => Ranking::Rank,
            "$denseRank" => Ranking::Dense,
            _ => Ranking::Number,
        }))
    }

    fn accumulator(&self, scope: &mut Scope) -> Result<Function> {
        let (name, argument) = (self.name, self.argument);
        if name == "$count" && !argument.as_doc().is_some_and(Doc::is_empty) {
            return Err(invalid("$count only accepts an empty object as input"));
        }
        let named = NAMED_ARGUMENTS.contains(&name);
        let (mut function, mut window) = (None, None);
        for part in self.spec {
            match part.name_str() {
                "window" => window = Some(Bounds::parse(part.value, self.order, scope)?),
                other if other == name => {
                    function = Some(accumulators::parse(name, argument, scope)?);
                }
                other if named || matches!(name, "$first" | "$last") => {
                    return Err(unexpected(name, other));
                }
                other if is_function(other) => {
                    return Err(invalid("Cannot specify two functions in window function spec"));
                }
                other => return Err(unknown_argument(other)),
            }
        }
        let spec = function.map_or_else(|| accumulators::parse(name, argument, scope), Ok)?;
        if named {
            // A number of values that no window can have.
            spec.start(Doc::EMPTY)?;
        }
        Ok(Function::Accumulator(spec, window.unwrap_or(Bounds::ALL)))
    }

    fn covariance(&self, scope: &mut Scope) -> Result<Function> {
        let bounds = self.window(scope, unknown_argument)?.unwrap_or(Bounds::ALL);
        let array = self.argument.as_array();
        let pair: Vec<Raw<'_>> = array.into_iter().flat_map(|array| array.iter()).collect();
        let (x, y) = match pair[..] {
            [x, y] => (Expression::parse(x, scope)?, Expression::parse(y, scope)?),
            _ => {
                // What is no pair has no covariance.
                Expression::parse(self.argument, scope)?;
                (Expression::Constant(Value::NULL), Expression::Constant(Value::NULL))
            }
        };
        Ok(Function::Covariance { x, y, sample: self.name == "$covarianceSamp", bounds })
    }

    fn shift(&self, scope: &mut Scope) -> Result<Function> {
        for part in self.spec {
            match part.name_str() {
                "window" => return Err(invalid("$shift does not accept a 'window' field")),
                "$shift" => {}
                name if name.starts_with('$') => {
                    let message = "Cannot specify multiple functions in window function spec";
                    return Err(invalid(message));
                }
                name => return Err(unknown_argument(name)),
            }
        }
        let Some(doc) = self.argument.as_doc() else {
            return Err(invalid("Argument to $shift must be an object"));
        };
        let (mut output, mut by, mut default) = (None, None, Value::NULL);
        for part in doc {
            match part.name {
                b"output" => output = Some(Expression::parse(part.value, scope)?),
                b"by" => {
                    let number = Number::from_raw(part.value).and_then(Number::to_i32_exact);
                    by = Some(number.ok_or_else(|| {
                        let shown = bson_text(part.value);
                        let what = "'$shift:by' field must be an integer, but found  by: ";
                        invalid(format!("{what}{shown}"))
                    })?);
                }
                b"default" => match Expression::parse(part.value, scope)? {
                    Expression::Constant(value) if value.is_missing() => default = Value::NULL,
                    Expression::Constant(value) => default = value,
                    _ => {
                        let message = "'$shift:default' expression must yield a constant value.";
                        return Err(invalid(message));
                    }
                },
                _ => return Err(invalid("Unknown argument in $shift")),
            }
        }
        let output = output.ok_or_else(|| invalid("$shift requires an 'output' expression."))?;
        let by = by.ok_or_else(|| invalid("$shift requires 'by' as an integer value."))?;
        if self.order.is_none() {
            return Err(invalid("'$shift' requires a sortBy"));
        }
        Ok(Function::Shift { output, by: i64::from(by), default })
    }

    fn smoothing(&self, scope: &mut Scope) -> Result<Function> {
        let Some(doc) = self.argument.as_doc().filter(|_| self.spec.iter().nth(1).is_none()) else {
            let message = "$expMovingAvg must have exactly one argument that is an object";
            return Err(invalid(message));
        };
        let wrong = || {
            invalid(
                "$expMovingAvg sub object must have exactly two fields: An 'input' field, and either an 'N' field or an 'alpha' field",
            )
        };
        let (mut input, mut smoothing) = (None, None);
        for part in doc {
            match part.name {
                b"input" if input.is_none() => input = Some(Expression::parse(part.value, scope)?),
                b"N" if smoothing.is_none() => smoothing = Some(Smoothing::of_n(part.value)?),
                b"alpha" if smoothing.is_none() => {
                    smoothing = Some(Smoothing::of_alpha(part.value)?)
                }
                _ => return Err(wrong()),
            }
        }
        let (Some(input), Some(smoothing)) = (input, smoothing) else { return Err(wrong()) };
        if self.order.is_none() {
            return Err(invalid("$expMovingAvg requires an explicit 'sortBy'"));
        }
        Ok(Function::Smooth(input, smoothing))
    }

    fn rate(&self, scope: &mut Scope) -> Result<Function> {
        let name = self.name;
        let Some(order) = self.order else {
            return Err(invalid(format!("{name} requires a sortBy")));
        };
        if order.only().is_none() {
            return Err(invalid(format!("{name} requires a non-compound sortBy")));
        }
        let window = self.window(scope, |other| unexpected(name, other))?;
        let (input, unit) = parse_rate(name, self.argument, scope)?;
        match (name, window) {
            ("$derivative", Some(bounds)) => Ok(Function::Derivative(input, unit, bounds)),
            ("$derivative", None) => Err(invalid("$derivative requires explicit window bounds")),
            (_, bounds) => Ok(Function::Integral(input, unit, bounds.unwrap_or(Bounds::ALL))),
        }
    }
}

fn is_function(name: &str) -> bool {
    let is_accumulator = ACCUMULATORS.binary_search_by_key(&name, |row| row.name).is_ok();
    SERIES.contains(&name) || (is_accumulator && !NO_WINDOW.contains(&name))
}

fn unknown_argument(name: &str) -> Error {
    invalid(format!("Window function found an unknown argument: {name}"))
}

fn unexpected(function: &str, name: &str) -> Error {
    invalid(format!("{function} got unexpected argument: {name}"))
}

fn parse_rate(
    name: &str,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<(Expression, Option<Unit>)> {
    let doc = argument.as_doc().ok_or_else(|| {
        let (found, shown) = (argument.kind.alias(), bson_text(argument));
        invalid(format!("{name} expects an object, but got a {found}: {name}: {shown}"))
    })?;
    let (mut input, mut unit) = (None, None);
    for part in doc {
        match part.name {
            b"input" => input = Some(Expression::parse(part.value, scope)?),
            b"unit" => {
                let text = part.value.as_str().ok_or_else(|| {
                    // The quote that is missing is missing in MongoDB.
                    invalid(format!("unit' must be a string, but got {}", part.value.kind.alias()))
                })?;
                let parsed = Unit::parse(text).ok_or_else(|| unknown_unit(text))?;
                if parsed.months().is_some() {
                    return Err(Error::location(5_490_710, "unit must be 'week' or smaller"));
                }
                unit = Some(parsed);
            }
            _ => return Err(unexpected(name, part.name_str())),
        }
    }
    let input = input.ok_or_else(|| invalid(format!("{name} requires an 'input' expression")))?;
    Ok((input, unit))
}
