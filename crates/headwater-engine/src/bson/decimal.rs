//! Decimal128: the 16 bytes of the BID encoding and the arithmetic on them.
//!
//! Arithmetic is Intel's decimal library, the one MongoDB uses, so that results agree to the last digit and to the
//! exponent that a result is printed with. Knows nothing of the other number types but how to convert from and to them.

mod power;

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use dfp_number_sys::bid128_000 as lib;
use dfp_number_sys::{
    BID128, EXE_CLEAR, EXE_INEXACT, EXE_INVALID, RND_DOWNWARD, RND_NEAREST_AWAY, RND_NEAREST_EVEN,
    RND_TOWARD_ZERO, RND_UPWARD,
};

/// A Decimal128 in its BID encoding.
///
/// `==` compares the encoding; use [`Decimal::compare`] for the value (`1.0` and `1.00` differ in encoding).
///
/// ```
/// use headwater_engine::bson::Decimal;
/// let price: Decimal = "19.90".parse().unwrap();
/// assert_eq!(price.mul(Decimal::from(3)).to_string(), "59.70");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decimal(u128);

/// A Decimal128 taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Not a number.
    NaN,
    /// Infinity of either sign.
    Infinity {
        /// Whether it is below zero.
        negative: bool,
    },
    /// `coefficient * 10^exponent`.
    Finite {
        /// Whether the sign is set, also of a zero.
        negative: bool,
        /// At most [`Decimal::COEFFICIENT_MAX`].
        coefficient: u128,
        /// Between [`Decimal::EXPONENT_MIN`] and [`Decimal::EXPONENT_MAX`].
        exponent: i32,
    },
}

/// How a result that does not fit is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To nearest, ties to the even digit.
    HalfEven,
    /// To nearest, ties away from zero.
    HalfAway,
    /// Towards zero.
    Zero,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceiling,
}

/// A text that is no Decimal128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// Not a number at all.
    Syntax,
    /// A number that does not fit without being rounded; only [`Decimal::parse_exact`] reports it.
    Inexact,
}

const SIGN: u128 = 1 << 127;
const BIAS: i32 = 6176;
const SPECIAL: u128 = 0b11 << 125;

// Methods, not operators: rounding and promotion should be seen where they happen.
#[allow(clippy::should_implement_trait)]
impl Decimal {
    /// The largest coefficient: 34 nines.
    pub const COEFFICIENT_MAX: u128 = 10u128.pow(34) - 1;
    /// The smallest exponent.
    pub const EXPONENT_MIN: i32 = -BIAS;
    /// The largest exponent.
    pub const EXPONENT_MAX: i32 = 6111;
    /// Zero.
    pub const ZERO: Decimal = Decimal((BIAS as u128) << 113);
    /// One.
    pub const ONE: Decimal = Decimal(((BIAS as u128) << 113) | 1);
    /// Not a number.
    pub const NAN: Decimal = Decimal(0b11111 << 122);
    /// Plus infinity.
    pub const INFINITY: Decimal = Decimal(0b11110 << 122);
    /// Minus infinity.
    pub const NEG_INFINITY: Decimal = Decimal(SIGN | (0b11110 << 122));
    /// The zero of the smallest exponent: adding it widens a result to 34 digits.
    const FINEST_ZERO: Decimal = Decimal(0);

    /// The decimal of 16 bytes, little endian.
    #[inline]
    pub fn from_bytes(bytes: [u8; 16]) -> Decimal {
        Decimal(u128::from_le_bytes(bytes))
    }

    /// The 16 bytes, little endian.
    #[inline]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// The decimal of a coefficient and an exponent, `None` if either is out of range.
    pub fn from_parts(negative: bool, coefficient: u128, exponent: i32) -> Option<Decimal> {
        let in_range = (Decimal::EXPONENT_MIN..=Decimal::EXPONENT_MAX).contains(&exponent);
        if coefficient > Decimal::COEFFICIENT_MAX || !in_range {
            return None;
        }
        let biased = u128::from((exponent + BIAS).unsigned_abs());
        let sign = if negative { SIGN } else { 0 };
        Some(Decimal(sign | (biased << 113) | coefficient))
    }

