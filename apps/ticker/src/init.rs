//! INIT: loads the market, completes a partial load, or refuses to touch a complete one.

use std::collections::HashMap;

use headwater::bson::doc;
use headwater::{BulkFailure, BulkProgress, Collection, ErrorKind};
use rand::Rng;

use crate::error::{Error, Result};
use crate::figures::grouped;
use crate::market::{COLLECTION, DATABASE, Market};
use crate::output;
use crate::progress::Progress;
use crate::sharding;
use crate::stock::Stock;
use crate::symbols::{
    FAMILIAR, Numbers, PREFIXES, initial_price, is_initial_price, key, traded_price,
};

const DUPLICATE_KEY: i32 = 11_000;

/// How INIT goes about it.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many numbers, four documents each.
    pub numbers: u64,
    /// Documents per batch.
    pub batch: usize,
    /// Complete a partial load instead of refusing it.
    pub resume: bool,
    /// Drop what is there first.
    pub force: bool,
    /// Whether a terminal shows the progress.
    pub terminal: bool,
}

/// What a collection holds, compared with a complete load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Part { documents: u64 },
    All,
}

/// Loads the market.
///
/// # Errors
/// Exit code 3 if the collection is already there: complete, or partial and neither `resume` nor `force` is set.
pub async fn run(market: &Market, load: Load) -> Result<()> {
    let stocks = market.stocks();
    if load.force {
        stocks.drop_collection().await?;
    }
    let numbers = Numbers::for_count(load.numbers);
    let found = look(&stocks).await?;
    match found {
        Found::All => return Err(already_there()),
        Found::Part { documents } if !load.resume => return Err(partly_there(documents, numbers)),
        _ => {}
    }
    output::line(&format!(
        "-- Initialising collection \"{DATABASE}.{COLLECTION}\" with stock price values\n"
    ))?;
    if market.is_router() && found == Found::Nothing {
        sharding::prepare(market, numbers).await?;
    }
    let present = match found {
        Found::Part { documents } => documents,
        _ => 0,
    };
    let mut progress = Progress::new(numbers.documents(), present, load.terminal);
    if present > 0 {
        complete(&stocks, numbers, load.batch, &mut progress).await?;
    } else {
        fill(&stocks, numbers, load.batch, &mut progress).await?;
    }
    output::write("\n\n")?;
    settled(stocks.bulk_load(familiar_stocks()).await)
}

/// Says whether the collection is complete: the same numbers behind every prefix, and every familiar symbol. As
/// the familiar symbols are loaded last, a load that was cut off is always seen.
async fn look(stocks: &Collection<Stock>) -> Result<Found> {
    let documents = stocks.count(doc! {}).await?;
    if documents == 0 {
        return Ok(Found::Nothing);
    }
    let names: Vec<&str> = FAMILIAR.iter().map(|symbol| symbol.name).collect();
    let familiar = stocks.count(doc! { "_id": { "$in": names } }).await?;
    let generated = documents.saturating_sub(familiar);
    let per_prefix = generated / PREFIXES.len() as u64;
    let complete = familiar == FAMILIAR.len() as u64
        && generated > 0
        && generated % PREFIXES.len() as u64 == 0
        && numbers_in_use(stocks).await?.is_some_and(|numbers| numbers.count == per_prefix);
    Ok(if complete { Found::All } else { Found::Part { documents } })
}

/// The numbers in use, read from the data: the smallest and the largest key of a prefix that is never deleted.
///
/// # Errors
/// The server does not answer.
pub async fn numbers_in_use(stocks: &Collection<Stock>) -> Result<Option<Numbers>> {
    let mut ends = [None, None];
    for (end, direction) in ends.iter_mut().zip([1, -1]) {
        // Generated keys begin with a digit after the prefix, which sorts before any letter.
        let found = stocks
            .find_one(doc! { "_id": { "$gte": "A0", "$lt": "A:" } })
            .sort(doc! { "_id": direction })
            .projection(doc! { "_id": 1 })
            .await?;
        *end = found.and_then(|stock| crate::symbols::number_in(&stock.symbol));
    }
    Ok(match ends {
        [Some(first), Some(last)] if first <= last => {
            Some(Numbers { first, count: last - first + 1 })
        }
        _ => None,
    })
}

/// Loads all numbers into an empty collection.
async fn fill(
    stocks: &Collection<Stock>,
    numbers: Numbers,
    batch: usize,
    progress: &mut Progress,
) -> Result<()> {
    let nothing = HashMap::new();
    let generated = (numbers.first..=numbers.last())
        .flat_map(|number| missing_stocks(number, number, &nothing, &mut rand::rng()));
    let mut shown = Ok(());
    let load = stocks.bulk_load(generated).batch_size(batch).on_progress(|so_far| {
        if shown.is_ok() {
            shown = advance(progress, so_far.inserted + so_far.failed as u64, numbers);
        }
    });
    let loaded = load.await;
    settled(loaded).and(shown)
}

