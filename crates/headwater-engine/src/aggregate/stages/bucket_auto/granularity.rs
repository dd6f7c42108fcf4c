//! Preferred numbers: the series that bounds of buckets are rounded to.
//!
//! Sources: Renard series, ISO 3; E series, IEC 60063; 1-2-5; powers of two.

use super::is_number;
use crate::aggregate::expressions::value_text;
use crate::bson::{Decimal, Number, Rounding, Type, Value};
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
    212.0, 224.0, 236.0, 250.0, 265.0, 280.0, 300.0, 315.0, 355.0, 375.0, 400.0, 425.0, 450.0,
    475.0, 500.0, 530.0, 560.0, 600.0, 630.0, 670.0, 710.0, 750.0, 800.0, 850.0, 900.0, 950.0,
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

const E96: &[f64] = &[
    100.0, 102.0, 105.0, 107.0, 110.0, 113.0, 115.0, 118.0, 121.0, 124.0, 127.0, 130.0, 133.0,
    137.0, 140.0, 143.0, 147.0, 150.0, 154.0, 158.0, 162.0, 165.0, 169.0, 174.0, 178.0, 182.0,
    187.0, 191.0, 196.0, 200.0, 205.0, 210.0, 215.0, 221.0, 226.0, 232.0, 237.0, 243.0, 249.0,
    255.0, 261.0, 267.0, 274.0, 280.0, 287.0, 294.0, 301.0, 309.0, 316.0, 324.0, 332.0, 340.0,
    348.0, 357.0, 365.0, 374.0, 383.0, 392.0, 402.0, 412.0, 422.0, 432.0, 442.0, 453.0, 464.0,
    475.0, 487.0, 499.0, 511.0, 523.0, 536.0, 549.0, 562.0, 576.0, 590.0, 604.0, 619.0, 634.0,
    649.0, 665.0, 681.0, 698.0, 715.0, 732.0, 750.0, 768.0, 787.0, 806.0, 825.0, 845.0, 866.0,
    887.0, 909.0, 931.0, 953.0, 976.0,
];
const E192: &[f64] = &[
    100.0, 101.0, 102.0, 104.0, 105.0, 106.0, 107.0, 109.0, 110.0, 111.0, 113.0, 114.0, 115.0,
    117.0, 118.0, 120.0, 121.0, 123.0, 124.0, 126.0, 127.0, 129.0, 130.0, 132.0, 133.0, 135.0,
    137.0, 138.0, 140.0, 142.0, 143.0, 145.0, 147.0, 149.0, 150.0, 152.0, 154.0, 156.0, 158.0,
    160.0, 162.0, 164.0, 165.0, 167.0, 169.0, 172.0, 174.0, 176.0, 178.0, 180.0, 182.0, 184.0,
    187.0, 189.0, 191.0, 193.0, 196.0, 198.0, 200.0, 203.0, 205.0, 208.0, 210.0, 213.0, 215.0,
    218.0, 221.0, 223.0, 226.0, 229.0, 232.0, 234.0, 237.0, 240.0, 243.0, 246.0, 249.0, 252.0,
    255.0, 258.0, 261.0, 264.0, 267.0, 271.0, 274.0, 277.0, 280.0, 284.0, 287.0, 291.0, 294.0,
    298.0, 301.0, 305.0, 309.0, 312.0, 316.0, 320.0, 324.0, 328.0, 332.0, 336.0, 340.0, 344.0,
    348.0, 352.0, 357.0, 361.0, 365.0, 370.0, 374.0, 379.0, 383.0, 388.0, 392.0, 397.0, 402.0,
    407.0, 412.0, 417.0, 422.0, 427.0, 432.0, 437.0, 442.0, 448.0, 453.0, 459.0, 464.0, 470.0,
    475.0, 481.0, 487.0, 493.0, 499.0, 505.0, 511.0, 517.0, 523.0, 530.0, 536.0, 542.0, 549.0,
    556.0, 562.0, 569.0, 576.0, 583.0, 590.0, 597.0, 604.0, 612.0, 619.0, 626.0, 634.0, 642.0,
    649.0, 657.0, 665.0, 673.0, 681.0, 690.0, 698.0, 706.0, 715.0, 723.0, 732.0, 741.0, 750.0,
    759.0, 768.0, 777.0, 787.0, 796.0, 806.0, 816.0, 825.0, 835.0, 845.0, 856.0, 866.0, 876.0,
    887.0, 898.0, 909.0, 920.0, 931.0, 942.0, 953.0, 965.0, 976.0, 988.0,
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
            "E96" => E96,
            "E192" => E192,
            "POWERSOF2" => return Ok(Granularity::PowersOfTwo),
            _ => {
                let message = format!("Unknown rounding granularity '{name}'");
                return Err(Error::location(40257, message));
            }
        }))
    }

    /// The next number of the series above a value; zero stays what it is.
    pub(super) fn above(self, value: &Value<'_>) -> Value<'static> {
        self.next(value, Above)
    }

    /// The next number of the series below a value; zero stays what it is.
    pub(super) fn below(self, value: &Value<'_>) -> Value<'static> {
        self.next(value, Below)
    }

    fn next(self, value: &Value<'_>, side: Side) -> Value<'static> {
        let number = Number::from_value(value).unwrap_or(Number::Double(0.0));
        if number.is_zero() || !number.is_finite() {
            return value.clone().into_owned();
        }
        match (self, number) {
            (Granularity::PowersOfTwo, number) => power_of_two(number, side),
            (Granularity::Series(series), Number::Decimal(number)) => {
                let digits = series.iter().map(|step| fifteen_digits(*step));
                let digits: Vec<Decimal> = digits.collect();
                Number::Decimal(step(&digits, number, side)).to_value()
            }
            (Granularity::Series(series), number) => {
                Value::f64(step(series, number.to_f64(), side))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Above,
    Below,
}
use Side::{Above, Below};

/// What numbers of a series are made of.
trait Scaled: Copy {
    const ONE: Self;
    fn times(self, scale: Self) -> Self;
    fn tenfold(self) -> Self;
    fn tenth(self) -> Self;
    fn is_below(self, other: Self) -> bool;
}

impl Scaled for f64 {
    const ONE: f64 = 1.0;
    fn times(self, scale: f64) -> f64 {
        self * scale
    }
    fn tenfold(self) -> f64 {
        self * 10.0
    }
    fn tenth(self) -> f64 {
        self / 10.0
    }
    fn is_below(self, other: f64) -> bool {
        self < other
    }
}

impl Scaled for Decimal {
    const ONE: Decimal = Decimal::ONE;
    fn times(self, scale: Decimal) -> Decimal {
        self.mul(scale)
    }
    fn tenfold(self) -> Decimal {
        Decimal::from_parts(false, 10, 0).map_or(self, |ten| self.mul(ten))
    }
    fn tenth(self) -> Decimal {
        Decimal::from_parts(false, 1, -1).map_or(self, |tenth| self.mul(tenth))
    }
    fn is_below(self, other: Decimal) -> bool {
        self.compare(other).is_lt()
    }
}

/// The neighbour of a number in a series that is repeated in every power of ten. The scale is found by the same steps as
/// in MongoDB, so that what a double cannot hold comes out alike.
fn step<T: Scaled>(series: &[T], number: T, side: Side) -> T {
    let (Some(&first), Some(&last)) = (series.first(), series.last()) else { return number };
    let mut scale = T::ONE;
    if side == Above {
        while !number.is_below(last.times(scale)) {
            scale = scale.tenfold();
        }
        while number.is_below(first.times(scale)) {
            let before = first.times(scale);
            scale = scale.tenth();
            if !number.is_below(last.times(scale)) {
                return before;
            }
        }
        let next = series.iter().find(|step| number.is_below(step.times(scale)));
        return next.copied().unwrap_or(last).times(scale);
    }
    while !first.times(scale).is_below(number) {
        scale = scale.tenth();
    }
    while last.times(scale).is_below(number) {
        let before = last.times(scale);
        scale = scale.tenfold();
        if !first.times(scale).is_below(number) {
            return before;
        }
    }
    let next = series.iter().rev().find(|step| step.times(scale).is_below(number));
    next.copied().unwrap_or(first).times(scale)
}

/// A number of a series with the fifteen digits that MongoDB gives it.
fn fifteen_digits(number: f64) -> Decimal {
    Decimal::from_f64(number)
}

/// The power of two next to a number: an integer where it is one, a decimal of all its digits for a decimal.
fn power_of_two(number: Number, side: Side) -> Value<'static> {
    let log = number.to_f64().log2();
    let exponent = if side == Above { log.floor() + 1.0 } else { log.ceil() - 1.0 };
    let power = exponent.exp2();
    match number {
        Number::Decimal(_) => {
            let power = Decimal::from_f64_wide(power);
            let digits = power.to_f64().log10().floor() as i32;
            Number::Decimal(power.quantize_to(digits - 33, Rounding::HalfEven)).to_value()
        }
        _ if (0.0..63.0).contains(&exponent) => {
            Number::int_or_long(1_i64 << (exponent as u32)).to_value()
        }
        _ => Value::f64(power),
    }
}

fn number(value: &Value<'_>) -> f64 {
    Number::from_value(value).map_or(0.0, Number::to_f64)
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