    /// Sign, coefficient and exponent. A coefficient beyond the range is a zero, as the format says.
    pub fn parts(self) -> Parts {
        let negative = self.is_negative();
        let (exponent, coefficient) = if self.0 & SPECIAL == SPECIAL {
            match (self.0 >> 122) & 0b11111 {
                0b11111 => return Parts::NaN,
                0b11110 => return Parts::Infinity { negative },
                _ => ((self.0 >> 111) & 0x3FFF, 0),
            }
        } else {
            ((self.0 >> 113) & 0x3FFF, self.0 & ((1 << 113) - 1))
        };
        let coefficient = if coefficient > Decimal::COEFFICIENT_MAX { 0 } else { coefficient };
        Parts::Finite { negative, coefficient, exponent: exponent as i32 - BIAS }
    }

    /// Whether the sign is set, also of zeros and NaNs.
    #[inline]
    pub fn is_negative(self) -> bool {
        self.0 & SIGN != 0
    }

    /// Whether it is not a number.
    #[inline]
    pub fn is_nan(self) -> bool {
        (self.0 >> 122) & 0b11111 == 0b11111
    }

    /// Whether it is an infinity.
    #[inline]
    pub fn is_infinite(self) -> bool {
        (self.0 >> 122) & 0b11111 == 0b11110
    }

    /// Whether it is neither infinite nor NaN.
    #[inline]
    pub fn is_finite(self) -> bool {
        (self.0 >> 123) & 0b1111 != 0b1111
    }

    /// Whether it is a zero of either sign.
    pub fn is_zero(self) -> bool {
        matches!(self.parts(), Parts::Finite { coefficient: 0, .. })
    }

    /// Whether it is a finite number without a fraction.
    pub fn is_integral(self) -> bool {
        match self.parts() {
            Parts::Finite { coefficient, exponent, .. } => {
                coefficient == 0 || exponent >= 0 || {
                    let scale = 10u128.checked_pow(exponent.unsigned_abs());
                    scale.is_some_and(|scale| coefficient.is_multiple_of(scale))
                }
            }
            _ => false,
        }
    }

    /// Compares by value. NaN is smallest and equal to NaN; zeros are equal.
    pub fn compare(self, other: Decimal) -> Ordering {
        match (self.parts(), other.parts()) {
            (Parts::NaN, Parts::NaN) => Ordering::Equal,
            (Parts::NaN, _) => Ordering::Less,
            (_, Parts::NaN) => Ordering::Greater,
            (a, b) => sign_of(a).cmp(&sign_of(b)).then_with(|| {
                let magnitudes = compare_magnitudes(a, b);
                if self.is_negative() { magnitudes.reverse() } else { magnitudes }
            }),
        }
    }

