//! The handshake as far as the wire is concerned: which commands are one, and which compressors both sides have.

use headwater_engine::bson::{Doc, DocBuf, DocWriter};

use crate::codec::compressed::OFFERED;

/// Whether the command is a handshake by its name.
pub(crate) fn is_hello(body: Doc<'_>) -> bool {
    body.first().is_some_and(|e| matches!(e.name, b"hello" | b"isMaster" | b"ismaster"))
}

/// Whether the reply must not be compressed although the request was: handshakes and authentication.
pub(crate) fn stays_plain(body: Doc<'_>) -> bool {
    is_hello(body)
        || body.first().is_some_and(|e| {
            matches!(e.name, b"saslStart" | b"saslContinue" | b"getnonce" | b"authenticate")
        })
}

/// The handshake's reply with the compressors that the client asked for and this server has, in the client's order.
pub(crate) fn offer(body: Doc<'_>, reply: DocBuf) -> DocBuf {
    let Some(asked) = body.get("compression").and_then(|value| value.as_array()) else {
        return reply;
    };
    let asked: Vec<&str> = asked.iter().filter_map(|name| name.as_str()).collect();
    let common = asked.iter().filter(|name| OFFERED.iter().any(|(known, _)| known == *name));
    let mut common = common.peekable();
    if common.peek().is_none() || reply.as_doc().get("compression").is_some() {
        return reply;
    }
    let mut offer = DocWriter::append_to(Vec::with_capacity(reply.as_doc().as_bytes().len() + 64));
    offer.extend(reply.as_doc());
    offer.array("compression", |names| common.for_each(|name| names.str(name)));
    offer.finish()
}
