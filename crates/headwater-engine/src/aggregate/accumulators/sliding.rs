//! Sums and means over windows that slide: numbers come and go. Source: recorded replies for windows.

use crate::bson::{Decimal, Number, Sum, Type, Value};

/// What is computed of the numbers in a window.
#[derive(Debug)]
pub struct Sliding {
    kind: Kind,
    numbers: Total,
}

#[derive(Debug)]
enum Kind {
    Sum,
    Mean,
    /// The standard deviation, of a sample or not, with the sum of the numbers as doubles and that of the squared
    /// distances from the mean, of which what leaves is taken away as a number of its own.
    Deviation {
        sample: bool,
        total: Box<Total>,
        squares: Box<Total>,
    },
}

impl Sliding {
    /// The sum of nothing yet.
    pub(super) fn sum() -> Sliding {
        Sliding { kind: Kind::Sum, numbers: Total::default() }
    }

    /// The mean of nothing yet.
    pub(super) fn mean() -> Sliding {
        Sliding { kind: Kind::Mean, numbers: Total::default() }
    }

    /// The standard deviation of nothing yet.
    pub(super) fn deviation(sample: bool) -> Sliding {
        let kind = Kind::Deviation { sample, total: Box::default(), squares: Box::default() };
        Sliding { kind, numbers: Total::default() }
    }

    /// Nothing is in the window any more.
    pub(crate) fn clear(&mut self) {
        self.numbers = Total::default();
        if let Kind::Deviation { total, squares, .. } = &mut self.kind {
            **total = Total::default();
            **squares = Total::default();
        }
    }

    /// A value comes into the window.
    pub(crate) fn add(&mut self, value: &Value<'_>) {
        self.change(value, 1);
    }

    /// A value leaves the window.
    pub(crate) fn remove(&mut self, value: &Value<'_>) {
        self.change(value, -1);
    }

    fn change(&mut self, value: &Value<'_>, by: i64) {
        let Some(number) = Number::from_value(value) else { return };
        if let Kind::Deviation { total, squares, .. } = &mut self.kind
            && number.is_finite()
        {
            let (before, number) = (self.numbers.finite(), number.to_f64());
            let after = before + by;
            if before > 0 && after > 0 {
                let away = before as f64 * number - total.value_with_special().to_f64();
                let square = away * away * by as f64 / (after as f64 * before as f64);
                squares.change(Number::Double(square), 1);
            } else {
                **squares = Total::default();
                **total = Total::default();
            }
            if after > 0 {
                total.change(Number::Double(number * by as f64), 1);
            }
        }
        self.numbers.change(number, by);
    }

    /// The result for the window as it is.
    pub(crate) fn value(&self) -> Value<'static> {
        match &self.kind {
            Kind::Sum => self.numbers.value_with_special().to_value(),
            Kind::Mean if self.numbers.numbers == 0 => Value::NULL,
            Kind::Mean => match self.numbers.value_with_special() {
                Number::Decimal(total) => {
                    let count = Decimal::from(self.numbers.numbers);
                    Number::Decimal(total.div(count)).to_value()
                }
                total => Value::f64(total.to_f64() / self.numbers.numbers as f64),
            },
            Kind::Deviation { sample, squares, .. } => {
                let count = self.numbers.finite();
                let divisor = if *sample { count - 1 } else { count };
                let squares = squares.value_with_special().to_f64();
                if self.numbers.finite() < self.numbers.numbers || divisor <= 0 {
                    Value::NULL
                } else if squares < 0.0 || count == 1 {
                    Value::i32(0)
                } else {
                    Value::f64((squares / divisor as f64).sqrt())
                }
            }
        }
    }
}

/// A sum whose numbers may be taken out again.
#[derive(Debug, Default)]
pub(crate) struct Total {
    sum: Sum,
    numbers: i64,
    doubles: i64,
    decimals: i64,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
}

impl Total {
    /// Puts a number in (1) or takes it out again (-1).
    pub(crate) fn change(&mut self, number: Number, by: i64) {
        self.numbers += by;
        match number.kind() {
            Type::Double => self.doubles += by,
            Type::Decimal => self.decimals += by,
            _ => {}
        }
        if number.is_nan() {
            self.nans += by;
        } else if !number.is_finite() {
            let negative = number.to_f64() < 0.0;
            let place = if negative { &mut self.negative_infinities } else { &mut self.infinities };
            *place += by;
        } else {
            self.sum.add(if by > 0 { number } else { number.neg() });
        }
    }

    /// How many of the numbers are finite.
    fn finite(&self) -> i64 {
        self.numbers - self.nans - self.infinities - self.negative_infinities
    }

    /// The sum; what is not finite outweighs the rest.
    fn value_with_special(&self) -> Number {
        let special = match (self.nans, self.infinities, self.negative_infinities) {
            (0, 0, 0) => return self.value(),
            (0, _, 0) => f64::INFINITY,
            (0, 0, _) => f64::NEG_INFINITY,
            _ => f64::NAN,
        };
        match self.decimals {
            0 => Number::Double(special),
            _ => Number::Decimal(Decimal::from_f64(special)),
        }
    }

    /// The sum of the finite numbers in the widest type that is in the window; an integer is an int32 where it fits.
    pub(crate) fn value(&self) -> Number {
        let mut total = self.sum.finish();
        if self.decimals == 0 {
            total = match total {
                Number::Decimal(decimal) => Number::Double(decimal.to_f64()),
                other => other,
            };
        }
        match total {
            Number::Int64(total) => Number::int_or_long(total),
            Number::Double(total)
                if self.doubles == 0 && total.abs() < 9.223_372_036_854_775e18 =>
            {
                Number::int_or_long(total.round() as i64)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_what_is_in_the_window() {
        let mut sliding = Sliding::sum();
        let (decimal, double) = (Number::Decimal(Decimal::ONE).to_value(), Value::f64(1.5));
        sliding.add(&decimal);
        sliding.add(&double);
        assert_eq!(sliding.value().kind(), Some(Type::Decimal));
        sliding.remove(&decimal);
        assert_eq!(sliding.value().kind(), Some(Type::Double));
        sliding.add(&Value::i64(2));
        sliding.remove(&double);
        assert_eq!(sliding.value().kind(), Some(Type::Int32));
    }
}
