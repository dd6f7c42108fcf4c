//! A fixed schedule: each start is the previous start plus the interval, whatever the work in between took.

use std::time::{Duration, Instant};

/// How far the schedule may fall behind before it gives the lost starts up instead of rushing through them.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Hands out the times at which to start.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    next: Instant,
}

impl Schedule {
    /// The first start is `begin`.
    pub fn new(begin: Instant, interval: Duration) -> Schedule {
        Schedule { interval, next: begin }
    }

    /// The next start, which may lie in the past when the work before took too long.
    pub fn next(&mut self, now: Instant) -> Instant {
        if now.saturating_duration_since(self.next) > CATCH_UP {
            self.next = now;
        }
        let start = self.next;
        self.next += self.interval;
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn b7_work_does_not_shift_the_schedule() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, 250 * MS);
        let mut now = begin;
        for cycle in 0..40 {
            let start = schedule.next(now);
            assert_eq!(start, begin + 250 * MS * cycle);
            now = start.max(now) + 100 * MS;
        }
    }

    #[test]
    fn b7_one_slow_cycle_is_caught_up() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, 250 * MS);
        schedule.next(begin);
        assert_eq!(schedule.next(begin + 700 * MS), begin + 250 * MS);
        assert_eq!(schedule.next(begin + 700 * MS), begin + 500 * MS);
        assert_eq!(schedule.next(begin + 700 * MS), begin + 750 * MS);
    }

    #[test]
    fn a_long_stall_is_given_up() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, 250 * MS);
        schedule.next(begin);
        let late = begin + Duration::from_secs(60);
        assert_eq!(schedule.next(late), late);
        assert_eq!(schedule.next(late), late + 250 * MS);
    }
}
