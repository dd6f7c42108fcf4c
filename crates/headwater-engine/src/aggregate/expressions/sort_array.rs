//! `$sortArray`.

use std::cmp::Ordering;

use super::{Expression, Frame, Operator, Path, Scope};
use crate::bson::{ArrayWriter, Doc, Number, Raw, Value};
use crate::collation::ValueOrder;
use crate::error::{Error, Result};

#[derive(Debug)]
struct SortArray {
    input: Expression,
    order: Order,
    values: ValueOrder,
}

#[derive(Debug)]
enum Order {
    Whole { descending: bool },
    Fields(Vec<(Path, bool)>),
}

impl Operator for SortArray {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let input = self.input.eval(frame)?;
        if input.is_nullish() {
            return Ok(Value::NULL);
        }
        let Some(array) = input.as_array() else {
            let what = "The input argument to $sortArray must be an array, but was of type: ";
            let found = super::array::kind_name(&input);
            return Err(Error::location(2_942_504, format!("{what}{found}")));
        };
        let mut values: Vec<Raw<'_>> = array.iter().collect();
        match &self.order {
            Order::Whole { descending: false } => {
                values.sort_by(|a, b| self.values.compare(*a, *b))
            }
            Order::Whole { descending: true } => values.sort_by(|a, b| self.values.compare(*b, *a)),
            Order::Fields(fields) => values.sort_by(|a, b| by_fields(&self.values, fields, *a, *b)),
        }
        let mut sorted = ArrayWriter::new();
        values.into_iter().for_each(|raw| sorted.raw(raw));
        Ok(Value::array(sorted.into_bytes()))
    }
}

/// Compares two values by fields; a descending one is marked. What is no document has no fields. Arrays compare as
/// wholes.
fn by_fields(order: &ValueOrder, fields: &[(Path, bool)], a: Raw<'_>, b: Raw<'_>) -> Ordering {
    let field = |raw: Raw<'_>, path: &Path| match path.of_doc(raw.as_doc().unwrap_or(Doc::EMPTY)) {
        value if value.is_missing() => Value::NULL,
        value => value.into_owned(),
    };
    for (path, descending) in fields {
        let order = order.compare_values(&field(a, path), &field(b, path));
        if order.is_ne() {
            return if *descending { order.reverse() } else { order };
        }
    }
    Ordering::Equal
}

/// `{$sortArray: {input, sortBy}}`, where `sortBy` is a direction or a sort pattern.
pub(super) fn sort_array(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let found = argument.kind.alias();
        let message = format!("$sortArray requires an object as an argument, found: {found}");
        return Err(Error::location(2_942_500, message));
    };
    let unknown = |name: &str| {
        Error::location(2_942_501, format!("$sortArray found an unknown argument: {name}"))
    };
    let (mut input, mut order) = (None, None);
    for element in doc {
        match element.name {
            b"input" => input = Some(Expression::parse(element.value, scope)?),
            b"sortBy" => order = Some(parse_order(element.value)?),
            _ => return Err(unknown(element.name_str())),
        }
    }
    let missing = |code, what| {
        move || Error::location(code, format!("$sortArray requires '{what}' to be specified"))
    };
    let input = input.ok_or_else(missing(2_942_502, "input"))?;
    let order = order.ok_or_else(missing(2_942_503, "sortBy"))?;
    let constant = input.as_constant().is_some();
    let sort =
        Expression::Special(Box::new(SortArray { input, order, values: scope.order().clone() }));
    Ok(if constant { sort.folding(scope) } else { sort })
}

fn parse_order(raw: Raw<'_>) -> Result<Order> {
    if let Some(number) = Number::from_raw(raw) {
        return match number.to_i64_exact() {
            Some(1) => Ok(Order::Whole { descending: false }),
            Some(-1) => Ok(Order::Whole { descending: true }),
            _ => Err(Error::location(2_942_506, "The $sort element value must be either 1 or -1")),
        };
    }
    let Some(doc) = raw.as_doc() else {
        let message = "The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to sort embedded fields";
        return Err(Error::location(2_942_507, message));
    };
    let invalid = |what: &str| Error::location(2_942_505, format!("BadValue: {what}"));
    if doc.is_empty() {
        return Err(invalid("The sort pattern is empty when it should be a set of fields."));
    }
    let mut fields = Vec::new();
    for element in doc {
        let direction = Number::from_raw(element.value).and_then(Number::to_i64_exact);
        let Some(direction @ (1 | -1)) = direction else {
            return Err(invalid("The sort element value must be either 1 or -1"));
        };
        let name = element.name_str();
        if name.is_empty() {
            return Err(invalid("The sort field cannot be empty"));
        }
        if name.split('.').any(str::is_empty) {
            let what = format!("The sort field is a dotted field but has an empty part: {name}");
            return Err(invalid(&what));
        }
        fields.push((Path::of_names(name)?, direction < 0));
    }
    Ok(Order::Fields(fields))
}
