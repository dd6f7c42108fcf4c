//! The `clusteredIndex` option of `create`: documents in the order of `_id`.

use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw, Type};
use crate::commands::Fields;
use crate::commands::fields::cut;
use crate::error::{Code, Error, Result};
use crate::index::{Index, index_of};

/// The option as the client gave it: each field of the right type.
pub(super) struct Given<'a> {
    key: Doc<'a>,
    unique: bool,
    version: i64,
    name: &'a str,
}

/// Reads the option; `None` without one, or for one that says no more than yes or no.
///
/// # Errors
/// `TypeMismatch` (14), 40414, 40415.
pub(super) fn given<'a>(fields: Fields<'a>) -> Result<Option<Given<'a>>> {
    let Some(raw) = fields.raw("clusteredIndex") else { return Ok(None) };
    let Some(spec) = raw.as_doc() else {
        return match raw.kind == Type::Bool || raw.kind.is_number() {
            true => Ok(None),
            false => Err(fields.wrong_type("clusteredIndex", raw.kind, &["bool"])),
        };
    };
    let inner = Fields::new(spec, "create.clusteredIndex");
    inner.only(&["key", "name", "unique", "v"])?;
    Ok(Some(Given {
        key: inner.document("key")?.ok_or_else(|| inner.missing("key"))?,
        unique: inner.loose_bool("unique")?.ok_or_else(|| inner.missing("unique"))?,
        version: inner.number("v")?.map_or(2, cut),
        name: inner.str("name")?.unwrap_or("_id_"),
    }))
}

/// Refuses what clustered collections cannot have, and an option that only says yes.
///
/// # Errors
/// 6049200, 6049204, 6127800, 5979703; what `size` and `max` may not be.
pub(super) fn check_others(fields: Fields<'_>) -> Result<()> {
    let Some(raw) = fields.raw("clusteredIndex") else { return Ok(()) };
    for (name, code, least) in [("size", 6_049_200, 1), ("max", 6_049_204, i64::MIN)] {
        if super::options::whole(fields, name, least, i64::MAX)?.is_some() {
            let message = format!(
                "'{name}' field for capped collections is not allowed on clustered collections. Did you mean 'capped: true' with 'expireAfterSeconds'?"
            );
            return Err(Error::location(code, message));
        }
    }
    if fields.loose_bool("capped")?.unwrap_or(false) {
        let message =
            "Clustered capped collection only available with 'enableTestCommands' server parameter";
        return Err(Error::location(6_127_800, message));
    }
    if raw.as_bool() == Some(true) || Number::from_raw(raw).is_some_and(|n| !n.is_zero()) {
        return Err(Error::location(
            5_979_703,
            "The 'clusteredIndex' legacy format {clusteredIndex: <bool>} is only supported for specific internal collections and vice versa",
        ));
    }
    Ok(())
}

impl Given<'_> {
    /// The option as it is stored: `v`, `key`, `name`, `unique`.
    ///
    /// # Errors
    /// `InvalidIndexSpecificationOption` (197), 5979700, 5979704.
    pub(super) fn normalised(&self) -> Result<DocBuf> {
        if !is_id(self.key) {
            let message = "The clusteredIndex option is only supported for key: {_id: 1}";
            return Err(Error::new(Code::INVALID_INDEX_SPECIFICATION_OPTION, message));
        }
        if !self.unique {
            let message = "The clusteredIndex option requires unique: true to be specified";
            return Err(Error::location(5_979_700, message));
        }
        let version = self.version;
        let mut out = DocWriter::new();
        super::options::number(&mut out, "v", version);
        out.doc("key", self.key);
        out.str("name", self.name);
        out.bool("unique", true);
        let out = out.finish();
        if version != 2 {
            let shown = document_text(out.as_doc());
            let message = format!(
                "Invalid clusteredIndex specification {shown}; cannot create a clusteredIndex with v={version}"
            );
            return Err(Error::location(5_979_704, message));
        }
        Ok(out)
    }
}

fn is_id(key: Doc<'_>) -> bool {
    let one = |raw: Raw<'_>| Number::from_raw(raw).is_some_and(|number| number.to_f64() == 1.0);
    key.iter().count() == 1 && key.get("_id").is_some_and(one)
}

/// The index that a stored `clusteredIndex` option describes.
pub(super) fn index(id: u32, option: Doc<'_>) -> Option<Index> {
    let mut spec = DocWriter::new();
    spec.extend(option);
    spec.bool("clustered", true);
    index_of(id, spec.finish().as_doc())
}
