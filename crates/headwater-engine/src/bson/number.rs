//! The number tower: int32, int64, double and Decimal128 as one kind of value, with MongoDB's promotion rules.
//!
//! Results say what happened (`None` where MongoDB reports an error); the wording of errors is the caller's.

use std::cmp::Ordering;

use super::decimal::{Decimal, Rounding};
use super::{Raw, Type, Value, View};

/// A number of one of the four BSON types.
///
/// ```
/// use headwater_engine::bson::Number;
/// let exact = Number::Int64((1 << 53) + 1);
/// assert!(exact.compare(Number::Double(9_007_199_254_740_992.0)).is_gt());
/// assert!(Number::Int32(1).compare(Number::Double(1.0)).is_eq());
/// ```
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum Number {
    Int32(i32),
    Int64(i64),
    Double(f64),
    Decimal(Decimal),
}

/// 2^63 as a double.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;

// Methods, not operators: rounding and promotion should be seen where they happen.
#[allow(clippy::should_implement_trait)]
impl Number {
    /// The number of a value, `None` if it is no number.
    #[inline]
    pub fn from_raw(raw: Raw<'_>) -> Option<Number> {
        match raw.kind {
            Type::Int32 | Type::Int64 | Type::Double | Type::Decimal => match raw.view() {
                View::Int32(value) => Some(Number::Int32(value)),
                View::Int64(value) => Some(Number::Int64(value)),
                View::Double(value) => Some(Number::Double(value)),
                View::Decimal(value) => Some(Number::Decimal(Decimal::from_bytes(value))),
                _ => None,
            },
            _ => None,
        }
    }

    /// The number of a value, `None` if it is no number or missing.
    pub fn from_value(value: &Value<'_>) -> Option<Number> {
        value.raw().and_then(Number::from_raw)
    }