    /// The double's value rounded to 15 significant digits, as MongoDB converts implicitly: `0.1` becomes
    /// `0.100000000000000`.
    pub fn from_f64(value: f64) -> Decimal {
        let wide = Decimal::from_f64_wide(value);
        if value == 0.0 || !value.is_finite() {
            return wide;
        }
        let rounded = format!("{:.14e}", value.abs());
        let exponent = rounded.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok());
        wide.quantize_to(exponent.unwrap_or(0) - 14, Rounding::HalfEven)
    }

    /// The double's value rounded to 34 significant digits, without trailing zeros behind the point.
    pub fn from_f64_wide(value: f64) -> Decimal {
        if value.is_nan() {
            return Decimal::NAN;
        }
        if value.is_infinite() {
            return if value < 0.0 { Decimal::NEG_INFINITY } else { Decimal::INFINITY };
        }
        let text = format!("{:.33e}", value.abs());
        let (digits, exponent) = text.split_once('e').unwrap_or(("0", "0"));
        let digits = digits.bytes().filter(u8::is_ascii_digit);
        let mut coefficient = digits.fold(0u128, |sum, d| sum * 10 + u128::from(d - b'0'));
        let mut exponent = exponent.parse::<i32>().unwrap_or(0) - 33;
        while exponent < 0 && coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        let negative = value.is_sign_negative();
        Decimal::from_parts(negative, coefficient, exponent).unwrap_or(Decimal::NAN)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        lib::bid128_to_binary64(self.library(), RND_NEAREST_EVEN, &mut { EXE_CLEAR })
    }

    /// The double next towards zero, and whether it is exactly the value.
    pub fn to_f64_truncated(self) -> (f64, bool) {
        let mut flags = EXE_CLEAR;
        let double = lib::bid128_to_binary64(self.library(), RND_TOWARD_ZERO, &mut flags);
        (double, flags & EXE_INEXACT == 0)
    }

    /// The integer part, `None` if it does not fit or the value is not finite.
    pub fn to_i64_truncated(self) -> Option<i64> {
        let mut flags = EXE_CLEAR;
        let value = lib::bid128_to_int64_int(self.library(), &mut flags);
        (flags & EXE_INVALID == 0).then_some(value)
    }

    /// The value as an integer, `None` if it has a fraction or does not fit.
    pub fn to_i64_exact(self) -> Option<i64> {
        let mut flags = EXE_CLEAR;
        let value = lib::bid128_to_int64_xint(self.library(), &mut flags);
        (flags & (EXE_INVALID | EXE_INEXACT) == 0).then_some(value)
    }

    /// The nearest integer, ties to even, `None` if it does not fit.
    pub fn to_i64_rounded(self) -> Option<i64> {
        let mut flags = EXE_CLEAR;
        let value = lib::bid128_to_int64_rnint(self.library(), &mut flags);
        (flags & EXE_INVALID == 0).then_some(value)
    }

    /// The value rounded so that its exponent becomes `exponent`; NaN if that needs more than 34 digits.
    pub fn quantize_to(self, exponent: i32, rounding: Rounding) -> Decimal {
        let Some(quantum) = Decimal::from_parts(false, 1, exponent) else {
            return Decimal::NAN;
        };
        self.quantize(quantum, rounding)
    }

    /// The value rounded to the exponent of `quantum`; NaN if that needs more than 34 digits.
    pub fn quantize(self, quantum: Decimal, rounding: Rounding) -> Decimal {
        binary(self, quantum, |x, y, flags| lib::bid128_quantize(x, y, rounding.mode(), flags))
    }

    /// Rounds to `place` digits behind the point (before it if negative), as `$round` and `$trunc` do: where the
    /// result would need more than 34 digits it is the value itself, widened to 34 digits.
    pub fn round(self, place: i32, rounding: Rounding) -> Decimal {
        if !self.is_finite() {
            return self;
        }
        let rounded = self.quantize_to(place.saturating_neg(), rounding);
        if rounded.is_nan() { self.normalize() } else { rounded }
    }

    /// Rounds to an integer; the exponent of an integral value stays.
    pub fn round_to_integral(self, rounding: Rounding) -> Decimal {
        unary(self, |x, flags| lib::bid128_round_integral_exact(x, rounding.mode(), flags))
    }

    /// The value with as many digits as fit, at most 34.
    pub fn normalize(self) -> Decimal {
        self.add(Decimal::FINEST_ZERO)
    }

    /// The value without its sign.
    pub fn abs(self) -> Decimal {
        Decimal(self.0 & !SIGN)
    }

    /// The value with the other sign.
    pub fn neg(self) -> Decimal {
        Decimal(self.0 ^ SIGN)
    }

    /// `self % divisor` with the sign of `self`.
    pub fn rem(self, divisor: Decimal) -> Decimal {
        binary(self, divisor, lib::bid128_fmod)
    }

    /// `self` to the power of `exponent`, 34 digits wide.
    pub fn pow(self, exponent: Decimal) -> Decimal {
        let is = |n: i32| self.compare(Decimal::from(n)).is_eq();
        let power = if is(10) {
            exponent.exp10()
        } else if is(2) {
            exponent.exp2()
        } else {
            power::integer_power(self, exponent)
                .unwrap_or_else(|| rounded_binary(self, exponent, lib::bid128_pow))
        };
        power.normalize()
    }

    /// The logarithm to a base.
    pub fn log(self, base: Decimal) -> Decimal {
        self.ln().div(base.ln())
    }

    /// The sum.
    pub fn add(self, other: Decimal) -> Decimal {
        self.add_exactly(other).unwrap_or_else(|| rounded_binary(self, other, lib::bid128_add))
    }

    /// The difference.
    pub fn sub(self, other: Decimal) -> Decimal {
        if other.is_nan() { self.add(other) } else { self.add(other.neg()) }
    }

    /// The product.
    pub fn mul(self, other: Decimal) -> Decimal {
        self.mul_exactly(other).unwrap_or_else(|| rounded_binary(self, other, lib::bid128_mul))
    }

    /// The sum if it needs no rounding and no care for special values: what the library would answer, sooner.
    fn add_exactly(self, other: Decimal) -> Option<Decimal> {
        let (a, b) = (self.finite()?, other.finite()?);
        let exponent = a.2.min(b.2);
        let aligned = |(negative, coefficient, from): (bool, u128, i32)| {
            let scale = 10u128.checked_pow((from - exponent).unsigned_abs())?;
            let scaled = coefficient.checked_mul(scale)?.cast_signed();
            Some(if negative { -scaled } else { scaled })
        };
        let (x, y) = (aligned(a)?, aligned(b)?);
        let sum = x.checked_add(y)?;
        if sum == 0 {
            return None;
        }
        Decimal::from_parts(sum < 0, sum.unsigned_abs(), exponent)
    }

    /// The product if it needs no rounding and no care for special values.
    fn mul_exactly(self, other: Decimal) -> Option<Decimal> {
        let (a, b) = (self.finite()?, other.finite()?);
        Decimal::from_parts(a.0 != b.0, a.1.checked_mul(b.1)?, a.2 + b.2)
    }

    /// Sign, coefficient and exponent of a number that is neither special nor zero.
    fn finite(self) -> Option<(bool, u128, i32)> {
        match self.parts() {
            Parts::Finite { negative, coefficient, exponent } if coefficient > 0 => {
                Some((negative, coefficient, exponent))
            }
            _ => None,
        }
    }

    fn library(self) -> BID128 {
        BID128::new(self.0 as u64, (self.0 >> 64) as u64)
    }

    fn from_library(value: BID128) -> Decimal {
        // The library's type shows its bits only when it is printed.
        let mut bits = Bits { value: 0, nibbles: 0 };
        match write!(bits, "{value:?}") {
            Ok(()) if bits.nibbles == 32 => Decimal(bits.value),
            _ => Decimal::NAN,
        }
    }

    /// Reads a number as MongoDB does; digits beyond the 34th are rounded, half to even.
    ///
    /// # Errors
    /// [`ParseError::Syntax`].
    pub fn parse(text: &str) -> Result<Decimal, ParseError> {
        parse(text, Dropped::and).map(|(value, _)| value)
    }

    /// As [`Decimal::parse`], but digits beyond the 34th are cut off, as MongoDB's conversions do.
    ///
    /// # Errors
    /// [`ParseError::Syntax`].
    pub fn parse_cut(text: &str) -> Result<Decimal, ParseError> {
        parse(text, |_, _| Dropped::None).map(|(value, _)| value)
    }

    /// As [`Decimal::parse`], but a number that does not fit exactly is an error, as Extended JSON wants it.
    ///
    /// # Errors
    /// [`ParseError::Syntax`], [`ParseError::Inexact`].
    pub fn parse_exact(text: &str) -> Result<Decimal, ParseError> {
        match parse(text, Dropped::and)? {
            (value, true) => Ok(value),
            (_, false) => Err(ParseError::Inexact),
        }
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($($other:ident)?) = $function:ident, $call:ident;)*) => {
        #[allow(clippy::should_implement_trait)]
        impl Decimal {$(
            $(#[$doc])*
            pub fn $name(self $(, $other: Decimal)?) -> Decimal {
                $call(self $(, $other)?, lib::$function)
            }
        )*}
    };
}

