//! Conditions on whole documents, refused in filters that are about something else. Knows filters as they are written.

use crate::bson::{Array, Doc, Raw};
use crate::error::{Code, Error, Result};

/// The operators that MongoDB refuses in the filter of a positional projection and in conditions on array elements.
pub(crate) const SPECIAL: [&str; 2] = ["$expr", "$jsonSchema"];

/// Fails if a filter, or a branch of it, has one of these operators.
///
/// # Errors
/// `QueryFeatureNotAllowed` (224).
pub(crate) fn refuse_special(filter: Doc<'_>, refused: &[&str]) -> Result<()> {
    for element in filter {
        let name = element.name_str();
        if refused.contains(&name) {
            let message = format!("{name} is not allowed in this context");
            return Err(Error::new(Code::QUERY_FEATURE_NOT_ALLOWED, message));
        }
        if matches!(name, "$and" | "$or" | "$nor") {
            let branches = element.value.as_array().into_iter().flat_map(Array::iter);
            branches
                .filter_map(Raw::as_doc)
                .try_for_each(|branch| refuse_special(branch, refused))?;
        }
    }
    Ok(())
}
