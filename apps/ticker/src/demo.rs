//! The demonstration: load the market if it is empty, change it and show it, in one process.

use std::time::Duration;

use crate::change::{self, Pace};
use crate::display;
use crate::error::Result;
use crate::init::{self, Load};
use crate::market::Market;
use crate::output;
use crate::stop::{Cause, Stop};
use crate::symbols::DEFAULT_NUMBERS;
use crate::trace::{self, Style};

/// Runs the demonstration on an open server until it is interrupted or, if given, until `run_for` is over. On a
/// terminal the board is shown, elsewhere a line for each change is printed.
///
/// # Errors
/// The server fails, or the terminal cannot be used.
pub async fn run(market: Market, run_for: Option<Duration>) -> Result<()> {
    let (stopper, stop) = Stop::new();
    stopper.on_signals(run_for)?;
    if market.is_empty().await? {
        let load = Load {
            numbers: DEFAULT_NUMBERS,
            batch: 1_000,
            resume: false,
            force: false,
            terminal: output::is_terminal(),
        };
        init::run(&market, load).await?;
    }
    let pace = Pace { interval: Duration::from_millis(250), repair: true, talk: false };
    let changing = change::run(&market, pace, stop.clone());
    let showing = async {
        let shown = if output::is_terminal() {
            display::show(&market, Duration::from_secs(1), &stopper, stop.clone()).await
        } else {
            trace::run(&market, Style::default(), stop.clone()).await
        };
        // Whatever ended the view ends the changes too.
        stopper.stop(Cause::Time);
        shown
    };
    let (changed, shown) = tokio::join!(changing, showing);
    market.close().await;
    shown.and(changed)
}
