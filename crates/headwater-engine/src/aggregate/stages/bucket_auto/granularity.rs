//! Preferred numbers: the series that bounds of buckets are rounded to.
//!
//! Sources: Renard series, ISO 3; E series, IEC 60063; 1-2-5; powers of two.

use super::is_number;
use crate::aggregate::expressions::value_text;
use crate::bson::{Number, Type, Value};
use crate::error::{Error, Result};

/// A series.
#[derive(Debug, Clone, Copy)]
pub(super) enum Granularity {
    /// The numbers from 1 to below 10 (or a multiple of ten), repeated in every power of ten.
    Series(&'static [f64]),
    PowersOfTwo,
}

const R5: &[f64] = &[10.0, 16.0, 25.0, 40.0, 63.0];
const R10: &[f64] = &[100.0, 125.0, 160.0, 200.0, 250.0, 315.0, 400.0, 500.0, 630.0, 800.0];
const R20: &[f64] = &[
    100.0, 112.0, 125.0, 140.0, 160.0, 180.0, 200.0, 224.0, 250.0, 280.0, 315.0, 355.0, 400.0,
    450.0, 500.0, 560.0, 630.0, 710.0, 800.0, 900.0,
];
const R40: &[f64] = &[
    100.0, 106.0, 112.0, 118.0, 125.0, 132.0, 140.0, 150.0, 160.0, 170.0, 180.0, 190.0, 200.0,
    212.0, 224.0, 236.0, 250.0, 265.0, 280.0, 300.0, 315.0, 335.0, 355.0, 375.0, 400.0, 425.0,
    450.0, 475.0, 500.0, 530.0, 560.0, 600.0, 630.0, 670.0, 710.0, 750.0, 800.0, 850.0, 900.0,
    950.0,
];
const R80: &[f64] = &[
    103.0, 109.0, 115.0, 122.0, 128.0, 136.0, 145.0, 155.0, 165.0, 175.0, 185.0, 195.0, 206.0,
    218.0, 230.0, 243.0, 258.0, 272.0, 290.0, 307.0, 325.0, 345.0, 365.0, 387.0, 412.0, 437.0,
    462.0, 487.0, 515.0, 545.0, 575.0, 615.0, 650.0, 690.0, 730.0, 775.0, 825.0, 875.0, 925.0,
    975.0,
];
const ONE_TWO_FIVE: &[f64] = &[10.0, 20.0, 50.0];
const E6: &[f64] = &[10.0, 15.0, 22.0, 33.0, 47.0, 68.0];
const E12: &[f64] = &[10.0, 12.0, 15.0, 18.0, 22.0, 27.0, 33.0, 39.0, 47.0, 56.0, 68.0, 82.0];
const E24: &[f64] = &[
    10.0, 11.0, 12.0, 13.0, 15.0, 16.0, 18.0, 20.0, 22.0, 24.0, 27.0, 30.0, 33.0, 36.0, 39.0, 43.0,
    47.0, 51.0, 56.0, 62.0, 68.0, 75.0, 82.0, 91.0,
];
const E48: &[f64] = &[
    100.0, 105.0, 110.0, 115.0, 121.0, 127.0, 133.0, 140.0, 147.0, 154.0, 162.0, 169.0, 178.0,
    187.0, 196.0, 205.0, 215.0, 226.0, 237.0, 249.0, 261.0, 274.0, 287.0, 301.0, 316.0, 332.0,
    348.0, 365.0, 383.0, 402.0, 422.0, 442.0, 464.0, 487.0, 511.0, 536.0, 562.0, 590.0, 619.0,
    649.0, 681.0, 715.0, 750.0, 787.0, 825.0, 866.0, 909.0, 953.0,
];

impl Granularity {
    /// The series of a name.
    ///
    /// # Errors
    /// 40257 for an unknown one.
    pub(super) fn parse(name: &str) -> Result<Granularity> {
        Ok(Granularity::Series(match name {
            "R5" => R5,
            "R10" => R10,
            "R20" => R20,
            "R40" => R40,
            "R80" => R80,
            "1-2-5" => ONE_TWO_FIVE,
            "E6" => E6,
            "E12" => E12,
            "E24" => E24,
            "E48" => E48,
            "E96" | "E192" => {
                return Err(Error::not_supported(format_args!(
                    "The granularity {name} of $bucketAuto"
                )));
            }
            "POWERSOF2" => return Ok(Granularity::PowersOfTwo),
            _ => {
                return Err(Error::location(
                    40257,
                    format!("Unknown rounding granularity '{name}'"),
                ));
            }
        }))
    }

