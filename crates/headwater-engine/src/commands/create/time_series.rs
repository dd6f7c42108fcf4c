//! The `timeseries` option of `create`. Measurements are stored as they come; what describes buckets is checked and shown.

use super::options::{asks, number, whole};
use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::commands::Fields;
use crate::error::{Code, Error, Result};
use crate::index::{Index, index_of};
use crate::namespace::Namespace;

/// What MongoDB puts before errors of a series' options.
pub(super) const PREFIX: &str = "Failed to create timeseries collection :: caused by :: ";
/// Longest span of a bucket, in seconds.
const SPAN_SECONDS_MAX: i64 = 31_536_000;
/// Options that a time series must not have.
const EXCLUDED: &[&str] = &[
    "capped",
    "changeStreamPreAndPostImages",
    "clusteredIndex",
    "idIndex",
    "pipeline",
    "validationAction",
    "validationLevel",
    "validator",
    "viewOn",
];

/// The option as it is stored, granularity and span filled in.
///
/// # Errors
/// `InvalidOptions` (72), `BadValue` (2), `TypeMismatch` (14), 40414 and 40415.
pub(super) fn parse(fields: Fields<'_>, namespace: &Namespace) -> Result<Option<DocBuf>> {
    let Some(option) = fields.document("timeseries")? else { return Ok(None) };
    let inner = Fields::new(option, "create.timeseries");
    inner.only(&[
        "bucketMaxSpanSeconds",
        "bucketRoundingSeconds",
        "granularity",
        "metaField",
        "timeField",
    ])?;
    let invalid = |message: String| Err(Error::new(Code::INVALID_OPTIONS, message));
    let time = inner.str("timeField")?.ok_or_else(|| inner.missing("timeField"))?;
    let meta = inner.str("metaField")?;
    if time.starts_with('$') || meta.is_some_and(|meta| meta.starts_with('$')) {
        let message = "The 'timeField' or 'metaField' cannot start with '$'";
        return Err(Error::new(Code::BAD_VALUE, message));
    }
    let span = whole(inner, "bucketMaxSpanSeconds", 1, SPAN_SECONDS_MAX)?;
    let rounding = whole(inner, "bucketRoundingSeconds", 1, SPAN_SECONDS_MAX)?;
    let granularity = inner.str("granularity")?;
    if let Some(name) = granularity
        && span_of(name).is_none()
    {
        return Err(inner.no_such_value("granularity", name));
    }
    if let Some(option) = EXCLUDED.iter().find(|option| asks(fields, option)) {
        return invalid(format!("{namespace}: 'timeseries' is not allowed with '{option}'"));
    }
    for (field, name) in [(Some(time), "timeField"), (meta, "metaField")] {
        if field.is_some_and(|field| field.contains('.')) {
            return invalid(format!(
                "{namespace}: '{name}' must be a top-level field and not contain a '.'"
            ));
        }
    }
    if meta == Some("_id") {
        return invalid("'metaField' cannot be \"_id\"".to_owned());
    }
    if meta == Some(time) {
        return invalid("'metaField' cannot be the same as 'timeField'".to_owned());
    }
    let mut out = DocWriter::new();
    out.str("timeField", time);
    if let Some(meta) = meta {
        out.str("metaField", meta);
    }
    buckets(granularity, span, rounding, &mut out).map_err(|error| error.with_prefix(PREFIX))?;
    Ok(Some(out.finish()))
}

fn buckets(
    granularity: Option<&str>,
    span: Option<i64>,
    rounding: Option<i64>,
    out: &mut DocWriter,
) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Code::INVALID_OPTIONS, message));
    if let (None, true) = (granularity, span.is_some() || rounding.is_some()) {
        let (Some(span), true) = (span, span == rounding) else {
            return invalid(
                "Time-series 'bucketRoundingSeconds' must be equal to 'bucketMaxSpanSeconds'"
                    .to_owned(),
            );
        };
        number(out, "bucketRoundingSeconds", span);
        number(out, "bucketMaxSpanSeconds", span);
        return Ok(());
    }
    let granularity = granularity.unwrap_or("seconds");
    let usual = span_of(granularity).unwrap_or_default();
    if rounding.is_some() && span.is_none() {
        return invalid(
            "Time-series 'bucketRoundingSeconds' cannot be set alongside the granularity parameter"
                .to_owned(),
        );
    }
    if span.is_some_and(|span| span != usual) {
        return invalid(format!(
            "Time-series 'bucketMaxSpanSeconds' cannot be set to a value other than the default of {usual} for the provided granularity"
        ));
    }
    out.str("granularity", granularity);
    number(out, "bucketMaxSpanSeconds", usual);
    Ok(())
}

/// The span of a granularity's buckets, in seconds.
pub(in crate::commands) fn span_of(granularity: &str) -> Option<i64> {
    match granularity {
        "seconds" => Some(3600),
        "minutes" => Some(86_400),
        "hours" => Some(2_592_000),
        _ => None,
    }
}

/// The index that a new series has: by the meta field and time.
pub(super) fn index(id: u32, option: Doc<'_>) -> Option<Index> {
    let text = |name: &str| option.get(name).and_then(Raw::as_str);
    let (time, meta) = (text("timeField")?, text("metaField")?);
    let mut spec = DocWriter::new();
    spec.i32("v", 2);
    spec.document("key", |key| {
        key.i32(meta, 1);
        key.i32(time, 1);
    });
    spec.str("name", &format!("{meta}_1_{time}_1"));
    index_of(id, spec.finish().as_doc())
}