operations! {
    /// The quotient; of a zero divisor an infinity or NaN.
    div(other) = bid128_div, rounded_binary;
    /// The square root; NaN below zero.
    sqrt() = bid128_sqrt, rounded;
    /// `2^self`.
    exp2() = bid128_exp2, rounded;
    /// `10^self`.
    exp10() = bid128_exp10, rounded;
    /// `e^self`.
    exp() = bid128_exp, rounded;
    /// The natural logarithm.
    ln() = bid128_log, rounded;
    /// The logarithm to base 10.
    log10() = bid128_log10, rounded;
    /// The sine of radians.
    sin() = bid128_sin, rounded;
    /// The cosine of radians.
    cos() = bid128_cos, rounded;
    /// The tangent of radians.
    tan() = bid128_tan, rounded;
    /// The inverse sine.
    asin() = bid128_asin, rounded;
    /// The inverse cosine.
    acos() = bid128_acos, rounded;
    /// The inverse tangent.
    atan() = bid128_atan, rounded;
    /// The angle of the point (`other`, `self`).
    atan2(other) = bid128_atan2, rounded_binary;
    /// The hyperbolic sine.
    sinh() = bid128_sinh, rounded;
    /// The hyperbolic cosine.
    cosh() = bid128_cosh, rounded;
    /// The hyperbolic tangent.
    tanh() = bid128_tanh, rounded;
    /// The inverse hyperbolic sine.
    asinh() = bid128_asinh, rounded;
    /// The inverse hyperbolic cosine.
    acosh() = bid128_acosh, rounded;
    /// The inverse hyperbolic tangent.
    atanh() = bid128_atanh, rounded;
}

