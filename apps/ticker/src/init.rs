//! INIT: loads the market, completes a partial load, or refuses to touch a complete one.

use std::collections::HashMap;

use headwater::mongodb::Collection;
use headwater::mongodb::bson::{Bson, Document, doc};
use headwater::mongodb::error::{Error as DriverError, ErrorKind};
use rand::Rng;

use crate::error::{Error, Result};
use crate::market::{COLLECTION, DATABASE, Market};
use crate::output::{self, grouped};
use crate::progress::Progress;
use crate::sharding;
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
        stocks.drop().await?;
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
    load_numbers(&stocks, numbers, load.batch, present > 0, &mut progress).await?;
    output::write("\n\n")?;
    let familiar = familiar_documents();
    insert(&stocks, familiar).await
}

/// Says whether the collection is complete: the same numbers behind every prefix, and every familiar symbol. As
/// the familiar symbols are loaded last, a load that was cut off is always seen.
async fn look(stocks: &Collection<Document>) -> Result<Found> {
    let documents = stocks.count_documents(doc! {}).await?;
    if documents == 0 {
        return Ok(Found::Nothing);
    }
    let names: Vec<&str> = FAMILIAR.iter().map(|symbol| symbol.name).collect();
    let familiar = stocks.count_documents(doc! { "_id": { "$in": names } }).await?;
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
pub async fn numbers_in_use(stocks: &Collection<Document>) -> Result<Option<Numbers>> {
    let mut ends = [None, None];
    for (end, direction) in ends.iter_mut().zip([1, -1]) {
        // Generated keys begin with a digit after the prefix, which sorts before any letter.
        let found = stocks
            .find_one(doc! { "_id": { "$gte": "A0", "$lt": "A:" } })
            .sort(doc! { "_id": direction })
            .projection(doc! { "_id": 1 })
            .await?;
        *end = found.and_then(|document| crate::symbols::number_in(document.get_str("_id").ok()?));
    }
    Ok(match ends {
        [Some(first), Some(last)] if first <= last => {
            Some(Numbers { first, count: last - first + 1 })
        }
        _ => None,
    })
}

async fn load_numbers(
    stocks: &Collection<Document>,
    numbers: Numbers,
    batch: usize,
    resuming: bool,
    progress: &mut Progress,
) -> Result<()> {
    let familiar = FAMILIAR.len() as u64;
    let block = (batch / PREFIXES.len()).max(1) as u64;
    let mut next = numbers.first;
    while next <= numbers.last() {
        let last = (next + block - 1).min(numbers.last());
        let present = if resuming { present(stocks, next, last).await? } else { HashMap::new() };
        let missing = missing_documents(next, last, &present, &mut rand::rng());
        if !missing.is_empty() {
            insert(stocks, missing).await?;
        }
        let done = (last - numbers.first + 1) * PREFIXES.len() as u64;
        let total = numbers.documents();
        progress.advance(if done + familiar == total { total } else { done })?;
        next = last + 1;
    }
    Ok(())
}

async fn present(
    stocks: &Collection<Document>,
    first: u64,
    last: u64,
) -> Result<HashMap<String, i32>> {
    let keys: Vec<String> =
        (first..=last).flat_map(|number| PREFIXES.map(|prefix| key(prefix, number))).collect();
    let mut cursor = stocks.find(doc! { "_id": { "$in": keys } }).await?;
    let mut present = HashMap::new();
    while cursor.advance().await? {
        let document = cursor.deserialize_current()?;
        if let (Ok(id), Ok(price)) = (document.get_str("_id"), document.get_i32("price")) {
            present.insert(id.to_owned(), price);
        }
    }
    Ok(present)
}

/// The documents of `first..=last` that are not there. The four documents of a number share one price, so the price
/// of a sibling that still has its first one is taken over.
fn missing_documents(
    first: u64,
    last: u64,
    present: &HashMap<String, i32>,
    rng: &mut impl Rng,
) -> Vec<Document> {
    let mut documents = Vec::new();
    for number in first..=last {
        let keys = PREFIXES.map(|prefix| key(prefix, number));
        let shared = keys.iter().filter_map(|key| present.get(key)).find(|p| is_initial_price(**p));
        let price = shared.copied().unwrap_or_else(|| initial_price(rng));
        let missing = keys.into_iter().filter(|key| !present.contains_key(key));
        documents.extend(missing.map(|key| doc! { "_id": key, "price": price }));
    }
    documents
}

fn familiar_documents() -> Vec<Document> {
    let mut rng = rand::rng();
    let document = |name: &str, price: i32| doc! { "_id": name, "price": Bson::Int32(price) };
    FAMILIAR
        .iter()
        .map(|symbol| document(symbol.name, traded_price(&mut rng, symbol.name)))
        .collect()
}

/// Inserts a batch in no particular order. Documents that another process has inserted meanwhile stay as they are.
async fn insert(stocks: &Collection<Document>, documents: Vec<Document>) -> Result<()> {
    match stocks.insert_many(documents).ordered(false).await {
        Err(error) if !only_duplicates(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

fn only_duplicates(error: &DriverError) -> bool {
    match error.kind.as_ref() {
        ErrorKind::InsertMany(failure) => {
            failure.write_concern_error.is_none()
                && failure
                    .write_errors
                    .as_ref()
                    .is_some_and(|errors| errors.iter().all(|error| error.code == DUPLICATE_KEY))
        }
        _ => false,
    }
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
        let documents = missing_documents(10_000, 10_099, &HashMap::new(), &mut rand::rng());
        assert_eq!(documents.len(), 400);
        for four in documents.chunks(4) {
            let price = four[0].get_i32("price").unwrap();
            assert!((10..=19).contains(&price));
            assert!(four.iter().all(|document| document.get_i32("price").ok() == Some(price)));
            assert!(four.iter().all(|document| document.len() == 2));
        }
    }

    #[test]
    fn b3_resume_takes_the_price_of_a_sibling_that_still_has_its_first_one() {
        let present = HashMap::from([("A10000".to_owned(), 55), ("S10000".to_owned(), 13)]);
        let documents = missing_documents(10_000, 10_000, &present, &mut rand::rng());
        let keys: Vec<_> = documents.iter().map(|d| d.get_str("_id").unwrap()).collect();
        assert_eq!(keys, ["K10000", "Z10000"]);
        assert!(documents.iter().all(|document| document.get_i32("price").ok() == Some(13)));
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
