//! `$meta`: what is known of a document beside its fields. A find's projection is told, and a pipeline's
//! first stage behind what a find plan answers.

use super::{Expression, Frame, Operator, Scope};
use crate::bson::{Array, DocBuf, Raw, Value};
use crate::error::{Code, Error, Result};

/// What a find knows of a document beside its fields, as far as it was asked.
#[derive(Debug, Default)]
pub struct Metadata {
    /// Its record id.
    pub record: i64,
    /// The index key that led to it, named as in the key pattern.
    pub index_key: Option<DocBuf>,
    /// The values that it was sorted by, as the bytes of an array.
    pub sort_key: Option<Vec<u8>>,
}

/// What expressions ask of the metadata.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// [`Metadata::record`].
    pub record: bool,
    /// [`Metadata::index_key`].
    pub index_key: bool,
    /// [`Metadata::sort_key`].
    pub sort_key: bool,
}

impl Needs {
    /// Whether anything is asked for.
    pub fn any(self) -> bool {
        self != Needs::default()
    }
}

/// What `$meta` may ask where expressions are parsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Offered {
    /// Metadata that this version doesn't keep that far.
    #[default]
    NotKept,
    /// All metadata.
    All {
        /// Whether the documents are sorted.
        sorted: bool,
    },
    /// Nothing: the documents are new ones, made by a stage.
    Nothing,
}

#[derive(Debug)]
enum Meta {
    Record,
    IndexKey,
    SortKey,
    /// Only searches and documents of collections have it.
    Nothing,
}

impl Operator for Meta {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let Some(metadata) = frame.metadata() else { return Ok(Value::MISSING) };
        let value = match self {
            Meta::Record => return Ok(Value::i64(metadata.record)),
            Meta::IndexKey => metadata.index_key.as_ref().map(|key| key.as_doc().as_raw()),
            Meta::SortKey => metadata.sort_key.as_ref().map(|key| Array::trusted(key).as_raw()),
            Meta::Nothing => None,
        };
        Ok(value.into())
    }
}

/// `{$meta: name}`.
pub(super) fn meta(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(name) = argument.as_str() else {
        return Err(Error::location(17307, "$meta only supports string arguments"));
    };
    let needs = |what: &str| {
        let message = format!("query requires {what} metadata, but it is not available");
        Err(Error::location(40218, message))
    };
    let offered = scope.metadata();
    let meta = match (name, offered) {
        ("textScore", _) => return needs("text score"),
        ("geoNearDistance", _) => return needs("$geoNear distance"),
        ("geoNearPoint", _) => return needs("$geoNear point"),
        ("searchScore", _) => return needs("$search score"),
        ("vectorSearchScore", _) => return needs("$vectorSearch score"),
        ("recordId" | "sortKey", Offered::Nothing) => Meta::Nothing,
        ("sortKey", Offered::All { sorted: true }) => Meta::SortKey,
        ("sortKey", Offered::All { sorted: false }) => {
            let message = "cannot use sortKey $meta projection without a sort";
            return Err(Error::new(Code::BAD_VALUE, message));
        }
        ("recordId", Offered::All { .. }) => Meta::Record,
        ("recordId" | "sortKey", Offered::NotKept) => {
            let what = format_args!(
                "The expression {{$meta: \"{name}\"}} elsewhere than right behind $match, $sort, $skip and $limit"
            );
            return Err(Error::not_supported(what));
        }
        ("indexKey", _) => Meta::IndexKey,
        (
            "randVal"
            | "searchHighlights"
            | "searchScoreDetails"
            | "searchSequenceToken"
            | "timeseriesBucketMaxTime"
            | "timeseriesBucketMinTime",
            _,
        ) => Meta::Nothing,
        _ => return Err(Error::location(17308, format!("Unsupported $meta field: {name}"))),
    };
    scope.need_metadata(Needs {
        record: matches!(meta, Meta::Record),
        index_key: matches!(meta, Meta::IndexKey),
        sort_key: matches!(meta, Meta::SortKey),
    });
    Ok(Expression::Special(Box::new(meta)))
}