/// Loads the numbers that a partial load left out.
async fn complete(
    stocks: &Collection<Stock>,
    numbers: Numbers,
    batch: usize,
    progress: &mut Progress,
) -> Result<()> {
    let block = (batch / PREFIXES.len()).max(1) as u64;
    let mut next = numbers.first;
    while next <= numbers.last() {
        let last = (next + block - 1).min(numbers.last());
        let present = present(stocks, next, last).await?;
        let missing = missing_stocks(next, last, &present, &mut rand::rng());
        settled(stocks.bulk_load(missing).batch_size(batch).await)?;
        advance(progress, (last - numbers.first + 1) * PREFIXES.len() as u64, numbers)?;
        next = last + 1;
    }
    Ok(())
}

/// Shows how many generated documents there are; the last one counts for the familiar ones too, which are few.
fn advance(progress: &mut Progress, done: u64, numbers: Numbers) -> Result<()> {
    let total = numbers.documents();
    progress.advance(if done + FAMILIAR.len() as u64 >= total { total } else { done })
}

async fn present(
    stocks: &Collection<Stock>,
    first: u64,
    last: u64,
) -> Result<HashMap<String, Option<i64>>> {
    let keys: Vec<String> =
        (first..=last).flat_map(|number| PREFIXES.map(|prefix| key(prefix, number))).collect();
    let present = stocks.find_many(doc! { "_id": { "$in": keys } }).await?;
    Ok(present.into_iter().map(|stock| (stock.symbol, stock.price)).collect())
}

/// The documents of `first..=last` that are not there. The four documents of a number share one price, so the price
/// of a sibling that still has its first one is taken over.
fn missing_stocks(
    first: u64,
    last: u64,
    present: &HashMap<String, Option<i64>>,
    rng: &mut impl Rng,
) -> Vec<Stock> {
    let mut stocks = Vec::new();
    for number in first..=last {
        let keys = PREFIXES.map(|prefix| key(prefix, number));
        let prices = keys.iter().filter_map(|key| present.get(key).copied().flatten());
        let mut prices = prices.filter_map(|price| i32::try_from(price).ok());
        let shared = prices.find(|price| is_initial_price(*price));
        let price = shared.unwrap_or_else(|| initial_price(rng));
        let missing = keys.into_iter().filter(|key| !present.contains_key(key));
        stocks.extend(missing.map(|key| Stock::new(key, price)));
    }
    stocks
}

fn familiar_stocks() -> Vec<Stock> {
    let mut rng = rand::rng();
    let stock = |name: &str| Stock::new(name, traded_price(&mut rng, name));
    FAMILIAR.iter().map(|symbol| symbol.name).map(stock).collect()
}

/// Documents that another process has inserted meanwhile stay as they are.
fn settled(loaded: headwater::Result<BulkProgress>) -> Result<()> {
    match loaded {
        Err(error) if error.kind() != ErrorKind::Bulk => Err(error.into()),
        Err(error) if !error.bulk().is_some_and(only_duplicates) => Err(error.into()),
        _ => Ok(()),
    }
}

fn only_duplicates(failure: &BulkFailure) -> bool {
    let all_answered = failure.unprocessed.is_empty() && failure.unknown.is_empty();
    all_answered && failure.items.iter().all(|item| item.code == DUPLICATE_KEY)
}

fn already_there() -> Error {
    Error::refused(format!(
        "-- Initialisation of collection \"{DATABASE}.{COLLECTION}\" not performed because\n   \
         collection already exists (run with command \"CLEAN\" first)"
    ))
}

fn partly_there(found: u64, numbers: Numbers) -> Error {
    Error::refused(format!(
        "-- Initialisation of collection \"{DATABASE}.{COLLECTION}\" not performed because\n   \
         collection holds a partial load: {} of {} documents (run \"INIT --resume\" to\n   \
         complete it, \"INIT --force\" to start over)",
        grouped(found),
        grouped(numbers.documents())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t1_four_documents_of_a_number_share_one_price() {
        let stocks = missing_stocks(10_000, 10_099, &HashMap::new(), &mut rand::rng());
        assert_eq!(stocks.len(), 400);
        for four in stocks.chunks(4) {
            assert!((10..=19).contains(&four[0].price.unwrap()));
            assert!(four.iter().all(|stock| stock.price == four[0].price));
        }
    }

    #[test]
    fn b3_resume_takes_the_price_of_a_sibling_that_still_has_its_first_one() {
        let present =
            HashMap::from([("A10000".to_owned(), Some(55)), ("S10000".to_owned(), Some(13))]);
        let stocks = missing_stocks(10_000, 10_000, &present, &mut rand::rng());
        assert_eq!(stocks, [Stock::new("K10000", 13), Stock::new("Z10000", 13)]);
    }

    #[test]
    fn section_3_refusal_text() {
        assert_eq!(
            already_there().to_string(),
            "-- Initialisation of collection \"market.stocksymbols\" not performed because\n   \
             collection already exists (run with command \"CLEAN\" first)"
        );
        let partial = partly_there(7_413, Numbers::for_count(5_000)).to_string();
        assert!(partial.contains("7,413 of 20,013"), "{partial}");
    }
}
