//! Several walks side by side whose documents come in one order: the next one is that of the walk with the first key.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::find::Found;
use super::walk::{Entry, Walk};
use super::{Next, Run, Scan};
use crate::error::Result;

/// The key that a walk stands on.
struct Head<'r> {
    entry: Entry<'r>,
    /// Where the part of the key begins that gives the order.
    from: usize,
    reverse: bool,
    walk: usize,
}

impl Head<'_> {
    fn order(&self) -> &[u8] {
        self.entry.0.get(self.from..).unwrap_or_default()
    }
}

impl Ord for Head<'_> {
    /// The greatest is the one that comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.order().cmp(other.order());
        let order = if self.reverse { order } else { order.reverse() };
        order.then_with(|| other.walk.cmp(&self.walk))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head<'_> {}

impl Scan {
    /// Walks several indexes at once, in the order that their keys share.
    pub(super) fn run_merged(&mut self, run: &mut Run<'_, '_>) -> Result<bool> {
        let Scan { plan, places, finder, stretch, .. } = self;
        let scans = plan.access.scans();
        let mut walks: Vec<Walk<'_, '_>> = scans
            .iter()
            .zip(places)
            .map(|(scan, place)| Walk::new(scan, run.read, place))
            .collect();
        let mut heads = BinaryHeap::with_capacity(walks.len());
        for (at, (walk, scan)) in walks.iter_mut().zip(scans).enumerate() {
            if let Some(entry) = walk.next()? {
                let (from, reverse) = (scan.merged_from, scan.reverse);
                heads.push(Head { entry, from, reverse, walk: at });
            }
        }
        let mut left = *stretch;
        while let Some(head) = heads.pop() {
            run.look_at_clock()?;
            let (Some(walk), Some(scan)) = (walks.get_mut(head.walk), scans.get(head.walk)) else {
                break;
            };
            match finder.find(plan, scan, None, (head.entry, None), run.read, run.visit)? {
                Found::Given(Next::StopBefore) => return Ok(false),
                Found::Given(Next::Stop) => {
                    walk.take(head.entry.0);
                    return Ok(false);
                }
                Found::Nothing | Found::Given(Next::Continue) | Found::Value(_) => {}
            }
            walk.take(head.entry.0);
            left -= 1;
            if left == 0 {
                return Ok(false);
            }
            if let Some(entry) = walk.next()? {
                heads.push(Head { entry, ..head });
            }
        }
        Ok(true)
    }
}
