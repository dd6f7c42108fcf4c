//! The board: the price of each row, where it came from and for how long its change is highlighted. Knows no clock,
//! no terminal and no server: the time is given with each question.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::feed::{Link, Prices, Signal};
use crate::symbols::FAMILIAR;

/// How many prices of each row are remembered.
pub const HISTORY: usize = 20;

/// How a change is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Highlight {
    /// Just changed.
    Full,
    /// Changed a moment ago.
    Dim,
    /// Nothing new.
    Plain,
}

/// Which way a price went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// Higher than before.
    Up,
    /// Lower than before.
    Down,
    /// As before, or there is no before.
    Level,
}

/// One row.
#[derive(Debug, Clone, Default)]
pub struct Row {
    price: Option<i64>,
    change: i64,
    changed: Option<Instant>,
    history: VecDeque<i64>,
}

impl Row {
    /// The price, if the symbol has one.
    pub fn price(&self) -> Option<i64> {
        self.price
    }

    /// The difference to the previous price.
    pub fn change(&self) -> i64 {
        self.change
    }

    /// Which way the price went last.
    pub fn trend(&self) -> Trend {
        match self.change {
            0 => Trend::Level,
            change if change > 0 => Trend::Up,
            _ => Trend::Down,
        }
    }

    /// The last prices, oldest first.
    pub fn history(&self) -> impl Iterator<Item = i64> {
        self.history.iter().copied()
    }

    fn set(&mut self, price: Option<i64>) {
        self.change = match (self.price, price) {
            (Some(old), Some(new)) => new - old,
            _ => 0,
        };
        self.price = price;
        match price {
            Some(price) => {
                if self.history.len() == HISTORY {
                    self.history.pop_front();
                }
                self.history.push_back(price);
            }
            None => self.history.clear(),
        }
    }
}

/// All rows and the state of the feed behind them.
#[derive(Debug, Clone)]
pub struct Board {
    rows: [Row; FAMILIAR.len()],
    link: Link,
    /// Shown until the next trouble: the history was lost once.
    lost: bool,
    full: Duration,
    caption: String,
}

impl Board {
    /// An empty board on which a change is highlighted fully for `full`, and dimly for as long again.
    pub fn new(full: Duration) -> Board {
        Board {
            rows: Default::default(),
            link: Link::Live,
            lost: false,
            full,
            caption: String::new(),
        }
    }

    /// The same board with a line of text below it.
    #[must_use]
    pub fn with_caption(mut self, caption: String) -> Board {
        self.caption = caption;
        self
    }

    /// The line of text below the board; may be empty.
    pub fn caption(&self) -> &str {
        &self.caption
    }

    /// Takes over what the feed tells at `now`.
    pub fn apply(&mut self, signal: &Signal, now: Instant) {
        match signal {
            Signal::Snapshot(prices) => self.show(prices, now),
            Signal::Tick(tick) => {
                if let Some(row) = self.rows.get_mut(tick.row) {
                    row.set(tick.price);
                    row.changed = Some(now);
                }
            }
            Signal::Emptied => self.rows = Default::default(),
            Signal::Link(Link::HistoryLost) => self.lost = true,
            Signal::Link(link) => self.link = link.clone(),
        }
    }

    /// Takes over a snapshot. The first prices of a row are no change; different ones after lost history are.
    fn show(&mut self, prices: &Prices, now: Instant) {
        for (row, price) in self.rows.iter_mut().zip(prices) {
            if row.price != *price {
                let known = row.price.is_some();
                row.set(*price);
                row.changed = known.then_some(now);
            }
        }
    }

    /// The rows in display order.
    pub fn rows(&self) -> &[Row; FAMILIAR.len()] {
        &self.rows
    }

    /// How the feed is doing.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// True if changes were missed because the position was too old.
    pub fn has_lost_history(&self) -> bool {
        self.lost
    }

    /// How `row` is shown at `now`.
    pub fn highlight(&self, row: &Row, now: Instant) -> Highlight {
        match row.changed.map(|changed| now.saturating_duration_since(changed)) {
            Some(age) if age < self.full => Highlight::Full,
            Some(age) if age < self.full * 2 => Highlight::Dim,
            _ => Highlight::Plain,
        }
    }

    /// When a highlight changes next without any event.
    pub fn next_fade(&self, now: Instant) -> Option<Instant> {
        let fades = self
            .rows
            .iter()
            .filter_map(|row| row.changed)
            .flat_map(|changed| [changed + self.full, changed + self.full * 2]);
        fades.filter(|fade| *fade > now).min()
    }
}