    /// The number as a value.
    pub fn to_value(self) -> Value<'static> {
        match self {
            Number::Int32(value) => Value::i32(value),
            Number::Int64(value) => Value::i64(value),
            Number::Double(value) => Value::f64(value),
            Number::Decimal(value) => Value::decimal(value.to_bytes()),
        }
    }

    /// The type.
    pub fn kind(self) -> Type {
        match self {
            Number::Int32(_) => Type::Int32,
            Number::Int64(_) => Type::Int64,
            Number::Double(_) => Type::Double,
            Number::Decimal(_) => Type::Decimal,
        }
    }

    /// An int32 if it fits, else an int64.
    pub fn int_or_long(value: i64) -> Number {
        i32::try_from(value).map_or(Number::Int64(value), Number::Int32)
    }

    /// Compares by exact value across types. NaN is smallest and equal to NaN; zeros are equal.
    pub fn compare(self, other: Number) -> Ordering {
        use Number::{Decimal as M, Double as D};
        match (self, other) {
            (D(a), D(b)) => compare_doubles(a, b),
            (M(a), M(b)) => a.compare(b),
            (D(a), M(b)) => compare_double_to_decimal(a, b),
            (M(a), D(b)) => compare_double_to_decimal(b, a).reverse(),
            (M(a), b) => a.compare(Decimal::from(b.integer())),
            (a, M(b)) => Decimal::from(a.integer()).compare(b),
            (D(a), b) => compare_integer_to_double(b.integer(), a).reverse(),
            (a, D(b)) => compare_integer_to_double(a.integer(), b),
            (a, b) => a.integer().cmp(&b.integer()),
        }
    }

    /// The value of an int32 or int64; of others, which do not occur where this is called, 0.
    fn integer(self) -> i64 {
        match self {
            Number::Int32(value) => i64::from(value),
            Number::Int64(value) => value,
            Number::Double(_) | Number::Decimal(_) => 0,
        }
    }

    fn is_integer_type(self) -> bool {
        matches!(self, Number::Int32(_) | Number::Int64(_))
    }

    /// Whether it is a NaN.
    pub fn is_nan(self) -> bool {
        match self {
            Number::Double(value) => value.is_nan(),
            Number::Decimal(value) => value.is_nan(),
            _ => false,
        }
    }

    /// Whether it is a zero of either sign. Everything else counts as true where a bool is asked, NaN too.
    pub fn is_zero(self) -> bool {
        match self {
            Number::Double(value) => value == 0.0,
            Number::Decimal(value) => value.is_zero(),
            _ => self.integer() == 0,
        }
    }

    /// Whether it is neither infinite nor NaN.
    pub fn is_finite(self) -> bool {
        match self {
            Number::Double(value) => value.is_finite(),
            Number::Decimal(value) => value.is_finite(),
            _ => true,
        }
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Double(value) => value,
            Number::Decimal(value) => value.to_f64(),
            _ => self.integer() as f64,
        }
    }

    /// The decimal; of a double its 15 significant digits.
    pub fn to_decimal(self) -> Decimal {
        match self {
            Number::Double(value) => Decimal::from_f64(value),
            Number::Decimal(value) => value,
            _ => Decimal::from(self.integer()),
        }
    }

    /// The value as an integer, `None` if it has a fraction, does not fit or is not finite.
    pub fn to_i64_exact(self) -> Option<i64> {
        match self {
            Number::Double(value) => double_to_i64(value).filter(|_| value.trunc() == value),
            Number::Decimal(value) => value.to_i64_exact(),
            _ => Some(self.integer()),
        }
    }

    /// As [`Number::to_i64_exact`], for an int32.
    pub fn to_i32_exact(self) -> Option<i32> {
        self.to_i64_exact().and_then(|value| value.try_into().ok())
    }

    /// The integer part, `None` if it does not fit or the value is not finite.
    pub fn to_i64_truncated(self) -> Option<i64> {
        match self {
            Number::Double(value) => double_to_i64(value),
            Number::Decimal(value) => value.to_i64_truncated(),
            _ => Some(self.integer()),
        }
    }

    /// The integer part cut to the range of an int64; NaN is 0.
    pub fn to_i64_saturating(self) -> i64 {
        match self {
            Number::Double(value) => value as i64,
            Number::Decimal(value) => value.to_i64_truncated().unwrap_or_else(|| {
                match (value.is_nan(), value.is_negative()) {
                    (true, _) => 0,
                    (false, true) => i64::MIN,
                    (false, false) => i64::MAX,
                }
            }),
            _ => self.integer(),
        }
    }

    /// `self - other` as `$subtract` has it: an int32 result that does not fit becomes an int64, an int64 a double.
    pub fn sub(self, other: Number) -> Number {
        arithmetic(self, other, i64::checked_sub, |a, b| a - b, Decimal::sub)
    }

    /// `self + other` with the same promotions. For a list of addends see [`Total`].
    pub fn add(self, other: Number) -> Number {
        arithmetic(self, other, i64::checked_add, |a, b| a + b, Decimal::add)
    }

    /// `self * other` with the same promotions. For a list of factors see [`Product`].
    pub fn mul(self, other: Number) -> Number {
        arithmetic(self, other, i64::checked_mul, |a, b| a * b, Decimal::mul)
    }

    /// `self / other`, a double or decimal; `None` of a zero divisor.
    pub fn div(self, other: Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        Some(match (self, other) {
            (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
                Number::Decimal(self.to_decimal().div(other.to_decimal()))
            }
            _ => Number::Double(self.to_f64() / other.to_f64()),
        })
    }

    /// The remainder of `self / other` with the sign of `self`; `None` of a zero divisor.
    pub fn rem(self, other: Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        Some(match (self, other) {
            (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
                Number::Decimal(self.to_decimal().rem(other.to_decimal()))
            }
            (Number::Double(_), _) | (_, Number::Double(_)) => {
                Number::Double(self.to_f64() % other.to_f64())
            }
            _ => {
                let remainder = self.integer().checked_rem(other.integer()).unwrap_or(0);
                narrow(self, other, remainder)
            }
        })
    }

    /// `self + other` as `$inc` has it; `None` if an int64 result does not fit.
    pub fn checked_add(self, other: Number) -> Option<Number> {
        checked(self, other, i64::checked_add, Number::add)
    }

    /// `self * other` as `$mul` has it; `None` if an int64 result does not fit.
    pub fn checked_mul(self, other: Number) -> Option<Number> {
        checked(self, other, i64::checked_mul, Number::mul)
    }

    /// The value without its sign; `None` for the smallest int64.
    pub fn abs(self) -> Option<Number> {
        Some(match self {
            Number::Int32(value) => Number::int_or_long(i64::from(value).abs()),
            Number::Int64(value) => Number::Int64(value.checked_abs()?),
            Number::Double(value) => Number::Double(value.abs()),
            Number::Decimal(value) => Number::Decimal(value.abs()),
        })
    }

    /// The value with the other sign; an integer that does not fit takes the next wider type.
    pub fn neg(self) -> Number {
        match self {
            Number::Int32(value) => Number::int_or_long(-i64::from(value)),
            Number::Int64(value) => {
                value.checked_neg().map_or(Number::Double(TWO_63), Number::Int64)
            }
            Number::Double(value) => Number::Double(-value),
            Number::Decimal(value) => Number::Decimal(value.neg()),
        }
    }

    /// The smallest integer not below the value, of the same type. As in MongoDB, a decimal that is infinite or has
    /// no room for its units digit becomes NaN.
    pub fn ceil(self) -> Number {
        self.to_integral(f64::ceil, Rounding::Ceiling)
    }

    /// The largest integer not above the value, of the same type; decimals as with [`Number::ceil`].
    pub fn floor(self) -> Number {
        self.to_integral(f64::floor, Rounding::Floor)
    }

    fn to_integral(self, double: fn(f64) -> f64, rounding: Rounding) -> Number {
        match self {
            Number::Double(value) => Number::Double(double(value)),
            Number::Decimal(value) => Number::Decimal(value.quantize_to(0, rounding)),
            integer => integer,
        }
    }

    /// Rounds half to even to `place` digits behind the point (before it if negative), as `$round` does; `None` if an
    /// int64 result does not fit.
    pub fn round(self, place: i32) -> Option<Number> {
        self.to_place(place, Rounding::HalfEven)
    }

    /// Cuts off behind `place` digits behind the point (before it if negative), as `$trunc` does.
    pub fn trunc(self, place: i32) -> Option<Number> {
        self.to_place(place, Rounding::Zero)
    }

    fn to_place(self, place: i32, rounding: Rounding) -> Option<Number> {
        Some(match self {
            Number::Decimal(value) => Number::Decimal(value.round(place, rounding)),
            Number::Double(value) if place == 0 => Number::Double(match rounding {
                Rounding::Zero => value.trunc(),
                _ => value.round_ties_even(),
            }),
            Number::Double(value) if value.is_finite() => {
                let rounded = Decimal::from_f64_wide(value).round(place, rounding);
                Number::Double(rounded.to_f64())
            }
            Number::Double(_) => self,
            _ if place >= 0 => self,
            Number::Int64(value) => Number::Int64(round_integer(value, place, rounding)?),
            Number::Int32(value) => {
                let rounded = round_integer(i64::from(value), place, rounding)?;
                if rounded > i64::from(i32::MAX) {
                    Number::Int64(rounded)
                } else {
                    // MongoDB widens only upwards; what falls below the smallest int32 wraps.
                    Number::Int32(rounded as i32)
                }
            }
        })
    }

    /// `self` to the power of `exponent`; `None` of zero to a negative power. Integers stay integers where the result
    /// is one that fits.
    pub fn pow(self, exponent: Number) -> Option<Number> {
        if let (Number::Decimal(_), _) | (_, Number::Decimal(_)) = (self, exponent) {
            let (base, exponent) = (self.to_decimal(), exponent.to_decimal());
            let below_zero = exponent.compare(Decimal::ZERO).is_lt() && !exponent.is_nan();
            return (!(base.is_zero() && below_zero)).then(|| Number::Decimal(base.pow(exponent)));
        }
        let double = (self.to_f64(), exponent.to_f64());
        if double.0 == 0.0 && double.1 < 0.0 {
            return None;
        }
        let both_int = self.is_integer_type() && exponent.is_integer_type();
        let integral = both_int.then(|| integer_pow(self.integer(), exponent.integer())).flatten();
        Some(match integral {
            Some(power) => narrow(self, exponent, power),
            None => Number::Double(double.0.powf(double.1)),
        })
    }
}

