//! Checking the text of an ObjectId. Knows no database.

use mongodb::bson::oid::ObjectId;

use crate::error::{Error, Result};

/// How much of a text that is no ObjectId an error shows.
const SHOWN_CHARS: usize = 100;

/// Whether a text is an ObjectId: 24 hexadecimal digits of either case. Makes no error and allocates nothing.
///
/// ```
/// assert!(headwater::is_valid_object_id("65a1b2c3d4e5f60718293a4b"));
/// assert!(!headwater::is_valid_object_id("65a1b2c3"));
/// ```
pub fn is_valid_object_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The ObjectId of a text.
///
/// # Errors
/// [`ErrorKind::Validation`](crate::ErrorKind::Validation): `Invalid ObjectId: ` and the text.
///
/// ```
/// let id = headwater::object_id("65a1b2c3d4e5f60718293a4b").unwrap();
/// assert_eq!(id.to_hex(), "65a1b2c3d4e5f60718293a4b");
/// assert_eq!(headwater::object_id("7").unwrap_err().to_string(), "Invalid ObjectId: 7");
/// ```
pub fn object_id(text: &str) -> Result<ObjectId> {
    let mut bytes = [0; 12];
    if !is_valid_object_id(text) {
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        return Err(Error::validation(format!("Invalid ObjectId: {shown}")));
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0]) << 4 | digit(pair[1]);
    }
    Ok(ObjectId::from_bytes(bytes))
}

fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}