/// The last prices as a line of bars, one for each price.
pub fn sparkline(prices: impl Iterator<Item = i64> + Clone) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let low = prices.clone().min().unwrap_or_default();
    let high = prices.clone().max().unwrap_or_default();
    let span = (high - low).max(1);
    let bar = |price: i64| BARS[((price - low) * (BARS.len() as i64 - 1) / span) as usize];
    prices.map(bar).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::SystemTime;

    use headwater::ResumeToken;
    use headwater::bson::doc;

    use super::*;
    use crate::feed::{Operation, Tick};

    const MS: Duration = Duration::from_millis(1);

    pub(crate) fn tick(row: usize, price: Option<i64>) -> Signal {
        Signal::Tick(Box::new(Tick {
            row,
            operation: Operation::Update,
            price,
            cluster_time: None,
            wall_time: None,
            received: SystemTime::now(),
            token: ResumeToken::from(doc! { "_data": "00" }),
        }))
    }

    fn snapshot(price: i64) -> Signal {
        Signal::Snapshot(Box::new([Some(price); FAMILIAR.len()]))
    }

    #[test]
    fn b10_highlight_is_full_to_one_second_dim_to_two_then_plain_without_any_event() {
        let start = Instant::now();
        let mut board = Board::new(1_000 * MS);
        board.apply(&snapshot(50), start);
        assert_eq!(board.next_fade(start), None);
        board.apply(&tick(1, Some(51)), start);
        let at = |ms: u32| board.highlight(&board.rows()[1], start + MS * ms);
        assert_eq!(at(0), Highlight::Full);
        assert_eq!(at(999), Highlight::Full);
        assert_eq!(at(1_000), Highlight::Dim);
        assert_eq!(at(1_999), Highlight::Dim);
        assert_eq!(at(2_000), Highlight::Plain);
        assert_eq!(board.next_fade(start), Some(start + 1_000 * MS));
        assert_eq!(board.next_fade(start + 1_000 * MS), Some(start + 2_000 * MS));
        assert_eq!(board.next_fade(start + 2_000 * MS), None);
    }

    #[test]
    fn b11_only_rows_with_an_event_are_highlighted() {
        let start = Instant::now();
        let mut board = Board::new(1_000 * MS);
        board.apply(&snapshot(50), start);
        board.apply(&tick(8, Some(95)), start);
        let lit: Vec<usize> = (0..FAMILIAR.len())
            .filter(|row| board.highlight(&board.rows()[*row], start) != Highlight::Plain)
            .collect();
        assert_eq!(lit, [8]);
    }

    #[test]
    fn b18_trend_change_and_history_follow_the_price() {
        let now = Instant::now();
        let mut board = Board::new(1_000 * MS);
        for price in 20..60 {
            board.apply(&tick(0, Some(price)), now);
        }
        board.apply(&tick(0, Some(40)), now);
        let row = &board.rows()[0];
        assert_eq!((row.price(), row.change(), row.trend()), (Some(40), -19, Trend::Down));
        assert_eq!(row.history().count(), HISTORY);
        assert_eq!(row.history().last(), Some(40));
        board.apply(&tick(0, Some(41)), now);
        assert_eq!(board.rows()[0].trend(), Trend::Up);
        board.apply(&tick(0, Some(41)), now);
        assert_eq!(board.rows()[0].trend(), Trend::Level);
    }

    #[test]
    fn b15_rows_empty_when_the_collection_goes_and_fill_again() {
        let now = Instant::now();
        let mut board = Board::new(1_000 * MS);
        board.apply(&snapshot(50), now);
        board.apply(&Signal::Emptied, now);
        assert!(board.rows().iter().all(|row| row.price().is_none()));
        board.apply(&tick(3, Some(33)), now);
        assert_eq!(board.rows()[3].price(), Some(33));
    }

    #[test]
    fn b16_a_snapshot_after_lost_history_highlights_what_differs() {
        let now = Instant::now();
        let mut board = Board::new(1_000 * MS);
        board.apply(&snapshot(50), now);
        board.apply(&Signal::Link(Link::HistoryLost), now);
        let mut prices = [Some(50); FAMILIAR.len()];
        prices[2] = Some(60);
        board.apply(&Signal::Snapshot(Box::new(prices)), now);
        assert!(board.has_lost_history());
        assert_eq!(board.highlight(&board.rows()[2], now), Highlight::Full);
        assert_eq!(board.highlight(&board.rows()[3], now), Highlight::Plain);
    }

    #[test]
    fn b17_a_missing_symbol_has_no_price_until_it_is_inserted() {
        let now = Instant::now();
        let mut board = Board::new(1_000 * MS);
        let mut prices = [Some(50); FAMILIAR.len()];
        prices[1] = None;
        board.apply(&Signal::Snapshot(Box::new(prices)), now);
        assert_eq!(board.rows()[1].price(), None);
        board.apply(&tick(1, Some(44)), now);
        assert_eq!(board.rows()[1].price(), Some(44));
        board.apply(&tick(1, None), now);
        assert_eq!((board.rows()[1].price(), board.rows()[1].trend()), (None, Trend::Level));
    }

    #[test]
    fn b18_sparkline_spans_lowest_to_highest() {
        assert_eq!(sparkline([20, 55, 90].into_iter()), "▁▄█");
        assert_eq!(sparkline([5, 5].into_iter()), "▁▁");
        assert_eq!(sparkline([].into_iter()), "");
    }
}
