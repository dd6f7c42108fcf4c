//! `killCursors`: closes cursors.

use super::{Command, Context, Flow, Needs};
use crate::bson::{ArrayWriter, DocWriter, Raw, Type, View};
use crate::error::Result;

pub(super) const COMMAND: Command = Command {
    name: "killCursors",
    aliases: &[],
    help: "Closes cursors",
    needs: Needs::Nothing,
    fields: &["cursors"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    context.namespace()?;
    let ids = fields.array("cursors")?.ok_or_else(|| fields.missing("cursors"))?;
    let mut wanted = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        match id.view() {
            View::Int64(id) => wanted.push(id),
            _ => return Err(fields.wrong_type(&format!("cursors.{at}"), id.kind, &["long"])),
        }
    }
    let shared = context.shared;
    let (killed, unknown): (Vec<i64>, Vec<i64>) =
        wanted.into_iter().partition(|&id| shared.cursors.kill(id));
    killed.iter().for_each(|&id| shared.operations.kill_cursor(id));
    let mut reply = DocWriter::new();
    reply.array("cursorsKilled", |out| write_ids(out, &killed));
    reply.array("cursorsNotFound", |out| write_ids(out, &unknown));
    reply.array("cursorsAlive", |_| {});
    reply.array("cursorsUnknown", |_| {});
    Ok(Flow::Reply(reply))
}

fn write_ids(out: &mut ArrayWriter, ids: &[i64]) {
    for id in ids {
        out.raw(Raw { kind: Type::Int64, data: &id.to_le_bytes() });
    }
}
