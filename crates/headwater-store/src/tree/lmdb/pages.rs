//! LMDB's pages, read as they stand in the memory map (data format version 1, 64 bit, little endian): the way from the
//! root of a table to a key, for estimates and for looking up several keys at once. Every number found in a page is checked before it is followed; what does not
//! look like a page ends the walk without an answer.

mod leaves;
mod together;

use std::marker::PhantomData;

use crate::estimate::{Step, between};

pub(super) use leaves::{Entry, Leaves};
pub(super) use together::{LANES, Looked};

/// The pages of an environment while a read transaction keeps those that it sees from being reused.
pub(super) struct Pages<'t> {
    first: *const u8,
    bytes: usize,
    /// Pages that the file has.
    count: usize,
    _transaction: PhantomData<&'t [u8]>,
}

const HEADER: usize = 16;
const NODE: usize = 8;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
/// Other flags that a page of these tables may have; none is set on disk.
const KNOWN: u16 = BRANCH | LEAF;
const DEPTH_MAX: u16 = 32;
const FORMAT_IS_KNOWN: bool = cfg!(all(target_endian = "little", target_pointer_width = "64"));

impl<'t> Pages<'t> {
    /// The pages of the map that `value` lies in, found by the number at the head of its page. `bytes` is the size of a
    /// page, `count` how many the file has. `None` if the pages are laid out in a way that is not known here.
    ///
    /// # Safety
    /// `value` was read from a table of small values by a read transaction that lives as long as `'t`.
    pub(super) unsafe fn around(value: &'t [u8], bytes: usize, count: usize) -> Option<Pages<'t>> {
        // The map begins at a page of the system. Of smaller pages of the same kind each begins at a multiple of its size.
        if !FORMAT_IS_KNOWN || !bytes.is_power_of_two() || bytes > rustix::param::page_size() {
            return None;
        }
        let own = value.as_ptr().wrapping_sub(value.as_ptr().addr() & (bytes - 1));
        // SAFETY: a small value stands in a leaf, which is one page of the map and begins where `own` points.
        let page = unsafe { std::slice::from_raw_parts(own, bytes) };
        let number = usize::try_from(u64_at(page, 0)?).ok().filter(|&number| number < count)?;
        let back = number.checked_mul(bytes).filter(|_| u16_at(page, 10) == Some(LEAF))?;
        let first = own.wrapping_sub(back);
        Some(Pages { first, bytes, count, _transaction: PhantomData })
    }

    /// About how many entries the table has from `lower` to `upper`; `root` is what the list of tables says of it.
    pub(super) fn estimate(&self, root: &[u8], lower: &[u8], upper: &[u8]) -> Option<u64> {
        // MDB_db: 4 bytes unused, flags (2), depth (2), four counts and the root page (8 each).
        let depth = u16_at(root, 6)?;
        if depth == 0 {
            return Some(0);
        }
        let root = u64_at(root, 40)?;
        let by_key =
            |key| self.path(root, depth, |page, nodes, first| find(page, nodes, first, key));
        let (from, to) = (by_key(lower)?, by_key(upper)?);
        let by_number = |taken: &[usize]| {
            let mut taken = taken.iter();
            self.path(root, depth, |_, nodes, _| {
                taken.next().copied().filter(|&at| at < nodes).or(Some(nodes / 2))
            })
        };
        Some(between(&from, &to, by_number))
    }

    /// A path from the root to a leaf; `choose` says where to go from a page, given how many nodes it has and which is
    /// the first whose key counts.
    fn path(
        &self,
        root: u64,
        depth: u16,
        mut choose: impl FnMut(&[u8], usize, usize) -> Option<usize>,
    ) -> Option<Vec<Step>> {
        let mut path = Vec::with_capacity(usize::from(depth.min(DEPTH_MAX)));
        let mut number = root;
        for level in 1..=depth.min(DEPTH_MAX) {
            let page = self.page(number)?;
            let flags = u16_at(page, 10)?;
            let nodes = usize::from(u16_at(page, 12)?).checked_sub(HEADER)? / 2;
            let is_leaf = flags & LEAF != 0;
            if flags & !KNOWN != 0 || is_leaf != (level == depth) || nodes == 0 {
                return None;
            }
            // The first key of a branch stands for everything below the second.
            let at = choose(page, nodes, usize::from(!is_leaf))?;
            path.push(Step { at, of: nodes });
            if !is_leaf {
                let node = node(page, at)?;
                let parts = [0, 2, 4].map(|at| u16_at(node, at).map(u64::from));
                let [low, middle, high] = parts;
                number = low? | middle? << 16 | high? << 32;
            }
        }
        Some(path)
    }

    fn page(&self, number: u64) -> Option<&'t [u8]> {
        let number = usize::try_from(number).ok().filter(|&number| number < self.count)?;
        let start = number.checked_mul(self.bytes)?;
        // SAFETY: the map begins at `first`; it is not moved while a read transaction is alive, which the borrow of one
        // of its values ensures, and page `number` is inside the file, hence inside the map. A page that the
        // transaction's root leads to is not changed while the transaction lives.
        Some(unsafe { std::slice::from_raw_parts(self.first.wrapping_add(start), self.bytes) })
    }
}

/// Where a key leads to from a page: the child that it is in, or in a leaf the first entry that is not below it.
fn find(page: &[u8], nodes: usize, first: usize, key: &[u8]) -> Option<usize> {
    let is_leaf = first == 0;
    let (mut low, mut high) = (first, nodes);
    while low < high {
        let middle = low + (high - low) / 2;
        let node = node(page, middle)?;
        let here = node.get(NODE..NODE + usize::from(u16_at(node, 6)?))?;
        if here < key || (here == key && !is_leaf) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Some(low - first)
}

fn node(page: &[u8], at: usize) -> Option<&[u8]> {
    let offset = usize::from(u16_at(page, HEADER + 2 * at)?);
    page.get(offset..)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
