//! Reading a command's arguments strictly, with MongoDB's errors for what is unknown, missing, repeated or of the wrong
//! type. Source: the server's IDL rules; recorded replies.

use crate::aggregate::expressions::bson_text;
use crate::bson::{Array, Doc, Number, Raw, Type};
use crate::error::{Code, Error, Result};

/// Arguments that every command takes.
pub(super) const GENERIC: &[&str] = &[
    "$audit",
    "$client",
    "$clusterTime",
    "$configServerState",
    "$configTime",
    "$db",
    "$queryOptions",
    "$readPreference",
    "$replData",
    "$topologyTime",
    "apiDeprecationErrors",
    "apiStrict",
    "apiVersion",
    "autocommit",
    "clientOperationKey",
    "comment",
    "lsid",
    "maxTimeMS",
    "mayBypassWriteBlocking",
    "readConcern",
    "startTransaction",
    "txnNumber",
    "writeConcern",
];

/// The fields of a command, or of a document inside one, under the name that errors call it by.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    doc: Doc<'a>,
    path: &'a str,
    /// One bit per field, by [`bit`]: most of what is looked for isn't there.
    there: u64,
}

/// A bit that a name has in common with few others.
#[inline]
const fn bit(name: &[u8]) -> u64 {
    let (first, last) = match name {
        [] => (0, 0),
        [first, ..] => (*first as usize, name[name.len() - 1] as usize),
    };
    1 << ((first * 5 + last + name.len() * 7) % 64)
}

/// The bits of the generic arguments.
const GENERIC_BITS: u64 = {
    let (mut bits, mut at) = (0, 0);
    while at < GENERIC.len() {
        bits |= bit(GENERIC[at].as_bytes());
        at += 1;
    }
    bits
};

/// Whether every command takes an argument of that name.
pub(super) fn is_generic(name: &str) -> bool {
    GENERIC_BITS & bit(name.as_bytes()) != 0 && GENERIC.binary_search(&name).is_ok()
}

/// Whether a value is none: MongoDB takes null for an argument that was not given.
pub(super) fn is_null(value: Raw<'_>) -> bool {
    matches!(value.kind, Type::Null | Type::Undefined)
}

/// A number without its fraction: a decimal is rounded, what is no number counts as 0.
pub(super) fn cut(number: Number) -> i64 {
    match number {
        _ if number.is_nan() => 0,
        Number::Decimal(_) => number.round(0).unwrap_or(number).to_i64_saturating(),
        _ => number.to_i64_saturating(),
    }
}

