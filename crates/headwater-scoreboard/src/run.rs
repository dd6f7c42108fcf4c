//! Runs one case on a target. Knows the protocol of a recording, not what the target is.

use headwater_engine::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type, View};

use crate::compare::{Leniency, Verdict, is_failure, reply};
use crate::recording::Case;

/// The database in which every case runs.
const DATABASE: &str = "test";

/// The words of the engine about a known feature that it does not have.
const REFUSAL: &str = " is not supported by Headwater yet";

/// Something that answers commands.
pub trait Target {
    /// Runs a command, `$db` included.
    ///
    /// # Errors
    /// What happened instead of a reply: a panic, a closed connection, a time-out.
    fn command(&mut self, command: Doc<'_>) -> Result<DocBuf, String>;
}

/// Runs a case in an emptied database and compares its replies with the recorded ones.
pub fn case(target: &mut dyn Target, case: &Case) -> Verdict {
    let mut verdict = Verdict::default();
    let mut watched = Watched { target, refused: None };
    if let Err(what) = try_case(&mut watched, case, &mut verdict) {
        verdict.difference.get_or_insert(what);
    }
    verdict.refused = watched.refused;
    verdict
}

/// A target whose refusals are noted.
struct Watched<'a> {
    target: &'a mut dyn Target,
    refused: Option<String>,
}

impl Target for Watched<'_> {
    fn command(&mut self, command: Doc<'_>) -> Result<DocBuf, String> {
        let reply = self.target.command(command)?;
        if is_failure(reply.as_doc()) {
            let message = reply.as_doc().get("errmsg").and_then(Raw::as_str).unwrap_or_default();
            if let Some((before, _)) = message.split_once(REFUSAL) {
                let what = before.rsplit(" :: caused by :: ").next().unwrap_or(before);
                self.refused.get_or_insert(what.to_owned());
            }
        }
        Ok(reply)
    }
}

fn try_case(target: &mut dyn Target, case: &Case, verdict: &mut Verdict) -> Result<(), String> {
    let mut drop = DocWriter::new();
    drop.i32("dropDatabase", 1);
    must_succeed(target, drop.finish().as_doc())?;
    for setup in case.docs("setup") {
        must_succeed(target, setup)?;
    }
    if let Some(command) = case.doc("command") {
        let recorded = case.doc("reply").ok_or("a case without a reply")?;
        // what fails has nothing to drain, and a change stream never ends
        let ours = if is_failure(recorded) {
            send(target, command)?
        } else {
            send_and_drain(target, command)?
        };
        let leniency = Leniency { unordered: case.unordered(), cursors: &[] };
        add(verdict, reply(recorded, ours.as_doc(), leniency), "reply");
        if let (Some(then), Some(recorded)) = (case.doc("then"), case.doc("then_reply")) {
            let ours = send(target, then)?;
            add(verdict, reply(recorded, ours.as_doc(), Leniency::default()), "then_reply");
        }
        return Ok(());
    }
    let mut cursors = Vec::new();
    for (at, (step, recorded)) in
        case.docs("steps").into_iter().zip(case.docs("replies")).enumerate()
    {
        let step = with_cursor(step, cursors.last().copied().unwrap_or(0));
        let ours = send(target, step.as_doc())?;
        let cursor = ours.as_doc().get("cursor").and_then(Raw::as_doc);
        if let Some(View::Int64(id @ 1..)) = cursor.and_then(|c| c.get("id")).map(Raw::view) {
            cursors.push(id);
        }
        let leniency = Leniency { unordered: false, cursors: &cursors };
        add(verdict, reply(recorded, ours.as_doc(), leniency), &format!("reply {at}"));
    }
    Ok(())
}

fn add(to: &mut Verdict, from: Verdict, which: &str) {
    if let Some(difference) = from.difference {
        to.difference.get_or_insert(format!("{which}: {difference}"));
    }
    to.messages += from.messages;
    to.wrong_messages.extend(from.wrong_messages);
}

fn must_succeed(target: &mut dyn Target, command: Doc<'_>) -> Result<(), String> {
    let reply = send(target, command)?;
    if is_failure(reply.as_doc()) || reply.as_doc().get("writeErrors").is_some() {
        return Err(format!("setup {command:?} failed: {reply:?}"));
    }
    Ok(())
}

fn send(target: &mut dyn Target, command: Doc<'_>) -> Result<DocBuf, String> {
    let mut whole = DocWriter::new();
    whole.extend(command);
    if command.get("$db").is_none() {
        whole.str("$db", DATABASE);
    }
    target.command(whole.finish().as_doc())
}

/// Sends a command; if it leaves a cursor, the reply has the documents of all batches.
fn send_and_drain(target: &mut dyn Target, command: Doc<'_>) -> Result<DocBuf, String> {
    let first = send(target, command)?;
    let Some(cursor) = first.as_doc().get("cursor").and_then(Raw::as_doc) else {
        return Ok(first);
    };
    let namespace = cursor.get("ns").and_then(Raw::as_str).unwrap_or_default();
    let Some((_, collection)) = namespace.split_once('.') else { return Ok(first) };
    let Some(View::Int64(mut id)) = cursor.get("id").map(Raw::view) else { return Ok(first) };
    if id == 0 {
        return Ok(first);
    }
    let mut more = Vec::new();
    while id != 0 {
        let mut next = DocWriter::new();
        next.i64("getMore", id);
        next.str("collection", collection);
        let reply = send(target, next.finish().as_doc())?;
        let Some(cursor) = reply.as_doc().get("cursor").and_then(Raw::as_doc) else {
            return Ok(reply);
        };
        match cursor.get("id").map(Raw::view) {
            Some(View::Int64(left)) => id = left,
            other => return Err(format!("getMore answers the cursor id {other:?}")),
        }
        more.push(reply);
    }
    let batches = more
        .iter()
        .filter_map(|reply| reply.as_doc().get("cursor")?.as_doc()?.get("nextBatch")?.as_array());
    let mut whole = DocWriter::new();
    for element in first.as_doc() {
        if element.name != b"cursor" {
            whole.raw_bytes(element.name, element.value);
            continue;
        }
        whole.document("cursor", |out| {
            for element in cursor {
                match (element.name, element.value.as_array()) {
                    (b"firstBatch", Some(first)) => out.array("firstBatch", |out| {
                        for value in
                            std::iter::once(first).chain(batches.clone()).flat_map(Array::iter)
                        {
                            out.raw(value);
                        }
                    }),
                    (b"id", _) => out.i64("id", 0),
                    _ => out.raw_bytes(element.name, element.value),
                }
            }
        });
    }
    Ok(whole.finish())
}

/// A step of a script with `"$CURSOR"` replaced by the id of the last cursor.
fn with_cursor(step: Doc<'_>, cursor: i64) -> DocBuf {
    let mut out = DocWriter::new();
    for element in step {
        match element.value.view() {
            View::String("$CURSOR") => out.i64(element.name_str(), cursor),
            View::Array(values) => out.array(element.name_str(), |out| {
                values.iter().for_each(|value| with_cursor_in(value, cursor, out));
            }),
            _ => out.raw_bytes(element.name, element.value),
        }
    }
    out.finish()
}

fn with_cursor_in(value: Raw<'_>, cursor: i64, out: &mut ArrayWriter) {
    match value.view() {
        View::String("$CURSOR") => {
            out.raw(Raw { kind: Type::Int64, data: &cursor.to_le_bytes() });
        }
        _ => out.raw(value),
    }
}
