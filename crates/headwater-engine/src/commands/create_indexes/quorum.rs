//! The argument `commitQuorum`: how many members must be ready. This node is the only one.

use super::super::Fields;
use crate::bson::Number;
use crate::error::{Code, Error, Result};

/// Most members of a replica set.
const MEMBERS_MAX: f64 = 50.0;

/// Checks that the quorum can be met.
///
/// # Errors
/// `TypeMismatch` (14), `FailedToParse` (9).
pub(super) fn check(fields: Fields<'_>) -> Result<()> {
    let Some(value) = fields.get("commitQuorum").filter(|value| value.as_str().is_none()) else {
        return Ok(());
    };
    let Some(members) = Number::from_raw(value).map(Number::to_f64) else {
        let expected = ["decimal", "int", "double", "string", "long"];
        return Err(fields.wrong_type("commitQuorum", value.kind, &expected));
    };
    if !(0.0..=MEMBERS_MAX).contains(&members) {
        let message = "commitQuorum has to be a non-negative number and not greater than 50";
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    }
    Ok(())
}

/// Checks that the one member there is can be what was asked for.
///
/// # Errors
/// `UnknownReplWriteConcern` (79), `UnsatisfiableCommitQuorum` (278).
pub(super) fn check_satisfiable(fields: Fields<'_>) -> Result<()> {
    let Some(value) = fields.get("commitQuorum") else { return Ok(()) };
    if let Some(mode) = value.as_str() {
        return match mode {
            "majority" | "votingMembers" => Ok(()),
            _ => Err(Error::new(
                Code::UNKNOWN_REPL_WRITE_CONCERN,
                format!("No write concern mode named '{mode}' found in replica set configuration"),
            )),
        };
    }
    if Number::from_raw(value).is_some_and(|members| members.to_f64().trunc() > 1.0) {
        let message =
            "Commit quorum cannot be satisfied with the current replica set configuration";
        return Err(Error::new(Code::UNSATISFIABLE_COMMIT_QUORUM, message));
    }
    Ok(())
}
