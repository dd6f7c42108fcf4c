//! The options of `create` for a collection: checked, and written as they are stored and shown. Knows nothing of views.

use super::{clustered, time_series};
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw};
use crate::collation;
use crate::commands::Fields;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::validation::{Action, Level, check_validator};

/// Largest size of a capped collection, in bytes.
const SIZE_MAX: i64 = 1 << 50;
/// What `max` means when it names no number of documents.
const DOCUMENTS_MAX: i64 = 0x7fff_ffff;

/// The options of a collection in the order in which MongoDB shows them.
///
/// # Errors
/// `InvalidOptions` (72) and others for options that exclude each other, 14 and 2 for wrong values, those of validators;
/// 'not supported' for what cannot be honoured.
pub(in crate::commands) fn parse(fields: Fields<'_>, namespace: &Namespace) -> Result<DocBuf> {
    refuse_unsupported(fields)?;
    let clustered = clustered::given(fields)?;
    whole(fields, "expireAfterSeconds", i64::MIN, i64::MAX)?;
    clustered::check_others(fields)?;
    let capped = capped(fields)?;
    let mut out = DocWriter::new();
    if let Some((size, max)) = capped {
        out.bool("capped", true);
        number(&mut out, "size", size);
        if let Some(max) = max {
            number(&mut out, "max", max);
        }
    }
    if fields.loose_bool("temp")?.unwrap_or(false) {
        out.bool("temp", true);
    }
    if images(fields, "create", namespace)?.unwrap_or(false) {
        keep_images(&mut out);
    }
    storage_engine(fields, &mut out)?;
    let options = validation(fields, namespace, &mut out)?;
    if clustered.is_some() && options.has_id_index {
        let message = "The 'clusteredIndex' option is not supported with the 'idIndex' option";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    let clustered = clustered.map(|given| given.normalised()).transpose()?;
    if let Some(clustered) = &clustered {
        out.doc("clusteredIndex", clustered.as_doc());
    }
    if let Some(collation) = collation(fields)? {
        out.doc("collation", collation.as_doc());
    }
    let series = time_series::parse(fields, namespace)?;
    if let Some(seconds) = expiry(fields, series.is_some(), clustered.is_some())? {
        out.i64("expireAfterSeconds", seconds);
    }
    if let Some(series) = &series {
        out.doc("timeseries", series.as_doc());
    }
    Ok(out.finish())
}

/// The `collation` argument with all its options; `None` for the simple one.
///
/// # Errors
/// Those of parsing a collation.
pub(super) fn collation(fields: Fields<'_>) -> Result<Option<DocBuf>> {
    let Some(doc) = fields.document("collation")? else { return Ok(None) };
    let normal = collation::normalize(doc, "create.collation")?;
    let parsed = collation::parse(normal.as_doc(), "collation")?;
    Ok(parsed.map(|collation| collation.spec().to_buf()))
}

/// What the remaining options need to know of those that were read.
struct Read {
    has_id_index: bool,
}

fn refuse_unsupported(fields: Fields<'_>) -> Result<()> {
    if fields.document("encryptedFields")?.is_some() {
        return Err(Error::not_supported("the option 'encryptedFields' of create"));
    }
    if fields.bool("autoIndexId")? == Some(false) {
        let message = "autoIndexId:false is only allowed for collections in the local database";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    Ok(())
}

/// Whether images of documents are to be kept, if `command` says.
///
/// # Errors
/// `InvalidOptions` (72) in the databases of the node itself, `TypeMismatch` (14), 40414 and 40415.
pub(in crate::commands) fn images(
    fields: Fields<'_>,
    command: &str,
    namespace: &Namespace,
) -> Result<Option<bool>> {
    let Some(images) = fields.document("changeStreamPreAndPostImages")? else { return Ok(None) };
    let within = format!("{command}.changeStreamPreAndPostImages");
    let images = Fields::new(images, &within);
    images.only(&["enabled"])?;
    let enabled = images.bool("enabled")?.ok_or_else(|| images.missing("enabled"))?;
    if enabled && matches!(namespace.db(), "admin" | "config" | "local") {
        let message = format!(
            "changeStreamPreAndPostImages collection option is not supported on the following databases: admin, local, config; {namespace} is in one of them"
        );
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    Ok(Some(enabled))
}

/// Writes the option that images are kept.
pub(in crate::commands) fn keep_images(out: &mut DocWriter) {
    out.document("changeStreamPreAndPostImages", |images| images.bool("enabled", true));
}

/// `size` and `max` of a capped collection.
fn capped(fields: Fields<'_>) -> Result<Option<(i64, Option<i64>)>> {
    let capped = fields.loose_bool("capped")?.unwrap_or(false);
    let size = whole(fields, "size", 1, SIZE_MAX)?;
    let max = whole(fields, "max", i64::MIN, i64::MAX)?;
    if max.is_some_and(|max| max > DOCUMENTS_MAX) {
        let max = max.unwrap_or_default();
        let message =
            format!("BSON field 'max' value must be < {}, actual value '{max}'", DOCUMENTS_MAX + 1);
        return Err(Error::new(Code::BAD_VALUE, message));
    }
    if !capped && (size.is_some() || max.is_some()) {
        let message = "the 'capped' field needs to be true when either the 'size' or 'max' fields are present";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    if !capped {
        return Ok(None);
    }
    let Some(size) = size else {
        let message = "the 'size' field is required when 'capped' is true";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    };
    Ok(Some((size, max.map(|max| if max <= 0 { DOCUMENTS_MAX } else { max }))))
}

/// A number whose fraction is cut off, within limits.
///
/// # Errors
/// `TypeMismatch` (14), `BadValue` (2).
pub(in crate::commands) fn whole(
    fields: Fields<'_>,
    name: &str,
    least: i64,
    most: i64,
) -> Result<Option<i64>> {
    let Some(raw) = fields.get(name) else { return Ok(None) };
    let Some(value) = Number::from_raw(raw).map(Number::to_i64_saturating) else {
        return Err(fields.wrong_type(name, raw.kind, &["long", "double", "decimal", "int"]));
    };
    let limit = match value {
        value if value < least => format!(">= {least}"),
        value if value > most => format!("<= {most}"),
        value => return Ok(Some(value)),
    };
    let message = format!("BSON field '{name}' value must be {limit}, actual value '{value}'");
    Err(Error::new(Code::BAD_VALUE, message))
}

/// Writes a number in the smallest type that holds it.
pub(in crate::commands) fn number(out: &mut DocWriter, name: &str, value: i64) {
    match i32::try_from(value) {
        Ok(value) => out.i32(name, value),
        Err(_) => out.i64(name, value),
    }
}

/// Options of MongoDB's storage engines: this server has none of them.
fn storage_engine(fields: Fields<'_>, out: &mut DocWriter) -> Result<()> {
    let engines = fields.document("storageEngine")?.unwrap_or(Doc::EMPTY);
    for element in engines {
        let name = element.name_str();
        if element.value.as_doc().is_none() {
            let message = format!("'storageEngine.{name}' has to be an embedded document.");
            return Err(Error::new(Code::BAD_VALUE, message));
        }
        // The options of MongoDB's own engine change nothing here, but they are shown.
        if name != "wiredTiger" {
            let message = format!("{name} is not a registered storage engine for this server");
            return Err(Error::new(Code::INVALID_OPTIONS, message));
        }
    }
    if !engines.is_empty() {
        out.doc("storageEngine", engines);
    }
    let Some(defaults) = fields.document("indexOptionDefaults")? else { return Ok(()) };
    let inner = Fields::new(defaults, "create.indexOptionDefaults");
    inner.only(&["storageEngine"])?;
    if let Some(engines) = inner.document("storageEngine")? {
        let full = engines.iter().find(|e| !e.value.as_doc().is_some_and(|d| d.is_empty()));
        if let Some(full) = full {
            let name = full.name_str();
            let message = format!("{name} is not a registered storage engine for this server");
            return Err(Error::new(Code::INVALID_OPTIONS, message));
        }
        if !engines.is_empty() {
            out.doc("indexOptionDefaults", defaults);
        }
    }
    Ok(())
}

fn validation(fields: Fields<'_>, namespace: &Namespace, out: &mut DocWriter) -> Result<Read> {
    let (level, action) = (level(fields)?, action(fields)?);
    if let Some(validator) = fields.document("validator")?.filter(|filter| !filter.is_empty()) {
        check_validated(namespace)?;
        check_validator(validator, level.unwrap_or_default(), action.unwrap_or_default())?;
        out.doc("validator", validator);
    }
    for name in ["validationLevel", "validationAction"] {
        if let Some(value) = fields.str(name)? {
            out.str(name, value);
        }
    }
    Ok(Read { has_id_index: fields.get("idIndex").is_some() })
}

/// Refuses validators on the collections of the node itself.
///
/// # Errors
/// `InvalidOptions` (72).
pub(in crate::commands) fn check_validated(namespace: &Namespace) -> Result<()> {
    let db = namespace.db();
    if matches!(db, "admin" | "config" | "local") {
        let message = format!(
            "Document validators are not allowed on collection {namespace} in the {db} internal database"
        );
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    Ok(())
}

/// The `validationLevel` argument.
///
/// # Errors
/// `TypeMismatch` (14), `BadValue` (2).
pub(in crate::commands) fn level(fields: Fields<'_>) -> Result<Option<Level>> {
    let Some(name) = fields.str("validationLevel")? else { return Ok(None) };
    Level::named(name).map(Some).ok_or_else(|| fields.no_such_value("validationLevel", name))
}

/// The `validationAction` argument.
///
/// # Errors
/// `TypeMismatch` (14), `BadValue` (2).
pub(in crate::commands) fn action(fields: Fields<'_>) -> Result<Option<Action>> {
    let Some(name) = fields.str("validationAction")? else { return Ok(None) };
    Action::named(name).map(Some).ok_or_else(|| fields.no_such_value("validationAction", name))
}

/// The `expireAfterSeconds` option of a time series or a clustered collection.
///
/// # Errors
/// `InvalidOptions` (72).
fn expiry(fields: Fields<'_>, of_series: bool, of_clustered: bool) -> Result<Option<i64>> {
    let Some(seconds) = whole(fields, "expireAfterSeconds", i64::MIN, i64::MAX)? else {
        return Ok(None);
    };
    if !of_series && !of_clustered {
        let message = "'expireAfterSeconds' is only supported on time-series collections or when the 'clusteredIndex' option is specified";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    let checked = check_expiry(seconds);
    checked.map(|()| Some(seconds)).map_err(|error| match of_series {
        true => error.with_prefix(time_series::PREFIX),
        false => error,
    })
}

/// Checks after how many seconds documents are to expire.
///
/// # Errors
/// `InvalidOptions` (72).
pub(in crate::commands) fn check_expiry(seconds: i64) -> Result<()> {
    let option = "TTL index 'expireAfterSeconds' option";
    let now_s = now_ms() / 1000;
    let message = if seconds < 0 {
        format!("{option} cannot be less than 0")
    } else if seconds.checked_mul(1000).is_none() {
        format!("{option} cannot overflow int64_t when cast as milliseconds, found {seconds}")
    } else if seconds > now_s {
        format!("{option} cannot exceed time since last epoch ({now_s}s) found {seconds}")
    } else {
        return Ok(());
    };
    Err(Error::new(Code::INVALID_OPTIONS, message))
}

/// Whether an option is there and asks for something.
pub(super) fn asks(fields: Fields<'_>, name: &str) -> bool {
    fields.get(name).is_some_and(|raw: Raw<'_>| raw.as_bool() != Some(false))
}
