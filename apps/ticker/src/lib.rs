//! The stock ticker: a market that moves, and several ways to watch it move through a change stream.
//!
//! Uses the connector's public interface only, like any application. A command is a module with a `run`; what they
//! share is the [`feed`] of changes, the [`board`] it fills and the [`market`] behind both.

pub mod arguments;
pub mod board;
pub mod change;
pub mod clean;
pub mod clock;
pub mod demo;
pub mod display;
pub mod error;
pub mod feed;
pub mod init;
pub mod market;
pub mod output;
pub mod progress;
pub mod schedule;
pub mod screen;
pub mod sharding;
pub mod stop;
pub mod symbols;
pub mod terminal;
pub mod trace;
pub mod web;

use arguments::{Arguments, Command, Request};
use error::Result;
use market::Market;
use stop::{Cause, Stop};

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
    match result.await {
        Ok(()) => 0,
        Err(error) => {
            if !error.is_output_closed() {
                output::note(&error.to_string());
            }
            if error.is_usage() {
                output::note(arguments::usage().trim_end_matches('\n'));
            }
            error.exit_code()
        }
    }
}

async fn command(arguments: Arguments) -> Result<()> {
    let (stopper, mut stop) = Stop::new();
    stopper.on_signals(arguments.run_for)?;
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

/// Lets work run that may be broken off anywhere.
async fn until_stopped(work: impl Future<Output = Result<()>>, mut stop: Stop) -> Result<()> {
    tokio::select! {
        result = work => result,
        _ = stop.wait() => Ok(()),
    }
}

fn interrupted() -> Result<()> {
    output::line("Interrupted\n")
}
