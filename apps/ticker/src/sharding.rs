//! A sharded cluster: every shard gets a part of the collection before it is loaded, and regular writes afterwards.
//!
//! On server 3.6 a resume token may be refused when some shard owns nothing of the collection, and a router releases
//! an event only when every shard's clock has passed it. Knows routers only; it is never used elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use headwater::bson::{Bson, Document, doc};

use crate::error::{Result, one_line};
use crate::market::{COLLECTION, DATABASE, Market};
use crate::output;
use crate::symbols::{Numbers, PREFIXES, key};

/// How long INIT waits until every shard owns a part.
const SPREAD_MAX: Duration = Duration::from_secs(15);
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// Every shard is written at least this often, with some room for the write itself.
const BEAT_EVERY: Duration = Duration::from_millis(750);
/// The balancer may move parts: how long a list of owners is believed.
const OWNERS_EVERY: Duration = Duration::from_secs(30);
const LOWEST_PRICE: i32 = 20;
const PRICE_STEPS: i32 = 70;
const ALREADY_INITIALISED: i32 = 23;
/// `CommandNotFound` and `CommandNotSupported`: something that answers like a router but has no shards.
const NO_SHARDING: [i32; 2] = [59, 115];

/// Shards the empty collection, splits it at explicit points and moves the parts so that every shard owns at least
/// one that will hold data; goes on as soon as that is verified. No document is written.
///
/// # Errors
/// The router refuses to shard the collection. Parts that cannot be moved in time are only noted: the load itself
/// does not depend on them.
pub async fn prepare(market: &Market, numbers: Numbers) -> Result<()> {
    let admin = market.other("admin");
    let name = format!("{DATABASE}.{COLLECTION}");
    for command in [
        doc! { "enableSharding": DATABASE },
        doc! { "shardCollection": &name, "key": { "_id": 1 } },
    ] {
        let Err(error) = admin.run_command(command).await else { continue };
        match error.code() {
            Some(ALREADY_INITIALISED) => {}
            Some(code) if NO_SHARDING.contains(&code) => {
                output::note(&format!("   loading without shards: {}", one_line(&error)));
                return Ok(());
            }
            _ => return Err(error.into()),
        }
    }
    let shards = shards(market).await?;
    let points = split_points(numbers, shards.len());
    for point in &points {
        let split = doc! { "split": &name, "middle": { "_id": point } };
        if let Err(error) = admin.run_command(split).await {
            output::note(&format!("   no split at {point}: {}", one_line(&error)));
        }
    }
    spread(market, &name, &points, &shards).await
}

async fn spread(market: &Market, name: &str, points: &[String], shards: &[String]) -> Result<()> {
    let begun = Instant::now();
    let admin = market.other("admin");
    let loaded: BTreeSet<&String> = points.iter().collect();
    loop {
        let owners = owners(market).await?;
        let with_data: BTreeMap<&String, &String> =
            owners.iter().filter(|(from, _)| loaded.contains(from)).collect();
        let Some((point, shard)) = next_move(points, shards, &with_data) else {
            return Ok(());
        };
        if begun.elapsed() >= SPREAD_MAX {
            output::note(&format!(
                "   shard {shard} owns no part of the collection yet; going on without"
            ));
            return Ok(());
        }
        let order = doc! { "moveChunk": name, "find": { "_id": point }, "to": shard };
        // The balancer may be moving the same part; what counts is what the next look shows.
        if admin.run_command(order).await.is_err() {
            tokio::time::sleep(RETRY_EVERY).await;
        }
        output::write(".")?;
    }
}

/// A part whose shard owns several, for a shard that owns none.
fn next_move<'a>(
    points: &'a [String],
    shards: &'a [String],
    owners: &BTreeMap<&String, &String>,
) -> Option<(&'a String, &'a String)> {
    let poor = shards.iter().find(|shard| !owners.values().any(|owner| owner == shard))?;
    let owned = |shard: &String| owners.values().filter(|owner| **owner == shard).count();
    let part =
        points.iter().find(|point| owners.get(point).is_none_or(|owner| owned(owner) > 1))?;
    Some((part, poor))
}

/// Where the collection is split: before each prefix, and further at even distances so that there are at least two
/// parts with data for each shard.
fn split_points(numbers: Numbers, shards: usize) -> Vec<String> {
    let parts_per_prefix = (shards.max(1) * 2).div_ceil(PREFIXES.len()) as u64;
    let parts_per_prefix = parts_per_prefix.clamp(1, numbers.count.max(1));
    PREFIXES
        .iter()
        .flat_map(|prefix| {
            (0..parts_per_prefix)
                .map(|part| key(*prefix, numbers.first + numbers.count * part / parts_per_prefix))
        })
        .collect()
}

