//! The commands: one file each, a table of them, and the way that every command goes: find the row, check the arguments
//! that all share, run, finish the reply. Knows nothing of sockets.

mod api;
mod collation;
mod collection_uuid;
mod concern;
mod context;
mod fields;

mod aggregate;
mod build_info;
mod bulk_write;
mod capped;
mod coll_mod;
mod configure_fail_point;
mod count;
mod create;
mod create_indexes;
mod current_op;
mod cursors;
mod delete;
mod diagnostics;
mod distinct;
mod drop;
mod drop_indexes;
pub(crate) mod explain;
mod find;
mod find_and_modify;
mod get_more;
mod hello;
mod inline;
mod insert;
mod kill_cursors;
mod list_collections;
mod list_databases;
mod list_indexes;
mod parameters;
mod ping;
mod plan_cache;
mod profile;
mod sessions;
mod stats;
mod time_series;
mod update;
mod validate;
mod views;
mod write;

use std::time::Instant;

pub use concern::WriteConcern;
pub use context::Context;
pub(crate) use delete::remove_document;
pub(crate) use drop::drop_temporary;
pub use fields::Fields;
pub(crate) use insert::insert_kept;

use crate::bson::DocWriter;
use crate::engine::{Client, Shared};
use crate::error::{Code, Error, Result};
use crate::request::{Mode, Request, Step, Wait};

/// A command's row.
pub struct Command {
    /// The name that the first field of a command document has.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// What it does, for `listCommands` and the compatibility page.
    pub help: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// The fields it takes beside its name and the generic arguments, sorted; `*` alone stands for any.
    pub fields: &'static [&'static str],
    /// Runs it.
    pub run: fn(&mut Context<'_>) -> Result<Flow>,
}

/// What a command may do to data; decides which generic arguments it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it asks the node about itself.
    Nothing,
    /// To read.
    Read,
    /// To write: it takes a write concern.
    Write,
}

impl Command {
    /// Whether it is there only where the engine has its test commands.
    pub fn is_for_tests(&self) -> bool {
        self.name == configure_fail_point::COMMAND.name
    }
}

/// How a command's run ended.
#[derive(Debug)]
pub enum Flow {
    /// With a reply that can be sent at once.
    Reply(DocWriter),
    /// With a reply to a write; the write concern decides when it is sent.
    Written(DocWriter),
    /// It awaits data: see [`Step::Await`].
    Await {
        /// What may end the wait.
        wait: Wait,
        /// When to answer whatever there is.
        deadline: Instant,
    },
    /// It would block: see [`Step::Busy`].
    Busy,
}

/// All commands, sorted by name.
pub const COMMANDS: &[Command] = &[
    aggregate::COMMAND,
    build_info::COMMAND,
    bulk_write::COMMAND,
    capped::convert::CLONE,
    coll_mod::COMMAND,
    stats::COLL_STATS,
    configure_fail_point::COMMAND,
    diagnostics::CONNECTION_STATUS,
    capped::convert::CONVERT,
    count::COMMAND,
    create::COMMAND,
    create_indexes::COMMAND,
    current_op::CURRENT,
    stats::DB_STATS,
    delete::COMMAND,
    distinct::COMMAND,
    drop::DROP,
    drop::DROP_DATABASE,
    drop_indexes::COMMAND,
    sessions::END,
    explain::COMMAND,
    find::COMMAND,
    find_and_modify::COMMAND,
    diagnostics::GET_CMD_LINE_OPTS,
    diagnostics::GET_LOG,
    get_more::COMMAND,
    parameters::GET,
    hello::HELLO,
    diagnostics::HOST_INFO,
    insert::COMMAND,
    hello::IS_MASTER,
    sessions::KILL_ALL,
    sessions::KILL_BY_PATTERN,
    kill_cursors::COMMAND,
    current_op::KILL,
    sessions::KILL,
    list_collections::COMMAND,
    diagnostics::LIST_COMMANDS,
    list_databases::COMMAND,
    list_indexes::COMMAND,
    ping::COMMAND,
    plan_cache::CLEAR,
    plan_cache::CLEAR_FILTERS,
    plan_cache::LIST_FILTERS,
    plan_cache::SET_FILTER,
    profile::COMMAND,
    sessions::REFRESH,
    drop::RENAME,
    diagnostics::REPL_SET_GET_CONFIG,
    diagnostics::REPL_SET_GET_STATUS,
    stats::SERVER_STATUS,
    parameters::SET,
    sessions::START,
    update::COMMAND,
    validate::COMMAND,
    diagnostics::WHATS_MY_URI,
];

