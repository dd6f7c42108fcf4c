//! Arithmetic and comparison against answers recorded from MongoDB's engine.
//!
//! The records are not part of this repository. They are looked for in `$HEADWATER_ORACLE/expr`, then in
//! `../shared/oracle/expr` beside the workspace. Only expressions of one operator over fields and constants are tried
//! here; that the rest holds is shown where expressions are evaluated.

use std::fs;
use std::path::{Path, PathBuf};

use headwater_engine::bson::{
    Decimal, DecimalParts, Doc, Number, Product, Raw, Sum, Total, Value, compare_values, extjson,
    key, print,
};

fn folder() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let oracle = std::env::var_os("HEADWATER_ORACLE").map(PathBuf::from);
    let roots = [oracle, Some(workspace.join("../shared/oracle"))];
    roots.into_iter().flatten().map(|root| root.join("expr")).find(|dir| dir.is_dir())
}

#[test]
fn arithmetic_agrees_with_mongodb() {
    agrees(&["arith", "trig"], 2_000);
}

#[test]
fn order_agrees_with_mongodb() {
    agrees(&["cmp", "comparison"], 1_500);
}

/// Tries all files whose names start so; `least` results must come of it.
fn agrees(starts: &[&str], least: usize) {
    let Some(folder) = folder() else {
        assert!(std::env::var_os("CI").is_none(), "the records are missing; set HEADWATER_ORACLE");
        eprintln!("SKIPPED: the records are missing; set HEADWATER_ORACLE");
        return;
    };
    let (mut tried, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !starts.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let case = extjson::parse_commands(line).unwrap();
            compare_case(case.as_doc(), &mut tried, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} of {tried} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > least, "only {tried} results compared");
}

/// Compares each field of the first document of a reply with what the number tower makes of its expression.
fn compare_case(case: Doc<'_>, tried: &mut usize, wrong: &mut Vec<String>) {
    let name = case.get("name").and_then(|raw| raw.as_str()).unwrap();
    let first_of = |raw: Option<Raw<'_>>| -> Option<Value<'static>> {
        Some(Value::from(raw?.as_array()?.get(0)?).into_owned())
    };
    let setup = first_of(case.get("setup"));
    let input = setup.as_ref().and_then(|insert| first_of(insert.as_doc()?.get("documents")));
    let empty = Value::doc(Default::default());
    let input = input.unwrap_or(empty);
    let stage = first_of(case.get("command").and_then(|raw| raw.as_doc()?.get("pipeline")));
    let cursor = case.get("reply").and_then(|raw| raw.as_doc()?.get("cursor"));
    let output = first_of(cursor.and_then(|raw| raw.as_doc()?.get("firstBatch")));
    let project = stage.as_ref().and_then(|stage| stage.as_doc()?.get("$project"));
    let (Some(input), Some(project), Some(output)) =
        (input.as_doc(), project.and_then(|raw| raw.as_doc()), output.as_ref())
    else {
        return;
    };
    for field in project {
        let expected = output.as_doc().and_then(|doc| doc.get_bytes(field.name));
        let expected = expected.and_then(|raw| match raw.as_bool() {
            Some(answer) => Some(Number::Int32(i32::from(answer))),
            None => Number::from_raw(raw),
        });
        let expression = field.value.as_doc();
        let result = expression.and_then(|expression| {
            ordered(expression, input).or_else(|| evaluate(expression, input))
        });
        if let (Some(result), Some(expected)) = (result, expected) {
            *tried += 1;
            // MongoDB's older release of the decimal library errs in the 34th digit of some powers.
            let power = field.value.as_doc().is_some_and(|doc| doc.get("$pow").is_some());
            if show(result) != show(expected) && !(power && differ_in_last_digit(result, expected))
            {
                let expression = print::value(field.value);
                let (result, expected) = (show(result), show(expected));
                wrong.push(format!("{name}: {expression} gave {result}, not {expected}"));
            }
        }
    }
}

fn differ_in_last_digit(a: Number, b: Number) -> bool {
    match (a, b) {
        (Number::Decimal(a), Number::Decimal(b)) => match (a.parts(), b.parts()) {
            (
                DecimalParts::Finite { coefficient: x, exponent: p, .. },
                DecimalParts::Finite { coefficient: y, exponent: q, .. },
            ) => p == q && x.abs_diff(y) == 1 && x > 10u128.pow(33),
            _ => false,
        },
        _ => false,
    }
}

fn show(number: Number) -> String {
    match number {
        // Sign and payload of a NaN do not count.
        Number::Double(value) if value.is_nan() => "double NaN".to_owned(),
        Number::Double(value) => format!("double {value:?}"),
        other => format!("{} {}", other.kind().alias(), print::computed(&other.to_value())),
    }
}

fn operand(raw: Raw<'_>, input: Doc<'_>) -> Option<Number> {
    match raw.as_str() {
        Some(path) => Number::from_raw(input.get(path.strip_prefix('$')?)?),
        None => Number::from_raw(raw),
    }
}

