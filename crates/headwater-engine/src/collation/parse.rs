//! The document by which a client chooses a collation.

use std::sync::Arc;

use super::spec::VERSION;
use super::{CaseFirst, Collation, Options, locale};
use crate::bson::print::document as document_text;
use crate::bson::{Doc, DocBuf, DocWriter, Number};
use crate::commands::Fields;
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

/// What a client says of the collation of something that may inherit one.
#[derive(Debug, Clone, Default)]
pub enum Chosen {
    /// Nothing: what is around decides.
    #[default]
    Inherited,
    /// A collation, or texts by their bytes.
    This(Option<Arc<Collation>>),
}

impl Chosen {
    /// The collation, if that of what is around is `default`.
    pub fn or(&self, default: Option<&Arc<Collation>>) -> Option<Arc<Collation>> {
        match self {
            Chosen::Inherited => default.cloned(),
            Chosen::This(collation) => collation.clone(),
        }
    }
}

/// What was said, option by option.
struct Said<'a> {
    locale: &'a str,
    options: Options,
    version: Option<&'a str>,
}

/// Reads a collation: `None` for the simple one, which compares bytes. `path` is how errors call the document.
///
/// # Errors
/// `BadValue` (2), `TypeMismatch` (14), `IncompatibleCollationVersion` (161), 40414 and 40415 for what is no collation;
/// 'not supported' for accents that compare backwards in a language whose order is not the root's.
pub fn parse(doc: Doc<'_>, path: &str) -> Result<Option<Arc<Collation>>> {
    let said = read(doc, path)?;
    let Said { locale: name, options, version } = said;
    if name == "simple" {
        return Ok(None);
    }
    if name.is_empty() {
        return Err(invalid("Field 'locale' cannot be the empty string", doc));
    }
    if locale::tag(name).is_none() {
        let mut error = invalid("Field 'locale' is invalid", doc);
        if let Some(similar) = locale::similar(name) {
            let message = format!("{}. Did you mean '{similar}'?", error.message());
            error = Error::new(Code::BAD_VALUE, message);
        }
        return Err(error);
    }
    if let Some(version) = version.filter(|version| *version != VERSION) {
        let shown = document_text(doc);
        let message = format!(
            "Requested collation version {version} but the only available collator version was {VERSION}. Requested \
             collation spec: {shown}"
        );
        return Err(Error::new(Code::INCOMPATIBLE_COLLATION_VERSION, message));
    }
    if options.backwards && options.strength == 1 {
        return Err(invalid("'backwards' is invalid with 'strength' of 1", doc));
    }
    let case_counts = options.case_level || options.strength > 2;
    if doc.get("caseFirst").is_some() && options.case_first != CaseFirst::Off && !case_counts {
        let what =
            "'caseFirst' is invalid unless 'caseLevel' is on or 'strength' is greater than 2";
        return Err(invalid(what, doc));
    }
    match Collation::new(name, options) {
        Some(collation) => Ok(Some(Arc::new(collation))),
        None => Err(Error::not_supported(format_args!(
            "the collation option 'backwards' with the locale '{name}'"
        ))),
    }
}

/// The document with the options that were not said, as some commands keep it before they look at the locale.
///
/// # Errors
/// As [`parse`] for options of the wrong type or value.
pub fn normalize(doc: Doc<'_>, path: &str) -> Result<DocBuf> {
    let said = read(doc, path)?;
    let mut out = DocWriter::new();
    said.options.write(said.locale, &mut out);
    if let Some(backwards) = doc.get("backwards").and_then(|value| value.as_bool()) {
        out.bool("backwards", backwards);
    }
    if let Some(version) = said.version {
        out.str("version", version);
    }
    Ok(out.finish())
}

fn read<'a>(doc: Doc<'a>, path: &'a str) -> Result<Said<'a>> {
    let fields = Fields::new(doc, path);
    fields.only(KNOWN)?;
    let locale = fields.str("locale")?.ok_or_else(|| fields.missing("locale"))?;
    let mut options = Options::of_locale(locale);
    if let Some(value) = fields.get("strength") {
        let Some(number) = Number::from_raw(value) else {
            let expected = &["long", "double", "decimal", "int"];
            return Err(fields.wrong_type("strength", value.kind, expected));
        };
        let whole = number.to_i64_truncated().or_else(|| {
            let far = if number.to_f64() > 0.0 { i32::MAX } else { i32::MIN };
            (!number.is_nan()).then(|| i64::from(far))
        });
        options.strength = match whole {
            Some(strength @ 1..=5) => strength as u8,
            Some(strength @ 6..) => {
                let what =
                    format!("BSON field 'strength' value must be <= 5, actual value '{strength}'");
                return Err(Error::new(Code::BAD_VALUE, what));
            }
            Some(strength) if strength < 0 => {
                let what =
                    format!("BSON field 'strength' value must be >= 0, actual value '{strength}'");
                return Err(Error::new(Code::BAD_VALUE, what));
            }
            other => return Err(no_such_value("strength", &other.unwrap_or_default().to_string())),
        };
    }
    let set = |option: &mut bool, said: Option<bool>| *option = said.unwrap_or(*option);
    set(&mut options.case_level, fields.bool("caseLevel")?);
    set(&mut options.numeric, fields.bool("numericOrdering")?);
    match fields.str("caseFirst")? {
        None => {}
        Some("off") => options.case_first = CaseFirst::Off,
        Some("upper") => options.case_first = CaseFirst::Upper,
        Some("lower") => options.case_first = CaseFirst::Lower,
        Some(other) => return Err(no_such_value("caseFirst", other)),
    }
    match fields.str("alternate")? {
        None => {}
        Some("non-ignorable") => options.shifted = false,
        Some("shifted") => options.shifted = true,
        Some(other) => return Err(no_such_value("alternate", other)),
    }
    match fields.str("maxVariable")? {
        None => {}
        Some("punct") => options.spaces_only = false,
        Some("space") => options.spaces_only = true,
        Some(other) => return Err(no_such_value("maxVariable", other)),
    }
    set(&mut options.normalization, fields.bool("normalization")?);
    if fields.raw("backwards").is_some() {
        options.backwards = fields.strict_bool("backwards")?;
    }
    Ok(Said { locale, options, version: fields.str("version")? })
}

fn no_such_value(field: &str, value: &str) -> Error {
    let message =
        format!("Enumeration value '{value}' for field 'collation.{field}' is not a valid value.");
    Error::new(Code::BAD_VALUE, message)
}

fn invalid(what: &str, doc: Doc<'_>) -> Error {
    Error::new(Code::BAD_VALUE, format!("{what} in: {}", document_text(doc)))
}
