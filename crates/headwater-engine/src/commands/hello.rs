//! `hello` and its older spelling `isMaster`: who this node is, so that drivers find their way. A waiting `hello` answers
//! when its time is up: the topology of one node never changes while it runs.

use std::time::{Duration, Instant};

use super::{Command, Context, Flow, Needs};
use crate::bson::{DocWriter, Raw, View};
use crate::engine::now_ms;
use crate::error::Result;
use crate::limits::{DOCUMENT_BYTES_MAX, MESSAGE_BYTES_MAX, SESSION_MINUTES, WRITE_BATCH_MAX};
use crate::request::Wait;

/// The wire version of MongoDB 8.0.
pub(super) const WIRE_VERSION: i32 = 25;

const FIELDS: &[&str] = &[
    "backpressure",
    "client",
    "compression",
    "forShell",
    "helloOk",
    "hostInfo",
    "internalClient",
    "loadBalanced",
    "maxAwaitTimeMS",
    "saslSupportedMechs",
    "speculativeAuthenticate",
    "topologyVersion",
];

pub(super) const HELLO: Command = Command {
    name: "hello",
    aliases: &[],
    help: "Says who this node is",
    needs: Needs::Nothing,
    fields: FIELDS,
    run,
};

pub(super) const IS_MASTER: Command = Command {
    name: "isMaster",
    aliases: &["ismaster"],
    help: "Says who this node is, in older words",
    needs: Needs::Nothing,
    fields: FIELDS,
    run,
};

/// The compressors that this node takes, best first.
const COMPRESSORS: &[&str] = &["snappy", "zstd", "zlib"];

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    if let Some(client) = fields.document("client")? {
        context.client.metadata.lock().get_or_insert_with(|| client.to_buf());
    }
    if let Some(wait) = awaited(context)? {
        return Ok(wait);
    }
    let shared = context.shared;
    let own = &context.client.local;
    let mut reply = DocWriter::new();
    if fields.loose_bool("helloOk")? == Some(true) {
        reply.bool("helloOk", true);
    }
    write_topology_version(&mut reply, shared.node.process_id);
    if shared.options.as_mongos {
        write_primary(&mut reply, context.command.name);
        reply.str("msg", "isdbgrid");
    } else {
        reply.array("hosts", |hosts| hosts.str(own));
        reply.str("setName", &shared.options.replica_set);
        reply.i32("setVersion", 1);
        write_primary(&mut reply, context.command.name);
        reply.bool("secondary", false);
        reply.str("primary", own);
        reply.str("me", own);
        reply.object_id("electionId", shared.node.election_id);
        let (last, durable) = (shared.store.last(), shared.store.durable());
        reply.document("lastWrite", |write| {
            write_op_time(write, "opTime", last, shared.node.term);
            write.date("lastWriteDate", seconds_ms(last));
            write_op_time(write, "majorityOpTime", durable, shared.node.term);
            write.date("majorityWriteDate", seconds_ms(durable));
        });
    }
    reply.i32("maxBsonObjectSize", DOCUMENT_BYTES_MAX as i32);
    reply.i32("maxMessageSizeBytes", MESSAGE_BYTES_MAX as i32);
    reply.i32("maxWriteBatchSize", WRITE_BATCH_MAX as i32);
    reply.date("localTime", now_ms());
    reply.i32("logicalSessionTimeoutMinutes", SESSION_MINUTES);
    reply.i32("connectionId", i32::try_from(context.client.connection_id).unwrap_or(i32::MAX));
    reply.i32("minWireVersion", 0);
    reply.i32("maxWireVersion", WIRE_VERSION);
    reply.bool("readOnly", false);
    if let Some(wanted) = fields.array("compression")? {
        let wanted: Vec<_> = wanted.iter().filter_map(Raw::as_str).collect();
        let shared = wanted.iter().filter(|name| COMPRESSORS.contains(name));
        reply.array("compression", |out| shared.for_each(|name| out.str(name)));
    }
    Ok(Flow::Reply(reply))
}

fn write_primary(reply: &mut DocWriter, command: &str) {
    reply.bool(if command == "hello" { "isWritablePrimary" } else { "ismaster" }, true);
}

fn write_topology_version(reply: &mut DocWriter, process: [u8; 12]) {
    reply.document("topologyVersion", |version| {
        version.object_id("processId", process);
        version.i64("counter", 0);
    });
}

/// An optime: the timestamp of an operation and the term.
pub(super) fn write_op_time(out: &mut DocWriter, name: &str, seq: u64, term: i64) {
    out.document(name, |time| {
        time.timestamp("ts", seq);
        time.i64("t", term);
    });
}

/// The wall time of a timestamp, in milliseconds.
pub(super) fn seconds_ms(seq: u64) -> i64 {
    i64::try_from(seq >> 32).unwrap_or(0) * 1000
}

/// What a `hello` that waits for a change of the topology gets: it waits, if it knows today's topology already.
fn awaited(context: &Context<'_>) -> Result<Option<Flow>> {
    let fields = context.fields();
    let Some(version) = fields.document("topologyVersion")? else { return Ok(None) };
    let Some(wait_ms) = fields.count("maxAwaitTimeMS")? else { return Ok(None) };
    let known = match (version.get("processId").map(Raw::view), version.get("counter")) {
        (Some(View::ObjectId(process)), Some(_)) => process == context.shared.node.process_id,
        _ => false,
    };
    if !known || context.shared.is_closing() {
        return Ok(None);
    }
    let wait = Duration::from_millis(wait_ms.unsigned_abs());
    let deadline = context.waiting_since.unwrap_or_else(|| Instant::now() + wait);
    if Instant::now() >= deadline {
        return Ok(None);
    }
    Ok(Some(Flow::Await { wait: Wait::Deadline, deadline }))
}
