//! CHANGE: keeps the market moving, on a fixed schedule, without ever losing a document.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use headwater::Collection;
use headwater::bson::doc;
use rand::Rng;

use crate::error::{Error, Result, one_line};
use crate::figures::{counted, grouped};
use crate::init::numbers_in_use;
use crate::market::{COLLECTION, DATABASE, Market};
use crate::output;
use crate::schedule::Schedule;
use crate::sharding::Heartbeat;
use crate::stock::Stock;
use crate::stop::Stop;
use crate::symbols::{FAMILIAR, Numbers, key, number_in, traded_price};

/// How long one operation may take, so that a cycle under which the server goes away has an end.
const OPERATION_MAX: Duration = Duration::from_secs(5);
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// How long a document that was deleted is tried to be put back after the command was told to end.
const LAST_EFFORT: Duration = Duration::from_secs(10);
/// A `Z` document may be away for a moment while another CHANGE replaces it.
const REPLACEMENT_PAUSE: Duration = Duration::from_millis(500);
/// How many missing keys are named one by one.
const NAMED: usize = 5;

/// How CHANGE goes about it.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The time from the start of a cycle to the next.
    pub interval: Duration,
    /// Put missing `Z` documents back first.
    pub repair: bool,
    /// Print headings and status lines.
    pub talk: bool,
}

/// What was done since the last status line.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    operations: u64,
    no_ops: u64,
    duplicates: u64,
    missing: u64,
    errors: u64,
}

/// Changes prices until told to end.
///
/// # Errors
/// Exit code 3 if the collection is empty. Errors of single operations are counted, not returned.
pub async fn run(market: &Market, pace: Pace, mut stop: Stop) -> Result<()> {
    let stocks = market.stocks();
    let numbers = numbers_in_use(&stocks).await?;
    let Some(numbers) = numbers else {
        return Err(if market.is_empty().await? { refusal() } else { no_generated() });
    };
    if pace.talk {
        output::line(&format!(
            "-- Continuously performing random updates on key stock symbols\n   in collection \
             \"{DATABASE}.{COLLECTION}\""
        ))?;
    }
    restore_missing(&stocks, numbers, pace).await?;
    let mut heartbeat = market.is_router().then(|| Heartbeat::new(market.clone()));
    let mut trader = Trader { stocks, numbers, tally: Tally::default(), owed: BTreeSet::new() };
    let mut schedule = Schedule::new(Instant::now(), pace.interval);
    let mut reported = Instant::now();
    loop {
        let start = schedule.next(Instant::now());
        tokio::select! {
            biased;
            _ = stop.wait() => break,
            () = tokio::time::sleep_until(start.into()) => {}
        }
        // Not interruptible: what is deleted is put back before anything else happens.
        let last_error = trader.cycle().await;
        if let Some(heartbeat) = &mut heartbeat {
            heartbeat.beat(Instant::now()).await;
        }
        if pace.talk && reported.elapsed() >= STATUS_EVERY {
            output::line(&trader.tally.status(reported.elapsed(), last_error.as_deref()))?;
            trader.tally = Tally::default();
            reported = Instant::now();
        }
    }
    trader.settle().await
}

struct Trader {
    stocks: Collection<Stock>,
    numbers: Numbers,
    tally: Tally,
    /// Keys that were deleted and could not be inserted again yet.
    owed: BTreeSet<String>,
}

impl Trader {
    /// One cycle of four operations; gives the text of the last error.
    async fn cycle(&mut self) -> Option<String> {
        let (familiar, listed, replaced) = {
            let mut rng = rand::rng();
            (
                FAMILIAR[rng.random_range(0..FAMILIAR.len())].name,
                key('A', self.numbers.draw(&mut rng)),
                key('Z', self.numbers.draw(&mut rng)),
            )
        };
        let mut last_error = self.put_back().await;
        let mut present = false;
        for symbol in [familiar, &listed] {
            match self.set_price(symbol).await {
                Ok(matched) => present |= matched,
                Err(error) => {
                    // Whether the collection is there is unknown; only a clear "no" keeps the pair from running.
                    present = true;
                    last_error = Some(one_line(&error));
                }
            }
        }
        // Without this, a CHANGE under which the collection was dropped would fill it with `Z` documents.
        if present && let Some(error) = self.replace(replaced).await {
            last_error = Some(error);
        }
        last_error
    }

    async fn set_price(&mut self, symbol: &str) -> headwater::Result<bool> {
        self.tally.operations += 1;
        let price = traded_price(&mut rand::rng(), symbol);
        let update = doc! { "$set": { "price": price } };
        match self.stocks.update_by_id(symbol, update).deadline(OPERATION_MAX).await {
            Ok(result) => {
                let matched = result.matched_count > 0;
                self.tally.missing += u64::from(!matched);
                self.tally.no_ops += u64::from(matched && result.modified_count == 0);
                Ok(matched)
            }
            Err(error) => {
                self.tally.errors += 1;
                Err(error)
            }
        }
    }

