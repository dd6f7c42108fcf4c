//! Binary data as text and back: base64, base64url, hex, UTF-8, UUID.

use std::fmt::Write as _;

use super::target::Subtype;
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
        Format::Uuid => Some(bytes)
            .filter(|_| subtype == UUID)
            .and_then(uuid_text)
            .ok_or_else(|| wrong("BinData does not represent a valid UUID")),
    }
}

pub(super) fn from_text(
    text: &str,
    subtype: Subtype<'_>,
    format: Option<Format>,
) -> Result<Value<'static>> {
    let wrong = |what: &str| {
        failure(format!(
            "Failed to parse BinData '{text}' in $convert with no onError value: {what}"
        ))
    };
    let format = format.ok_or_else(|| format_missing("string", "binData"))?;
    let subtype = subtype.get()?;
    if (format == Format::Uuid) != (subtype == UUID) {
        return Err(wrong("Only the 'uuid' format is allowed with the UUID subtype"));
    }
    let bytes = match format {
        Format::Uuid => from_uuid(text).ok_or_else(|| format!("Invalid UUID string: {text}")),
        Format::Base64 => from_base64(text, STANDARD, true).map_err(str::to_owned),
        Format::Base64Url => from_base64(text, URL, false).map_err(str::to_owned),
        Format::Hex => from_hex(text).ok_or_else(|| not_hex(text)),
        Format::Utf8 => Ok(text.as_bytes().to_vec()),
        Format::Auto => Err("Invalid format 'auto'".to_owned()),
    };
    let bytes = bytes.map_err(|what| wrong(&what))?;
    // MongoDB gives the old subtype 2 no inner length.
    let mut data = Vec::with_capacity(bytes.len() + 5);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    data.extend_from_slice(&length.to_le_bytes());
    data.push(subtype);
    data.extend_from_slice(&bytes);
    Ok(Value::from_vec(Type::Binary, data))
}

/// Why a text is not hexadecimal.
fn not_hex(text: &str) -> String {
    match text.bytes().find(|byte| !byte.is_ascii_hexdigit()) {
        Some(byte) if text.len().is_multiple_of(2) => {
            format!("The character \\x{byte:02x} failed to parse from hex.")
        }
        _ => "Hex blob with odd digit count".to_owned(),
    }
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

/// The bytes of a text; `padded` if it must end with what is missing for four digits, else it may.
///
/// # Errors
/// MongoDB's words for what is wrong.
fn from_base64(
    text: &str,
    alphabet: Alphabet,
    padded: bool,
) -> std::result::Result<Vec<u8>, &'static str> {
    let missing = (4 - text.len() % 4) % 4;
    if missing == 3 || (padded && missing > 0) {
        return Err("invalid base64");
    }
    let ends = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    let padding = (ends + missing).min(2).saturating_sub(missing);
    let digits = text.get(..text.len() - padding).unwrap_or_default();
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for digit in chunk {
            let value = alphabet.iter().position(|known| known == digit);
            bits = bits << 6 | value.ok_or("Invalid base64 character")? as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(bytes.get(..chunk.len() - 1).unwrap_or_default());
    }
    Ok(out)
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
                assert_eq!(from_base64(&text, alphabet, padded), Ok(bytes.clone()), "{text}");
            }
        }
        assert_eq!(from_base64("!!", STANDARD, true), Err("invalid base64"));
        assert_eq!(from_base64("A===", STANDARD, true), Err("Invalid base64 character"));
        assert_eq!(from_base64("AQ=", URL, false), Ok(vec![1]));
        assert_eq!(from_base64("AQID=", URL, false), Err("invalid base64"));
        assert_eq!(from_hex("0g"), None);
    }
}
