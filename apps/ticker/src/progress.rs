//! Progress of a long load: a bar with count, rate and time left on a terminal, dots elsewhere.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::figures::grouped;
use crate::output;

const DOTS: u64 = 50;
const BAR_CELLS: u64 = 30;
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// Shows how far a load is.
#[derive(Debug)]
pub struct Progress {
    total: u64,
    begun: Instant,
    /// Documents that were there before, so that the rate counts only the new ones.
    start: u64,
    dots: u64,
    drawn: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// Begins at `start` of `total` documents.
    pub fn new(total: u64, start: u64, terminal: bool) -> Progress {
        Progress { total, begun: Instant::now(), start, dots: 0, drawn: None, terminal }
    }

    /// Shows that `done` documents are there now.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn advance(&mut self, done: u64) -> Result<()> {
        if !self.terminal {
            return output::write(&self.new_dots(done));
        }
        let now = Instant::now();
        let due = self.drawn.is_none_or(|drawn| now.duration_since(drawn) >= REDRAW_EVERY);
        if !due && done < self.total {
            return Ok(());
        }
        self.drawn = Some(now);
        output::write(&format!("\r{}\x1b[K", self.bar(done, now - self.begun)))
    }

    fn new_dots(&mut self, done: u64) -> String {
        let due = (done * DOTS).checked_div(self.total).unwrap_or(DOTS).min(DOTS);
        let new = due.saturating_sub(self.dots);
        self.dots += new;
        ".".repeat(new as usize)
    }

    fn bar(&self, done: u64, elapsed: Duration) -> String {
        let total = self.total.max(1);
        let filled = (done * BAR_CELLS / total).min(BAR_CELLS) as usize;
        let bar = "█".repeat(filled) + &"░".repeat(BAR_CELLS as usize - filled);
        let fresh = done.saturating_sub(self.start);
        let rate = fresh as f64 / elapsed.as_secs_f64().max(1e-6);
        let end = if done >= self.total {
            format!("in {:.1} s", elapsed.as_secs_f64())
        } else if fresh == 0 {
            "-- left".to_owned()
        } else {
            left(Duration::from_secs_f64((self.total - done) as f64 / rate))
        };
        format!(
            "{bar} {:>3} %  {}/{}  {}/s  {end}",
            done * 100 / total,
            grouped(done),
            grouped(self.total),
            grouped(rate as u64),
        )
    }
}

fn left(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s left"),
        60..3_600 => format!("{}:{:02} min left", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h left", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_fifty_dots_whatever_the_steps() {
        for step in [1, 7, 400, 1_000, 20_013] {
            let mut progress = Progress::new(20_013, 0, false);
            let mut dots = String::new();
            let mut done = 0;
            while done < 20_013 {
                done = (done + step).min(20_013);
                dots += &progress.new_dots(done);
            }
            assert_eq!(dots, ".".repeat(50), "step {step}");
        }
    }

    #[test]
    fn b2_bar_shows_count_rate_and_time_left() {
        let progress = Progress::new(20_013, 0, true);
        let bar = progress.bar(5_003, Duration::from_secs(1));
        assert!(bar.contains("5,003/20,013"), "{bar}");
        assert!(bar.contains("5,003/s"), "{bar}");
        assert!(bar.ends_with("4 s left"), "{bar}");
        assert!(progress.bar(20_013, Duration::from_secs(2)).ends_with("in 2.0 s"));
        assert!(progress.bar(0, Duration::ZERO).ends_with("-- left"));
        assert_eq!(left(Duration::from_secs(61)), "1:01 min left");
        assert_eq!(left(Duration::from_secs(3_720)), "1:02 h left");
    }
}
