//! Numbers as keys. The layout is described in [`super`].

use super::super::decimal::{Decimal, Parts, digits, left_justified};
use super::super::number::Number;
use super::code;

pub(super) const NAN: u8 = 0x10;
pub(super) const ZERO: u8 = 0x1B;
/// Class of a magnitude from 0 to 1; what is below zero is mirrored around [`ZERO`].
pub(super) const SMALL: u8 = 0x1C;
pub(super) const LARGE: u8 = 0x25;
/// Added to the decimal exponent in a tail.
pub(super) const TAIL_BIAS: i32 = 1 << 14;

const TWO_63: f64 = 9_223_372_036_854_775_808.0;

/// A number's magnitude in the parts that its key holds.
enum Magnitude {
    /// Below one, or 2^63 and above: the double next towards zero.
    Double { large: bool, bits: u64, exact: bool },
    /// The integer part, the first [`fraction_bits`] bits of the fraction, whether that is all.
    Fixed { whole: u64, fraction: u64, exact: bool },
}

/// The class of the same magnitude below zero.
pub(super) fn mirrored(class: u8) -> u8 {
    2 * ZERO - class
}

/// The bits of the fraction that stand behind an integer part of `width` bytes. Enough for every double.
pub(super) fn fraction_bits(width: u32) -> u32 {
    (8 * (8 - width)).saturating_sub(1)
}

/// The bytes that the integer part and its flag take.
fn width(whole: u64) -> u32 {
    (64 - (whole << 1).leading_zeros()).div_ceil(8)
}

/// Appends the key of a number.
pub(super) fn append(out: &mut Vec<u8>, number: Number) {
    match number {
        Number::Int32(value) => append_integer(out, i64::from(value)),
        Number::Int64(value) => append_integer(out, value),
        Number::Double(value) => append_double(out, value),
        Number::Decimal(value) => append_decimal(out, value),
    }
}

fn append_integer(out: &mut Vec<u8>, value: i64) {
    let whole = value.unsigned_abs();
    if whole == 0 {
        out.push(ZERO);
    } else if whole >> 63 != 0 {
        append_double(out, -TWO_63);
    } else {
        append_magnitude(
            out,
            value < 0,
            Magnitude::Fixed { whole, fraction: 0, exact: true },
            None,
        );
    }
}

fn append_double(out: &mut Vec<u8>, value: f64) {
    let negative = value < 0.0;
    let size = value.abs();
    if value.is_nan() {
        return out.push(NAN);
    }
    if size == 0.0 {
        return out.push(ZERO);
    }
    let magnitude = if (1.0..TWO_63).contains(&size) {
        let whole = size as u64;
        let scale = (1u64 << fraction_bits(width(whole))) as f64;
        Magnitude::Fixed { whole, fraction: (size.fract() * scale) as u64, exact: true }
    } else {
        Magnitude::Double { large: size >= TWO_63, bits: size.to_bits(), exact: true }
    };
    append_magnitude(out, negative, magnitude, None);
}

fn append_decimal(out: &mut Vec<u8>, value: Decimal) {
    let (negative, coefficient, exponent) = match value.parts() {
        Parts::NaN => return out.push(NAN),
        Parts::Infinity { negative } => {
            let infinity = if negative { f64::NEG_INFINITY } else { f64::INFINITY };
            return append_double(out, infinity);
        }
        Parts::Finite { coefficient: 0, .. } => return out.push(ZERO),
        Parts::Finite { negative, coefficient, exponent } => (negative, coefficient, exponent),
    };
    let magnitude = fixed(coefficient, exponent).unwrap_or_else(|| {
        let (double, exact) = value.abs().to_f64_truncated();
        Magnitude::Double { large: double >= 1.0, bits: double.to_bits(), exact }
    });
    append_magnitude(out, negative, magnitude, Some((coefficient, exponent)));
}

