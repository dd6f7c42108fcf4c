//! `$concat`.

use super::array::kind_name;
use crate::bson::{Raw, Value};
use crate::error::{Error, Result};

pub(super) fn concat(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let mut joined = String::new();
    for arg in &args {
        match arg.raw().and_then(Raw::as_str) {
            Some(text) => joined.push_str(text),
            None if arg.is_nullish() => return Ok(Value::NULL),
            None => {
                let message = format!("$concat only supports strings, not {}", kind_name(arg));
                return Err(Error::location(16702, message));
            }
        }
    }
    Ok(Value::str(&joined))
}
