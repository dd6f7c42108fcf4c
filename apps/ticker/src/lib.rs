//! The stock ticker: a market that moves, and several ways to watch it move through a change stream.
//!
//! Uses the connector's public interface only, like any application. A command is a module with a `run`; what they
//! share is the [`feed`] of changes, the [`board`] it fills and the [`market`] behind both. What any command line needs
//! comes from [`command_line`].

pub mod arguments;
pub mod board;
pub mod change;
pub mod clean;
pub mod clock;
pub mod demo;
pub mod display;
pub mod feed;
pub mod figures;
pub mod init;
pub mod market;
pub mod progress;
pub mod schedule;
pub mod screen;
pub mod sharding;
pub mod stock;
pub mod symbols;
pub mod terminal;
pub mod trace;
pub mod web;

pub use command_line::{error, output, stop};

use arguments::{Arguments, Command, Request};
use error::Result;
use market::Market;
use stop::{Cause, Stop, until_stopped};

/// Runs the program with the words after its name and returns its exit code: 0 success or interrupt, 2 usage,
/// 3 precondition refused, 4 server not reachable or not authorised, 1 anything else.
pub async fn run(words: impl IntoIterator<Item = String>) -> u8 {
    let result = async {
        let request = arguments::parse(words);
        // A program that reads JSON lines has no use for the original's empty first line.
        if !matches!(&request, Ok(Request::Run(arguments)) if arguments.json) {
            output::line("")?;
        }
        match request? {
            Request::Help => output::write(arguments::help().trim_start_matches('\n')),
            Request::Run(arguments) => command(*arguments).await,
        }
    };
    command_line::conclude(result.await, &arguments::usage())
}

async fn command(arguments: Arguments) -> Result<()> {
    let (stopper, mut stop) = Stop::new();
    stopper.on_signals(terminal::restore)?;
    if let Some(time) = arguments.run_for {
        stopper.stop_after(time);
    }
    let market = tokio::select! {
        market = Market::open(&arguments) => market?,
        _ = stop.wait() => return interrupted(),
    };
    let result = match arguments.command {
        Command::Init => {
            let load = init::Load {
                numbers: arguments.numbers,
                batch: arguments.batch,
                resume: arguments.resume,
                force: arguments.force,
                terminal: output::is_terminal(),
            };
            until_stopped(init::run(&market, load), stop.clone()).await
        }
        Command::Clean => {
            until_stopped(clean::run(&market, arguments.collection_only), stop.clone()).await
        }
        Command::Change => {
            let pace =
                change::Pace { interval: arguments.interval, repair: arguments.repair, talk: true };
            change::run(&market, pace, stop.clone()).await
        }
        Command::Trace => {
            let style = trace::Style {
                cluster_time: arguments.cluster_time,
                json: arguments.json,
                all: arguments.all,
                resume_file: arguments.resume_file,
            };
            trace::run(&market, style, stop.clone()).await
        }
        Command::Display => {
            display::run(&market, arguments.highlight, &stopper, stop.clone()).await
        }
        Command::Web => {
            web::run(&market, &arguments.listen, arguments.highlight, stop.clone()).await
        }
    };
    market.close().await;
    result?;
    if stop.cause() == Some(Cause::Interrupt) { interrupted() } else { Ok(()) }
}

fn interrupted() -> Result<()> {
    output::line("Interrupted\n")
}
