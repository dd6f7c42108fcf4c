//! BSON as raw bytes: walking, validating, writing, comparing, ordering keys, Extended JSON.
//!
//! Nothing here knows commands, collections or queries. Documents are never decoded to a tree; [`Raw`] is the
//! common currency: a type and the bytes of a value, borrowed from the document that holds it.

mod compare;
mod decimal;
mod doc;
pub mod extjson;
mod fields;
pub(crate) mod iso;
pub mod key;
mod number;
pub mod print;
mod raw;
mod scan;
mod sum;
mod validate;
mod value;
mod write;

pub use compare::{
    Texts, canonical_class, compare, compare_docs, compare_values, compare_with, equal,
};
pub use decimal::{Decimal, ParseError as DecimalParseError, Parts as DecimalParts, Rounding};
pub use doc::{Array, Doc, DocBuf, Element, Iter};
pub use fields::Fields;
pub use number::{Number, Product, Total};
pub use raw::{Raw, Type, View};
pub use sum::Sum;
pub use validate::{validate, validate_command};
pub use value::Value;
pub use write::{ArrayWriter, DocWriter};