/// The parts of a decimal of at least 1 and less than 2^63.
fn fixed(coefficient: u128, exponent: i32) -> Option<Magnitude> {
    let scale = 10u128.checked_pow(exponent.unsigned_abs())?;
    let (whole, mut rest) = if exponent < 0 {
        (coefficient / scale, coefficient % scale)
    } else {
        (coefficient.checked_mul(scale)?, 0)
    };
    let whole = u64::try_from(whole).ok().filter(|&whole| whole > 0 && whole >> 63 == 0)?;
    // Binary long division; `rest` is below 10^34, so it has 14 bits of room.
    let mut fraction = 0u64;
    let mut bits_left = fraction_bits(width(whole));
    while bits_left > 0 {
        let step = bits_left.min(14);
        rest <<= step;
        fraction = (fraction << step) | (rest / scale) as u64;
        rest %= scale;
        bits_left -= step;
    }
    Some(Magnitude::Fixed { whole, fraction, exact: rest == 0 })
}

/// Appends class, payload and, of an inexact one, the tail.
fn append_magnitude(
    out: &mut Vec<u8>,
    negative: bool,
    magnitude: Magnitude,
    decimal: Option<(u128, i32)>,
) {
    let start = out.len();
    let exact = match magnitude {
        Magnitude::Double { large, bits, exact } => {
            out.push(if large { LARGE } else { SMALL });
            out.extend_from_slice(&((bits << 2) | u64::from(!exact)).to_be_bytes());
            exact
        }
        Magnitude::Fixed { whole, fraction, exact } => {
            let width = width(whole);
            let has_fraction = fraction != 0 || !exact;
            out.push(SMALL + width as u8);
            push_low_bytes(out, (whole << 1) | u64::from(has_fraction), width);
            if has_fraction {
                push_low_bytes(out, (fraction << 1) | u64::from(!exact), 8 - width);
            }
            exact
        }
    };
    if let (false, Some((coefficient, exponent))) = (exact, decimal) {
        append_tail(out, coefficient, exponent);
    }
    if negative {
        let mut bytes = out.iter_mut().skip(start);
        if let Some(class) = bytes.next() {
            *class = mirrored(*class);
        }
        bytes.for_each(|b| *b = !*b);
    }
}

fn push_low_bytes(out: &mut Vec<u8>, value: u64, count: u32) {
    out.extend(value.to_be_bytes().iter().skip(8 - count as usize));
}

fn append_tail(out: &mut Vec<u8>, coefficient: u128, exponent: i32) {
    let count = digits(coefficient);
    let first = (exponent + count - 1 + TAIL_BIAS).unsigned_abs();
    out.extend_from_slice(&(first as u16).to_be_bytes());
    let mut rest = left_justified(coefficient, count);
    let mut unit = 10u128.pow(32);
    while rest > 0 {
        out.push((rest / unit) as u8 + 1);
        rest %= unit;
        unit = (unit / 100).max(1);
    }
    out.push(0);
}

/// Notes what the key does not tell of a number's type.
pub(super) fn note_type(types: &mut Vec<u8>, number: Number) {
    let code = match number {
        Number::Int32(_) => code::USUAL,
        Number::Int64(value) if i32::try_from(value).is_ok() => code::INT64,
        Number::Int64(_) => code::USUAL,
        Number::Double(value) if value == 0.0 && value.is_sign_negative() => code::NEGATIVE_ZERO,
        Number::Double(value) if value.fract() == 0.0 && (-TWO_63..TWO_63).contains(&value) => {
            code::DOUBLE
        }
        Number::Double(_) => code::USUAL,
        Number::Decimal(value) => {
            let (negative, exponent) = match value.parts() {
                Parts::Finite { negative, exponent, .. } => (negative, exponent),
                Parts::NaN | Parts::Infinity { .. } => (false, 0),
            };
            let exponent = (exponent - Decimal::EXPONENT_MIN).unsigned_abs() as u16;
            types.push(code::DECIMAL);
            types.extend_from_slice(&(exponent | (u16::from(negative) << 15)).to_be_bytes());
            return;
        }
    };
    types.push(code);
}
