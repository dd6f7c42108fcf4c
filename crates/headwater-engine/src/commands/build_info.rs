//! `buildInfo`: the version that this node speaks as, and its own.

use super::{Command, Context, Flow, Needs};
use crate::bson::DocWriter;
use crate::error::Result;
use crate::limits::DOCUMENT_BYTES_MAX;

/// The MongoDB version whose behaviour this node follows.
pub(super) const VERSION: &str = "8.0.0";

pub(super) const COMMAND: Command = Command {
    name: "buildInfo",
    aliases: &["buildinfo"],
    help: "Says which version this node speaks as",
    needs: Needs::Nothing,
    fields: &[],
    run,
};

fn run(_context: &mut Context<'_>) -> Result<Flow> {
    let mut reply = DocWriter::new();
    reply.str("version", VERSION);
    reply.str("gitVersion", "headwater");
    reply.array("modules", |_| {});
    reply.str("allocator", "system");
    reply.str("javascriptEngine", "none");
    reply.str("sysInfo", "deprecated");
    reply.array("versionArray", |parts| [8, 0, 0, 0].into_iter().for_each(|part| parts.i32(part)));
    reply.document("openssl", |openssl| openssl.str("running", "none"));
    reply.i32("bits", usize::BITS as i32);
    reply.bool("debug", cfg!(debug_assertions));
    reply.i32("maxBsonObjectSize", DOCUMENT_BYTES_MAX as i32);
    reply.array("storageEngines", |engines| engines.str("headwater"));
    reply.document("headwater", |own| own.str("version", env!("CARGO_PKG_VERSION")));
    Ok(Flow::Reply(reply))
}
