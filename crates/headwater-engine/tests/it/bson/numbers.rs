//! Numbers: promotion, exact comparison, decimals as text.

use std::cmp::Ordering::{Equal, Greater, Less};

use headwater_engine::bson::{Decimal, Number, Product, Sum, Total};

use super::generate::Source;

const TWO_63: f64 = (1u64 << 63) as f64;

fn int(value: i32) -> Number {
    Number::Int32(value)
}

fn long(value: i64) -> Number {
    Number::Int64(value)
}

fn double(value: f64) -> Number {
    Number::Double(value)
}

fn decimal(text: &str) -> Number {
    Number::Decimal(text.parse().unwrap())
}

/// Type and value as text.
fn show(number: Number) -> String {
    match number {
        Number::Int32(value) => format!("int {value}"),
        Number::Int64(value) => format!("long {value}"),
        Number::Double(value) => format!("double {value:?}"),
        Number::Decimal(value) => format!("decimal {value}"),
    }
}

#[test]
fn comparison_is_exact_across_types() {
    let two_53 = 9_007_199_254_740_992.0;
    let cases = [
        (long((1 << 53) + 1), double(two_53), Greater),
        (double(two_53), long((1 << 53) + 1), Less),
        (long(1 << 53), double(two_53), Equal),
        (int(1), double(1.0), Equal),
        (int(1), decimal("1.00"), Equal),
        (double(0.1), decimal("0.1"), Greater),
        (decimal("0.1"), double(0.1), Less),
        (double(0.5), decimal("0.50"), Equal),
        (double(-0.1), decimal("-0.1"), Less),
        (double(f64::MIN_POSITIVE), decimal("1E-6176"), Greater),
        (double(0.0), decimal("1E-6176"), Less),
        (double(0.0), decimal("-1E-6176"), Greater),
        (double(f64::MAX), decimal("1E+400"), Less),
        (double(f64::INFINITY), decimal("1E+400"), Greater),
        (double(f64::INFINITY), decimal("Infinity"), Equal),
        (double(f64::NEG_INFINITY), decimal("-1E+6144"), Less),
        (double(-0.0), int(0), Equal),
        (decimal("-0"), int(0), Equal),
        (double(f64::NAN), decimal("NaN"), Equal),
        (double(f64::NAN), double(f64::NEG_INFINITY), Less),
        (decimal("NaN"), long(i64::MIN), Less),
        (long(i64::MAX), double(TWO_63), Less),
        (long(i64::MIN), double(-TWO_63), Equal),
        (decimal("9223372036854775807"), long(i64::MAX), Equal),
        (decimal("9223372036854775807.1"), long(i64::MAX), Greater),
    ];
    for (a, b, expected) in cases {
        assert_eq!(a.compare(b), expected, "{a:?} {b:?}");
        assert_eq!(b.compare(a), expected.reverse(), "{b:?} {a:?}");
    }
}

#[test]
fn integers_widen_when_they_overflow() {
    assert_eq!(show(int(i32::MAX).add(int(1))), "long 2147483648");
    assert_eq!(show(long(i64::MAX).add(int(1))), "double 9.223372036854776e18");
    assert_eq!(show(int(2).mul(long(3))), "long 6");
    assert_eq!(show(int(i32::MIN).sub(int(1))), "long -2147483649");
    assert_eq!(show(int(i32::MIN).abs().unwrap()), "long 2147483648");
    assert!(long(i64::MIN).abs().is_none());
    assert!(long(i64::MAX).checked_add(int(1)).is_none());
    assert!(long(i64::MAX).checked_mul(int(2)).is_none());
    assert_eq!(show(long(i64::MIN).rem(int(-1)).unwrap()), "long 0");
    assert!(int(1).rem(decimal("-0.0")).is_none());
}

#[test]
fn lists_are_added_from_zero() {
    let mut total = Total::default();
    assert_eq!(show(total.finish()), "int 0");
    total.add(double(-0.0));
    assert_eq!(show(total.finish()), "double 0.0");
    total.add(decimal("1.50"));
    assert_eq!(show(total.finish()), "decimal 1.50");
    let mut total = Total::default();
    [int(i32::MAX), int(1), int(-1)].into_iter().for_each(|n| total.add(n));
    assert_eq!(show(total.finish()), "int 2147483647");
    assert_eq!(show(Product::default().finish()), "int 1");
}