/// The sum of a list as `$add` has it: added from left to right, the type widened as addends come.
#[derive(Debug, Clone, Copy)]
pub struct Total {
    sum: Number,
    any_long: bool,
}

/// The product of a list as `$multiply` has it.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    product: Number,
    any_long: bool,
}

impl Default for Total {
    fn default() -> Total {
        Total { sum: Number::Int64(0), any_long: false }
    }
}

impl Default for Product {
    fn default() -> Product {
        Product { product: Number::Int64(1), any_long: false }
    }
}

impl Total {
    /// Adds one number.
    pub fn add(&mut self, number: Number) {
        self.any_long |= matches!(number, Number::Int64(_));
        self.sum = self.sum.add(number);
    }

    /// The sum; of nothing an int32 0.
    pub fn finish(self) -> Number {
        finish(self.sum, self.any_long)
    }
}

impl Product {
    /// Multiplies by one number.
    pub fn mul(&mut self, number: Number) {
        self.any_long |= matches!(number, Number::Int64(_));
        self.product = self.product.mul(number);
    }

    /// The product; of nothing an int32 1.
    pub fn finish(self) -> Number {
        finish(self.product, self.any_long)
    }
}

fn finish(number: Number, any_long: bool) -> Number {
    match number {
        Number::Int64(value) if !any_long => Number::int_or_long(value),
        other => other,
    }
}

