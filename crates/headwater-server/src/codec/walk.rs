//! Takes fixed fields and documents off the head of a byte slice. Knows nothing of what they mean.

/// Takes a little-endian int32.
pub(super) fn int32(rest: &mut &[u8]) -> Option<i32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(i32::from_le_bytes(*head))
}

/// Takes text up to a NUL; the NUL is taken too and is not part of the text.
pub(super) fn cstring<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().position(|&b| b == 0)?;
    let (text, tail) = rest.split_at(end);
    *rest = tail.get(1..)?;
    std::str::from_utf8(text).ok()
}

/// Takes the bytes of a document by its length prefix; what is inside is not looked at.
pub(super) fn document<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let head = rest.first_chunk::<4>()?;
    let len = usize::try_from(i32::from_le_bytes(*head)).ok()?;
    let (document, tail) = rest.split_at_checked(len.max(5))?;
    *rest = tail;
    Some(document)
}