#[test]
fn sums_are_compensated() {
    let mut sum = Sum::default();
    [double(1e300), double(1.0), double(-1e300)].into_iter().for_each(|n| sum.add(n));
    // What was lost last joins the next number only, as in MongoDB.
    assert_eq!(show(sum.finish()), "double 0.0");
    sum.add(double(0.5));
    assert_eq!(show(sum.finish()), "double 1.5");
    let mut sum = Sum::default();
    (0..3).for_each(|_| sum.add(long(i64::MAX)));
    (0..2).for_each(|_| sum.add(long(-i64::MAX)));
    assert_eq!(show(sum.finish()), format!("long {}", i64::MAX));
    let mut sum = Sum::default();
    [f64::INFINITY, f64::NEG_INFINITY].into_iter().for_each(|n| sum.add(double(n)));
    assert_eq!(show(sum.finish()), "double NaN");
}

#[test]
fn decimals_print_and_parse() {
    let same = [
        "0",
        "-0",
        "0.00",
        "1.50",
        "0E+3",
        "0E-14",
        "1E-7",
        "0.000001",
        "1.23E+5",
        "NaN",
        "Infinity",
        "-Infinity",
        "1E-6176",
        "9.999999999999999999999999999999999E+6144",
        "-1234567890123456789012345678901234",
    ];
    for text in same {
        assert_eq!(text.parse::<Decimal>().unwrap().to_string(), text);
    }
    let others = [
        ("+1", "1"),
        ("1e2", "1E+2"),
        (".5", "0.5"),
        ("5.", "5"),
        ("inf", "Infinity"),
        ("1E+6144", "1.000000000000000000000000000000000E+6144"),
        ("1E+6145", "Infinity"),
        ("1E-6177", "0E-6176"),
        ("5E-6177", "0E-6176"),
        ("51E-6178", "1E-6176"),
        ("12345678901234567890123456789012345", "1.234567890123456789012345678901234E+34"),
        ("12345678901234567890123456789012355", "1.234567890123456789012345678901236E+34"),
        ("123456789012345678901234567890123451", "1.234567890123456789012345678901235E+35"),
        ("99999999999999999999999999999999999", "1.000000000000000000000000000000000E+35"),
        ("1E-999999999999999999999", "0E-6176"),
    ];
    for (text, printed) in others {
        assert_eq!(text.parse::<Decimal>().unwrap().to_string(), printed, "{text}");
    }
    for text in ["", ".", "e5", "1e", "1e+", "--1", "0x1", "1 ", " 1", "1.2.3", "nano", "١"] {
        assert!(text.parse::<Decimal>().is_err(), "{text}");
    }
}

#[test]
fn doubles_become_decimals_of_fifteen_digits() {
    let cases = [
        (0.1, "0.100000000000000"),
        (3.0, "3.00000000000000"),
        (1e308, "1.00000000000000E+308"),
        (1e23, "1.00000000000000E+23"),
        (-0.0, "-0"),
        (f64::NAN, "NaN"),
        (5e-324, "4.94065645841247E-324"),
    ];
    for (value, text) in cases {
        assert_eq!(Decimal::from_f64(value).to_string(), text);
    }
}

#[test]
fn rounding_is_half_even_on_the_stored_value() {
    let round = |n: Number, place| show(n.round(place).unwrap());
    assert_eq!(round(double(2.675), 2), "double 2.67");
    assert_eq!(round(decimal("2.675"), 2), "decimal 2.68");
    assert_eq!(round(double(2.5), 0), "double 2.0");
    assert_eq!(round(int(155), -1), "int 160");
    assert_eq!(round(int(145), -1), "int 140");
    assert_eq!(round(int(i32::MAX), -1), "long 2147483650");
    assert_eq!(round(decimal("0.5"), 100), "decimal 0.5000000000000000000000000000000000");
    assert!(long(i64::MAX).round(-1).is_none());
    assert_eq!(show(int(-145).trunc(-1).unwrap()), "int -140");
}

