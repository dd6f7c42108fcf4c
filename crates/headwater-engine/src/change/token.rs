//! Resume tokens: places in the log, as hexadecimal text whose order is the order of events.
//!
//! Layout: version (1 byte), sequence number (8 bytes, big endian), number of the event within its log record from 1 (4
//! bytes, big endian), kind (1 byte), and for a part of an event its number from 1 (4 bytes, big endian). A high-water
//! mark stands behind all events of its sequence number.

use crate::bson::{Doc, DocWriter, Raw, View};
use crate::error::{Code, Error, Result};

const VERSION: u8 = 0x82;
const LEN: usize = 14;
/// The event number of a high-water mark.
const ALL: u32 = u32::MAX;

/// A place in the log: what stands up to here has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token {
    /// The sequence number of the log record.
    pub seq: u64,
    /// The events of that record that were seen.
    pub event: u32,
    /// Whether it is the token of an `invalidate` event.
    pub invalidate: bool,
    /// Of an event that was split, the parts that were seen; 0 if it was not.
    pub fragment: u32,
}

impl Token {
    /// The token of an event that is not split.
    pub fn event(seq: u64, event: u32, invalidate: bool) -> Token {
        Token { seq, event, invalidate, fragment: 0 }
    }

    /// The events of its record that were seen whole.
    pub fn whole_events(self) -> u32 {
        self.event - u32::from(self.fragment > 0 && self.event > 0)
    }

    /// The token that everything up to `seq` was seen.
    pub fn high_water_mark(seq: u64) -> Token {
        Token::event(seq, ALL, false)
    }

    /// The token as `{_data: "…"}`.
    pub fn write(self, out: &mut DocWriter, name: &str) {
        out.document(name, |token| token.str("_data", &self.to_text()));
    }

    fn to_text(self) -> String {
        let mut bytes = Vec::with_capacity(LEN + size_of::<u32>());
        bytes.push(VERSION);
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.event.to_be_bytes());
        bytes.push(u8::from(self.invalidate));
        if self.fragment > 0 {
            bytes.extend(self.fragment.to_be_bytes());
        }
        bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// Reads a token document.
    ///
    /// # Errors
    /// 40647 if `_data` is no string, `FailedToParse` (9) if it is no hexadecimal text, `InvalidResumeToken` (260) if it
    /// is not a token of this node's kind.
    pub fn parse(token: Doc<'_>) -> Result<Token> {
        let Some(View::String(text)) = token.get("_data").map(Raw::view) else {
            return Err(Error::location(
                40647,
                "Bad resume token: _data of missing or of wrong type",
            ));
        };
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
        let digits = digits.filter(|digits| digits.len().is_multiple_of(2)).ok_or_else(|| {
            Error::new(Code::FAILED_TO_PARSE, "resume token string was not a valid hex string")
        })?;
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Token::from_bytes(&bytes).ok_or_else(|| {
            Error::new(Code::INVALID_RESUME_TOKEN, "the resume token is not one of this deployment")
        })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Token> {
        let (&[VERSION], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (event, rest) = rest.split_first_chunk::<4>()?;
        let (&[kind @ (0 | 1)], rest) = rest.split_first_chunk::<1>()? else { return None };
        let fragment = match rest {
            [] => 0,
            _ => u32::from_be_bytes(rest.try_into().ok()?),
        };
        Some(Token {
            seq: u64::from_be_bytes(*seq),
            event: u32::from_be_bytes(*event),
            invalidate: kind == 1,
            fragment,
        })
    }
}

fn digit(half: u8) -> char {
    char::from(if half < 10 { b'0' + half } else { b'A' + half - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(token: Token) -> Token {
        let mut doc = DocWriter::new();
        token.write(&mut doc, "t");
        let doc = doc.finish();
        Token::parse(doc.as_doc().get("t").and_then(Raw::as_doc).unwrap()).unwrap()
    }

    #[test]
    fn tokens_read_back() {
        for token in [
            Token::event(7, 1, false),
            Token::event(u64::MAX, 2, true),
            Token { fragment: 3, ..Token::event(7, 1, false) },
            Token::high_water_mark(0),
        ] {
            assert_eq!(round_trip(token), token);
        }
    }

    #[test]
    fn text_order_is_event_order() {
        let event = Token::event(5, 1, false);
        let part = |fragment| Token { fragment, ..Token::event(5, 2, false) };
        let mark = Token::high_water_mark(5);
        let next = Token::event(6, 1, false);
        let order = [event, part(1), part(2), mark, next];
        assert!(order.is_sorted() && order.iter().map(|token| token.to_text()).is_sorted());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let parse = |text: &str| {
            let mut doc = DocWriter::new();
            doc.str("_data", text);
            Token::parse(doc.finish().as_doc()).map_err(|error| error.code().0)
        };
        assert_eq!(parse("xyz"), Err(9));
        assert_eq!(parse("8"), Err(9));
        assert_eq!(parse("00"), Err(260));
        assert_eq!(Token::parse(Doc::EMPTY).map_err(|e| e.code().0), Err(40647));
    }
}
