//! Opening and closing the engine: the one place of the connector that knows its options and errors.

use std::path::Path;

use headwater_engine::EngineOptions;
use headwater_engine::error::Code;

use crate::error::{Error, Result};

pub(crate) use headwater_engine::Engine;

/// Opens the engine on a data folder.
pub(crate) fn open(folder: &Path) -> Result<Engine> {
    Engine::open(folder, EngineOptions::default()).map_err(|error| {
        let message = error.message().to_owned();
        if error.code() == Code::DB_PATH_IN_USE {
            Error::folder_in_use(message, error)
        } else {
            let message = format!("cannot open the data folder {}: {message}", folder.display());
            Error::embedded(message, error)
        }
    })
}

/// Opens an engine without a folder.
pub(crate) fn open_in_memory() -> Result<Engine> {
    Engine::open_in_memory(EngineOptions::default()).map_err(|error| {
        let message = format!("cannot open a database in memory: {}", error.message());
        Error::embedded(message, error)
    })
}

/// Closes the engine. What was acknowledged is on disk whatever this says, so there is nothing to report.
pub(crate) fn close(engine: &Engine) {
    let _ = engine.close();
}
