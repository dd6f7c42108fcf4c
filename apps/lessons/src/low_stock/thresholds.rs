//! From which quantity on a fruit is running out: for all, and for single ones.

use std::collections::BTreeMap;

use crate::inventory::FRUITS;

const DEFAULT: i64 = 20;

/// When to warn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    all: i64,
    single: BTreeMap<String, i64>,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { all: DEFAULT, single: BTreeMap::new() }
    }
}

impl Thresholds {
    /// Takes `20` for all fruits or `apples=30` for one.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn set(&mut self, text: &str) -> Result<(), &'static str> {
        const EXPECTED: &str = "a quantity, or one of the fruits with a quantity as in apples=30";
        let quantity = |text: &str| {
            let number: i64 = text.trim().parse().map_err(|_| EXPECTED)?;
            if (1..=1_000_000).contains(&number) { Ok(number) } else { Err(EXPECTED) }
        };
        match text.split_once('=') {
            Some((fruit, number)) if FRUITS.contains(&fruit) => {
                self.single.insert(fruit.to_owned(), quantity(number)?);
            }
            Some(_) => return Err(EXPECTED),
            None => self.all = quantity(text)?,
        }
        Ok(())
    }

    /// The quantity below which to warn of a fruit.
    pub fn of(&self, fruit: &str) -> i64 {
        self.single.get(fruit).copied().unwrap_or(self.all)
    }

    /// The highest of all.
    pub fn highest(&self) -> i64 {
        self.single.values().copied().fold(self.all, i64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l16_a_fruit_may_have_a_threshold_of_its_own() {
        let mut below = Thresholds::default();
        assert_eq!((below.of("apples"), below.highest()), (20, 20));
        below.set("apples=30").unwrap();
        below.set("15").unwrap();
        assert_eq!((below.of("apples"), below.of("bananas"), below.highest()), (30, 15, 30));
        for wrong in ["", "cherries=3", "apples=", "0", "apples=-1", "many"] {
            assert!(below.set(wrong).is_err(), "{wrong}");
        }
    }
}
