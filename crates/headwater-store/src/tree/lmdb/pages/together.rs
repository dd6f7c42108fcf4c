//! Several keys looked up side by side: while one waits for memory the others do too, where one lookup after the other would
//! wait for each in turn.

use std::cmp::Ordering;

use super::{DEPTH_MAX, HEADER, KNOWN, LEAF, NODE, Pages, node, u16_at, u64_at};

/// Keys that are looked up side by side.
pub(in crate::tree::lmdb) const LANES: usize = 32;
/// What the processor fetches from memory in one go.
const LINE: usize = 64;
/// Lines at the start of a page that hold the places of its nodes.
const PLACES: usize = 4;
/// Lines of a value that are fetched for whoever reads it next.
const VALUE: usize = 16;

/// What became of a key.
#[derive(Clone, Copy)]
pub(in crate::tree::lmdb) enum Looked<'t> {
    /// Its value.
    Found(&'t [u8]),
    /// It is not there.
    Absent,
    /// LMDB has to be asked: the value does not stand in the leaf.
    Elsewhere,
}

/// The way of one key: the page that it is in, and which of its nodes are still in question.
#[derive(Clone, Copy)]
struct Way<'t> {
    page: &'t [u8],
    low: usize,
    high: usize,
}

impl Way<'_> {
    fn middle(&self) -> Option<usize> {
        (self.low < self.high).then(|| self.low + (self.high - self.low) / 2)
    }
}

impl<'t> Pages<'t> {
    /// Looks up [`LANES`] keys at most, none of them empty; `None` if the pages are not what they have to be.
    pub(in crate::tree::lmdb) fn look_up(
        &self,
        root: &[u8],
        keys: &[&[u8]],
    ) -> Option<[Looked<'t>; LANES]> {
        let mut looked = [Looked::Absent; LANES];
        let depth = u16_at(root, 6)?;
        if depth == 0 {
            return Some(looked);
        }
        let root = self.page(u64_at(root, 40)?)?;
        let mut ways = [Way { page: root, low: 0, high: 0 }; LANES];
        let ways = ways.get_mut(..keys.len())?;
        for level in 1..=depth.min(DEPTH_MAX) {
            let is_leaf = level == depth;
            search(ways, keys, is_leaf)?;
            if is_leaf {
                break;
            }
            for way in ways.iter_mut() {
                let node = node(way.page, way.low.checked_sub(1)?)?;
                let [low, middle, high] = [0, 2, 4].map(|at| u16_at(node, at).map(u64::from));
                way.page = self.page(low? | middle? << 16 | high? << 32)?;
                fetch(way.page, PLACES);
            }
        }
        for ((way, key), looked) in ways.iter().zip(keys).zip(&mut looked) {
            *looked = value(way, key)?;
        }
        Some(looked)
    }
}

/// Takes every way to the first node of its page that is not below its key, in a branch to the first above it.
fn search(ways: &mut [Way<'_>], keys: &[&[u8]], is_leaf: bool) -> Option<()> {
    for way in ways.iter_mut() {
        let flags = u16_at(way.page, 10)?;
        let nodes = usize::from(u16_at(way.page, 12)?).checked_sub(HEADER)? / 2;
        if flags & !KNOWN != 0 || (flags & LEAF != 0) != is_leaf || nodes == 0 {
            return None;
        }
        // The first key of a branch stands for everything below the second.
        (way.low, way.high) = (usize::from(!is_leaf), nodes);
    }
    let mut open = true;
    while open {
        open = false;
        for way in ways.iter() {
            if let Some(middle) = way.middle() {
                fetch(node(way.page, middle)?, 1);
            }
        }
        for (way, key) in ways.iter_mut().zip(keys) {
            let Some(middle) = way.middle() else { continue };
            open = true;
            let here = key_of(node(way.page, middle)?)?;
            match here.cmp(key) {
                Ordering::Less => way.low = middle + 1,
                Ordering::Equal if !is_leaf => way.low = middle + 1,
                _ => way.high = middle,
            }
        }
    }
    Some(())
}

#[inline]
pub(super) fn key_of(node: &[u8]) -> Option<&[u8]> {
    node.get(NODE..NODE + usize::from(u16_at(node, 6)?))
}

/// The value that a way ends at, if it is that of the key.
fn value<'t>(way: &Way<'t>, key: &[u8]) -> Option<Looked<'t>> {
    let nodes = usize::from(u16_at(way.page, 12)?).checked_sub(HEADER)? / 2;
    if way.low >= nodes {
        return Some(Looked::Absent);
    }
    let node = node(way.page, way.low)?;
    if key_of(node)? != key {
        return Some(Looked::Absent);
    }
    // Flags: a value on pages of its own, or one that is a table.
    if u16_at(node, 4)? != 0 {
        return Some(Looked::Elsewhere);
    }
    let bytes = usize::from(u16_at(node, 0)?) | usize::from(u16_at(node, 2)?) << 16;
    let start = NODE + key.len();
    let value = node.get(start..start.checked_add(bytes)?)?;
    fetch(value, VALUE);
    Some(Looked::Found(value))
}

/// Asks the processor for the first lines of what is read next.
#[inline]
pub(super) fn fetch(bytes: &[u8], lines: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE).take(lines) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint about an address inside a slice; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, lines, LINE);
}
