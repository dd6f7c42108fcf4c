//! `headwater serve`: takes its addresses, opens the engine, answers, and ends in order on SIGINT or SIGTERM.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use headwater_engine::{Engine, EngineOptions};
use headwater_server::{Bound, Server};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;
use crate::log;
use crate::options::{self, Asked, Data, Settings};

/// How long commands under way may take to finish once the server is told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// Runs the server until a signal ends it.
pub(crate) fn run(words: Vec<String>) -> Result<(), Failure> {
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    let settings = match options::read(words, environment)? {
        Asked::Help => {
            println!("{}", options::help());
            return Ok(());
        }
        Asked::Serve(settings) => settings,
    };
    log::start(settings.log_format, settings.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("headwater")
        .build()
        .map_err(|error| Failure::running("cannot start threads", error))?;
    // A wrong or taken address is said before the data folder is touched.
    let bound = runtime.block_on(bind(&settings))?;
    let engine = open(&settings)?;
    let served = runtime.block_on(serve(&settings, bound, &engine));
    let closed = engine.close().map_err(|error| Failure::running("closing the data", error));
    served.and(closed)?;
    tracing::info!("stopped");
    Ok(())
}

fn open(settings: &Settings) -> Result<Engine, Failure> {
    let options = EngineOptions {
        replica_set: settings.replica_set.clone(),
        as_mongos: settings.mongos,
        test_commands: settings.test_commands,
        ttl_sleep: Duration::from_secs(settings.ttl_sleep_s.into()),
        ..EngineOptions::default()
    };
    match &settings.data {
        Data::Memory => {
            tracing::info!("data is kept in memory only and ends with the process");
            Engine::open_in_memory(options)
                .map_err(|error| Failure::running("cannot start", error.message()))
        }
        Data::Folder(folder) => {
            let shown = folder.display();
            let engine = Engine::open(folder, options).map_err(|error| {
                Failure::running(&format!("cannot open the data folder {shown}"), error.message())
            })?;
            tracing::info!(folder = %shown, "data folder opened");
            Ok(engine)
        }
    }
}

async fn serve(settings: &Settings, bound: Bound, engine: &Engine) -> Result<(), Failure> {
    let failed = |error| Failure::running("cannot watch for signals", error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let server = bound.serve(Arc::new(engine.clone()));
    for address in server.tcp_addresses() {
        let uri = format!("mongodb://{address}/?replicaSet={}", settings.replica_set);
        tracing::info!(%address, uri, "listening");
    }
    if let Some(path) = &settings.socket {
        tracing::info!(socket = %path.display(), "listening");
    }
    let name = either(&mut interrupt, &mut terminate).await;
    tracing::info!(signal = name, "stopping; commands under way finish first");
    tokio::select! {
        finished = server.shutdown(GRACE) => {
            if !finished {
                tracing::warn!("some commands did not finish in time and were cut off");
            }
        }
        _ = either(&mut interrupt, &mut terminate) => {
            tracing::warn!("a second signal: not waiting any longer");
        }
    }
    Ok(())
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

async fn bind(settings: &Settings) -> Result<Bound, Failure> {
    let mut builder = Server::builder().connections_max(settings.connections_max);
    if let Some(address) = &settings.listen {
        builder = resolve(address).await?.into_iter().fold(builder, |b, address| b.tcp(address));
    }
    if let Some(path) = &settings.socket {
        builder = builder.unix(path);
    }
    if let Some(address) = &settings.advertise {
        builder = builder.advertise(address);
    }
    builder.bind().await.map_err(|error| match error.is_not_loopback() {
        true => Failure::usage(error.to_string()),
        false => Failure::running("cannot start", error),
    })
}

/// The addresses of a name. Of a name with several, such as `localhost`, those that this machine has.
async fn resolve(address: &str) -> Result<Vec<SocketAddr>, Failure> {
    let found = tokio::net::lookup_host(address).await;
    let found =
        found.map_err(|error| Failure::running(&format!("cannot find {address}"), error))?;
    let mut all: Vec<SocketAddr> = found.collect();
    all.sort_unstable();
    all.dedup();
    if all.len() > 1 {
        all.retain(|address| TcpListener::bind((address.ip(), 0)).is_ok());
    }
    Ok(all)
}