fn unary(x: Decimal, call: impl FnOnce(BID128, &mut u32) -> BID128) -> Decimal {
    Decimal::from_library(call(x.library(), &mut { EXE_CLEAR }))
}

fn binary(
    x: Decimal,
    y: Decimal,
    call: impl FnOnce(BID128, BID128, &mut u32) -> BID128,
) -> Decimal {
    Decimal::from_library(call(x.library(), y.library(), &mut { EXE_CLEAR }))
}

fn rounded(x: Decimal, call: fn(BID128, u32, &mut u32) -> BID128) -> Decimal {
    unary(x, |x, flags| call(x, RND_NEAREST_EVEN, flags))
}

fn rounded_binary(
    x: Decimal,
    y: Decimal,
    call: fn(BID128, BID128, u32, &mut u32) -> BID128,
) -> Decimal {
    binary(x, y, |x, y, flags| call(x, y, RND_NEAREST_EVEN, flags))
}

impl Rounding {
    fn mode(self) -> u32 {
        match self {
            Rounding::HalfEven => RND_NEAREST_EVEN,
            Rounding::HalfAway => RND_NEAREST_AWAY,
            Rounding::Zero => RND_TOWARD_ZERO,
            Rounding::Floor => RND_DOWNWARD,
            Rounding::Ceiling => RND_UPWARD,
        }
    }
}

/// Collects the hexadecimal digits that are written to it.
struct Bits {
    value: u128,
    nibbles: u32,
}

impl fmt::Write for Bits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for digit in text.chars().filter_map(|c| c.to_digit(16)) {
            self.value = (self.value << 4) | u128::from(digit);
            self.nibbles += 1;
        }
        Ok(())
    }
}

/// -1, 0 or 1.
fn sign_of(parts: Parts) -> i8 {
    match parts {
        Parts::NaN | Parts::Finite { coefficient: 0, .. } => 0,
        Parts::Infinity { negative } | Parts::Finite { negative, .. } => {
            if negative {
                -1
            } else {
                1
            }
        }
    }
}

fn compare_magnitudes(a: Parts, b: Parts) -> Ordering {
    match (a, b) {
        (
            Parts::Finite { coefficient: a, exponent: ea, .. },
            Parts::Finite { coefficient: b, exponent: eb, .. },
        ) => {
            if a == 0 || b == 0 {
                return a.cmp(&b);
            }
            let (da, db) = (digits(a), digits(b));
            (ea + da)
                .cmp(&(eb + db))
                .then_with(|| left_justified(a, da).cmp(&left_justified(b, db)))
        }
        (Parts::Infinity { .. }, Parts::Infinity { .. }) => Ordering::Equal,
        (Parts::Infinity { .. }, _) => Ordering::Greater,
        _ => Ordering::Less,
    }
}

