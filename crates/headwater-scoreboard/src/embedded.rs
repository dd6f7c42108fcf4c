//! The engine in this process as a target: no socket, no server.

use std::panic::{AssertUnwindSafe, catch_unwind};

use headwater_engine::bson::{Doc, DocBuf, DocWriter, validate_command};
use headwater_engine::engine::Client;
use headwater_engine::{Engine, EngineOptions, Request};

use crate::run::Target;

/// An engine in memory. After a panic it is replaced by a new one.
#[derive(Debug)]
pub struct Embedded {
    engine: Engine,
    client: Client,
}

impl Embedded {
    /// Opens an engine.
    ///
    /// # Errors
    /// The engine's.
    pub fn open() -> Result<Embedded, String> {
        let engine = Engine::open_in_memory(EngineOptions::default());
        let engine = engine.map_err(|error| error.to_string())?;
        let client = engine.client("scoreboard", "scoreboard");
        Ok(Embedded { engine, client })
    }
}

impl Target for Embedded {
    fn command(&mut self, command: Doc<'_>) -> Result<DocBuf, String> {
        if let Err(error) = validate_command(command.as_bytes()) {
            let mut reply = DocWriter::new();
            error.write_reply(&mut reply);
            return Ok(reply.finish());
        }
        let request = Request { body: command, sequences: &[] };
        let run = AssertUnwindSafe(|| self.engine.run_command(&self.client, &request));
        match catch_unwind(run) {
            Ok(reply) => Ok(reply),
            Err(panic) => {
                let what = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("of no message");
                let what = format!("the engine panicked: {what}");
                *self = Embedded::open()?;
                Err(what)
            }
        }
    }
}
