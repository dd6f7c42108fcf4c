//! Events that are too large for one document, given in parts as `$changeStreamSplitLargeEvent` asks for: each part holds some
//! of the event's fields at the top, whole, and a token of its own. Knows no log and no pipeline.

use super::stream::too_large;
use super::token::Token;
use crate::bson::{Doc, DocBuf, DocWriter, Element};
use crate::error::{Code, Error, Result};

/// What is added to the name and the data of a field: its type and the end of the name.
const FIELD_BYTES: usize = 2;

/// The parts of `event` behind the first `seen`, each of at most `max` bytes, with their tokens.
///
/// The parts are the same each time: fields go into them smallest first, as many as fit.
///
/// # Errors
/// `BSONObjectTooLarge` (10334) if a single field is too large, `ChangeStreamFatalError` (280) if the event has fewer parts
/// than were seen.
pub(super) fn behind(
    token: Token,
    event: Doc<'_>,
    max: usize,
    seen: u32,
) -> Result<Vec<(Token, DocBuf)>> {
    let parts = parts(token, event, max)?;
    let of = parts.len() as u32;
    if seen > of {
        return Err(Error::new(
            Code::CHANGE_STREAM_FATAL_ERROR,
            "Attempted to resume from a split event fragment, but the event in the resumed stream was not split",
        ));
    }
    let part = |(number, fields): (u32, &Vec<Element<'_>>)| {
        let token = Token { fragment: number, ..token };
        (token, write(token, of, fields).finish())
    };
    Ok((1..).zip(&parts).skip(seen as usize).map(part).collect())
}

fn parts<'a>(token: Token, event: Doc<'a>, max: usize) -> Result<Vec<Vec<Element<'a>>>> {
    let size = |field: &Element<'_>| field.name.len() + field.value.data.len() + FIELD_BYTES;
    let mut fields: Vec<_> = event.iter().filter(|field| field.name != b"_id").collect();
    fields.sort_by_key(|field| (size(field), field.name));
    // Its numbers take the same room in every part.
    let head = write(Token { fragment: 1, ..token }, 1, &[]).finish().as_doc().as_bytes().len();
    let mut parts = vec![Vec::new()];
    let mut bytes = head;
    for field in fields {
        let more = size(&field);
        if bytes + more > max {
            if head + more > max {
                return Err(too_large(head + more));
            }
            parts.push(Vec::new());
            bytes = head;
        }
        bytes += more;
        parts.last_mut().into_iter().for_each(|part| part.push(field));
    }
    Ok(parts)
}

fn write(token: Token, of: u32, fields: &[Element<'_>]) -> DocWriter {
    let mut part = DocWriter::new();
    token.write(&mut part, "_id");
    part.document("splitEvent", |split| {
        split.i32("fragment", token.fragment as i32);
        split.i32("of", of as i32);
    });
    for field in fields {
        part.raw_bytes(field.name, field.value);
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::Raw;

    fn event(sizes: &[(&str, usize)]) -> DocBuf {
        let mut event = DocWriter::new();
        event.str("_id", "whatever");
        sizes.iter().for_each(|(name, size)| event.str(name, &"x".repeat(*size)));
        event.finish()
    }

    fn names(part: &DocBuf) -> Vec<String> {
        part.as_doc().iter().map(|field| field.name_str().to_owned()).collect()
    }

    #[test]
    fn fields_go_into_parts_smallest_first() {
        let token = Token::event(9, 2, false);
        let event = event(&[("large", 700), ("middle", 500), ("small", 10), ("b", 300)]);
        let parts = behind(token, event.as_doc(), 1000, 0).unwrap();
        assert_eq!(names(&parts[0].1), ["_id", "splitEvent", "small", "b", "middle"]);
        assert_eq!(names(&parts[1].1), ["_id", "splitEvent", "large"]);
        assert!(parts.iter().all(|(_, part)| part.as_doc().as_bytes().len() <= 1000));
        let split = parts[1].1.as_doc().get("splitEvent").and_then(Raw::as_doc).unwrap();
        assert_eq!(split.get("of").map(|of| of.data), Some(&2_i32.to_le_bytes()[..]));
        assert!(parts.is_sorted_by_key(|(token, _)| *token));
        let rest = behind(token, event.as_doc(), 1000, 1).unwrap();
        assert_eq!(rest, parts[1..]);
        assert!(behind(token, event.as_doc(), 1000, 2).unwrap().is_empty());
    }

    #[test]
    fn a_part_may_be_filled_to_the_byte() {
        let token = Token::event(9, 1, false);
        let event = event(&[("a", 100), ("b", 100)]);
        let whole = behind(token, event.as_doc(), 1000, 0).unwrap();
        let bytes = whole[0].1.as_doc().as_bytes().len();
        assert_eq!(whole.len(), 1);
        assert_eq!(behind(token, event.as_doc(), bytes, 0).unwrap().len(), 1);
        assert_eq!(behind(token, event.as_doc(), bytes - 1, 0).unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let token = Token::event(9, 1, false);
        let event = event(&[("a", 2000), ("b", 1)]);
        let code = |seen, max| behind(token, event.as_doc(), max, seen).map_err(|e| e.code().0);
        assert_eq!(code(0, 1000), Err(10334));
        assert_eq!(code(2, 5000), Err(280));
    }
}
