//! The compensated sum that `$sum` and `$avg` need: doubles are summed in twice their precision.

use super::decimal::Decimal;
use super::number::Number;

/// A running sum of numbers of any type. Sums of integers are exact as long as the sum fits 106 bits.
///
/// ```
/// use headwater_engine::bson::{Number, Sum};
/// let mut sum = Sum::default();
/// (0..10).for_each(|_| sum.add(Number::Double(0.1)));
/// assert_eq!(sum.finish().to_f64(), 1.0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Sum {
    high: f64,
    /// What rounding `high` has lost. It joins the next number, and no sum that ends here: so does MongoDB's.
    low: f64,
    /// The plain sum, which tells infinities and NaN.
    special: f64,
    /// The sum of the decimals, as bytes: a group keeps many sums.
    decimal: Option<[u8; 16]>,
    widest: Widest,
    count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Widest {
    Int32,
    Int64,
    Double,
    Decimal,
}

impl Default for Sum {
    fn default() -> Sum {
        let widest = Widest::Int32;
        Sum { high: 0.0, low: 0.0, special: 0.0, decimal: None, widest, count: 0 }
    }
}

impl Sum {
    /// Adds one number.
    pub fn add(&mut self, number: Number) {
        self.count += 1;
        let widest = match number {
            Number::Int32(value) => {
                self.add_f64(f64::from(value));
                Widest::Int32
            }
            Number::Int64(value) => {
                self.add_i64(value);
                Widest::Int64
            }
            Number::Double(value) => {
                self.add_f64(value);
                Widest::Double
            }
            Number::Decimal(value) => {
                self.decimal = Some(self.decimals().add(value).to_bytes());
                Widest::Decimal
            }
        };
        self.widest = self.widest.max(widest);
    }

    /// Adds one number several times.
    pub fn add_times(&mut self, number: i32, times: u32) {
        if times == 0 {
            return;
        }
        self.add_i64(i64::from(number) * i64::from(times));
        self.count += u64::from(times);
    }

    /// The number of numbers added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum in the widest type seen: an int32 sum that does not fit becomes an int64, an int64 sum a double.
    pub fn finish(&self) -> Number {
        match self.widest {
            Widest::Decimal => Number::Decimal(self.total_decimal()),
            Widest::Double => Number::Double(self.total_f64()),
            Widest::Int64 => {
                self.total_i64().map_or(Number::Double(self.total_f64()), Number::Int64)
            }
            Widest::Int32 => {
                self.total_i64().map_or(Number::Double(self.total_f64()), Number::int_or_long)
            }
        }
    }

    /// The mean, a double or decimal; `None` of nothing.
    pub fn mean(&self) -> Option<Number> {
        if self.count == 0 {
            return None;
        }
        Some(match self.widest {
            Widest::Decimal => {
                let count = Decimal::from(i64::try_from(self.count).unwrap_or(i64::MAX));
                Number::Decimal(self.total_decimal().div(count))
            }
            _ => Number::Double(self.total_f64() / self.count as f64),
        })
    }

    fn add_i64(&mut self, value: i64) {
        // Two halves that are exact as doubles, the lower one first. Both have the sign of the number, so that a small
        // one stays small.
        let low = value % (1 << 32);
        self.add_f64(low as f64);
        self.add_f64((value - low) as f64);
    }

    fn add_f64(&mut self, value: f64) {
        self.special += value;
        let (value, rest) = two_sum(value, self.low);
        let (high, lost) = two_sum(self.high, value);
        self.high = high;
        self.low = lost + rest;
    }

    fn total_f64(&self) -> f64 {
        if self.high.is_nan() || self.low.is_nan() { self.special } else { self.high }
    }

    fn total_i64(&self) -> Option<i64> {
        let (high, low) = (self.high, self.low);
        if high.fract() != 0.0 || low.fract() != 0.0 || high.abs() > 1e19 {
            return None;
        }
        i64::try_from(high as i128 + low as i128).ok()
    }

    fn total_decimal(&self) -> Decimal {
        let others = match self.total_i64() {
            Some(total) => Decimal::from(total),
            None if self.high.is_finite() => {
                Decimal::from_f64_wide(self.high).add(Decimal::from_f64_wide(self.low))
            }
            None => Decimal::from_f64(self.special),
        };
        self.decimals().add(others)
    }

    fn decimals(&self) -> Decimal {
        self.decimal.map_or(Decimal::ZERO, Decimal::from_bytes)
    }
}

/// The rounded sum and what rounding lost (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}
