//! `headwater demo`: a server, a stock market on it that changes, and its prices live, in one process.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headwater_engine::{Engine, EngineOptions};
use headwater_server::Server;
use ticker::market::Market;
use ticker::output;

use crate::failure::Failure;

const DEFAULT_PORT: u16 = 27017;
const GRACE: Duration = Duration::from_secs(5);
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How the demonstration is to run.
#[derive(Debug, Default, Clone, PartialEq)]
struct Settings {
    /// `None`: the default port, or any free one if that is taken.
    port: Option<u16>,
    /// `None`: a temporary folder that goes with the process.
    data: Option<PathBuf>,
    run_for: Option<Duration>,
}

const HELP: &str = "Usage: headwater demo [OPTIONS]

Starts a server, loads stock symbols if there are none, changes their prices and shows them live. Without a terminal
it prints a line for each change.

Options:
  --data DIR      keep the data there (default: a temporary folder, removed at the end)
  --port N        the port on 127.0.0.1 (default 27017, or a free one if that is taken; 0 for any)
  --seconds N     end after this time";

/// Runs the demonstration until an interrupt, or for the time that was given.
pub(crate) fn run(words: Vec<String>) -> Result<(), Failure> {
    let Some(settings) = read(words)? else {
        println!("{HELP}");
        return Ok(());
    };
    let temporary = std::env::temp_dir().join(format!("headwater-demo-{}", std::process::id()));
    let folder = settings.data.as_deref().unwrap_or(&temporary);
    let ended = on_folder(&settings, folder);
    if settings.data.is_none() {
        let removed = std::fs::remove_dir_all(&temporary);
        removed.map_err(|error| Failure::running("removing the temporary folder", error))?;
    }
    ended
}

fn on_folder(settings: &Settings, folder: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("headwater")
        .build()
        .map_err(|error| Failure::running("cannot start threads", error))?;
    let shown = folder.display();
    let engine = Engine::open(folder, EngineOptions::default()).map_err(|error| {
        Failure::running(&format!("cannot open the data folder {shown}"), error.message())
    })?;
    let ended = runtime.block_on(serve(settings, folder, &engine));
    runtime.shutdown_timeout(GRACE);
    let closed = engine.close().map_err(|error| Failure::running("closing the data", error));
    ended.and(closed)
}

async fn serve(settings: &Settings, folder: &Path, engine: &Engine) -> Result<(), Failure> {
    let server = listen(settings.port, engine).await?;
    let address = server.tcp_addresses().first().copied();
    let address = address.ok_or_else(|| Failure::running("listening", "no address"))?;
    let uri = format!("mongodb://{address}/");
    let mut heading = String::new();
    if settings.port.is_none() && address.port() != DEFAULT_PORT {
        heading +=
            &format!("-- Port {DEFAULT_PORT} is taken, so this is port {}\n", address.port());
    }
    heading += &format!("-- Any MongoDB driver can connect to {uri}\n");
    let fate = if settings.data.is_none() { "removed at the end" } else { "kept" };
    heading += &format!("-- Data is in {} ({fate})\n", folder.display());
    let shown = async {
        output::line(&heading)?;
        let market = Market::connect(&uri, CONNECT_MAX).await?;
        let caption = format!("any MongoDB driver can connect to {uri}");
        ticker::demo::run(market, caption, settings.run_for).await
    };
    let shown = shown.await;
    server.shutdown(GRACE).await;
    match shown {
        Err(error) if error.is_output_closed() => Ok(()),
        shown => shown.map_err(|error| Failure::running("demo", error)),
    }
}

async fn listen(port: Option<u16>, engine: &Engine) -> Result<Server, Failure> {
    let at = async |port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Server::builder().tcp(address).serve(Arc::new(engine.clone())).await
    };
    let server = match at(port.unwrap_or(DEFAULT_PORT)).await {
        Err(error) if port.is_none() && is_taken(&error) => at(0).await,
        served => served,
    };
    server.map_err(|error| Failure::usage(error.to_string()))
}

fn is_taken(error: &headwater_server::Error) -> bool {
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    cause.is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Reads the options; `None` if help is asked for.
fn read(words: Vec<String>) -> Result<Option<Settings>, Failure> {
    let mut settings = Settings::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            return Ok(None);
        }
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        if !["--data", "--port", "--seconds"].contains(&flag) {
            return Err(Failure::usage(format!("no such option: {word}\n\n{HELP}")));
        }
        let value = inline.or_else(|| words.next()).unwrap_or_default();
        let wrong = |expected: &str| Failure::usage(format!("{flag} needs {expected}"));
        match flag {
            "--data" if value.is_empty() => return Err(wrong("a folder")),
            "--data" => settings.data = Some(value.into()),
            "--port" => settings.port = Some(value.parse().map_err(|_| wrong("a port"))?),
            _ => {
                let seconds = value.parse().ok().filter(|s| (0.001..=86_400.0).contains(s));
                let seconds = seconds.ok_or_else(|| wrong("seconds, at most 86400"))?;
                settings.run_for = Some(Duration::from_secs_f64(seconds));
            }
        }
    }
    Ok(Some(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(words: &[&str]) -> Result<Option<Settings>, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        read(words).map_err(|failure| failure.to_string())
    }

    #[test]
    fn options_are_read_and_nothing_is_ignored() {
        let settings = given(&["--port", "0", "--data=d", "--seconds", "2.5"]).unwrap().unwrap();
        let expected = Settings {
            port: Some(0),
            data: Some("d".into()),
            run_for: Some(Duration::from_millis(2_500)),
        };
        assert_eq!(settings, expected);
        assert_eq!(given(&["--help"]).unwrap(), None);
        for words in [&["--port"][..], &["--port", "70000"], &["--seconds", "-1"], &["--x"], &["x"]]
        {
            assert!(given(words).is_err(), "{words:?}");
        }
    }
}
