//! What a collection's options mean: the stored options, read once. Knows nothing of how they were asked for.

use std::sync::Arc;

use crate::bson::{Doc, Number, Raw};
use crate::collation::{self, Collation};
use crate::validation::{Action, Level, Validation};

/// The options of a collection that decide how it is written and read.
#[derive(Debug, Default)]
pub struct Settings {
    /// What documents must be like.
    pub validation: Option<Validation>,
    /// How much the collection holds, if there is a limit.
    pub capped: Option<Capped>,
    /// Whether change streams can show documents as they were before a change and behind it.
    pub images: bool,
    /// Whether its natural order is that of `_id`.
    pub clustered: bool,
    /// After how many seconds documents expire, by `_id` in a clustered collection, by their time in a time series.
    pub expire_after_s: Option<i64>,
    /// The collation of what is asked of it without one, and of indexes made without one.
    pub collation: Option<Arc<Collation>>,
    /// Set if it is a time series.
    pub time_series: Option<TimeSeries>,
}

/// The limits of a capped collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capped {
    /// Bytes of all documents.
    pub bytes_max: i64,
    /// Documents.
    pub documents_max: i64,
}

/// The fields that a time series is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSeries {
    /// When a measurement was taken.
    pub time_field: String,
    /// Of what it was taken.
    pub meta_field: Option<String>,
}

impl Settings {
    /// What `options` mean.
    pub fn of(options: Doc<'_>) -> Settings {
        Settings {
            validation: validation(options),
            capped: capped(options),
            images: images(options),
            clustered: options.get("clusteredIndex").is_some(),
            expire_after_s: options
                .get("expireAfterSeconds")
                .and_then(Number::from_raw)
                .map(Number::to_i64_saturating),
            collation: collation(options),
            time_series: options.get("timeseries").and_then(Raw::as_doc).and_then(time_series),
        }
    }
}

fn validation(options: Doc<'_>) -> Option<Validation> {
    let filter = options.get("validator")?.as_doc()?;
    let text = |name: &str| options.get(name).and_then(Raw::as_str);
    let level = text("validationLevel").and_then(Level::named).unwrap_or_default();
    let action = text("validationAction").and_then(Action::named).unwrap_or_default();
    Some(Validation::new(filter, level, action))
}

fn images(options: Doc<'_>) -> bool {
    let images = options.get("changeStreamPreAndPostImages").and_then(Raw::as_doc);
    images.and_then(|images| images.get("enabled")?.as_bool()).unwrap_or(false)
}

fn collation(options: Doc<'_>) -> Option<Arc<Collation>> {
    // What is stored was read once before.
    collation::parse(options.get("collation")?.as_doc()?, "collation").ok().flatten()
}

fn capped(options: Doc<'_>) -> Option<Capped> {
    options.get("capped").and_then(Raw::as_bool).filter(|capped| *capped)?;
    let number =
        |name: &str| options.get(name).and_then(Number::from_raw).map(Number::to_i64_saturating);
    let documents_max = number("max").filter(|max| *max > 0).unwrap_or(i64::MAX);
    Some(Capped { bytes_max: number("size")?, documents_max })
}

fn time_series(options: Doc<'_>) -> Option<TimeSeries> {
    let text = |name: &str| options.get(name).and_then(Raw::as_str).map(str::to_owned);
    Some(TimeSeries { time_field: text("timeField")?, meta_field: text("metaField") })
}
