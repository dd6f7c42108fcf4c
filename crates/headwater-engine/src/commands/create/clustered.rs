//! The `clusteredIndex` option of `create`: documents in the order of `_id`.

use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw};
use crate::commands::Fields;
use crate::error::{Code, Error, Result};
use crate::index::{Index, index_of};

/// The option as it is stored: `v`, `key`, `name`, `unique`.
///
/// # Errors
/// 5979700 to 5979704, `InvalidIndexSpecificationOption` (197), 40414 and 40415.
pub(super) fn parse(fields: Fields<'_>) -> Result<Option<DocBuf>> {
    let Some(raw) = fields.get("clusteredIndex") else { return Ok(None) };
    let Some(spec) = raw.as_doc() else {
        if raw.as_bool() == Some(false) {
            return Ok(None);
        }
        return Err(Error::location(
            5_979_703,
            "The 'clusteredIndex' legacy format {clusteredIndex: <bool>} is only supported for specific internal collections and vice versa",
        ));
    };
    let inner = Fields::new(spec, "create.clusteredIndex");
    inner.only(&["key", "name", "unique", "v"])?;
    let key = inner.document("key")?.ok_or_else(|| inner.missing("key"))?;
    let unique = inner.loose_bool("unique")?.ok_or_else(|| inner.missing("unique"))?;
    let version = inner.integer("v")?.unwrap_or(2);
    let name = inner.str("name")?.unwrap_or("_id_");
    if !is_id(key) {
        let message = "The clusteredIndex option is only supported for key: {_id: 1}";
        return Err(Error::new(Code::INVALID_INDEX_SPECIFICATION_OPTION, message));
    }
    if !unique {
        let message = "The clusteredIndex option requires unique: true to be specified";
        return Err(Error::location(5_979_700, message));
    }
    let mut out = DocWriter::new();
    super::options::number(&mut out, "v", version);
    out.document("key", |key| key.i32("_id", 1));
    out.str("name", name);
    out.bool("unique", true);
    let out = out.finish();
    if version != 2 {
        let shown = document_text(out.as_doc());
        let message = format!(
            "Invalid clusteredIndex specification {shown}; cannot create a clusteredIndex with v={version}"
        );
        return Err(Error::location(5_979_704, message));
    }
    Ok(Some(out))
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
