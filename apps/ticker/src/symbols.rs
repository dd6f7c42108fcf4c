//! What is traded: the familiar symbols, the generated ones and the range of each price. Knows no database.

use std::ops::RangeInclusive;

use rand::Rng;

/// A familiar company whose price is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    /// The ticker symbol, the document's `_id`.
    pub name: &'static str,
    /// The company behind it.
    pub company: &'static str,
}

/// The familiar symbols in the order of the display rows.
pub const FAMILIAR: [Symbol; 13] = [
    Symbol { name: "ADBE", company: "Adobe Systems Inc." },
    Symbol { name: "IBM", company: "International Business Machines Corp." },
    Symbol { name: "AAPL", company: "Apple Inc." },
    Symbol { name: "MULE", company: "MuleSoft Inc." },
    Symbol { name: "FB", company: "Facebook, Inc." },
    Symbol { name: "AMZN", company: "Amazon.com Inc." },
    Symbol { name: "MSFT", company: "Microsoft Corp." },
    Symbol { name: "GOOGL", company: "Alphabet Inc." },
    Symbol { name: "MDB", company: "MongoDB Inc." },
    Symbol { name: "CSCO", company: "Cisco Systems Inc." },
    Symbol { name: "ORCL", company: "Oracle Corp." },
    Symbol { name: "VMW", company: "VMware Inc." },
    Symbol { name: "SAP", company: "SAP SE" },
];

/// The prefixes of generated symbols; `A` and `Z` are written by CHANGE, `K` and `S` rest.
pub const PREFIXES: [char; 4] = ['A', 'K', 'S', 'Z'];

/// How many numbers INIT uses unless told.
pub const DEFAULT_NUMBERS: u64 = 5_000;

/// The most numbers INIT takes: 36 million documents.
pub const MAX_NUMBERS: u64 = 9_000_000;

const INITIAL_PRICES: RangeInclusive<i32> = 10..=19;
const PRICES: RangeInclusive<i32> = 20..=89;
const FAVOURITE: &str = "MDB";
const FAVOURITE_PRICES: RangeInclusive<i32> = 90..=99;

/// The display row of a familiar symbol.
pub fn row_of(name: &str) -> Option<usize> {
    FAMILIAR.iter().position(|symbol| symbol.name == name)
}

/// A new price for any symbol once it is traded.
pub fn traded_price(rng: &mut impl Rng, name: &str) -> i32 {
    rng.random_range(if name == FAVOURITE { FAVOURITE_PRICES } else { PRICES })
}

/// The price that the four documents of a number share when they are loaded.
pub fn initial_price(rng: &mut impl Rng) -> i32 {
    rng.random_range(INITIAL_PRICES)
}

/// True if a generated symbol may have this price straight after loading.
pub fn is_initial_price(price: i32) -> bool {
    INITIAL_PRICES.contains(&price)
}

/// The numbers of generated symbols, all with the same count of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The smallest number.
    pub first: u64,
    /// How many numbers follow each other.
    pub count: u64,
}

impl Numbers {
    /// The numbers that INIT uses for `count` of them: from 10,000, or from a larger power of ten when the
    /// five-digit numbers do not suffice.
    pub fn for_count(count: u64) -> Numbers {
        let mut first = 10_000;
        while count > first * 9 {
            first *= 10;
        }
        Numbers { first, count }
    }

    /// The last number.
    pub fn last(&self) -> u64 {
        self.first + self.count.saturating_sub(1)
    }

    /// One of the numbers.
    pub fn draw(&self, rng: &mut impl Rng) -> u64 {
        rng.random_range(self.first..=self.last())
    }

    /// How many documents a complete collection holds.
    pub fn documents(&self) -> u64 {
        self.count * PREFIXES.len() as u64 + FAMILIAR.len() as u64
    }
}

/// The key of a generated document.
pub fn key(prefix: char, number: u64) -> String {
    format!("{prefix}{number}")
}

/// The number in a generated key, if it is one: a known prefix and at least five digits.
pub fn number_in(key: &str) -> Option<u64> {
    let digits = key.strip_prefix(PREFIXES)?;
    let plausible = digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plausible.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_one_width_so_that_keys_sort_like_numbers() {
        assert_eq!(Numbers::for_count(5_000), Numbers { first: 10_000, count: 5_000 });
        assert_eq!(Numbers::for_count(5_000).last(), 14_999);
        assert_eq!(Numbers::for_count(5_000).documents(), 20_013);
        assert_eq!(Numbers::for_count(90_000).last(), 99_999);
        assert_eq!(Numbers::for_count(90_001).first, 100_000);
        assert_eq!(Numbers::for_count(2_000_000).first, 1_000_000);
        assert_eq!(Numbers::for_count(MAX_NUMBERS).last(), 9_999_999);
    }

    #[test]
    fn prices_stay_in_their_ranges() {
        let mut rng = rand::rng();
        for _ in 0..2_000 {
            assert!((20..=89).contains(&traded_price(&mut rng, "IBM")));
            assert!((20..=89).contains(&traded_price(&mut rng, "Z10000")));
            assert!((90..=99).contains(&traded_price(&mut rng, "MDB")));
            assert!((10..=19).contains(&initial_price(&mut rng)));
        }
    }

    #[test]
    fn generated_keys_are_told_from_familiar_ones() {
        assert_eq!(number_in("A10000"), Some(10_000));
        assert_eq!(number_in(&key('Z', 14_999)), Some(14_999));
        for other in ["AAPL", "SAP", "A", "A1", "B10000", "A1000x", "A99999999999999999999"] {
            assert_eq!(number_in(other), None, "{other}");
        }
        assert_eq!(row_of("MDB"), Some(8));
        assert_eq!(row_of("XYZ"), None);
    }
}
