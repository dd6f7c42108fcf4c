//! Every scenario, one after the other; those of change streams together and for a limited time.

use std::time::Duration;

use crate::arguments::{Arguments, Command};
use crate::deployment::Deployment;
use crate::error::Result;
use crate::shop::{self, Trade};
use crate::stop::{Cause, Stop};
use crate::{low_stock, output, pooling, robust, shipments, watch};

/// How long the scenarios of change streams run unless told.
const TIME: Duration = Duration::from_secs(20);

/// Shows all scenarios.
///
/// # Errors
/// That of the first scenario that fails.
pub async fn run(deployment: &Deployment, arguments: &Arguments, mut stop: Stop) -> Result<()> {
    let first = async {
        pooling::run(deployment).await?;
        robust::run(deployment).await?;
        shipments::run(deployment, &Arguments::new(Command::Shipments)).await?;
        output::line(&format!("skipped: {}", crate::NO_AUTHENTICATION))
    };
    tokio::select! {
        done = first => done?,
        _ = stop.wait() => return Ok(()),
    }
    together(deployment, arguments, stop).await
}

/// A shop with a fresh inventory, and both watchers beside it.
async fn together(deployment: &Deployment, arguments: &Arguments, mut stop: Stop) -> Result<()> {
    let (stopper, part) = Stop::new();
    stopper.stop_after(arguments.run_for.unwrap_or(TIME));
    let trade = Trade {
        interval: Duration::from_millis(100).min(arguments.interval),
        reset: true,
        restock: false,
        verbose: false,
        sales: None,
    };
    let mut over = part.clone();
    let interrupted = async {
        let cause = tokio::select! {
            cause = stop.wait() => cause,
            _ = over.wait() => Cause::Done,
        };
        stopper.stop(cause);
    };
    let watched = Arguments::new(Command::Watch);
    let (sold, seen, warned, ()) = tokio::join!(
        shop::run(deployment, trade, part.clone()),
        watch::run(deployment, &watched, part.clone()),
        low_stock::run(deployment, arguments, part.clone()),
        interrupted,
    );
    sold.and(seen).and(warned)
}