/// What a comparison of two fields answers, a bool as 0 or 1.
fn ordered(expression: Doc<'_>, input: Doc<'_>) -> Option<Number> {
    let operator = expression.first()?;
    let operands = operator.value.as_array()?;
    let field = |at| Some(Value::from(input.get(operands.get(at)?.as_str()?.strip_prefix('$')?)));
    let (a, b) = (field(0)?, field(1)?);
    let order = compare_values(&a, &b);
    if let (Some(a), Some(b)) = (a.raw(), b.raw()) {
        assert_eq!(key::encode(a).cmp(&key::encode(b)), order);
    }
    Some(Number::Int32(match operator.name_str() {
        "$cmp" => order as i32,
        "$eq" => i32::from(order.is_eq()),
        "$ne" => i32::from(order.is_ne()),
        "$lt" => i32::from(order.is_lt()),
        "$lte" => i32::from(order.is_le()),
        "$gt" => i32::from(order.is_gt()),
        "$gte" => i32::from(order.is_ge()),
        _ => return None,
    }))
}

fn evaluate(expression: Doc<'_>, input: Doc<'_>) -> Option<Number> {
    let operator = expression.first()?;
    let operands = match operator.value.as_array() {
        Some(list) => list.iter().map(|raw| operand(raw, input)).collect::<Option<Vec<_>>>()?,
        None => vec![operand(operator.value, input)?],
    };
    let (a, b) = (operands.first().copied(), operands.get(1).copied());
    let place = b.map_or(Some(0), Number::to_i32_exact);
    Some(match operator.name_str() {
        // Where a logarithm meets a NaN, MongoDB does not come to compute: it answers a double.
        "$ln" | "$log" | "$log10" if operands.iter().any(|n| n.is_nan()) => {
            Number::Double(f64::NAN)
        }
        "$add" => {
            let mut total = Total::default();
            operands.iter().for_each(|&n| total.add(n));
            total.finish()
        }
        "$multiply" => {
            let mut product = Product::default();
            operands.iter().for_each(|&n| product.mul(n));
            product.finish()
        }
        "$sum" => sum(&operands).finish(),
        "$avg" => sum(&operands).mean()?,
        "$subtract" => a?.sub(b?),
        "$divide" => a?.div(b?)?,
        "$mod" => a?.rem(b?)?,
        "$pow" => a?.pow(b?)?,
        "$abs" => a?.abs()?,
        "$ceil" => a?.ceil(),
        "$floor" => a?.floor(),
        "$round" => a?.round(place?)?,
        "$trunc" => a?.trunc(place?)?,
        "$log" => match (a?, b?) {
            (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
                Number::Decimal(a?.to_decimal().log(b?.to_decimal()))
            }
            _ => Number::Double(a?.to_f64().ln() / b?.to_f64().ln()),
        },
        "$atan2" => match (a?, b?) {
            (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
                Number::Decimal(a?.to_decimal().atan2(b?.to_decimal()))
            }
            _ => Number::Double(a?.to_f64().atan2(b?.to_f64())),
        },
        "$sqrt" => function(a?, f64::sqrt, Decimal::sqrt),
        "$exp" => function(a?, f64::exp, Decimal::exp),
        "$ln" => function(a?, f64::ln, Decimal::ln),
        "$log10" => function(a?, f64::log10, Decimal::log10),
        "$sin" => function(a?, f64::sin, Decimal::sin),
        "$cos" => function(a?, f64::cos, Decimal::cos),
        "$tan" => function(a?, f64::tan, Decimal::tan),
        "$asin" => function(a?, f64::asin, Decimal::asin),
        "$acos" => function(a?, f64::acos, Decimal::acos),
        "$atan" => function(a?, f64::atan, Decimal::atan),
        "$sinh" => function(a?, f64::sinh, Decimal::sinh),
        "$cosh" => function(a?, f64::cosh, Decimal::cosh),
        "$tanh" => function(a?, f64::tanh, Decimal::tanh),
        "$asinh" => function(a?, f64::asinh, Decimal::asinh),
        // Of doubles, Rust's own differs from C's in the last digit.
        "$acosh" => match a? {
            Number::Decimal(value) => Number::Decimal(value.acosh()),
            _ => return None,
        },
        "$atanh" => function(a?, f64::atanh, Decimal::atanh),
        _ => return None,
    })
}

fn sum(numbers: &[Number]) -> Sum {
    let mut sum = Sum::default();
    numbers.iter().for_each(|&n| sum.add(n));
    sum
}

fn function(a: Number, double: fn(f64) -> f64, decimal: fn(Decimal) -> Decimal) -> Number {
    match a {
        Number::Decimal(value) => Number::Decimal(decimal(value)),
        other => Number::Double(double(other.to_f64())),
    }
}
