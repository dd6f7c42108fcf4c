//! JSON text to a tree: strict, keeping order, duplicates and the text of numbers.

use std::borrow::Cow;

use super::ParseError;
use crate::limits::COMMAND_DEPTH_MAX;

/// A JSON value and the offset behind it.
#[derive(Debug)]
pub(super) struct Json<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) end: usize,
}

#[derive(Debug)]
pub(super) enum Kind<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Reads one value that is the whole text.
pub(super) fn read(text: &str) -> Result<Json<'_>, ParseError> {
    let mut reader = Reader { text, at: 0 };
    // A type of Extended JSON takes up to two levels of JSON more than of BSON.
    let value = reader.value(COMMAND_DEPTH_MAX + 3)?;
    reader.blank();
    if reader.at < text.len() { Err(reader.fail("text after the value")) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    #[cold]
    fn fail(&self, what: &'static str) -> ParseError {
        ParseError { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), ParseError> {
        if self.take(byte) { Ok(()) } else { Err(self.fail(what)) }
    }

    fn value(&mut self, depth_left: usize) -> Result<Json<'a>, ParseError> {
        if depth_left == 0 {
            return Err(self.fail("nesting is too deep"));
        }
        self.blank();
        let kind = match self.peek() {
            Some(b'{') => self.object(depth_left)?,
            Some(b'[') => self.array(depth_left)?,
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            Some(b't') => self.word("true", Kind::Bool(true))?,
            Some(b'f') => self.word("false", Kind::Bool(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            _ => return Err(self.fail("a value is missing")),
        };
        Ok(Json { kind, end: self.at })
    }

    fn word(&mut self, word: &str, kind: Kind<'a>) -> Result<Kind<'a>, ParseError> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            Ok(kind)
        } else {
            Err(self.fail("unknown word"))
        }
    }

    fn object(&mut self, depth_left: usize) -> Result<Kind<'a>, ParseError> {
        self.at += 1;
        let mut fields = Vec::new();
        self.blank();
        if self.take(b'}') {
            return Ok(Kind::Object(fields));
        }
        loop {
            self.blank();
            let name = self.string()?;
            self.blank();
            self.expect(b':', "a colon is missing")?;
            fields.push((name, self.value(depth_left - 1)?));
            self.blank();
            if !self.take(b',') {
                self.expect(b'}', "an object's end is missing")?;
                return Ok(Kind::Object(fields));
            }
        }
    }

    fn array(&mut self, depth_left: usize) -> Result<Kind<'a>, ParseError> {
        self.at += 1;
        let mut values = Vec::new();
        self.blank();
        if self.take(b']') {
            return Ok(Kind::Array(values));
        }
        loop {
            values.push(self.value(depth_left - 1)?);
            self.blank();
            if !self.take(b',') {
                self.expect(b']', "an array's end is missing")?;
                return Ok(Kind::Array(values));
            }
        }
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.fail("a digit is missing")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<&'a str, ParseError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        } else if let Some(b'0'..=b'9') = self.peek() {
            return Err(self.fail("a number starts with a zero"));
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        self.expect(b'"', "a string is missing")?;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        loop {
            match self.peek() {
                None => return Err(self.fail("a string has no end")),
                Some(b'"') => {
                    let rest = self.text.get(copied..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(match owned {
                        Some(text) => Cow::Owned(text + rest),
                        None => Cow::Borrowed(rest),
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(self.text.get(copied..self.at).unwrap_or_default());
                    self.at += 1;
                    let escaped = self.escape()?;
                    if let Some(text) = &mut owned {
                        text.push(escaped);
                    }
                    copied = self.at;
                }
                Some(0..0x20) => return Err(self.fail("a control character in a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let escape = self.peek();
        self.at += 1;
        Ok(match escape {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.hex()?;
                let code = match high {
                    0xD800..0xDC00 => {
                        self.expect(b'\\', "half a surrogate pair")?;
                        self.expect(b'u', "half a surrogate pair")?;
                        match self.hex()? {
                            low @ 0xDC00..0xE000 => {
                                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
                            }
                            _ => return Err(self.fail("half a surrogate pair")),
                        }
                    }
                    other => other,
                };
                char::from_u32(code).ok_or_else(|| self.fail("half a surrogate pair"))?
            }
            _ => return Err(self.fail("unknown escape")),
        })
    }

    fn hex(&mut self) -> Result<u32, ParseError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            value = value << 4 | digit.ok_or_else(|| self.fail("four hex digits are missing"))?;
            self.at += 1;
        }
        Ok(value)
    }
}
