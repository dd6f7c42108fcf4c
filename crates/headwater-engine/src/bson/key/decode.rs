//! Keys back to values, for covered queries and for messages that print keys.

use super::super::decimal::{Decimal, Parts};
use super::super::number::Number;
use super::super::{ArrayWriter, DocWriter, Type, Value};
use super::number::{self, LARGE, NAN, SMALL, TAIL_BIAS, ZERO, mirrored};
use super::{Direction, Types, class, code};
use crate::limits::COMMAND_DEPTH_MAX;

/// The values of a key, one for each direction; `None` if the bytes are no such key. Texts of a collation come back as
/// collation keys, or not at all if those are not UTF-8.
pub fn decode(key: &[u8], directions: &[Direction], types: &Types) -> Option<Vec<Value<'static>>> {
    let mut reader = Reader { rest: key, types: &types.0, flip: 0 };
    let values = directions.iter().map(|&direction| {
        reader.flip = flip_of(direction);
        reader.value(0)
    });
    let values = values.collect::<Option<Vec<_>>>()?;
    reader.rest.is_empty().then_some(values)
}

/// Splits the key of the first value off a key of several; `None` if the bytes are no key.
pub fn split(key: &[u8], direction: Direction) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader { rest: key, types: &[], flip: flip_of(direction) };
    let class = reader.byte()?;
    reader.skip(class, 0)?;
    key.split_at_checked(key.len() - reader.rest.len())
}

