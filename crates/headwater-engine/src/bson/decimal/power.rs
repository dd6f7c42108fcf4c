//! Powers with an integer exponent, computed as the release of Intel's library in MongoDB has them: by the logarithm.
//! Later releases multiply, and round at each step. Knows nothing of the bytes of a decimal.

use std::sync::LazyLock;

use super::{Decimal, binary, lib};
use dfp_number_sys::RND_NEAREST_EVEN;

/// Bits behind the point of a [`Fixed`].
const SCALE: u32 = 224;

/// How many factors `1 + 2^-j` bring a number near to one: what is left is its own logarithm in all bits.
const STEPS: u32 = 112;

/// A number from 0 to 2^32, the lowest word first.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fixed([u64; 4]);

impl Fixed {
    const ZERO: Fixed = Fixed([0; 4]);
    const ONE: Fixed = Fixed([0, 0, 0, 1 << (SCALE - 192)]);

    fn plus(self, other: Fixed) -> Fixed {
        let mut carry = false;
        Fixed(std::array::from_fn(|i| {
            let (sum, over) = self.0[i].overflowing_add(other.0[i]);
            let (sum, more) = sum.overflowing_add(u64::from(carry));
            carry = over || more;
            sum
        }))
    }

    fn minus(self, other: Fixed) -> Fixed {
        let mut borrow = false;
        Fixed(std::array::from_fn(|i| {
            let (rest, under) = self.0[i].overflowing_sub(other.0[i]);
            let (rest, more) = rest.overflowing_sub(u64::from(borrow));
            borrow = under || more;
            rest
        }))
    }

    fn is_below(self, other: Fixed) -> bool {
        self.0.iter().rev().lt(other.0.iter().rev())
    }

    fn times(self, factor: u64) -> Fixed {
        let mut carry = 0;
        Fixed(self.0.map(|word| {
            let product = u128::from(word) * u128::from(factor) + carry;
            carry = product >> 64;
            product as u64
        }))
    }

    fn over(self, divisor: u64) -> Fixed {
        let (mut words, mut rest) = (self.0, 0);
        for word in words.iter_mut().rev() {
            let whole = rest << 64 | u128::from(*word);
            *word = (whole / u128::from(divisor)) as u64;
            rest = whole % u128::from(divisor);
        }
        Fixed(words)
    }

    fn shifted_right(self, bits: u32) -> Fixed {
        let (words, bits) = ((bits / 64) as usize, bits % 64);
        let word = |i: usize| self.0.get(i).copied().unwrap_or(0);
        Fixed(std::array::from_fn(|i| {
            let both = u128::from(word(i + words + 1)) << 64 | u128::from(word(i + words));
            (both >> bits) as u64
        }))
    }

    fn low(self) -> u128 {
        let [a, b, ..] = self.0;
        u128::from(b) << 64 | u128::from(a)
    }
}

/// Natural logarithms: of 2, of 10, and of `1 + 2^-j` for each `j` from 1 on.
struct Logarithms {
    two: Fixed,
    ten: Fixed,
    steps: Vec<Fixed>,
}

static LOGARITHMS: LazyLock<Logarithms> = LazyLock::new(|| {
    let term = |power: u32, n: u32| Fixed::ONE.shifted_right(power).over(u64::from(n));
    let two = (1..=SCALE).fold(Fixed::ZERO, |sum, n| sum.plus(term(n, n)));
    let step = |j: u32| {
        (1..=SCALE / j).fold(Fixed::ZERO, |sum, n| match n % 2 {
            1 => sum.plus(term(j * n, n)),
            _ => sum.minus(term(j * n, n)),
        })
    };
    let steps: Vec<Fixed> = (1..=STEPS).map(step).collect();
    let ten = two.times(3).plus(step(2));
    Logarithms { two, ten, steps }
});

/// The logarithm of `coefficient * 10^exponent`: whether it is below zero, and its magnitude.
fn logarithm(coefficient: u128, exponent: i32) -> (bool, Fixed) {
    let known = &*LOGARITHMS;
    let bits = 128 - coefficient.leading_zeros();
    let aligned = coefficient << (128 - bits);
    let wide = Fixed([0, 0, aligned as u64, (aligned >> 64) as u64]);
    // A number of at least a half, below one.
    let mut number = wide.shifted_right(256 - SCALE);
    let tens = known.ten.times(u64::from(exponent.unsigned_abs()));
    let mut above = known.two.times(u64::from(bits));
    let mut below = Fixed::ZERO;
    if exponent < 0 {
        below = tens;
    } else {
        above = above.plus(tens);
    }
    for (j, step) in (1..).zip(&known.steps) {
        let larger = number.plus(number.shifted_right(j));
        if !Fixed::ONE.is_below(larger) {
            number = larger;
            below = below.plus(*step);
        }
    }
    below = below.plus(Fixed::ONE.minus(number));
    match above.is_below(below) {
        true => (true, below.minus(above)),
        false => (false, above.minus(below)),
    }
}

