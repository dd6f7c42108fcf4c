//! `$bitsAllSet`, `$bitsAllClear`, `$bitsAnySet`, `$bitsAnyClear`.

use super::Node;
use super::element::{integer, text};
use super::parse::{Field, Parser, bad_value, failed_to_parse};
use super::test::Test;
use crate::bson::{Array, Number, Raw, View};
use crate::error::Result;

/// Which bits are looked at, and what is asked of them.
#[derive(Debug)]
pub(crate) struct Bits {
    positions: Vec<u32>,
    set: bool,
    all: bool,
}

impl Bits {
    pub(super) fn matches(&self, value: Raw<'_>) -> bool {
        match value.view() {
            View::Binary { bytes, .. } => self.holds(|position| {
                let byte = usize::try_from(position / 8).ok().and_then(|at| bytes.get(at));
                byte.is_some_and(|byte| byte >> (position % 8) & 1 == 1)
            }),
            _ => match Number::from_raw(value).and_then(Number::to_i64_exact) {
                // Beyond the 64th bit the sign goes on.
                Some(number) => self.holds(|position| number >> position.min(63) & 1 == 1),
                None => false,
            },
        }
    }

    fn holds(&self, is_set: impl Fn(u32) -> bool) -> bool {
        let passes = |position: &u32| is_set(*position) == self.set;
        match self.all {
            true => self.positions.iter().all(passes),
            false => self.positions.iter().any(passes),
        }
    }
}

fn bits(field: Field<'_, '_>, set: bool, all: bool) -> Result<Node> {
    let positions = match field.value.view() {
        View::Array(array) => listed(array)?,
        View::Binary { bytes, .. } => set_bits(bytes.iter().copied()).collect(),
        _ if field.value.kind.is_number() => {
            let mask = integer(field.name, field.value).map_err(failed_to_parse)?;
            if mask < 0 {
                let text = text(field.name, field.value);
                return Err(failed_to_parse(format!("Expected a non-negative number in: {text}")));
            }
            set_bits(mask.to_le_bytes().into_iter()).collect()
        }
        _ => {
            let (path, text) = (field.path.as_str(), text(field.name, field.value));
            return Err(bad_value(format!(
                "{path} takes an Array, a number, or a BinData but received: {text}"
            )));
        }
    };
    let test = Test::Bits(Box::new(Bits { positions, set, all }));
    Ok(Node::Field { path: field.path.clone(), test })
}

/// The positions that a valid argument names.
pub(super) fn positions(value: Raw<'_>) -> Vec<u32> {
    match value.view() {
        View::Array(array) => listed(array).unwrap_or_default(),
        View::Binary { bytes, .. } => set_bits(bytes.iter().copied()).collect(),
        _ => {
            let mask = Number::from_raw(value).and_then(Number::to_i64_exact).unwrap_or(0);
            set_bits(mask.to_le_bytes().into_iter()).collect()
        }
    }
}

fn set_bits(bytes: impl Iterator<Item = u8>) -> impl Iterator<Item = u32> {
    bytes.zip(0..).flat_map(|(byte, at)| {
        (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| at * 8 + bit)
    })
}

fn listed(array: Array<'_>) -> Result<Vec<u32>> {
    let mut positions = Vec::new();
    for (value, at) in array.iter().zip(0..) {
        let name = format!("{at}");
        let position = integer(&name, value).and_then(|position| {
            let text = || text(&name, value);
            match position {
                ..0 => Err(format!("Expected a non-negative number in: {}", text())),
                0..=0x7FFF_FFFF => Ok(position as u32),
                _ => Err(format!("Cannot represent {} in an int", text())),
            }
        });
        let position = position
            .map_err(|message| bad_value(format!("Failed to parse bit position. {message}")))?;
        positions.push(position);
    }
    positions.sort_unstable();
    positions.dedup();
    Ok(positions)
}

pub(super) fn all_set(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    bits(field, true, true)
}

pub(super) fn all_clear(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    bits(field, false, true)
}

pub(super) fn any_set(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    bits(field, true, false)
}

pub(super) fn any_clear(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    bits(field, false, false)
}
