//! Every numbered promise and defect of the connector's specification has a test that is named after it.

use std::collections::BTreeSet;

use headwater_tidy::files::{text, tracked};

const REQUIREMENTS: std::ops::RangeInclusive<u32> = 1..=29;
const DEFECTS: std::ops::RangeInclusive<u32> = 1..=33;

#[test]
fn every_number_has_its_test() {
    let mut named = BTreeSet::new();
    for name in tracked() {
        let is_judge = name.starts_with("crates/headwater/") || name.starts_with("apps/");
        if is_judge && name.ends_with(".rs") {
            named.extend(tests_of(&text(&name).unwrap_or_default()).flat_map(numbers));
        }
    }
    let wanted = REQUIREMENTS.map(|n| ('r', n)).chain(DEFECTS.map(|n| ('d', n)));
    let missing: Vec<_> = wanted.filter(|number| !named.contains(number)).collect();
    assert!(missing.is_empty(), "no test named after {missing:?}");
}

/// The names of the functions below a `#[test]` or a `#[tokio::test]`.
fn tests_of(source: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    source.lines().filter_map(move |line| {
        let line = line.trim();
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let name = line.split_once("fn ")?.1.split('(').next();
        std::mem::take(&mut is_test).then_some(name)?
    })
}

/// The numbers in a name such as `r24_health_follows_and_d27_gives_the_reason`.
fn numbers(name: &str) -> impl Iterator<Item = (char, u32)> {
    name.split('_').filter_map(|word| {
        let letter = word.chars().next().filter(|letter| ['r', 'd'].contains(letter))?;
        Some((letter, word[1..].parse().ok()?))
    })
}