/// The logarithm as the sum of a decimal of 28 digits behind the point and a small one.
fn logarithm_parts(x: Decimal, coefficient: u128, exponent: i32) -> Option<(Decimal, Decimal)> {
    let (negative, log) = logarithm(coefficient, exponent);
    let whole = u128::from(log.0[3] >> (SCALE - 192));
    let fraction = Fixed([log.0[0], log.0[1], log.0[2], log.0[3] & ((1 << (SCALE - 192)) - 1)]);
    let digits = fraction.shifted_right(64).times(10_u64.pow(14)).times(10_u64.pow(14));
    let high = whole * 10_u128.pow(28) + digits.shifted_right(160).low();
    if high >> 65 == 0 {
        return near_one(x);
    }
    let rest = digits.shifted_right(96).0[0];
    let low = (u128::from(rest) * 10_u128.pow(19)) >> 64;
    let high = Decimal::from_parts(negative, high, -28)?;
    Some((high, Decimal::from_parts(negative, low, -47)?))
}

/// As [`logarithm_parts`] by the first terms of the series, where the logarithm is next to zero.
fn near_one(x: Decimal) -> Option<(Decimal, Decimal)> {
    let t = x.sub(Decimal::from(1));
    let (mut power, mut terms) = (t, Decimal::from(0));
    for factor in ["-0.5", "0.3333333333333333333333333333333333", "-0.25"] {
        power = power.mul(t);
        terms = terms.add(power.mul(factor.parse().ok()?));
    }
    let high = t.add(terms);
    Some((high, high.sub(t).sub(terms)))
}

fn multiply_add(x: Decimal, y: Decimal, z: Decimal) -> Decimal {
    binary(x, y, |x, y, flags| lib::bid128_fma(x, y, z.library(), RND_NEAREST_EVEN, flags))
}

/// `x` to the power of an integer; `None` for what the library answers alike in all releases: special values, zeros
/// and exponents beyond 32 bits.
pub(super) fn integer_power(x: Decimal, exponent: Decimal) -> Option<Decimal> {
    let whole = exponent.to_i64_exact().filter(|whole| *whole != 0)?;
    i32::try_from(whole).ok()?;
    let (negative, coefficient, power) = x.finite()?;
    let (high, low) = logarithm_parts(x.abs(), coefficient, power)?;
    let product = exponent.mul(high);
    let error = multiply_add(exponent, high, product.neg());
    let low = multiply_add(exponent, low, error);
    let result = product.exp();
    if result.is_zero() || result.is_infinite() {
        return Some(result);
    }
    let result = multiply_add(result, low, result);
    Some(if negative && whole % 2 != 0 { result.neg() } else { result })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_mongodb() {
        for (x, exponent, power) in [
            ("-3", "-3", "-0.03703703703703703703703703703703703"),
            ("-718", "-17", "-2.791800931880400474999442618744105E-49"),
            ("73793E-11", "-7", "8.392547996254038598496041836425892E+42"),
            (
                "-1692863849986963701909180526271094E-27",
                "8E2",
                "7.899958478386570429711128160948563E+4982",
            ),
            (
                "7735578531833542206813025675392485E-24",
                "10",
                "7.672342724044894865356769182630526E+98",
            ),
        ] {
            let (x, exponent): (Decimal, Decimal) = (x.parse().unwrap(), exponent.parse().unwrap());
            assert_eq!(x.pow(exponent).to_string(), power);
        }
    }

    #[test]
    fn logarithms() {
        let text = |coefficient, exponent| {
            let (high, _) = logarithm_parts(Decimal::NAN, coefficient, exponent).unwrap();
            high.to_string()
        };
        assert_eq!(text(2, 0), "0.6931471805599453094172321214");
        assert_eq!(text(10, 0), "2.3025850929940456840179914546");
        assert_eq!(text(5, -1), "-0.6931471805599453094172321214");
    }
}
