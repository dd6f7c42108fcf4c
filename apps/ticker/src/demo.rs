//! The demonstration: load the market if it is empty, change it and show it, in one process.

use std::time::Duration;

use crate::board::Board;
use crate::change::{self, Pace};
use crate::display;
use crate::error::Result;
use crate::init::{self, Load};
use crate::market::Market;
use crate::output;
use crate::stop::{Cause, Stop};
use crate::symbols::DEFAULT_NUMBERS;
use crate::terminal;
use crate::trace::{self, Style};

/// Runs the demonstration on an open server until it is interrupted or, if given, until `run_for` is over. On a
/// terminal the board is shown with the caption below it, elsewhere a line for each change is printed.
///
/// # Errors
/// The server fails, or the terminal cannot be used.
pub async fn run(market: Market, caption: String, run_for: Option<Duration>) -> Result<()> {
    let (stopper, stop) = Stop::new();
    stopper.on_signals(terminal::restore)?;
    if let Some(time) = run_for {
        stopper.stop_after(time);
    }
    let load = Load {
        numbers: DEFAULT_NUMBERS,
        batch: 1_000,
        resume: true,
        force: false,
        terminal: output::is_terminal(),
    };
    match init::run(&market, load).await {
        // A complete market is as welcome as a fresh one.
        Err(error) if error.is_refusal() => {}
        loaded => loaded?,
    }
    let pace = Pace { interval: Duration::from_millis(250), repair: true, talk: false };
    let changing = async {
        let changed = change::run(&market, pace, stop.clone()).await;
        stopper.stop(Cause::Done);
        changed
    };
    let showing = async {
        let shown = if output::is_terminal() {
            let board = Board::new(Duration::from_secs(1)).with_caption(caption);
            display::show(&market, board, &stopper, stop.clone()).await
        } else {
            trace::run(&market, Style::default(), stop.clone()).await
        };
        // Whatever ends one ends the other.
        stopper.stop(Cause::Done);
        shown
    };
    let (changed, shown) = tokio::join!(changing, showing);
    market.close().await;
    shown.and(changed)
}