/// The number of decimal digits.
pub(super) fn digits(coefficient: u128) -> i32 {
    coefficient.checked_ilog10().map_or(1, |log| log as i32 + 1)
}

/// A coefficient of that many digits, multiplied up to 34 digits.
pub(super) fn left_justified(coefficient: u128, digits: i32) -> u128 {
    coefficient * 10u128.pow((34 - digits).unsigned_abs())
}

impl From<i32> for Decimal {
    fn from(value: i32) -> Decimal {
        Decimal::from(i64::from(value))
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Decimal {
        let sign = if value < 0 { SIGN } else { 0 };
        Decimal(sign | ((BIAS as u128) << 113) | u128::from(value.unsigned_abs()))
    }
}

impl std::str::FromStr for Decimal {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Decimal, ParseError> {
        Decimal::parse(text)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::Syntax => "not a decimal number",
            ParseError::Inexact => "a decimal number that does not fit into 34 digits exactly",
        })
    }
}

impl std::error::Error for ParseError {}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, coefficient, exponent) = match self.parts() {
            Parts::NaN => return f.write_str("NaN"),
            Parts::Infinity { negative: false } => return f.write_str("Infinity"),
            Parts::Infinity { negative: true } => return f.write_str("-Infinity"),
            Parts::Finite { negative, coefficient, exponent } => (negative, coefficient, exponent),
        };
        if negative {
            f.write_char('-')?;
        }
        let digits = coefficient.to_string();
        let adjusted = exponent + digits.len() as i32 - 1;
        if exponent > 0 || adjusted < -6 {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return write!(f, "{first}{point}{rest}E{adjusted:+}");
        }
        let behind = exponent.unsigned_abs() as usize;
        if behind == 0 {
            f.write_str(&digits)
        } else if let Some(point) = digits.len().checked_sub(behind).filter(|&point| point > 0) {
            let (before, after) = digits.split_at(point);
            write!(f, "{before}.{after}")
        } else {
            write!(f, "0.{digits:0>behind$}")
        }
    }
}

/// The number and whether it is exact.
fn parse(text: &str, and: fn(Dropped, u8) -> Dropped) -> Result<(Decimal, bool), ParseError> {
    let (negative, body) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..).unwrap_or_default()),
        [b'+', ..] => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    if body.eq_ignore_ascii_case("nan") {
        return Ok((Decimal::NAN, true));
    }
    if body.eq_ignore_ascii_case("inf") || body.eq_ignore_ascii_case("infinity") {
        let infinity = if negative { Decimal::NEG_INFINITY } else { Decimal::INFINITY };
        return Ok((infinity, true));
    }
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (body, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    if all().next().is_none() || !all().all(|b| b.is_ascii_digit()) {
        return Err(ParseError::Syntax);
    }
    let mut coefficient = 0u128;
    let mut digits_kept = 0;
    let mut dropped = Dropped::None;
    let mut dropped_count = 0i64;
    for digit in all().map(|b| b - b'0') {
        if digits_kept == 34 {
            dropped = and(dropped, digit);
            dropped_count += 1;
        } else if coefficient > 0 || digit > 0 {
            coefficient = coefficient * 10 + u128::from(digit);
            digits_kept += 1;
        }
    }
    let exponent = exponent - fraction.len() as i64 + dropped_count;
    Ok(fit(negative, coefficient, exponent, dropped))
}

/// The exponent's digits; one that no number can make up for is cut to a hundred million.
fn parse_exponent(text: &str) -> Result<i64, ParseError> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseError::Syntax);
    }
    let value = digits
        .iter()
        .fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(100_000_000));
    Ok(if negative { -value } else { value })
}

