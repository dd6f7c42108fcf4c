//! DISPLAY: the board live in the terminal; without a terminal, the board once and a line for each change.

use std::time::{Duration, Instant};

use crate::board::Board;
use crate::error::{Error, Result};
use crate::feed::{Feed, Link, Signal};
use crate::market::{COLLECTION, DATABASE, Market};
use crate::output;
use crate::screen::{Frame, lay_out, text_of};
use crate::stop::{Cause, Stop, Stopper};
use crate::terminal::{Input, Terminal};
use crate::trace;

/// Shows prices until told to end.
///
/// # Errors
/// Exit code 3 if the collection is empty or the server has no change streams.
pub async fn run(
    market: &Market,
    highlight: Duration,
    stopper: &Stopper,
    stop: Stop,
) -> Result<()> {
    if market.is_empty().await? {
        return Err(refusal());
    }
    show(market, Board::new(highlight), stopper, stop).await
}

/// As [`run`], on a board of the caller's and a collection that may still be empty.
///
/// # Errors
/// Exit code 3 if the server has no change streams.
pub async fn show(market: &Market, board: Board, stopper: &Stopper, stop: Stop) -> Result<()> {
    let feed = Feed::open(market, true, None).await?;
    if output::is_terminal() {
        on_terminal(feed, board, stopper, stop).await
    } else {
        on_pipe(feed, board, stop).await
    }
}

async fn on_terminal(
    mut feed: Feed,
    mut board: Board,
    stopper: &Stopper,
    mut stop: Stop,
) -> Result<()> {
    let mut terminal = Terminal::enter()?;
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut offset = 0;
    loop {
        let now = Instant::now();
        let (width, height) = terminal.size()?;
        let frame = Frame { width, height, offset, colours };
        terminal.draw(&lay_out(&board, frame, now), height)?;
        let fade = board.next_fade(now);
        tokio::select! {
            biased;
            _ = stop.wait() => return Ok(()),
            input = terminal.input() => match input {
                Input::Quit => {
                    stopper.stop(Cause::Interrupt);
                    return Ok(());
                }
                Input::Scroll(lines) => {
                    let moved = offset.saturating_add_signed(lines as isize);
                    offset = moved.min(frame.offset_max());
                }
                Input::Resize => {}
            },
            signal = feed.next() => board.apply(&signal, Instant::now()),
            () = until(fade) => {}
        }
    }
}

async fn on_pipe(mut feed: Feed, mut board: Board, mut stop: Stop) -> Result<()> {
    loop {
        let signal = tokio::select! {
            biased;
            _ = stop.wait() => return Ok(()),
            signal = feed.next() => signal,
        };
        board.apply(&signal, Instant::now());
        match signal {
            Signal::Snapshot(_) => {
                let frame = Frame { width: 80, height: 24, offset: 0, colours: false };
                for line in lay_out(&board, frame, Instant::now()).iter().take(board.rows().len()) {
                    output::line(text_of(line).trim_end())?;
                }
            }
            Signal::Tick(tick) => output::line(&trace::line(&tick, false))?,
            Signal::Emptied => output::line("-- collection dropped")?,
            Signal::Link(Link::HistoryLost) => {
                output::line("-- position too old: prices are read anew")?;
            }
            Signal::Link(Link::Reconnecting { cause }) => {
                output::note(&format!("-- reconnecting: {cause}"));
            }
            Signal::Link(Link::Live) => {}
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn refusal() -> Error {
    Error::refused(format!(
        "-- Display changes for collection \"{DATABASE}.{COLLECTION}\" aborted because\n   \
         collection does not exist (run with command \"INIT\" first)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_refusal_text() {
        assert_eq!(
            refusal().to_string(),
            "-- Display changes for collection \"market.stocksymbols\" aborted because\n   \
             collection does not exist (run with command \"INIT\" first)"
        );
    }
}
