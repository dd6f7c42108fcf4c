//! The order of values, and keys that keep it.

use std::cmp::Ordering;

use headwater_engine::bson::key::{self, Direction, KeyWriter};
use headwater_engine::bson::{
    Decimal, DecimalParts, DocWriter, Number, Raw, Texts, Type, Value, canonical_class, compare,
    compare_values, compare_with, equal,
};

use super::generate::Source;

const ASCENDING: Direction = Direction::Ascending;
const DESCENDING: Direction = Direction::Descending;

/// Sign, decimal exponent and all digits of a number: an order of numbers that shares no code with the engine's.
fn exact(number: Number) -> (i8, i64, String) {
    let double = |value: f64| {
        let text = format!("{:.800e}", value.abs());
        let (digits, exponent) = text.split_once('e').unwrap();
        let digits = digits.replace('.', "");
        (value < 0.0, digits.trim_end_matches('0').to_owned(), exponent.parse::<i64>().unwrap())
    };
    let integer = |value: i64| {
        let digits = value.unsigned_abs().to_string();
        (value < 0, digits.trim_end_matches('0').to_owned(), digits.len() as i64 - 1)
    };
    let (negative, digits, exponent) = match number {
        Number::Int32(value) => integer(i64::from(value)),
        Number::Int64(value) => integer(value),
        Number::Double(value) if value.is_infinite() => (value < 0.0, "1".into(), 1 << 40),
        Number::Double(value) if value.is_nan() => return (-2, 0, String::new()),
        Number::Double(value) => double(value),
        Number::Decimal(value) => match value.parts() {
            DecimalParts::NaN => return (-2, 0, String::new()),
            DecimalParts::Infinity { negative } => (negative, "1".into(), 1 << 40),
            DecimalParts::Finite { negative, coefficient, exponent } => {
                let digits = coefficient.to_string();
                let first = i64::from(exponent) + digits.len() as i64 - 1;
                (negative, digits.trim_end_matches('0').to_owned(), first)
            }
        },
    };
    if digits.is_empty() {
        return (0, 0, String::new());
    }
    (if negative { -1 } else { 1 }, exponent, digits)
}

fn compare_exactly(a: Number, b: Number) -> Ordering {
    let (a, b) = (exact(a), exact(b));
    let sizes = (a.1, &a.2).cmp(&(b.1, &b.2));
    a.0.cmp(&b.0).then(if a.0 < 0 { sizes.reverse() } else { sizes })
}

#[test]
fn numbers_compare_as_exact_arithmetic_has_it() {
    let mut source = Source::new(1);
    for _ in 0..30_000 {
        let (a, b) = (source.number(), source.number());
        let (a, b) = (Number::from_value(&a).unwrap(), Number::from_value(&b).unwrap());
        assert_eq!(a.compare(b), compare_exactly(a, b), "{a:?} {b:?}");
    }
}

#[test]
fn decimals_next_to_doubles_compare_exactly() {
    let mut source = Source::new(2);
    for _ in 0..3_000 {
        let double = f64::from_bits(source.next());
        if !double.is_finite() {
            continue;
        }
        let near = Decimal::from_f64_wide(double);
        let DecimalParts::Finite { negative, coefficient, exponent } = near.parts() else {
            continue;
        };
        for coefficient in [coefficient.saturating_sub(1), coefficient, coefficient + 1] {
            let Some(decimal) = Decimal::from_parts(negative, coefficient, exponent) else {
                continue;
            };
            let (a, b) = (Number::Double(double), Number::Decimal(decimal));
            assert_eq!(a.compare(b), compare_exactly(a, b), "{a:?} {b:?}");
            let (a, b) = (
                key::encode(a.to_value().raw().unwrap()),
                key::encode(b.to_value().raw().unwrap()),
            );
            let expected = compare_exactly(Number::Double(double), Number::Decimal(decimal));
            assert_eq!(a.cmp(&b), expected, "{double:?} {decimal}");
        }
    }
}

#[test]
fn keys_compare_as_their_values() {
    let mut source = Source::new(3);
    for _ in 0..60_000 {
        let (a, b) = (source.value(3), source.value(3));
        let (a, b) = (a.raw().unwrap(), b.raw().unwrap());
        let order = compare(a, b);
        assert_eq!(compare(b, a), order.reverse(), "{a:?} {b:?}");
        assert_eq!(equal(a, b), order.is_eq(), "{a:?} {b:?}");
        assert_eq!(key::encode(a).cmp(&key::encode(b)), order, "{a:?} {b:?}");
        let descending = |value| {
            let mut out = Vec::new();
            key::append_with(&mut out, value, DESCENDING, None);
            out
        };
        assert_eq!(descending(a).cmp(&descending(b)), order.reverse(), "{a:?} {b:?}");
    }
}