/// An integer result: an int32 if both operands are and it fits, else an int64.
fn narrow(a: Number, b: Number, value: i64) -> Number {
    match (a, b) {
        (Number::Int32(_), Number::Int32(_)) => Number::int_or_long(value),
        _ => Number::Int64(value),
    }
}

fn arithmetic(
    a: Number,
    b: Number,
    integers: fn(i64, i64) -> Option<i64>,
    doubles: fn(f64, f64) -> f64,
    decimals: fn(Decimal, Decimal) -> Decimal,
) -> Number {
    match (a, b) {
        (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
            Number::Decimal(decimals(a.to_decimal(), b.to_decimal()))
        }
        (Number::Double(_), _) | (_, Number::Double(_)) => {
            Number::Double(doubles(a.to_f64(), b.to_f64()))
        }
        _ => match integers(a.integer(), b.integer()) {
            Some(value) => narrow(a, b, value),
            None => Number::Double(doubles(a.to_f64(), b.to_f64())),
        },
    }
}

fn checked(
    a: Number,
    b: Number,
    integers: fn(i64, i64) -> Option<i64>,
    others: fn(Number, Number) -> Number,
) -> Option<Number> {
    if a.is_integer_type() && b.is_integer_type() {
        integers(a.integer(), b.integer()).map(|value| narrow(a, b, value))
    } else {
        Some(others(a, b))
    }
}

fn integer_pow(base: i64, exponent: i64) -> Option<i64> {
    match base {
        0 => (exponent >= 0).then_some(i64::from(exponent == 0)),
        1 => Some(1),
        -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}

/// Rounds before the point; `place` is negative.
fn round_integer(value: i64, place: i32, rounding: Rounding) -> Option<i64> {
    let Some(scale) = 10i128.checked_pow(place.unsigned_abs()) else {
        return Some(0);
    };
    let value = i128::from(value);
    let (quotient, rest) = (value / scale, (value % scale).abs());
    let away = match rounding {
        Rounding::HalfEven => match (rest * 2).cmp(&scale) {
            Ordering::Less => false,
            Ordering::Equal => quotient % 2 != 0,
            Ordering::Greater => true,
        },
        _ => false,
    };
    let quotient = quotient + if away { value.signum() } else { 0 };
    i64::try_from(quotient * scale).ok()
}

/// The integer part of a double, `None` if it does not fit.
fn double_to_i64(value: f64) -> Option<i64> {
    (-TWO_63..TWO_63).contains(&value).then_some(value as i64)
}

fn compare_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

fn compare_integer_to_double(a: i64, b: f64) -> Ordering {
    match double_to_i64(b) {
        Some(whole) => a.cmp(&whole).then_with(|| compare_doubles(0.0, b.fract())),
        None if b > 0.0 => Ordering::Less,
        None => Ordering::Greater,
    }
}

fn compare_double_to_decimal(a: f64, b: Decimal) -> Ordering {
    if a.is_nan() || b.is_nan() {
        return b.is_nan().cmp(&a.is_nan());
    }
    // No double lies between `b` and the double next towards zero but `b` itself.
    let (truncated, exact) = b.to_f64_truncated();
    compare_doubles(a, truncated).then_with(|| match (exact, b.is_negative()) {
        (true, _) => Ordering::Equal,
        (false, true) => Ordering::Greater,
        (false, false) => Ordering::Less,
    })
}
