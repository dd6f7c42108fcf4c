//! The scenarios of five lectures on MongoDB, run and checked: connection pooling, robust clients, error handling,
//! least privilege, change streams.
//!
//! Uses the connector's public interface only, like any application. A scenario is a module with a `run`; what it says
//! must hold is checked while it is shown. What any command line needs comes from [`command_line`].

pub mod all;
pub mod arguments;
pub mod deployment;
pub mod expectations;
pub mod follow;
pub mod inventory;
pub mod low_stock;
pub mod pooling;
pub mod robust;
pub mod shipments;
pub mod shop;
pub mod watch;

pub use command_line::{error, output, stop};

use arguments::{Arguments, Command, Request};
use deployment::Deployment;
use error::{Error, Result};
use shop::Trade;
use stop::{Cause, Stop, until_stopped};

/// Why one scenario cannot be shown yet.
pub const NO_AUTHENTICATION: &str =
    "least-privilege needs users and roles, which this version cannot show yet";

/// Runs the program with the words after its name and returns its exit code: 0 every expectation holds, or an
/// interrupt; 1 one does not, or something failed; 2 usage; 3 cannot be shown here; 4 no server reachable.
pub async fn run(words: impl IntoIterator<Item = String>) -> u8 {
    let result = async {
        match arguments::parse(words)? {
            Request::Help => output::write(&arguments::help()),
            Request::Run(arguments) => command(&arguments).await,
        }
    };
    command_line::conclude(result.await, &arguments::usage())
}

async fn command(arguments: &Arguments) -> Result<()> {
    if arguments.command == Command::LeastPrivilege {
        return Err(Error::refused(NO_AUTHENTICATION));
    }
    let (stopper, mut stop) = Stop::new();
    stopper.on_signals(|| {})?;
    let deployment = tokio::select! {
        opened = Deployment::open(arguments) => opened?,
        _ = stop.wait() => return interrupted(),
    };
    if let (Some(time), false) = (arguments.run_for, arguments.command == Command::All) {
        stopper.stop_after(time);
    }
    let result = scenario(&deployment, arguments, stop.clone()).await;
    deployment.close().await;
    result?;
    if stop.cause() == Some(Cause::Interrupt) { interrupted() } else { Ok(()) }
}

async fn scenario(deployment: &Deployment, arguments: &Arguments, stop: Stop) -> Result<()> {
    match arguments.command {
        Command::Pooling => until_stopped(pooling::run(deployment), stop).await,
        Command::Robust => until_stopped(robust::run(deployment), stop).await,
        Command::Shipments => until_stopped(shipments::run(deployment, arguments), stop).await,
        Command::LeastPrivilege => Err(Error::refused(NO_AUTHENTICATION)),
        Command::Watch => watch::run(deployment, arguments, stop).await,
        Command::LowStock => low_stock::run(deployment, arguments, stop).await,
        Command::Shop => {
            let trade = Trade {
                interval: arguments.interval,
                reset: arguments.reset,
                restock: arguments.restock,
                verbose: arguments.verbose,
                sales: arguments.events,
            };
            shop::run(deployment, trade, stop).await
        }
        Command::All => all::run(deployment, arguments, stop).await,
    }
}

fn interrupted() -> Result<()> {
    output::line("Interrupted")
}