    async fn replace(&mut self, symbol: String) -> Option<String> {
        self.tally.operations += 2;
        let mut last_error = None;
        match self.stocks.delete_by_id(&symbol).deadline(OPERATION_MAX).await {
            Ok(deleted) => self.tally.missing += u64::from(deleted == 0),
            Err(error) => {
                self.tally.errors += 1;
                last_error = Some(one_line(&error));
            }
        }
        // Also after an error: the delete may have happened.
        self.owed.insert(symbol);
        self.put_back().await.or(last_error)
    }

    /// Inserts what is owed. A duplicate means that somebody else was faster, which is as good.
    async fn put_back(&mut self) -> Option<String> {
        let mut last_error = None;
        for symbol in std::mem::take(&mut self.owed) {
            let stock = Stock::new(&symbol, traded_price(&mut rand::rng(), &symbol));
            match self.stocks.insert_one(stock).deadline(OPERATION_MAX).await {
                Ok(_) => {}
                Err(error) if error.duplicate_key().is_some() => self.tally.duplicates += 1,
                Err(error) => {
                    self.tally.errors += 1;
                    last_error = Some(one_line(&error));
                    self.owed.insert(symbol);
                }
            }
        }
        last_error
    }

    /// Leaves no document behind that was deleted and not put back.
    async fn settle(mut self) -> Result<()> {
        let begun = Instant::now();
        while let Some(error) = self.put_back().await {
            if begun.elapsed() >= LAST_EFFORT {
                let keys: Vec<_> = self.owed.into_iter().collect();
                return Err(Error::unreachable(format!(
                    "not put back (run CHANGE --repair later): {}: {error}",
                    keys.join(", ")
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

impl Tally {
    fn status(&self, elapsed: Duration, last_error: Option<&str>) -> String {
        let mut text = format!(
            "   {:.0} s: {}, {}, {}",
            elapsed.as_secs_f64(),
            counted(self.operations, "operation"),
            counted(self.no_ops, "no-op"),
            counted(self.errors, "error"),
        );
        if self.duplicates > 0 {
            text += &format!(", {}", counted(self.duplicates, "duplicate"));
        }
        if self.missing > 0 {
            text += &format!(", {} on missing symbols", grouped(self.missing));
        }
        if let Some(error) = last_error {
            text += &format!(" (last: {error})");
        }
        text
    }
}

async fn restore_missing(stocks: &Collection<Stock>, numbers: Numbers, pace: Pace) -> Result<()> {
    let mut missing = missing_keys(stocks, numbers).await?;
    if !missing.is_empty() {
        tokio::time::sleep(REPLACEMENT_PAUSE).await;
        let still = missing_keys(stocks, numbers).await?;
        missing.retain(|key| still.contains(key));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut named = missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if missing.len() > NAMED {
        named += ", ...";
    }
    let many = counted(missing.len() as u64, "missing \"Z\" document");
    if !pace.repair {
        output::note(&format!("   {many}: {named} (run CHANGE --repair to put back)"));
        return Ok(());
    }
    for symbol in &missing {
        let stock = Stock::new(symbol, traded_price(&mut rand::rng(), symbol));
        match stocks.insert_one(stock).await {
            Err(error) if error.duplicate_key().is_none() => return Err(error.into()),
            _ => {}
        }
    }
    if pace.talk {
        output::line(&format!("   put back {many}: {named}"))?;
    }
    Ok(())
}

async fn missing_keys(stocks: &Collection<Stock>, numbers: Numbers) -> Result<BTreeSet<String>> {
    let generated = doc! { "_id": { "$gte": "Z0", "$lt": "Z:" } };
    if stocks.count(generated.clone()).await? == numbers.count {
        return Ok(BTreeSet::new());
    }
    let mut there = HashSet::new();
    let mut cursor = stocks.find(generated).projection(doc! { "_id": 1 }).await?;
    while let Some(stock) = cursor.next().await {
        there.extend(number_in(&stock?.symbol));
    }
    let all = numbers.first..=numbers.last();
    Ok(all.filter(|number| !there.contains(number)).map(|number| key('Z', number)).collect())
}

fn refusal() -> Error {
    Error::refused(format!(
        "-- Performing random updates to collection \"{DATABASE}.{COLLECTION}\" aborted\n   \
         because collection does not exist (run with command \"INIT\" first)"
    ))
}

fn no_generated() -> Error {
    Error::refused(format!(
        "-- Performing random updates to collection \"{DATABASE}.{COLLECTION}\" aborted\n   \
         because it holds no generated symbols (run with command \"INIT --resume\" first)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_refusal_text() {
        assert_eq!(
            refusal().to_string(),
            "-- Performing random updates to collection \"market.stocksymbols\" aborted\n   \
             because collection does not exist (run with command \"INIT\" first)"
        );
        assert_eq!(refusal().exit_code(), 3);
    }

    #[test]
    fn b7_status_line_counts_operations_no_ops_and_errors() {
        let mut tally = Tally { operations: 160, no_ops: 1, ..Tally::default() };
        let ten = Duration::from_secs(10);
        assert_eq!(tally.status(ten, None), "   10 s: 160 operations, 1 no-op, 0 errors");
        tally.duplicates = 2;
        tally.errors = 1;
        assert_eq!(
            tally.status(ten, Some("gone")),
            "   10 s: 160 operations, 1 no-op, 1 error, 2 duplicates (last: gone)"
        );
    }
}
