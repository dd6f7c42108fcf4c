//! `encrypt` and `encryptMetadata`: values that the client has encrypted. What they say is checked; nothing is decrypted.

use super::parse::{mismatch, object};
use crate::bson::{Doc, Raw, Type, View};
use crate::commands::Fields;
use crate::error::{Code, Error, Result};
use crate::query::matcher::element::Types;
use crate::query::matcher::parse::failed_to_parse;

/// The subtype of encrypted values.
const ENCRYPTED: u8 = 6;
/// Where an encrypted value tells the type of what it holds: behind its kind and the key's UUID.
const TYPE_AT: usize = 17;

const ALGORITHMS: &[&str] =
    &["AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic", "AEAD_AES_256_CBC_HMAC_SHA_512-Random"];

/// The encrypted values that pass.
#[derive(Debug)]
pub(super) struct Encrypted {
    /// What they hold; anything without.
    types: Option<Types>,
}

impl Encrypted {
    pub(super) fn admits(&self, value: Raw<'_>) -> bool {
        let View::Binary { subtype: ENCRYPTED, bytes } = value.view() else { return false };
        match &self.types {
            None => true,
            Some(types) => bytes
                .get(TYPE_AT)
                .and_then(|code| Type::from_byte(*code))
                .is_some_and(|kind| types.contains(kind)),
        }
    }

    /// Why a value does not pass.
    pub(super) fn reason(value: Raw<'_>) -> &'static str {
        match value.view() {
            View::Binary { subtype: ENCRYPTED, .. } => "encrypted value has wrong type",
            _ => "value was not encrypted",
        }
    }
}

/// Reads the keywords of a schema; what `encrypt` asks for, if it is there.
///
/// # Errors
/// `TypeMismatch` (14), `FailedToParse` (9), `BadValue` (2), 40415, 51065, 51085, 51088.
pub(super) fn parse(schema: Doc<'_>) -> Result<Option<Encrypted>> {
    if let Some(value) = schema.get("encryptMetadata") {
        let metadata = object("encryptMetadata", value)?;
        if metadata.is_empty() {
            let message = "$jsonSchema keyword 'encryptMetadata' cannot be an empty object ";
            return Err(failed_to_parse(message));
        }
        let fields = Fields::new(metadata, "encryptMetadata");
        fields.only(&["algorithm", "keyId"])?;
        check_common(fields)?;
    }
    let Some(value) = schema.get("encrypt") else { return Ok(None) };
    let encrypt = object("encrypt", value)?;
    let fields = Fields::new(encrypt, "encrypt");
    fields.only(&["algorithm", "bsonType", "keyId"])?;
    check_common(fields)?;
    for keyword in ["bsonType", "type"] {
        if schema.get(keyword).is_some() {
            return Err(failed_to_parse(format!(
                "$jsonSchema keyword 'encrypt' cannot be used in conjunction with '{keyword}', 'encrypt' implies type \
                 'bsonType::BinData'"
            )));
        }
    }
    Ok(Some(Encrypted { types: encrypt.get("bsonType").map(types).transpose()? }))
}

fn types(value: Raw<'_>) -> Result<Types> {
    let wrong = || mismatch("bsonType", "must be either a string or an array of strings");
    let mut types = Types::default();
    match (value.as_str(), value.as_array()) {
        (Some(alias), _) => types.insert_alias(alias)?,
        (None, Some(aliases)) => {
            for alias in aliases.iter() {
                types.insert_alias(alias.as_str().ok_or_else(wrong)?)?;
            }
        }
        (None, None) => return Err(wrong()),
    }
    Ok(types)
}

/// Checks `algorithm` and `keyId`.
fn check_common(fields: Fields<'_>) -> Result<()> {
    if let Some(algorithm) = fields.str("algorithm")?
        && !ALGORITHMS.contains(&algorithm)
    {
        let message = format!(
            "Enumeration value '{algorithm}' for field '{}.algorithm' is not a valid value.",
            fields.path()
        );
        return Err(Error::new(Code::BAD_VALUE, message));
    }
    let Some(key) = fields.get("keyId") else { return Ok(()) };
    match (key.as_str(), key.as_array()) {
        (Some(pointer), _) if pointer.starts_with('/') => Ok(()),
        (Some(_), _) => Err(Error::location(51065, "JSONPointer must start with a '/'")),
        (None, Some(keys)) => keys.iter().try_for_each(check_key),
        (None, None) => {
            let found = key.kind.alias();
            let what = "Expected either string or array of UUID for EncryptSchemaKeyId, found ";
            Err(Error::location(51085, format!("{what}{found}")))
        }
    }
}

fn check_key(key: Raw<'_>) -> Result<()> {
    match key.view() {
        View::Binary { subtype: 4, .. } => Ok(()),
        View::Binary { subtype, .. } => Err(Error::location(
            51084,
            format!(
                "Encryption schema 'keyId' array elements must have bindata subtype newUUID, found {subtype}"
            ),
        )),
        _ => {
            let found = key.kind.alias();
            let what = "Encryption schema 'keyId' array elements must have type BinData, found ";
            Err(Error::location(51088, format!("{what}{found}")))
        }
    }
}
