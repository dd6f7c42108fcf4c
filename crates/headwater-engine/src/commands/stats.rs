//! `dbStats`, `collStats`, `serverStatus`: figures.

use std::sync::atomic::Ordering;

use super::{Command, Context, Flow, Needs, build_info};
use crate::bson::DocWriter;
use crate::catalog::Collection;
use crate::collection::load_figures;
use crate::engine::now_ms;
use crate::error::Result;
use crate::sizes::{Sizes, scale, write_missing};
use crate::status::host_name;

pub(super) const DB_STATS: Command = Command {
    name: "dbStats",
    aliases: &["dbstats"],
    help: "Gives the sizes of a database",
    needs: Needs::Read,
    fields: &["freeStorage", "scale"],
    run: db_stats,
};

pub(super) const COLL_STATS: Command = Command {
    name: "collStats",
    aliases: &["collstats"],
    help: "Gives the sizes of a collection",
    needs: Needs::Read,
    fields: &["scale"],
    run: coll_stats,
};

pub(super) const SERVER_STATUS: Command = Command {
    name: "serverStatus",
    aliases: &[],
    help: "Gives the counters of the node",
    needs: Needs::Nothing,
    fields: &["*"],
    run: server_status,
};

/// Documents and bytes of a collection, read once if they are not known; `None` if this thread may not wait for that.
fn figures(context: &Context<'_>, collection: &Collection) -> Result<Option<(i64, i64)>> {
    if !collection.figures.is_loaded() {
        let Some(guard) = context.write()? else { return Ok(None) };
        load_figures(guard.read()?, collection)?;
    }
    Ok(Some(collection.figures.get()))
}

fn db_stats(context: &mut Context<'_>) -> Result<Flow> {
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let scale = scale(context.fields().get("scale"), "dbStats.scale")?;
    let catalog = context.shared.catalog();
    let (mut collections, mut objects, mut bytes, mut indexes) = (0, 0, 0, 0);
    for collection in catalog.collections(context.db) {
        let Some((documents, size)) = figures(context, collection)? else { return Ok(Flow::Busy) };
        collections += 1;
        objects += documents;
        bytes += size;
        indexes += collection.indexes.len() as i64;
    }
    let mut reply = DocWriter::new();
    reply.str("db", context.db);
    reply.i64("collections", collections);
    reply.i64("views", catalog.views(context.db).count() as i64);
    reply.i64("objects", objects);
    reply.f64("avgObjSize", if objects == 0 { 0.0 } else { bytes as f64 / objects as f64 });
    reply.f64("dataSize", bytes as f64 / scale as f64);
    reply.f64("storageSize", bytes as f64 / scale as f64);
    reply.i64("indexes", indexes);
    reply.f64("indexSize", 0.0);
    reply.f64("totalSize", bytes as f64 / scale as f64);
    reply.i64("scaleFactor", scale);
    Ok(Flow::Reply(reply))
}

fn coll_stats(context: &mut Context<'_>) -> Result<Flow> {
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let scale = scale(context.fields().get("scale"), "collStats.scale")?;
    let namespace = context.namespace()?;
    let catalog = context.shared.catalog();
    catalog.refuse_view(&namespace)?;
    let mut reply = DocWriter::new();
    reply.str("ns", namespace.as_str());
    match catalog.collection(namespace.db(), namespace.collection()) {
        None => write_missing(&mut reply, scale),
        Some(collection) => {
            if figures(context, collection)?.is_none() {
                return Ok(Flow::Busy);
            }
            Sizes::of(collection).write(&mut reply, scale);
        }
    }
    Ok(Flow::Reply(reply))
}

fn server_status(context: &mut Context<'_>) -> Result<Flow> {
    let shared = context.shared;
    let (open, pinned) = shared.cursors.figures();
    let (connections, total) = shared.status.connections();
    let mut reply = DocWriter::new();
    reply.str("host", &host_name());
    reply.str("version", build_info::VERSION);
    reply.str("process", if shared.options.as_mongos { "mongos" } else { "mongod" });
    reply.i64("pid", i64::from(std::process::id()));
    let uptime = shared.started.elapsed();
    reply.f64("uptime", uptime.as_secs_f64().floor());
    reply.i64("uptimeMillis", i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX));
    reply.date("localTime", now_ms());
    reply.document("connections", |out| {
        out.i32("current", connections as i32);
        out.i32("available", i32::MAX - connections as i32);
        out.i64("totalCreated", total);
    });
    reply.document("logicalSessionRecordCache", |out| {
        out.i32("activeSessionsCount", shared.sessions.count() as i32);
    });
    reply.document("mem", |out| {
        let resident = resident_mib();
        out.i32("bits", usize::BITS as i32);
        out.i32("resident", resident);
        out.i32("virtual", resident);
        out.bool("supported", true);
    });
    reply.document("metrics", |metrics| {
        metrics.document("cursor", |cursor| {
            cursor.document("open", |out| {
                out.i64("noTimeout", 0);
                out.i64("pinned", pinned as i64);
                out.i64("total", open as i64);
            });
        });
        metrics.document("ttl", |ttl| {
            for (name, counter) in [
                ("deletedDocuments", &shared.ttl.deleted),
                ("invalidTTLIndexSkips", &shared.ttl.invalid),
                ("passes", &shared.ttl.passes),
            ] {
                ttl.i64(name, counter.load(Ordering::Relaxed));
            }
        });
    });
    reply.document("opcounters", |out| {
        for (name, count) in shared.status.operations.rows() {
            out.i64(name, count);
        }
    });
    if !shared.options.as_mongos {
        reply.document("repl", |repl| {
            let own = &context.client.local;
            repl.array("hosts", |hosts| hosts.str(own));
            repl.str("setName", &shared.options.replica_set);
            repl.i32("setVersion", 1);
            repl.bool("isWritablePrimary", true);
            repl.bool("secondary", false);
            repl.str("primary", own);
            repl.str("me", own);
            repl.object_id("electionId", shared.node.election_id);
        });
    }
    let store = shared.store.stats();
    reply.document("headwater", |headwater| {
        for (name, figure) in [
            ("syncs", store.syncs),
            ("checkpoints", store.checkpoints),
            ("overlayEntries", store.overlay_entries),
            ("overlayBytes", store.active_bytes + store.frozen_bytes),
            ("logBytes", store.log_bytes),
            ("treeBytes", store.tree_bytes),
        ] {
            headwater.i64(name, i64::try_from(figure).unwrap_or(i64::MAX));
        }
        let watches = shared.watches.figures();
        let shared_scans = &shared.status.shared_scans;
        headwater.i64("sharedScans", shared_scans.load(Ordering::Relaxed));
        headwater.document("changeStreams", |streams| {
            for (name, figure) in [
                ("recordsRead", watches.records),
                ("filtersAsked", watches.filters),
                ("streamsCalled", watches.calls),
            ] {
                streams.i64(name, i64::try_from(figure).unwrap_or(i64::MAX));
            }
        });
    });
    reply.document("storageEngine", |engine| {
        engine.str("name", "headwater");
        engine.bool("supportsCommittedReads", true);
        engine.bool("persistent", true);
    });
    Ok(Flow::Reply(reply))
}

fn resident_mib() -> i32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<i32>().ok());
    kib.unwrap_or(0) / 1024
}
