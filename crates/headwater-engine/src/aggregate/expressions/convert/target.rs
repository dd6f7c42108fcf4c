//! What `$convert` converts to: a type by name or number, a binary subtype.

use super::shown;
use crate::aggregate::expressions::array::kind_name;
use crate::bson::{Number, Raw, Type, Value};
use crate::error::{Code, Error, Result};

/// The type to convert to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'t> {
    /// `None` for `missing`, to which nothing is converted.
    pub(super) kind: Option<Type>,
    /// The subtype of a binary.
    pub(super) subtype: Subtype<'t>,
}

/// The subtype of a binary: looked at only where a binary is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subtype<'t> {
    /// A number that is one.
    Known(u8),
    /// What was given.
    Given(Raw<'t>),
}

impl Subtype<'_> {
    /// Its number.
    ///
    /// # Errors
    /// 4341106, 4341107, 4341108 for what is no subtype.
    pub(super) fn get(self) -> Result<u8> {
        match self {
            Subtype::Known(number) => Ok(number),
            Subtype::Given(raw) => subtype(raw),
        }
    }
}

impl<'t> Target<'t> {
    /// The target of a `to` argument, `None` for null.
    ///
    /// # Errors
    /// 2 and 9 for an unknown type.
    pub(super) fn parse(to: &'t Value<'_>) -> Result<Option<Target<'t>>> {
        if to.is_nullish() {
            return Ok(None);
        }
        let Some(doc) = to.as_doc() else {
            return Ok(Some(Target { kind: kind(to)?, subtype: Subtype::Known(0) }));
        };
        let name = doc.get("type").map(Value::from).unwrap_or(Value::MISSING);
        let kind = kind(&name)?;
        let subtype = doc.get("subtype").map_or(Subtype::Known(0), Subtype::Given);
        Ok(Some(Target { kind, subtype }))
    }
}

fn kind(value: &Value<'_>) -> Result<Option<Type>> {
    if let Some(name) = value.raw().and_then(Raw::as_str) {
        if name == "missing" {
            return Ok(None);
        }
        let found = Type::ALL.iter().find(|kind| kind.alias() == name);
        return found
            .copied()
            .map(Some)
            .ok_or_else(|| Error::new(Code::BAD_VALUE, format!("Unknown type name: {name}")));
    }
    let Some(number) = Number::from_value(value) else {
        let message = format!(
            "$convert's 'to' argument must be a string or number, but is {}",
            kind_name(value)
        );
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    };
    let Some(code) = number.to_i32_exact() else {
        let message = "In $convert, numeric 'to' argument is not an integer";
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    };
    if code == 0 {
        return Ok(None);
    }
    let byte = match code {
        -1 => Some(0xFF),
        code => u8::try_from(code).ok().filter(|byte| *byte != 0xFF),
    };
    byte.and_then(Type::from_byte).map(Some).ok_or_else(|| {
        let message = format!(
            "In $convert, numeric value for 'to' does not correspond to a BSON type: {code}"
        );
        Error::new(Code::FAILED_TO_PARSE, message)
    })
}

fn subtype(raw: Raw<'_>) -> Result<u8> {
    let Some(number) = Number::from_raw(raw) else {
        let message = format!(
            "For BinData, $convert's 'subtype' argument must be a number, but is {}",
            raw.kind.alias()
        );
        return Err(Error::location(4_341_108, message));
    };
    let Some(code) = number.to_i32_exact() else {
        let message = "In $convert, numeric 'subtype' argument is not an integer";
        return Err(Error::location(4_341_106, message));
    };
    u8::try_from(code).ok().filter(|code| *code <= 9 || *code >= 128).ok_or_else(|| {
        let shown = shown(&raw.into());
        let message =
            format!("In $convert, numeric value for 'subtype' does not correspond to a BinData type: {shown}");
        Error::location(4_341_107, message)
    })
}