/// Commands that MongoDB 8.0 has and this version does not, sorted.
pub const UNSUPPORTED: &[&str] = &[
    "abortTransaction",
    "appendOplogNote",
    "applyOps",
    "authenticate",
    "checkMetadataConsistency",
    "commitTransaction",
    "compact",
    "createRole",
    "createSearchIndexes",
    "createUser",
    "dataSize",
    "dbHash",
    "dropAllRolesFromDatabase",
    "dropAllUsersFromDatabase",
    "dropConnections",
    "dropRole",
    "dropSearchIndex",
    "dropUser",
    "features",
    "filemd5",
    "flushRouterConfig",
    "fsync",
    "fsyncUnlock",
    "getClusterParameter",
    "getDefaultRWConcern",
    "getShardMap",
    "grantPrivilegesToRole",
    "grantRolesToRole",
    "grantRolesToUser",
    "invalidateUserCache",
    "listSearchIndexes",
    "listShards",
    "lockInfo",
    "logRotate",
    "logout",
    "mapReduce",
    "reIndex",
    "replSetFreeze",
    "replSetInitiate",
    "replSetReconfig",
    "replSetStepDown",
    "replSetSyncFrom",
    "revokePrivilegesFromRole",
    "revokeRolesFromRole",
    "revokeRolesFromUser",
    "rolesInfo",
    "rotateCertificates",
    "saslContinue",
    "saslStart",
    "setAuditConfig",
    "setClusterParameter",
    "setDefaultRWConcern",
    "setFeatureCompatibilityVersion",
    "setQuerySettings",
    "shardCollection",
    "shutdown",
    "split",
    "top",
    "updateRole",
    "updateSearchIndex",
    "updateUser",
    "usersInfo",
    "validateDBMetadata",
];

/// The row of a command by its name or alias.
pub fn find_command(name: &str) -> Option<&'static Command> {
    match COMMANDS.binary_search_by(|row| row.name.cmp(name)) {
        Ok(at) => COMMANDS.get(at),
        Err(_) => COMMANDS.iter().find(|row| row.aliases.contains(&name)),
    }
}

/// Runs a command as far as `mode` lets it.
pub fn run(
    shared: &Shared,
    client: &Client,
    request: &Request<'_>,
    mode: Mode,
    waiting_since: Option<Instant>,
) -> Step {
    if shared.options.test_commands
        && waiting_since.is_none()
        && let Some(step) = configure_fail_point::before(shared, client, request, mode)
    {
        return step;
    }
    if shared.profiler.is_waiting() && profile::is_asked_for(request.body) {
        match mode {
            Mode::Inline => return Step::Busy,
            Mode::Blocking => {
                if let Err(error) = shared.profiler.flush(shared) {
                    return error_step(shared, &error);
                }
            }
        }
    }
    let started = Instant::now();
    crate::profile::begin();
    let step = run_to_its_end(shared, client, request, mode, waiting_since);
    shared.profiler.ended(shared, client, request, started, &step);
    step
}

fn run_to_its_end(
    shared: &Shared,
    client: &Client,
    request: &Request<'_>,
    mode: Mode,
    waiting_since: Option<Instant>,
) -> Step {
    let mut ran = None;
    let flow =
        Context::new(shared, client, request, mode, waiting_since).and_then(|mut context| {
            let _watch = crate::interrupt::watch(context.interrupt());
            let flow = (context.command.run)(&mut context);
            let flow = flow.map_err(|error| context.label(error));
            ran = Some(context);
            flow
        });
    let closes = ran.as_ref().is_some_and(Context::is_to_close);
    match (flow, ran) {
        _ if closes => Step::Close,
        (Ok(Flow::Reply(reply)), Some(context)) => Step::Done(context.finish(reply)),
        (Ok(Flow::Written(reply)), Some(context)) => context.finish_write(reply),
        (Ok(Flow::Await { wait, deadline }), _) => Step::Await { wait, deadline },
        (Ok(Flow::Busy), _) => Step::Busy,
        (Err(error), _) => error_step(shared, &error),
        (Ok(_), None) => {
            error_step(shared, &Error::new(Code::INTERNAL_ERROR, "a command ran without context"))
        }
    }
}

fn error_step(shared: &Shared, error: &Error) -> Step {
    let mut reply = DocWriter::new();
    error.write_reply(&mut reply);
    shared.write_times(&mut reply, None);
    Step::Done(reply.finish())
}
