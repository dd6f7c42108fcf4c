//! `$exists`, `$type`; and integers in filters.

use super::Node;
use super::parse::{Field, Parser, bad_value};
use super::test::Test;
use crate::aggregate::expressions::bson_text;
use crate::bson::{Number, Raw, Type, View};
use crate::error::{Code, Error, Result};

/// A set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Types(u32);

const NUMBERS: [Type; 4] = [Type::Int32, Type::Int64, Type::Double, Type::Decimal];

impl Types {
    fn bit(kind: Type) -> u32 {
        match kind {
            Type::MinKey => 1 << 30,
            Type::MaxKey => 1 << 31,
            other => 1 << (other as u32 & 31),
        }
    }

    pub(crate) fn insert(&mut self, kind: Type) {
        self.0 |= Types::bit(kind);
    }

    pub(crate) fn contains(self, kind: Type) -> bool {
        self.0 & Types::bit(kind) != 0
    }

    fn insert_value(&mut self, value: Raw<'_>) -> Result<()> {
        if let Some(alias) = value.as_str() {
            return self.insert_alias(alias);
        }
        let Some(number) = Number::from_raw(value) else {
            return Err(Error::new(
                Code::TYPE_MISMATCH,
                "type must be represented as a number or a string",
            ));
        };
        let code = number.to_i64_exact();
        if code == Some(0) {
            return Err(bad_value("Invalid numerical type code: 0. Instead use {$exists:false}."));
        }
        let kind = match code {
            Some(-1) => Some(Type::MinKey),
            Some(code @ 1..=0x7F) => u8::try_from(code).ok().and_then(Type::from_byte),
            _ => None,
        };
        let Some(kind) = kind else {
            let text = bson_text(value);
            return Err(bad_value(format!("Invalid numerical type code: {text}")));
        };
        self.insert(kind);
        Ok(())
    }

    /// The types, in the order of their type bytes.
    pub(crate) fn iter(self) -> impl Iterator<Item = Type> {
        (0..=u8::MAX).filter_map(Type::from_byte).filter(move |kind| self.contains(*kind))
    }

    /// Adds the type of an alias; `number` is all four.
    pub(crate) fn insert_alias(&mut self, alias: &str) -> Result<()> {
        if alias == "number" {
            NUMBERS.into_iter().for_each(|kind| self.insert(kind));
            return Ok(());
        }
        let Some(kind) = type_of_alias(alias) else {
            return Err(bad_value(format!("Unknown type name alias: {alias}")));
        };
        self.insert(kind);
        Ok(())
    }
}

/// The type of an alias, `number` excepted.
pub(super) fn type_of_alias(alias: &str) -> Option<Type> {
    (0..=u8::MAX).filter_map(Type::from_byte).find(|kind| kind.alias() == alias)
}

pub(super) fn of_type(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    let mut types = Types::default();
    match field.value.view() {
        View::Array(array) => {
            for value in array.iter() {
                types.insert_value(value)?;
            }
            if array.is_empty() {
                let path = field.path.as_str();
                return Err(super::parse::failed_to_parse(format!(
                    "{path} must match at least one type"
                )));
            }
        }
        _ => types.insert_value(field.value)?,
    }
    Ok(Node::Field { path: field.path.clone(), test: Test::Type(types) })
}

pub(super) fn exists(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    let node = Node::Field { path: field.path.clone(), test: Test::Exists };
    Ok(if is_true(field.value) { node } else { Node::Not(Box::new(node)) })
}

/// Whether a value counts as true: everything but null, undefined, false and zero.
pub(crate) fn is_true(value: Raw<'_>) -> bool {
    match value.kind {
        Type::Null | Type::Undefined => false,
        Type::Bool => value.as_bool() == Some(true),
        _ => Number::from_raw(value).is_none_or(|number| !number.is_zero()),
    }
}

/// An element as error messages show it.
pub(super) fn text(name: &str, value: Raw<'_>) -> String {
    format!("{name}: {}", bson_text(value))
}

/// The integer that a number stands for; the error is the message's second half.
pub(super) fn integer(name: &str, value: Raw<'_>) -> Result<i64, String> {
    let Some(number) = Number::from_raw(value) else {
        return Err(format!("Expected a number in: {}", text(name, value)));
    };
    if let Some(integer) = number.to_i64_exact() {
        return Ok(integer);
    }
    Err(match number {
        Number::Double(double) if double.is_nan() => {
            format!("Expected an integer, but found NaN in: {}", text(name, value))
        }
        Number::Double(double) if double.abs() < 9.3e18 && number.to_i64_truncated().is_some() => {
            format!("Expected an integer: {}", text(name, value))
        }
        _ => format!("Cannot represent as a 64-bit integer: {}", text(name, value)),
    })
}