impl<'a> Fields<'a> {
    /// The fields of `doc`; `path` is how errors name it, such as `find` or `update.updates`.
    pub fn new(doc: Doc<'a>, path: &'a str) -> Fields<'a> {
        let there = doc.iter().fold(0, |there, element| there | bit(element.name));
        Fields { doc, path, there }
    }

    /// The document itself.
    pub fn doc(self) -> Doc<'a> {
        self.doc
    }

    /// How errors name the document.
    pub fn path(self) -> &'a str {
        self.path
    }

    /// Refuses fields that are not in the sorted list `known`, and repeated ones.
    ///
    /// # Errors
    /// `IDLUnknownField` (40415), `IDLDuplicateField` (40413).
    pub fn only(self, known: &[&str]) -> Result<()> {
        self.check(|_, name| known.binary_search(&name).is_ok())
    }

    /// As [`Fields::only`] for a whole command, whose first field is its name and which may have generic arguments.
    ///
    /// # Errors
    /// As [`Fields::only`].
    pub fn only_command(self, known: &[&str]) -> Result<()> {
        if known == ["*"] {
            return Ok(());
        }
        self.check(|at, name| at == 0 || is_generic(name) || known.binary_search(&name).is_ok())
    }

    /// Refuses repeated fields and those that are not allowed.
    fn check(self, allowed: impl Fn(usize, &str) -> bool) -> Result<()> {
        let mut before = 0;
        for (at, element) in self.doc.iter().enumerate() {
            let name = element.name_str();
            if !allowed(at, name) {
                return Err(self.unknown(name));
            }
            let bit = bit(element.name);
            if before & bit != 0 && self.doc.iter().take(at).any(|e| e.name == element.name) {
                return Err(self.repeated(name));
            }
            before |= bit;
        }
        Ok(())
    }

    fn repeated(self, name: &str) -> Error {
        let field = self.named(name);
        Error::location(40413, format!("BSON field '{field}' is a duplicate field"))
    }

    fn unknown(self, name: &str) -> Error {
        let field = self.named(name);
        Error::location(40415, format!("BSON field '{field}' is an unknown field."))
    }

    /// How errors call a field: one without a name as the document.
    fn named(self, name: &str) -> String {
        let dot = if name.is_empty() { "" } else { "." };
        format!("{}{dot}{name}", self.path)
    }

    /// The error for a field that must be there.
    pub fn missing(self, name: &str) -> Error {
        let path = self.path;
        Error::location(
            40414,
            format!("BSON field '{path}.{name}' is missing but a required field"),
        )
    }

    /// The error for a field of the wrong type.
    pub fn wrong_type(self, name: &str, found: Type, expected: &[&str]) -> Error {
        let expected = match expected {
            [one] => format!("type '{one}'"),
            many => format!("types '[{}]'", many.join(", ")),
        };
        let (path, found) = (self.path, found.alias());
        Error::new(
            Code::TYPE_MISMATCH,
            format!("BSON field '{path}.{name}' is the wrong type '{found}', expected {expected}"),
        )
    }

    /// The error for a text that names no choice.
    pub fn no_such_value(self, name: &str, value: &str) -> Error {
        let path = self.path;
        Error::new(
            Code::BAD_VALUE,
            format!("Enumeration value '{value}' for field '{path}.{name}' is not a valid value."),
        )
    }

    /// A field as it stands, null included.
    pub fn raw(self, name: &str) -> Option<Raw<'a>> {
        if self.there & bit(name.as_bytes()) == 0 {
            return None;
        }
        self.doc.get(name)
    }

    /// A field; null counts as absent.
    pub fn get(self, name: &str) -> Option<Raw<'a>> {
        self.raw(name).filter(|raw| !is_null(*raw))
    }

    /// A document.
    ///
    /// # Errors
    /// `TypeMismatch` (14).
    pub fn document(self, name: &str) -> Result<Option<Doc<'a>>> {
        match self.get(name) {
            None => Ok(None),
            Some(raw) => match raw.as_doc() {
                Some(doc) => Ok(Some(doc)),
                None => Err(self.wrong_type(name, raw.kind, &["object"])),
            },
        }
    }

    /// A document for which null is no substitute, with the older wording of `find`.
    ///
    /// # Errors
    /// `TypeMismatch` (14).
    pub fn strict_document(self, name: &str) -> Result<Option<Doc<'a>>> {
        match self.raw(name) {
            None => Ok(None),
            Some(raw) => match raw.as_doc() {
                Some(doc) => Ok(Some(doc)),
                None => Err(Error::new(
                    Code::TYPE_MISMATCH,
                    format!("Expected field {name} to be of type object"),
                )),
            },
        }
    }

    /// An array.
    ///
    /// # Errors
    /// `TypeMismatch` (14).
    pub fn array(self, name: &str) -> Result<Option<Array<'a>>> {
        match self.get(name) {
            None => Ok(None),
            Some(raw) => match raw.as_array() {
                Some(array) => Ok(Some(array)),
                None => Err(self.wrong_type(name, raw.kind, &["array"])),
            },
        }
    }

    /// A string.
    ///
    /// # Errors
    /// `TypeMismatch` (14).
    pub fn str(self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(raw) => match raw.as_str() {
                Some(text) => Ok(Some(text)),
                None => Err(self.wrong_type(name, raw.kind, &["string"])),
            },
        }
    }

    /// A bool and nothing else.
    ///
    /// # Errors
    /// `TypeMismatch` (14).
    pub fn bool(self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(raw) => match raw.as_bool() {
                Some(on) => Ok(Some(on)),
                None => Err(self.wrong_type(name, raw.kind, &["bool"])),
            },
        }
    }

    /// A bool for which null is no substitute, with the older wording of `find` and `aggregate`.
    ///
    /// # Errors
    /// `TypeMismatch` (14).
    pub fn strict_bool(self, name: &str) -> Result<bool> {
        match self.raw(name) {
            None => Ok(false),
            Some(raw) => raw.as_bool().ok_or_else(|| {
                let found = raw.kind.alias();
                Error::new(
                    Code::TYPE_MISMATCH,
                    format!("Field '{name}' should be a boolean value, but found: {found}"),
                )
            }),
        }
    }

    /// A bool, or a number that is not zero.
    ///
    /// # Errors
    /// `TypeMismatch` (14).
    pub fn loose_bool(self, name: &str) -> Result<Option<bool>> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        match (raw.as_bool(), Number::from_raw(raw)) {
            (Some(on), _) => Ok(Some(on)),
            (None, Some(number)) => Ok(Some(number.to_f64() != 0.0)),
            _ => {
                let expected = ["bool", "long", "int", "decimal", "double"];
                Err(self.wrong_type(name, raw.kind, &expected))
            }
        }
    }

    /// A whole number that is not negative, of any number type.
    ///
    /// # Errors
    /// `TypeMismatch` (14), `FailedToParse` (9) for a fraction, `BadValue` (2) for a negative number.
    pub fn count(self, name: &str) -> Result<Option<i64>> {
        match self.integer(name)? {
            Some(value) if value < 0 => Err(Error::new(
                Code::BAD_VALUE,
                format!("BSON field '{name}' value must be >= 0, actual value '{value}'"),
            )),
            value => Ok(value),
        }
    }

    /// As [`Fields::count`], but a fraction is cut off (a decimal is rounded), and what is no number counts as 0.
    ///
    /// # Errors
    /// `TypeMismatch` (14), `BadValue` (2) for a negative number.
    pub fn cut_count(self, name: &str) -> Result<Option<i64>> {
        let number = match self.get(name).and_then(Number::from_raw) {
            Some(number @ (Number::Double(_) | Number::Decimal(_))) => number,
            _ => return self.count(name),
        };
        match cut(number) {
            value if value < 0 => Err(Error::new(
                Code::BAD_VALUE,
                format!("BSON field '{name}' value must be >= 0, actual value '{value}'"),
            )),
            value => Ok(Some(value)),
        }
    }

    /// A number of any type.
    ///
    /// # Errors
    /// `TypeMismatch` (14).
    pub fn number(self, name: &str) -> Result<Option<Number>> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        match Number::from_raw(raw) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong_type(name, raw.kind, &["long", "int", "decimal", "double"])),
        }
    }

    /// A whole number of any number type.
    ///
    /// # Errors
    /// `TypeMismatch` (14), `FailedToParse` (9) for a fraction.
    pub fn integer(self, name: &str) -> Result<Option<i64>> {
        let (Some(raw), Some(number)) = (self.get(name), self.number(name)?) else {
            return Ok(None);
        };
        match number.to_i64_exact() {
            Some(value) => Ok(Some(value)),
            None => Err(Error::new(
                Code::FAILED_TO_PARSE,
                format!("Expected an integer: {name}: {}", bson_text(raw)),
            )),
        }
    }
}
