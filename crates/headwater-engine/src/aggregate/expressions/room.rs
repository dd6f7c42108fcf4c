//! How large a computed value may become.

use crate::error::{Code, Error, Result};
use crate::limits::{STAGE_MEMORY_BYTES_MAX, TEXT_BYTES_MAX};

/// Checks the length of an array or document that is being built.
///
/// # Errors
/// `ExceededMemoryLimit` (146).
#[inline]
pub(super) fn check_room(bytes: usize) -> Result<()> {
    if bytes <= STAGE_MEMORY_BYTES_MAX { Ok(()) } else { Err(too_large(bytes)) }
}

#[cold]
fn too_large(bytes: usize) -> Error {
    let message = format!(
        "a computed value would use too much memory ({bytes} bytes) and cannot spill to disk. Memory limit: {STAGE_MEMORY_BYTES_MAX} bytes"
    );
    Error::new(Code::EXCEEDED_MEMORY_LIMIT, message)
}

/// Checks the length of a text before it is made.
///
/// # Errors
/// `BSONObjectTooLarge` (10334).
pub(super) fn check_text(bytes: usize) -> Result<()> {
    if bytes < TEXT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("RCString too large. Requires size={bytes} < limit={TEXT_BYTES_MAX}");
    Err(Error::new(Code::BSON_OBJECT_TOO_LARGE, message))
}
