//! The log: one line per event on standard error, as text or JSON. Never a document's content, never a secret.

use std::str::FromStr;

use tracing::Level;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Format, &'static str> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err("text or json"),
        }
    }
}

/// Starts the log of this process; panics go into it too.
pub(crate) fn start(format: Format, level: Level) {
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    match format {
        Format::Text => lines.with_ansi(false).with_target(false).init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        // A literal message cannot hold data; a formatted one could.
        let message = panic.payload().downcast_ref::<&'static str>().unwrap_or(&"");
        tracing::error!(location, message, "panic");
    }));
}
