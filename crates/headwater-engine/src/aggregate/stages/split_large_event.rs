//! `$changeStreamSplitLargeEvent`: the last stage of a change stream, which takes it off the pipeline and splits events itself.
//! In any other pipeline it is an error.

use super::Parsed;
use crate::aggregate::pipeline::{Context, Place};
use crate::bson::Raw;
use crate::error::{Code, Error, Result};

pub(super) const NAME: &str = "$changeStreamSplitLargeEvent";

/// Takes the stage off the end of the stages behind `$changeStream`. Whether it stood there.
///
/// # Errors
/// 7182800 for an argument that is no empty document, 7182802 if it stands elsewhere.
pub(crate) fn take_off(stages: &mut Vec<Raw<'_>>) -> Result<bool> {
    let Some(at) = stages.iter().position(|stage| argument(*stage).is_some()) else {
        return Ok(false);
    };
    stages.iter().filter_map(|stage| argument(*stage)).try_for_each(check)?;
    if at + 1 < stages.len() {
        let message = format!("{NAME} must be the last stage in the pipeline");
        return Err(Error::location(7_182_802, message));
    }
    stages.pop();
    Ok(true)
}

fn argument(stage: Raw<'_>) -> Option<Raw<'_>> {
    let stage = stage.as_doc()?.first()?;
    (stage.name == NAME.as_bytes()).then_some(stage.value)
}

fn check(argument: Raw<'_>) -> Result<()> {
    if argument.as_doc().is_some_and(|doc| doc.is_empty()) {
        return Ok(());
    }
    Err(Error::location(7_182_800, format!("{NAME} spec should be an empty object")))
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    check(raw)?;
    if context.collection.is_none() && context.place == Place::Command {
        let message =
            format!("{{aggregate: 1}} is not valid for '{NAME}'; a collection is required.");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    let message = format!("{NAME} can only be used in a $changeStream pipeline");
    Err(Error::new(Code::ILLEGAL_OPERATION, message))
}
