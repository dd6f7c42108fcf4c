//! Binary data as text and back: base64, base64url, hex, UTF-8, UUID.

use std::fmt::Write as _;

use super::{failure, shown};
use crate::aggregate::expressions::array::kind_name;
use crate::bson::{Raw, Type, Value};
use crate::error::{Error, Result};

/// How binary data is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Base64,
    Base64Url,
    Hex,
    Utf8,
    Uuid,
    Auto,
}

const UUID: u8 = 4;

impl Format {
    /// The format of a name.
    ///
    /// # Errors
    /// 4341114, 4341125.
    pub(super) fn parse(value: &Value<'_>) -> Result<Format> {
        let Some(name) = value.raw().and_then(Raw::as_str) else {
            let (kind, text) = (kind_name(value), shown(value));
            let message = format!(
                "$convert requires that 'format' be a string, found: {kind} with value {text}"
            );
            return Err(Error::location(4_341_114, message));
        };
        Ok(match name {
            "base64" => Format::Base64,
            "base64url" => Format::Base64Url,
            "hex" => Format::Hex,
            "utf8" => Format::Utf8,
            "uuid" => Format::Uuid,
            "auto" => Format::Auto,
            _ => {
                let message = format!("Invalid 'format' argument for $convert: {name}");
                return Err(Error::location(4_341_125, message));
            }
        })
    }
}

fn format_missing(from: &str, to: &str) -> Error {
    let message = format!("Format must be speficied when converting from '{from}' to '{to}'");
    Error::location(4_341_115, message)
}

pub(super) fn to_text(subtype: u8, bytes: &[u8], format: Option<Format>) -> Result<String> {
    let wrong = |what: &str| {
        let shown = format!("BinData({subtype}, \"{}\")", hex(bytes));
        failure(format!(
            "Failed to convert '{shown}' to string in $convert with no onError value: {what}"
        ))
    };
    match format.ok_or_else(|| format_missing("binData", "string"))? {
        Format::Auto if subtype == UUID => uuid_text(bytes).ok_or_else(|| wrong("Invalid UUID")),
        Format::Auto | Format::Base64 => Ok(base64(bytes, STANDARD, true)),
        Format::Base64Url => Ok(base64(bytes, URL, false)),
        Format::Hex => Ok(hex(bytes)),
        Format::Utf8 => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(wrong("BinData does not represent a valid UTF-8 string")),
        },
        Format::Uuid if subtype == UUID => uuid_text(bytes).ok_or_else(|| wrong("Invalid UUID")),
        Format::Uuid => Err(wrong("Only the UUID subtype can be converted with the UUID format")),
    }
}

pub(super) fn from_text(text: &str, subtype: u8, format: Option<Format>) -> Result<Value<'static>> {
    let wrong = |what: &str| {
        failure(format!(
            "Failed to parse BinData '{text}' in $convert with no onError value: {what}"
        ))
    };
    let format = format.ok_or_else(|| format_missing("string", "binData"))?;
    let is_uuid = format == Format::Uuid || (format == Format::Auto && subtype == UUID);
    if is_uuid != (subtype == UUID) {
        return Err(wrong("Only the 'uuid' format is allowed with the UUID subtype"));
    }
    let bytes = match format {
        _ if is_uuid => from_uuid(text),
        Format::Base64 | Format::Auto => from_base64(text, STANDARD, true),
        Format::Base64Url => from_base64(text, URL, false),
        Format::Hex => from_hex(text),
        _ => Some(text.as_bytes().to_vec()),
    };
    let bytes = bytes.ok_or_else(|| match format {
        _ if is_uuid => wrong(&format!("Invalid UUID string: {text}")),
        Format::Hex => {
            let digit = text.bytes().find(|byte| !byte.is_ascii_hexdigit());
            wrong(&match digit {
                Some(byte) => format!("The character \\x{byte:02x} failed to parse from hex."),
                None => "Hex string has an odd number of digits".to_owned(),
            })
        }
        _ => wrong("invalid base64"),
    })?;
    let mut data = Vec::with_capacity(bytes.len() + 5);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let outer = if subtype == 2 { length.saturating_add(4) } else { length };
    data.extend_from_slice(&outer.to_le_bytes());
    data.push(subtype);
    if subtype == 2 {
        data.extend_from_slice(&length.to_le_bytes());
    }
    data.extend_from_slice(&bytes);
    Ok(Value::from_vec(Type::Binary, data))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
    out
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

fn uuid_text(bytes: &[u8]) -> Option<String> {
    let digits = hex(bytes).to_lowercase();
    let part = |from, to| digits.get(from..to);
    let parts = [part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?];
    (bytes.len() == 16).then(|| parts.join("-"))
}

fn from_uuid(text: &str) -> Option<Vec<u8>> {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    if lengths != [8, 4, 4, 4, 12] {
        return None;
    }
    from_hex(&text.replace('-', ""))
}

type Alphabet = &'static [u8; 64];

const STANDARD: Alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: Alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8], alphabet: Alphabet, padded: bool) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            if i <= chunk.len() {
                let digit = (bits >> (18 - 6 * i)) & 63;
                out.push(char::from(alphabet[digit as usize]));
            } else if padded {
                out.push('=');
            }
        }
    }
    out
}

fn from_base64(text: &str, alphabet: Alphabet, padded: bool) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if padding > 2 || (padded && !text.len().is_multiple_of(4)) || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for digit in chunk {
            bits = bits << 6 | alphabet.iter().position(|known| known == digit)? as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        let [_, a, b, c] = bits.to_be_bytes();
        out.extend_from_slice([a, b, c].get(..chunk.len() - 1)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length() {
        for length in 0..8_u8 {
            let bytes: Vec<u8> =
                (0..length).map(|i| i.wrapping_mul(37).wrapping_add(251)).collect();
            for (alphabet, padded) in [(STANDARD, true), (URL, false)] {
                let text = base64(&bytes, alphabet, padded);
                assert_eq!(from_base64(&text, alphabet, padded), Some(bytes.clone()), "{text}");
            }
        }
        assert_eq!(from_base64("!!", STANDARD, true), None);
        assert_eq!(from_hex("0g"), None);
    }
}