fn flip_of(direction: Direction) -> u8 {
    match direction {
        Direction::Ascending => 0,
        Direction::Descending => 0xFF,
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    types: &'a [u8],
    /// What every byte is xored with.
    flip: u8,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte ^ self.flip)
    }

    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head.iter().map(|b| b ^ self.flip).collect())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    /// An integer of up to 8 bytes.
    fn integer(&mut self, width: usize) -> Option<u64> {
        Some(self.bytes(width)?.iter().fold(0, |sum, &b| (sum << 8) | u64::from(b)))
    }

    /// Bytes up to a zero, which is taken too.
    fn until_zero(&mut self) -> Option<Vec<u8>> {
        let flip = self.flip;
        let end = self.rest.iter().position(|b| b ^ flip == 0)?;
        let bytes = self.bytes(end)?;
        self.byte()?;
        Some(bytes)
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let mut text = self.until_zero()?;
        if text.contains(&1) {
            let mut escaped = text.into_iter();
            text = Vec::new();
            while let Some(byte) = escaped.next() {
                text.push(if byte == 1 { escaped.next()?.checked_sub(1)? } else { byte });
            }
        }
        Some(text)
    }

    fn type_code(&mut self) -> u8 {
        match self.types.split_first() {
            Some((&code, rest)) => {
                self.types = rest;
                code
            }
            None => code::USUAL,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value<'static>> {
        let class = self.byte()?;
        if (class::NUMBER..=class::NUMBER_LAST).contains(&class) {
            return Some(self.number(class)?.to_value());
        }
        self.payload(class, depth)
    }

    fn payload(&mut self, class: u8, depth: usize) -> Option<Value<'static>> {
        if depth > COMMAND_DEPTH_MAX {
            return None;
        }
        Some(match class {
            class::MIN_KEY => Value::owned(Type::MinKey, &[]),
            class::UNDEFINED => Value::owned(Type::Undefined, &[]),
            class::NULL => Value::NULL,
            class::STRING => {
                let symbol = self.type_code() == code::SYMBOL;
                let kind = if symbol { Type::Symbol } else { Type::String };
                Value::from_vec(kind, prefixed(&self.text()?)?)
            }
            class::DOCUMENT => {
                let mut doc = DocWriter::new();
                self.fields(&mut doc, depth + 1)?;
                Value::doc(doc.finish())
            }
            class::ARRAY => {
                let mut array = ArrayWriter::new();
                while self.rest.first()? ^ self.flip != class::END {
                    array.raw(self.value(depth + 1)?.raw()?);
                }
                self.byte()?;
                Value::array(array.into_bytes())
            }
            class::BINARY => self.sized(Type::Binary, 1)?,
            class::OBJECT_ID => Value::owned(Type::ObjectId, &self.array::<12>()?),
            class::BOOL => Value::bool(self.byte()? != 0),
            class::DATE => Value::date((self.integer(8)? ^ (1 << 63)).cast_signed()),
            class::TIMESTAMP => Value::owned(Type::Timestamp, &self.integer(8)?.to_le_bytes()),
            class::REGEX => {
                let (pattern, options) = (self.until_zero()?, self.until_zero()?);
                let bytes = [pattern.as_slice(), &[0], options.as_slice(), &[0]].concat();
                Value::from_vec(Type::Regex, bytes)
            }
            class::DB_POINTER => self.sized(Type::DbPointer, 12)?,
            class::CODE => Value::from_vec(Type::Code, prefixed(&self.text()?)?),
            class::CODE_WITH_SCOPE => {
                let code = prefixed(&self.text()?)?;
                let mut scope = DocWriter::new();
                self.fields(&mut scope, depth + 1)?;
                let scope = scope.finish().into_bytes();
                let len = u32::try_from(4 + code.len() + scope.len()).ok()?;
                let bytes = [len.to_le_bytes().as_slice(), &code, &scope].concat();
                Value::from_vec(Type::CodeWithScope, bytes)
            }
            class::MAX_KEY => Value::owned(Type::MaxKey, &[]),
            _ => return None,
        })
    }

    /// A value that starts with a length, which does not count `more` bytes.
    fn sized(&mut self, kind: Type, more: usize) -> Option<Value<'static>> {
        let len = u32::from_be_bytes(self.array::<4>()?);
        let data = self.bytes(usize::try_from(len).ok()?.checked_add(more)?)?;
        Some(Value::from_vec(kind, [len.to_le_bytes().as_slice(), &data].concat()))
    }

    fn fields(&mut self, doc: &mut DocWriter, depth: usize) -> Option<()> {
        loop {
            let class = self.byte()?;
            if class == class::END {
                return Some(());
            }
            let name = self.until_zero()?;
            let value = match class {
                class::NUMBER => self.value(depth)?,
                class => self.payload(class, depth)?,
            };
            doc.raw_bytes(&name, value.raw()?);
        }
    }

    /// The number behind its class byte, in the type that was noted.
    fn number(&mut self, class: u8) -> Option<Number> {
        let types = self.type_code();
        let decimal = if types == code::DECIMAL {
            let (head, rest) = self.types.split_first_chunk::<2>()?;
            self.types = rest;
            Some(u16::from_be_bytes(*head))
        } else {
            None
        };
        if let NAN | ZERO = class {
            return Some(match (decimal, types) {
                (Some(_), _) if class == NAN => Number::Decimal(Decimal::NAN),
                (Some(exponent), _) => {
                    Number::Decimal(decimal_of(exponent, exponent >> 15 != 0, 0)?)
                }
                (None, _) if class == NAN => Number::Double(f64::NAN),
                (None, code::NEGATIVE_ZERO) => Number::Double(-0.0),
                (None, code::DOUBLE) => Number::Double(0.0),
                (None, code::INT64) => Number::Int64(0),
                (None, _) => Number::Int32(0),
            });
        }
        let negative = class < ZERO;
        let class = if negative { mirrored(class) } else { class };
        let flip = self.flip;
        if negative {
            self.flip = !flip;
        }
        let number = self.magnitude(class, negative, decimal, types);
        self.flip = flip;
        number
    }

    fn magnitude(
        &mut self,
        class: u8,
        negative: bool,
        decimal: Option<u16>,
        types: u8,
    ) -> Option<Number> {
        let sign = |value: f64| if negative { -value } else { value };
        let mut fraction_of_decimal = Decimal::ZERO;
        let (double, whole) = if class == SMALL || class == LARGE {
            let payload = self.integer(8)?;
            if payload & 1 != 0 {
                return self.tail(negative, decimal?);
            }
            let upper = if class == LARGE { 1 << 62 } else { 0 };
            (f64::from_bits((payload >> 2) | upper), None)
        } else {
            let width = u32::from(class - SMALL);
            let payload = self.integer(width as usize)?;
            let whole = payload >> 1;
            if payload & 1 == 0 {
                (whole as f64, Some(whole))
            } else {
                let fraction = self.integer(8 - width as usize)?;
                if width == 8 || fraction & 1 != 0 {
                    return self.tail(negative, decimal?);
                }
                let scale = 1i64 << number::fraction_bits(width);
                let fraction = (fraction >> 1).cast_signed();
                if decimal.is_some() {
                    fraction_of_decimal = Decimal::from(fraction).div(Decimal::from(scale));
                    (0.0, Some(whole))
                } else {
                    (whole as f64 + fraction as f64 / scale as f64, None)
                }
            }
        };
        if let Some(exponent) = decimal {
            if double.is_infinite() {
                let infinity = Decimal::from_f64_wide(sign(double));
                return Some(Number::Decimal(infinity));
            }
            // Not by way of a double, which may have no room for all bits of the sum.
            let value = match whole {
                Some(whole) => {
                    let size = Decimal::from(whole.cast_signed()).add(fraction_of_decimal);
                    if negative { size.neg() } else { size }
                }
                None => Decimal::from_f64_wide(sign(double)),
            };
            return Some(Number::Decimal(with_exponent(value, exponent)?));
        }
        let integer =
            whole.map(|whole| if negative { -whole.cast_signed() } else { whole.cast_signed() });
        Some(match (types, integer) {
            (code::USUAL, Some(value)) => Number::int_or_long(value),
            (code::USUAL, None) if sign(double) == i64::MIN as f64 => Number::Int64(i64::MIN),
            (code::INT64, Some(value)) => Number::Int64(value),
            _ => Number::Double(sign(double)),
        })
    }

    /// The decimal that stands in full behind its double.
    fn tail(&mut self, negative: bool, exponent: u16) -> Option<Number> {
        let first = i32::from(u16::from_be_bytes(self.array::<2>()?)) - TAIL_BIAS;
        let pairs = self.until_zero()?;
        let mut coefficient = 0u128;
        for pair in &pairs {
            let digits = u128::from(pair.checked_sub(1).filter(|&pair| pair < 100)?);
            coefficient = coefficient.checked_mul(100)?.checked_add(digits)?;
        }
        let mut unit = first + 1 - i32::try_from(2 * pairs.len()).ok()?;
        if coefficient > Decimal::COEFFICIENT_MAX || pairs.len() > 17 {
            return None;
        }
        while coefficient > 0 && coefficient.is_multiple_of(10) {
            coefficient /= 10;
            unit += 1;
        }
        Some(Number::Decimal(scaled(negative, coefficient, unit, exponent)?))
    }

    /// Passes over the payload of a class.
    fn skip(&mut self, class: u8, depth: usize) -> Option<()> {
        if depth > COMMAND_DEPTH_MAX {
            return None;
        }
        match class {
            class::MIN_KEY | class::UNDEFINED | class::NULL | class::MAX_KEY => {}
            NAN | ZERO => {}
            class::NUMBER..=class::NUMBER_LAST => self.skip_number(class)?,
            class::STRING | class::CODE => drop(self.until_zero()?),
            class::DOCUMENT => self.skip_fields(depth + 1)?,
            class::ARRAY => loop {
                match self.byte()? {
                    class::END => break,
                    class => self.skip(class, depth + 1)?,
                }
            },
            class::BINARY | class::DB_POINTER => {
                let len = usize::try_from(u32::from_be_bytes(self.array::<4>()?)).ok()?;
                let more = if class == class::BINARY { 1 } else { 12 };
                self.advance(len.checked_add(more)?)?;
            }
            class::OBJECT_ID => self.advance(12)?,
            class::BOOL => self.advance(1)?,
            class::DATE | class::TIMESTAMP => self.advance(8)?,
            class::REGEX => {
                self.until_zero()?;
                self.until_zero()?;
            }
            class::CODE_WITH_SCOPE => {
                self.until_zero()?;
                self.skip_fields(depth + 1)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn advance(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    fn skip_fields(&mut self, depth: usize) -> Option<()> {
        loop {
            let class = self.byte()?;
            if class == class::END {
                return Some(());
            }
            self.until_zero()?;
            let class = if class == class::NUMBER { self.byte()? } else { class };
            self.skip(class, depth)?;
        }
    }

    fn skip_number(&mut self, class: u8) -> Option<()> {
        let flip = self.flip;
        let class = if class < ZERO {
            self.flip = !flip;
            mirrored(class)
        } else {
            class
        };
        let width = if class == SMALL || class == LARGE { 8 } else { usize::from(class - SMALL) };
        let mut more = self.integer(width)? & 1 != 0;
        if more && width < 8 {
            more = self.integer(8 - width)? & 1 != 0;
        }
        if more {
            self.advance(2)?;
            self.until_zero()?;
        }
        self.flip = flip;
        Some(())
    }
}

/// The bytes of a string value.
fn prefixed(text: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(text).ok()?;
    let len = u32::try_from(text.len() + 1).ok()?;
    Some([len.to_le_bytes().as_slice(), text, &[0]].concat())
}

fn decimal_of(exponent: u16, negative: bool, coefficient: u128) -> Option<Decimal> {
    let exponent = i32::from(exponent & 0x7FFF) + Decimal::EXPONENT_MIN;
    Decimal::from_parts(negative, coefficient, exponent)
}

/// `coefficient * 10^unit` written with the exponent that was noted.
fn scaled(negative: bool, mut coefficient: u128, mut unit: i32, exponent: u16) -> Option<Decimal> {
    let target = i32::from(exponent & 0x7FFF) + Decimal::EXPONENT_MIN;
    while unit > target {
        coefficient = coefficient.checked_mul(10)?;
        unit -= 1;
    }
    while unit < target && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        unit += 1;
    }
    Decimal::from_parts(negative, coefficient, unit)
}

fn with_exponent(value: Decimal, exponent: u16) -> Option<Decimal> {
    match value.parts() {
        Parts::Finite { negative, coefficient, exponent: unit } => {
            scaled(negative, coefficient, unit, exponent)
        }
        _ => Some(value),
    }
}