/// What an exact integer result becomes: the type of the wider operand, or the next that holds it.
fn promoted(a: Number, b: Number, exact: i128, rounded: f64) -> Number {
    let both_int32 = matches!((a, b), (Number::Int32(_), Number::Int32(_)));
    match (i32::try_from(exact), i64::try_from(exact)) {
        (Ok(value), _) if both_int32 => Number::Int32(value),
        (_, Ok(value)) => Number::Int64(value),
        _ => Number::Double(rounded),
    }
}

#[test]
fn integer_arithmetic_is_exact_or_promoted() {
    let mut source = Source::new(31);
    let exact = |n: Number| match n {
        Number::Int32(value) => Some(i128::from(value)),
        Number::Int64(value) => Some(i128::from(value)),
        _ => None,
    };
    let mut tried = 0;
    while tried < 20_000 {
        let (a, b) = (source.number(), source.number());
        let (a, b) = (Number::from_value(&a).unwrap(), Number::from_value(&b).unwrap());
        let (Some(x), Some(y)) = (exact(a), exact(b)) else {
            continue;
        };
        tried += 1;
        let (p, q) = (x as f64, y as f64);
        assert_eq!(show(a.add(b)), show(promoted(a, b, x + y, p + q)));
        assert_eq!(show(a.sub(b)), show(promoted(a, b, x - y, p - q)));
        assert_eq!(show(a.mul(b)), show(promoted(a, b, x * y, p * q)));
        assert_eq!(a.checked_add(b).is_none(), i64::try_from(x + y).is_err());
        assert_eq!(a.checked_mul(b).is_none(), i64::try_from(x * y).is_err());
        if y != 0 {
            assert_eq!(show(a.rem(b).unwrap()), show(promoted(a, b, x % y, f64::NAN)));
        }
        for place in [-19, -5, -1] {
            let scale = 10i128.pow(-place as u32);
            let cut = a.trunc(place).unwrap().to_i64_exact().unwrap();
            assert_eq!(i128::from(cut), x / scale * scale);
            if let Some(near) = a.round(place).filter(|_| matches!(a, Number::Int64(_))) {
                let off = (i128::from(near.to_i64_exact().unwrap()) - x).abs() * 2;
                assert!(off <= scale && exact(near).unwrap() % scale == 0);
            }
        }
    }
}

#[test]
fn sums_of_doubles_round_once() {
    let mut source = Source::new(32);
    for _ in 0..2_000 {
        let (mut sum, mut exact) = (Sum::default(), 0i128);
        for _ in 0..50 {
            // A multiple of 2^-20 of at most 53 bits.
            let units = (source.next() as i64) >> (11 + source.below(40));
            exact += i128::from(units);
            sum.add(double(units as f64 / f64::from(1 << 20)));
        }
        assert_eq!(sum.finish().to_f64(), exact as f64 / f64::from(1 << 20));
        assert_eq!(sum.count(), 50);
    }
}

#[test]
fn decimal_arithmetic_is_exact_where_it_fits() {
    let mut source = Source::new(33);
    for _ in 0..5_000 {
        let mut pick = || {
            let units = (source.next() as i64) >> source.below(63);
            let scale = source.below(5) as i32;
            let value = Decimal::from_parts(units < 0, u128::from(units.unsigned_abs()), -scale);
            (i128::from(units), scale, value.unwrap())
        };
        let ((x, p, a), (y, q, b)) = (pick(), pick());
        let to = |units: i128, scale: i32| units * 10i128.pow((4 - scale) as u32);
        let decimal = |units: i128, scale: i32| {
            let digits = Decimal::parse(&units.to_string()).unwrap();
            let unit = Decimal::from_parts(false, 1, -scale).unwrap();
            digits.mul(unit)
        };
        assert!(a.add(b).compare(decimal(to(x, p) + to(y, q), 4)).is_eq(), "{a} {b}");
        assert!(a.sub(b).compare(decimal(to(x, p) - to(y, q), 4)).is_eq(), "{a} {b}");
        if (x * y).unsigned_abs() <= Decimal::COEFFICIENT_MAX {
            assert!(a.mul(b).compare(decimal(x * y, p + q)).is_eq(), "{a} {b}");
        }
        assert_eq!(a.compare(b), to(x, p).cmp(&to(y, q)), "{a} {b}");
        assert_eq!(a.to_string().parse::<Decimal>().unwrap(), a);
    }
}
