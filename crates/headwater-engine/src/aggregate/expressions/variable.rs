//! References: `$a.b` and `$$name.a.b`, and the rules for variable names.

use super::scope::Binding;
use super::{Expression, Path, Scope};
use crate::bson::Value;
use crate::error::{Code, Error, Result};

/// Compiles a reference, given without its first `$`.
pub(super) fn parse_reference(text: &str, scope: &mut Scope) -> Result<Expression> {
    let (name, path) = match text.strip_prefix('$') {
        Some(variable) => match variable.split_once('.') {
            Some((name, path)) => {
                if path.is_empty() {
                    return Err(Error::location(40353, "FieldPath must not end with a '.'."));
                }
                check_reference(name)?;
                (name, Path::parse(path)?)
            }
            None => {
                check_reference(variable)?;
                (variable, Path::EMPTY)
            }
        },
        None if text.is_empty() => {
            return Err(Error::location(16872, "'$' by itself is not a valid FieldPath"));
        }
        None => ("CURRENT", Path::parse(text)?),
    };
    Ok(match scope.resolve(name)? {
        Binding::Root => Expression::Field(path),
        Binding::Slot(slot) => Expression::Variable { slot, path },
        Binding::Constant(value) => Expression::Constant(path.of_value(&value).into_owned()),
        Binding::Outer => Expression::Variable { slot: usize::MAX, path },
        Binding::Unavailable => Expression::Constant(Value::MISSING),
    })
}

/// Checks the name of a variable that a user defines: it starts with a lowercase letter or a character beyond ASCII.
/// `CURRENT` may be redefined.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name == "CURRENT" {
        return Ok(());
    }
    check(name, "a user variable name", |first| first.is_ascii_lowercase() || !first.is_ascii())
}

fn check_reference(name: &str) -> Result<()> {
    check(name, "a variable name", |first| first.is_ascii_alphabetic() || !first.is_ascii())
}

fn check(name: &str, what: &str, starts: impl Fn(char) -> bool) -> Result<()> {
    let Some(first) = name.chars().next() else {
        return Err(Error::new(Code::FAILED_TO_PARSE, "empty variable names are not allowed"));
    };
    if !starts(first) {
        let message = format!("'{name}' starts with an invalid character for {what}");
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    }
    let valid = |c: &char| c.is_ascii_alphanumeric() || *c == '_' || !c.is_ascii();
    match name.chars().find(|c| !valid(c)) {
        Some(c) => {
            let message =
                format!("'{name}' contains an invalid character for a variable name: '{c}'");
            Err(Error::new(Code::FAILED_TO_PARSE, message))
        }
        None => Ok(()),
    }
}