/// What is known of digits that were cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dropped {
    /// Nothing, or only zeros.
    None,
    /// Less than half a unit of the last digit kept.
    BelowHalf,
    Half,
    AboveHalf,
    /// Zeros, but digits may follow.
    Zeros,
}

impl Dropped {
    /// After one more digit to the right.
    fn and(self, digit: u8) -> Dropped {
        match (self, digit) {
            (Dropped::None, 0) => Dropped::Zeros,
            (Dropped::None, 1..5) => Dropped::BelowHalf,
            (Dropped::None, 5) => Dropped::Half,
            (Dropped::None, _) => Dropped::AboveHalf,
            (Dropped::Zeros, 0) => Dropped::Zeros,
            (Dropped::Zeros, _) => Dropped::BelowHalf,
            (Dropped::Half, 1..) => Dropped::AboveHalf,
            (other, _) => other,
        }
    }

    /// After a digit on the left of all others was cut off too.
    fn after(self, digit: u8) -> Dropped {
        let rest = !matches!(self, Dropped::None | Dropped::Zeros);
        match (digit, rest) {
            (0, false) => Dropped::Zeros,
            (0..5, _) => Dropped::BelowHalf,
            (5, false) => Dropped::Half,
            _ => Dropped::AboveHalf,
        }
    }
}

/// Brings the exponent into range, by padding with zeros or cutting digits off, and rounds.
fn fit(
    negative: bool,
    mut coefficient: u128,
    mut exponent: i64,
    mut dropped: Dropped,
) -> (Decimal, bool) {
    let (min, max) = (i64::from(Decimal::EXPONENT_MIN), i64::from(Decimal::EXPONENT_MAX));
    if coefficient == 0 && matches!(dropped, Dropped::None | Dropped::Zeros) {
        let zero = Decimal::from_parts(negative, 0, exponent.clamp(min, max) as i32);
        return (zero.unwrap_or(Decimal::ZERO), true);
    }
    while exponent < min && (coefficient > 0 || dropped != Dropped::BelowHalf) {
        dropped = dropped.after((coefficient % 10) as u8);
        coefficient /= 10;
        exponent += 1;
    }
    exponent = exponent.max(min);
    let up = match dropped {
        Dropped::AboveHalf => true,
        Dropped::Half => coefficient % 2 == 1,
        _ => false,
    };
    coefficient += u128::from(up);
    if coefficient > Decimal::COEFFICIENT_MAX {
        coefficient /= 10;
        exponent += 1;
    }
    while exponent > max && coefficient <= Decimal::COEFFICIENT_MAX / 10 {
        coefficient *= 10;
        exponent -= 1;
    }
    if exponent > max {
        let infinity = if negative { Decimal::NEG_INFINITY } else { Decimal::INFINITY };
        return (infinity, false);
    }
    let exact = matches!(dropped, Dropped::None | Dropped::Zeros);
    let value = Decimal::from_parts(negative, coefficient, exponent as i32);
    (value.unwrap_or(Decimal::NAN), exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_ways_answer_what_the_library_answers() {
        let texts = [
            "0",
            "-0",
            "0E+3",
            "1",
            "-1",
            "1.00",
            "-1.00",
            "0.1",
            "19.99",
            "1E+30",
            "1E-30",
            "-7E+33",
            "9999999999999999999999999999999999",
            "-9999999999999999999999999999999999",
            "5E-6176",
            "9.999999999999999999999999999999999E+6144",
            "-1E-6143",
            "1E+6111",
            "NaN",
            "Infinity",
            "-Infinity",
            "123456789012345678",
            "-0.000000000000000000000000000000001",
        ];
        let all = texts.map(|text| Decimal::parse(text).unwrap());
        for a in all {
            for b in all {
                let cases = [
                    (a.add(b), rounded_binary(a, b, lib::bid128_add)),
                    (a.sub(b), rounded_binary(a, b, lib::bid128_sub)),
                    (a.mul(b), rounded_binary(a, b, lib::bid128_mul)),
                ];
                for (short, library) in cases {
                    assert_eq!(short, library, "{a} {b}");
                }
            }
        }
    }
}
