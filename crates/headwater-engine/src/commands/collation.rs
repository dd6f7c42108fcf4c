//! The `collation` argument of commands.

use std::sync::Arc;

use super::fields::Fields;
use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, Number};
use crate::collation::{CaseFirst, Collation, Options};
use crate::error::{Code, Error, Result};

const KNOWN: &[&str] = &[
    "alternate",
    "backwards",
    "caseFirst",
    "caseLevel",
    "locale",
    "maxVariable",
    "normalization",
    "numericOrdering",
    "strength",
    "version",
];

/// Reads the `collation` argument: `None` for the simple one, which compares bytes.
///
/// # Errors
/// `BadValue` (2), `TypeMismatch` (14), 40414 and 40415 for what is no collation; 'not supported' for accents that
/// compare backwards in a language that does not have it so.
pub(super) fn collation(fields: Fields<'_>) -> Result<Option<Arc<Collation>>> {
    let Some(doc) = fields.strict_document("collation")?.filter(|doc| !doc.is_empty()) else {
        return Ok(None);
    };
    let fields = Fields::new(doc, "collation");
    fields.only(KNOWN)?;
    let locale = fields.str("locale")?.ok_or_else(|| fields.missing("locale"))?;
    let options = options(fields)?;
    if locale == "simple" {
        return Ok(None);
    }
    if locale.is_empty() {
        return Err(invalid("Field 'locale' cannot be the empty string", doc));
    }
    let case_counts = options.case_level || options.strength > 2;
    if options.case_first != CaseFirst::Off && !case_counts {
        let what =
            "'caseFirst' is invalid unless 'caseLevel' is on or 'strength' is greater than 2";
        return Err(invalid(what, doc));
    }
    match Collation::new(locale, options) {
        Some(collation) => Ok(Some(Arc::new(collation))),
        None => Err(invalid("Field 'locale' is invalid", doc)),
    }
}

fn options(fields: Fields<'_>) -> Result<Options> {
    let mut options = Options::default();
    if let Some(value) = fields.get("strength") {
        let Some(number) = Number::from_raw(value) else {
            let expected = &["long", "double", "decimal", "int"];
            return Err(fields.wrong_type("strength", value.kind, expected));
        };
        options.strength = match number.to_i64_truncated() {
            Some(strength @ 1..=5) => strength as u8,
            Some(strength @ 6..) => {
                let what =
                    format!("BSON field 'strength' value must be <= 5, actual value '{strength}'");
                return Err(Error::new(Code::BAD_VALUE, what));
            }
            other => return Err(no_such_value("strength", &other.unwrap_or_default().to_string())),
        };
    }
    options.case_level = fields.bool("caseLevel")?.unwrap_or(false);
    options.numeric = fields.bool("numericOrdering")?.unwrap_or(false);
    options.case_first = match fields.str("caseFirst")? {
        None | Some("off") => CaseFirst::Off,
        Some("upper") => CaseFirst::Upper,
        Some("lower") => CaseFirst::Lower,
        Some(other) => return Err(no_such_value("caseFirst", other)),
    };
    options.shifted = match fields.str("alternate")? {
        None | Some("non-ignorable") => false,
        Some("shifted") => true,
        Some(other) => return Err(no_such_value("alternate", other)),
    };
    options.spaces_only = match fields.str("maxVariable")? {
        None | Some("punct") => false,
        Some("space") => true,
        Some(other) => return Err(no_such_value("maxVariable", other)),
    };
    // Texts are always compared as if they were normalised.
    fields.strict_bool("normalization")?;
    if fields.strict_bool("backwards")? {
        return Err(Error::not_supported("the collation option 'backwards'"));
    }
    Ok(options)
}

fn no_such_value(field: &str, value: &str) -> Error {
    let message =
        format!("Enumeration value '{value}' for field 'collation.{field}' is not a valid value.");
    Error::new(Code::BAD_VALUE, message)
}

fn invalid(what: &str, doc: Doc<'_>) -> Error {
    Error::new(Code::BAD_VALUE, format!("{what} in: {}", document_text(doc)))
}