async fn shards(market: &Market) -> Result<Vec<String>> {
    let reply = market.other("admin").run_command(doc! { "listShards": 1 }).await?;
    let shards = reply.get_array("shards").map(Vec::as_slice).unwrap_or_default();
    Ok(shards
        .iter()
        .filter_map(|shard| shard.as_document()?.get_str("_id").ok().map(str::to_owned))
        .collect())
}

/// The lower bound of each part that begins at a symbol, with the shard that owns it.
async fn owners(market: &Market) -> Result<BTreeMap<String, String>> {
    let config = market.other("config");
    let name = format!("{DATABASE}.{COLLECTION}");
    let collections = config.collection::<Document>("collections");
    let entry = collections.find_one(doc! { "_id": &name }).await?;
    // Since 5.0 the parts name their collection by its UUID.
    let of = match entry.and_then(|entry| entry.get("uuid").cloned()) {
        Some(uuid) => doc! { "$or": [{ "ns": &name }, { "uuid": uuid }] },
        None => doc! { "ns": &name },
    };
    let mut owners = BTreeMap::new();
    for part in config.collection::<Document>("chunks").find_many(of).await? {
        let from = part.get_document("min").ok().and_then(|min| min.get("_id"));
        if let (Some(Bson::String(from)), Ok(shard)) = (from, part.get_str("shard")) {
            owners.insert(from.clone(), shard.to_owned());
        }
    }
    Ok(owners)
}

/// Writes to every shard often enough that a router never holds events back for long.
#[derive(Debug)]
pub struct Heartbeat {
    market: Market,
    /// One resting symbol for each shard.
    targets: Vec<String>,
    looked: Option<Instant>,
    beaten: Option<Instant>,
    turn: i32,
}

impl Heartbeat {
    /// A heartbeat that has not begun.
    pub fn new(market: Market) -> Heartbeat {
        Heartbeat { market, targets: Vec::new(), looked: None, beaten: None, turn: 0 }
    }

    /// Writes one symbol on each shard if it is time to. Failures wait for the next beat.
    pub async fn beat(&mut self, now: Instant) {
        let due = |last: Option<Instant>, every| last.is_none_or(|last| now - last >= every);
        if due(self.looked, OWNERS_EVERY)
            && let Ok(targets) = self.find_targets().await
        {
            self.targets = targets;
            self.looked = Some(now);
        }
        if !due(self.beaten, BEAT_EVERY) {
            return;
        }
        self.beaten = Some(now);
        // Never the same twice in a row: an update that changes nothing is no write.
        self.turn = (self.turn + 1) % PRICE_STEPS;
        let price = LOWEST_PRICE + self.turn;
        for symbol in &self.targets {
            let update = doc! { "$set": { "price": price } };
            let _ = self.market.stocks().update_one(doc! { "_id": symbol }, update).await;
        }
    }

    async fn find_targets(&self) -> Result<Vec<String>> {
        let owners = owners(&self.market).await?;
        let mut targets = BTreeMap::new();
        let bounds: Vec<&String> = owners.keys().collect();
        for (at, (from, shard)) in owners.iter().enumerate() {
            if targets.contains_key(shard) {
                continue;
            }
            let mut range = doc! { "$gte": from };
            if let Some(to) = bounds.get(at + 1) {
                range.insert("$lt", *to);
            }
            let first = self.market.stocks().find_one(doc! { "_id": range }).await?;
            if let Some(first) = first
                && crate::symbols::number_in(&first.symbol).is_some()
            {
                targets.insert(shard.clone(), first.symbol);
            }
        }
        Ok(targets.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b23_split_points_leave_two_parts_with_data_for_each_shard() {
        let numbers = Numbers::for_count(5_000);
        assert_eq!(split_points(numbers, 2), ["A10000", "K10000", "S10000", "Z10000"]);
        assert_eq!(split_points(numbers, 3).len(), 8);
        assert_eq!(split_points(numbers, 3)[1], "A12500");
        assert!(split_points(numbers, 12).len() >= 24);
        assert_eq!(split_points(Numbers::for_count(1), 40).len(), 4);
    }

    #[test]
    fn b23_parts_move_until_every_shard_owns_one() {
        let points = split_points(Numbers::for_count(5_000), 2);
        let shards = ["one".to_owned(), "two".to_owned(), "three".to_owned()];
        let mut owners: BTreeMap<&String, &String> =
            points.iter().map(|point| (point, &shards[0])).collect();
        let mut moves = 0;
        while let Some((point, shard)) = next_move(&points, &shards, &owners) {
            owners.insert(point, shard);
            moves += 1;
            assert!(moves <= 2, "{owners:?}");
        }
        assert_eq!(moves, 2);
        assert!(shards.iter().all(|shard| owners.values().any(|owner| *owner == shard)));
    }
}
