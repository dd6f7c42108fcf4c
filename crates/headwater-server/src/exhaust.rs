//! Replies that follow each other by themselves: which command goes on after which reply, and with what request.

use headwater_engine::bson::{Doc, DocBuf, DocWriter, View};

use crate::negotiation::is_hello;

/// The command to run next, without being asked, once `reply` has been sent to `body`; `None` if the reply is the last.
pub(crate) fn next(body: Doc<'_>, reply: Doc<'_>) -> Option<DocBuf> {
    if !matches!(reply.get("ok").map(|ok| ok.view()), Some(View::Double(1.0))) {
        return None;
    }
    if is_hello(body) {
        return next_hello(body, reply);
    }
    let cursor =
        body.first().filter(|e| e.name == b"getMore").and(reply.get("cursor"))?.as_doc()?;
    matches!(cursor.get("id")?.view(), View::Int64(id) if id != 0).then(|| body.to_buf())
}

/// An awaitable `hello` goes on with the topology version of its reply.
fn next_hello(body: Doc<'_>, reply: Doc<'_>) -> Option<DocBuf> {
    body.get("maxAwaitTimeMS")?;
    body.get("topologyVersion")?;
    let version = reply.get("topologyVersion")?;
    let mut next = DocWriter::append_to(Vec::with_capacity(body.as_bytes().len()));
    for element in body {
        let is_version = element.name == b"topologyVersion";
        next.raw_bytes(element.name, if is_version { version } else { element.value });
    }
    Some(next.finish())
}