#[test]
fn number_keys_compare_as_their_values() {
    let mut source = Source::new(4);
    for _ in 0..100_000 {
        let (a, b) = (source.number(), source.number());
        let (a, b) = (a.raw().unwrap(), b.raw().unwrap());
        assert_eq!(key::encode(a).cmp(&key::encode(b)), compare(a, b), "{a:?} {b:?}");
    }
}

#[test]
fn compound_keys_compare_value_by_value() {
    let mut source = Source::new(5);
    for _ in 0..20_000 {
        let directions =
            [source.pick(&[ASCENDING, DESCENDING]), source.pick(&[ASCENDING, DESCENDING])];
        let (a, b) = ([source.value(2), source.value(2)], [source.value(2), source.value(2)]);
        let (a, b) = if source.next().is_multiple_of(2) {
            (a.clone(), [a[0].clone(), b[1].clone()])
        } else {
            (a, b)
        };
        let key = |values: &[Value<'_>]| {
            let mut key = KeyWriter::new();
            for (value, direction) in values.iter().zip(directions) {
                key.push(value.raw().unwrap(), direction);
            }
            key.into_bytes()
        };
        let order = |at: usize| {
            let order = compare_values(&a[at], &b[at]);
            if directions[at] == DESCENDING { order.reverse() } else { order }
        };
        assert_eq!(key(&a).cmp(&key(&b)), order(0).then(order(1)), "{a:?} {b:?} {directions:?}");
    }
}

#[test]
fn keys_with_types_give_the_values_back() {
    let mut source = Source::new(6);
    for _ in 0..30_000 {
        let values = [source.value(3), source.value(1), source.value(0)];
        let directions = [0; 3].map(|_| source.pick(&[ASCENDING, DESCENDING]));
        let mut writer = KeyWriter::new().with_types();
        for (value, direction) in values.iter().zip(directions) {
            writer.push(value.raw().unwrap(), direction);
        }
        let (key, types) = writer.into_parts();
        let types = key::Types::from_bytes(types.as_bytes());
        let decoded = key::decode(&key, &directions, &types);
        let decoded = decoded.unwrap_or_else(|| panic!("{values:?} {key:02x?} {types:?}"));
        for (value, decoded) in values.iter().zip(&decoded) {
            let (a, b) = (value.raw().unwrap(), decoded.raw().unwrap());
            // All NaNs come back as one.
            assert_eq!(key::encode(a), key::encode(b), "{a:?} {b:?}");
            if !has_nan(a) {
                assert_eq!((a.kind, a.data), (b.kind, b.data), "{value:?} {decoded:?}");
            }
        }
        let (mut rest, mut parts) = (key.as_slice(), Vec::new());
        for direction in directions {
            let (head, tail) = key::split(rest, direction).unwrap();
            parts.push(head);
            rest = tail;
        }
        assert!(rest.is_empty(), "{values:?}");
        assert_eq!(parts.concat(), key);
    }
}

#[test]
fn a_decimal_with_more_bits_than_a_double_comes_back() {
    for text in ["5488762046160076.5", "-9007199254740993.25", "4503599627370497.5"] {
        let decimal: Decimal = text.parse().unwrap();
        let value = Value::decimal(decimal.to_bytes());
        let mut writer = KeyWriter::new().with_types();
        writer.push(value.raw().unwrap(), ASCENDING);
        let (key, types) = writer.into_parts();
        let back = key::decode(&key, &[ASCENDING], &types).unwrap();
        assert_eq!(Number::from_value(&back[0]).unwrap().to_decimal(), decimal);
    }
}

fn has_nan(value: Raw<'_>) -> bool {
    match Number::from_raw(value) {
        Some(number) => number.is_nan(),
        None => format!("{value:?}").contains("NaN") || nested(value).into_iter().any(has_nan),
    }
}

