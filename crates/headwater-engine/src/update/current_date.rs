//! `$currentDate`.

use super::modifier::{Change, Modifier, Operand, Place};
use crate::bson::{Raw, Type, Value};
use crate::error::{Code, Error, Result};

/// `$currentDate`: a date or a timestamp.
#[derive(Debug)]
pub(super) struct CurrentDate {
    timestamp: bool,
}

impl CurrentDate {
    pub(super) fn parse(operand: &Operand<'_>) -> Result<CurrentDate> {
        let bad = |what: String| Err(Error::new(Code::BAD_VALUE, what));
        let Some(spec) = operand.value.as_doc() else {
            return match operand.value.kind {
                Type::Bool => Ok(CurrentDate { timestamp: false }),
                other => bad(format!(
                    "{} is not valid type for $currentDate. Please use a boolean ('true') or a $type expression \
                     ({{$type: 'timestamp/date'}}).",
                    other.alias()
                )),
            };
        };
        let mut timestamp = None;
        for option in spec {
            timestamp = match (option.name, option.value.as_str()) {
                (b"$type", Some("date")) => Some(false),
                (b"$type", Some("timestamp")) => Some(true),
                (b"$type", _) => return bad(NEEDS_TYPE.to_owned()),
                _ => {
                    return bad(format!("Unrecognized $currentDate option: {}", option.name_str()));
                }
            };
        }
        match timestamp {
            Some(timestamp) => Ok(CurrentDate { timestamp }),
            None => bad(NEEDS_TYPE.to_owned()),
        }
    }

    fn value(&self, place: &Place<'_, '_>) -> Value<'static> {
        if self.timestamp {
            Value::owned(Type::Timestamp, &place.now.timestamp.to_le_bytes())
        } else {
            Value::date(place.now.ms)
        }
    }
}

const NEEDS_TYPE: &str = "The '$type' string field is required to be 'date' or 'timestamp': {$currentDate: {field : {$type: 'date'}}}";

impl Modifier for CurrentDate {
    fn existing<'a>(&'a self, _: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>> {
        Ok(Change::Set(self.value(place)))
    }

    fn missing<'a>(&'a self, place: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(Some(self.value(place)))
    }
}
