//! The shop: sells fruit one by one, for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use headwater::Collection;
use headwater::bson::{Document, doc};
use rand::Rng;
use rand::rngs::StdRng;

use crate::deployment::Deployment;
use crate::error::Result;
use crate::inventory::{self, FRUITS, FULL};
use crate::output;
use crate::stop::Stop;

/// Units of one sale.
const SALES: [i32; 4] = [1, 2, 4, 8];
/// A fruit with no more units than this is not sold.
const KEPT: i32 = 10;

/// How the shop works.
#[derive(Debug, Clone, Copy)]
pub struct Trade {
    /// The time between two sales.
    pub interval: Duration,
    /// Drop the inventory and fill it anew first.
    pub reset: bool,
    /// Add to a fruit that has stopped.
    pub restock: bool,
    /// Say each sale on standard error.
    pub verbose: bool,
    /// End after so many sales.
    pub sales: Option<u64>,
}

/// Sells until told to end. A server that is away costs sales, not the shop.
///
/// # Errors
/// The inventory cannot be filled.
pub async fn run(deployment: &Deployment, trade: Trade, mut stop: Stop) -> Result<()> {
    let inventory = inventory::of(deployment);
    if trade.reset {
        inventory::refill(&inventory).await?;
    } else {
        inventory::fill_if_empty(&inventory).await?;
    }
    let mut shop = Shop {
        inventory,
        trade,
        random: deployment.random(0),
        stopped: BTreeSet::new(),
        said: false,
    };
    let mut sales = 0;
    let mut away = false;
    while stop.cause().is_none() && trade.sales.is_none_or(|limit| sales < limit) {
        let served = tokio::select! {
            served = shop.serve() => served,
            _ = stop.wait() => break,
        };
        match served {
            Ok(sold) => {
                sales += u64::from(sold);
                away = false;
            }
            Err(error) if !away => {
                output::note(&format!("no sale: {error}"));
                away = true;
            }
            Err(_) => {}
        }
        shop.close_up()?;
        tokio::select! {
            biased;
            _ = stop.wait() => {}
            () = tokio::time::sleep(trade.interval) => {}
        }
    }
    Ok(())
}

struct Shop {
    inventory: Collection<Document>,
    trade: Trade,
    random: StdRng,
    /// The fruits that are not sold any more.
    stopped: BTreeSet<&'static str>,
    /// Whether it was said that all of them are.
    said: bool,
}

impl Shop {
    /// One customer; true if something was sold.
    async fn serve(&mut self) -> headwater::Result<bool> {
        let fruit = FRUITS[self.random.random_range(0..FRUITS.len())];
        let units = SALES[self.random.random_range(0..SALES.len())];
        let filter = doc! { "type": fruit, "quantity": { "$gt": KEPT } };
        let sale = doc! { "$inc": { "quantity": -units } };
        if let Some(left) = self.inventory.find_one_and_update(filter, sale).await? {
            self.stopped.remove(fruit);
            self.said = false;
            if self.trade.verbose {
                let left = inventory::quantity(&left).unwrap_or_default();
                output::note(&format!("sold {units} of {fruit}, {left} left"));
            }
            return Ok(true);
        }
        if self.trade.restock {
            let low = doc! { "type": fruit, "quantity": { "$lte": KEPT } };
            let more = doc! { "$inc": { "quantity": FULL as i32 } };
            self.inventory.update_one(low, more).await?;
        } else {
            self.stopped.insert(fruit);
        }
        Ok(false)
    }

    /// Says once that there is nothing left to sell.
    fn close_up(&mut self) -> Result<()> {
        if self.stopped.len() == FRUITS.len() && !self.said {
            output::line("sold out of everything")?;
            self.said = true;
        }
        Ok(())
    }
}