fn nested(value: Raw<'_>) -> Vec<Raw<'_>> {
    match value.kind {
        Type::Document | Type::Array => {
            let doc = headwater_engine::bson::Doc::trusted(value.data);
            doc.iter().map(|e| e.value).collect()
        }
        Type::CodeWithScope => match value.view() {
            headwater_engine::bson::View::CodeWithScope { scope, .. } => {
                scope.iter().map(|e| e.value).collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[test]
fn any_bytes_decode_or_are_refused() {
    let mut source = Source::new(7);
    for _ in 0..20_000 {
        let mut key = key::encode(source.value(2).raw().unwrap());
        let mut types = vec![0; source.below(4)];
        types.iter_mut().for_each(|code| *code = source.below(7) as u8);
        for _ in 0..=source.below(3) {
            let at = source.below(key.len());
            key[at] = source.next() as u8;
        }
        let types = key::Types::from_bytes(&types);
        let direction = source.pick(&[ASCENDING, DESCENDING]);
        if let Some(values) = key::decode(&key, &[direction], &types) {
            assert!(values[0].raw().is_some());
        }
        let _ = key::split(&key, direction);
    }
}

#[test]
fn the_usual_keys_are_short() {
    let len = |value: Value<'_>| key::encode(value.raw().unwrap()).len();
    assert_eq!(len(Value::i32(0)), 1);
    assert_eq!(len(Value::i32(100)), 2);
    assert_eq!(len(Value::i32(-1_000_000)), 4);
    assert_eq!(len(Value::i32(i32::MAX)), 5);
    assert_eq!(len(Value::i64(i64::MAX)), 9);
    assert_eq!(len(Value::f64(19.99)), 9);
    assert_eq!(len(Value::f64(-0.001)), 9);
    assert_eq!(len(Value::f64(1e300)), 9);
    assert_eq!(len(Value::str("abc")), 5);
}

#[test]
fn successor_and_class_bounds_enclose() {
    let mut source = Source::new(8);
    for _ in 0..5_000 {
        let (a, b) = (source.value(1), source.value(1));
        let (a, b) = (a.raw().unwrap(), b.raw().unwrap());
        let (low, high) = key::class_bounds(a.kind);
        let key = key::encode(b);
        let inside = key.as_slice() >= [low].as_slice() && key.as_slice() < [high].as_slice();
        assert_eq!(inside, canonical_class(a.kind) == canonical_class(b.kind));
        let next = key::successor(&key).unwrap();
        assert!(next > key && !next.starts_with(&key));
        assert!(compare(a, b).is_le() || key::encode(a) >= next);
    }
}

#[test]
fn types_order_as_documented() {
    let mut doc = DocWriter::new();
    doc.raw("0", Raw { kind: Type::MinKey, data: &[] });
    doc.raw("1", Raw { kind: Type::Undefined, data: &[] });
    doc.null("2");
    doc.i32("3", 5);
    doc.str("4", "");
    doc.document("5", |_| {});
    doc.array("6", |_| {});
    doc.binary("7", 0, b"");
    doc.object_id("8", [0; 12]);
    doc.bool("9", false);
    doc.bool("A", true);
    doc.date("B", i64::MIN);
    doc.timestamp("C", 0);
    doc.raw("D", Raw { kind: Type::Regex, data: b"\0\0" });
    doc.raw("E", Raw { kind: Type::DbPointer, data: b"\x01\0\0\0\0abcdefghijkl" });
    doc.raw("F", Raw { kind: Type::Code, data: b"\x01\0\0\0\0" });
    doc.raw("G", Raw { kind: Type::CodeWithScope, data: b"\x0E\0\0\0\x01\0\0\0\0\x05\0\0\0\0" });
    doc.raw("H", Raw { kind: Type::MaxKey, data: &[] });
    let doc = doc.finish();
    let values: Vec<_> = doc.as_doc().iter().map(|e| e.value).collect();
    assert!(values.windows(2).all(|pair| compare(pair[0], pair[1]).is_lt()));
    assert!(compare_values(&Value::MISSING, &Value::NULL).is_lt());
}

#[test]
fn documents_compare_class_before_name_before_value() {
    let doc = |fill: &dyn Fn(&mut DocWriter)| {
        let mut doc = DocWriter::new();
        fill(&mut doc);
        Value::doc(doc.finish())
    };
    let ordered = [
        doc(&|_| {}),
        doc(&|d| d.i32("b", 9)),
        doc(&|d| {
            d.i32("b", 9);
            d.null("a");
        }),
        doc(&|d| d.str("a", "x")),
        doc(&|d| d.str("a", "y")),
        doc(&|d| d.str("b", "")),
    ];
    assert!(ordered.windows(2).all(|pair| compare_values(&pair[0], &pair[1]).is_lt()));
}

#[test]
fn a_collation_orders_texts_wherever_they_stand() {
    let fold: key::Collate<'_> = &|text, out| out.extend(text.to_lowercase().into_bytes());
    let order = |a: &str, b: &str| a.to_lowercase().cmp(&b.to_lowercase());
    let mut source = Source::new(9);
    for _ in 0..5_000 {
        let text = |source: &mut Source| {
            let text = source.text();
            if source.next().is_multiple_of(2) { text.to_uppercase() } else { text }
        };
        let mut wrap = || {
            let mut doc = DocWriter::new();
            doc.str("a", &text(&mut source));
            doc.array("b", |b| b.str(&text(&mut source)));
            doc.finish()
        };
        let (a, b) = (wrap(), wrap());
        let key = |doc: Raw<'_>| {
            let mut out = Vec::new();
            key::append_with(&mut out, doc, ASCENDING, Some(fold));
            out
        };
        let (a, b) = (a.as_doc().as_raw(), b.as_doc().as_raw());
        assert_eq!(
            key(a).cmp(&key(b)),
            compare_with(a, b, Some(Texts { order: &order, symbols: false }))
        );
    }
}