    /// The next number of the series above a value.
    pub(super) fn above(self, value: &Value<'_>) -> Value<'static> {
        let number = number(value);
        if number == 0.0 {
            return Value::f64(0.0).into_owned();
        }
        match self {
            Granularity::PowersOfTwo => {
                let exponent = number.log2().floor() + 1.0;
                shaped(value, 2.0_f64.powf(exponent))
            }
            Granularity::Series(series) => {
                let (Some(first), Some(last)) = (series.first(), series.last()) else {
                    return value.clone().into_owned();
                };
                let mut scale = 1.0;
                while number >= last * scale {
                    let next = first * scale * 10.0;
                    if number < next {
                        return Value::f64(next);
                    }
                    scale *= 10.0;
                }
                while number < first * scale {
                    scale /= 10.0;
                }
                if number >= last * scale {
                    return Value::f64(first * scale * 10.0);
                }
                let next = series.iter().find(|step| *step * scale > number).unwrap_or(last);
                Value::f64(next * scale)
            }
        }
    }

    /// The next number of the series below a value.
    pub(super) fn below(self, value: &Value<'_>) -> Value<'static> {
        let number = number(value);
        if number == 0.0 {
            return Value::f64(0.0);
        }
        match self {
            Granularity::PowersOfTwo => {
                let exponent = number.log2().ceil() - 1.0;
                shaped(value, 2.0_f64.powf(exponent))
            }
            Granularity::Series(series) => {
                let (Some(first), Some(last)) = (series.first(), series.last()) else {
                    return value.clone().into_owned();
                };
                let mut scale = 1.0;
                while number > last * scale {
                    if number <= first * scale * 10.0 {
                        return Value::f64(last * scale);
                    }
                    scale *= 10.0;
                }
                while number <= first * scale {
                    let before = last * scale / 10.0;
                    if number > before {
                        return Value::f64(before);
                    }
                    scale /= 10.0;
                }
                let before =
                    series.iter().rev().find(|step| *step * scale < number).unwrap_or(first);
                Value::f64(before * scale)
            }
        }
    }
}

fn number(value: &Value<'_>) -> f64 {
    Number::from_value(value).map_or(0.0, Number::to_f64)
}

/// A number of the type of another, as far as it is an integer.
fn shaped(like: &Value<'_>, number: f64) -> Value<'static> {
    match like.kind() {
        Some(Type::Int32 | Type::Int64) if number.fract() == 0.0 && number.abs() < 9e18 => {
            Number::int_or_long(number as i64).to_value()
        }
        _ => Value::f64(number),
    }
}

/// Checks that a value can be put between the numbers of a series.
///
/// # Errors
/// 40258, 40259, 40260.
pub(super) fn check(value: &Value<'_>) -> Result<()> {
    let what = "$bucketAuto can specify a 'granularity' with";
    if !is_number(value) {
        let found = value.kind().map_or("missing", Type::alias);
        let message =
            format!("{what} numeric boundaries only, but found a value with type: {found}");
        return Err(Error::location(40258, message));
    }
    let number = number(value);
    if number.is_nan() {
        return Err(Error::location(
            40259,
            format!("{what} numeric boundaries only, but found a NaN"),
        ));
    }
    if number < 0.0 {
        let shown = value_text(value);
        let message =
            format!("{what} non-negative numbers only, but found a negative number: {shown}");
        return Err(Error::location(40260, message));
    }
    Ok(())
}
