//! A walk forwards through the leaves of a table: entry by entry as they stand in the pages, which takes a fraction of what
//! asking LMDB for each one takes.

use std::cmp::Ordering;
use std::ops::Bound;

use super::together::{fetch, key_of};
use super::{DEPTH_MAX, HEADER, KNOWN, LEAF, NODE, Pages, find, node, u16_at, u64_at};

/// Lines of the entry after next that are fetched while one is looked at.
const AHEAD_LINES: usize = 2;

/// What stands at the next place.
pub(in crate::tree::lmdb) enum Entry<'t> {
    /// A key and its value.
    Pair(&'t [u8], &'t [u8]),
    /// A key whose value does not stand in the leaf.
    Elsewhere(&'t [u8]),
    /// The range is at its end.
    End,
    /// The next page is not what it has to be.
    Unknown,
}

/// Where a walk is.
pub(in crate::tree::lmdb) struct Leaves<'t> {
    pages: Pages<'t>,
    /// The branches from the root to the leaf, and which node of each the walk took.
    branches: Vec<(&'t [u8], usize)>,
    leaf: &'t [u8],
    /// The next entry of the leaf.
    at: usize,
    /// The entries of the leaf that are in the range.
    nodes: usize,
    end: Bound<Vec<u8>>,
    /// Whether the range ends in this leaf.
    is_last: bool,
}

impl<'t> Leaves<'t> {
    /// The entries behind a key, up to an end; `root` is what the list of tables says of the table. `None` if a page is
    /// not what it has to be.
    pub(in crate::tree::lmdb) fn behind(
        pages: Pages<'t>,
        root: &[u8],
        key: &[u8],
        end: Bound<&[u8]>,
    ) -> Option<Leaves<'t>> {
        let depth = u16_at(root, 6)?;
        let mut page = pages.page(u64_at(root, 40)?)?;
        let mut branches = Vec::with_capacity(usize::from(depth.min(DEPTH_MAX)));
        for _ in 1..depth.min(DEPTH_MAX) {
            let at = find(page, nodes(page, false)?, 1, key)?;
            branches.push((page, at));
            page = child(&pages, page, at)?;
        }
        let end = end.map(<[u8]>::to_vec);
        let mut walk = Leaves { pages, branches, leaf: page, at: 0, nodes: 0, end, is_last: false };
        walk.enter(page)?;
        walk.at = find(page, nodes(page, true)?, 0, key)?;
        if walk.at < walk.nodes && key_of(node(page, walk.at)?)? == key {
            walk.at += 1;
        }
        Some(walk)
    }

    /// The next entry.
    #[inline]
    pub(in crate::tree::lmdb) fn next(&mut self) -> Entry<'t> {
        if self.at >= self.nodes {
            if self.is_last {
                return Entry::End;
            }
            match self.advance() {
                Some(true) => {}
                Some(false) => return Entry::End,
                None => return Entry::Unknown,
            }
        }
        let Some(entry) = self.entry() else { return Entry::Unknown };
        self.at += 1;
        entry
    }

    #[inline]
    fn entry(&self) -> Option<Entry<'t>> {
        if let Some(later) = node(self.leaf, self.at + 2).filter(|_| self.at + 2 < self.nodes) {
            fetch(later, AHEAD_LINES);
        }
        let node = node(self.leaf, self.at)?;
        let [low, high, flags, key] = [0, 2, 4, 6].map(|at| u16_at(node, at));
        let value = NODE + usize::from(key?);
        let key = node.get(NODE..value)?;
        // Flags: a value on pages of its own, or one that is a table.
        if flags? != 0 {
            return Some(Entry::Elsewhere(key));
        }
        let bytes = usize::from(low?) | usize::from(high?) << 16;
        Some(Entry::Pair(key, node.get(value..value.checked_add(bytes)?)?))
    }

    /// Goes to the next leaf; false if there is none.
    #[cold]
    fn advance(&mut self) -> Option<bool> {
        let depth = self.branches.len();
        loop {
            let Some((branch, at)) = self.branches.last_mut() else { return Some(false) };
            *at += 1;
            if *at < nodes(branch, false)? {
                break;
            }
            self.branches.pop();
        }
        let &(branch, at) = self.branches.last()?;
        let mut page = child(&self.pages, branch, at)?;
        while self.branches.len() < depth {
            nodes(page, false)?;
            self.branches.push((page, 0));
            page = child(&self.pages, page, 0)?;
        }
        self.enter(page)?;
        Some(self.nodes > 0)
    }

    /// Stands before the first entry of a leaf.
    fn enter(&mut self, leaf: &'t [u8]) -> Option<()> {
        let count = nodes(leaf, true)?;
        (self.leaf, self.at, self.nodes) = (leaf, 0, count);
        let (end, included) = match &self.end {
            Bound::Unbounded => return Some(()),
            Bound::Included(end) => (end, true),
            Bound::Excluded(end) => (end, false),
        };
        let last = key_of(node(leaf, count.checked_sub(1)?)?)?;
        match last.cmp(end) {
            Ordering::Less => return Some(()),
            Ordering::Equal => self.nodes = if included { count } else { count - 1 },
            Ordering::Greater => {
                self.nodes = find(leaf, count, 0, end)?;
                let is_end = key_of(node(leaf, self.nodes)?)? == end;
                self.nodes += usize::from(included && is_end);
            }
        }
        self.is_last = true;
        Some(())
    }

    /// The last key of the leaf that the walk stands behind; `None` inside of one.
    pub(in crate::tree::lmdb) fn last_key(&self) -> Option<&'t [u8]> {
        if self.at < self.nodes {
            return None;
        }
        key_of(node(self.leaf, self.nodes.checked_sub(1)?)?)
    }
}

/// The nodes of a page of the kind that it has to be of.
fn nodes(page: &[u8], is_leaf: bool) -> Option<usize> {
    let flags = u16_at(page, 10)?;
    let nodes = usize::from(u16_at(page, 12)?).checked_sub(HEADER)? / 2;
    let is_known = flags & !KNOWN == 0 && (flags & LEAF != 0) == is_leaf;
    (is_known && nodes > 0).then_some(nodes)
}

/// The page that a node of a branch leads to.
fn child<'t>(pages: &Pages<'t>, branch: &[u8], at: usize) -> Option<&'t [u8]> {
    let node = node(branch, at)?;
    let [low, middle, high] = [0, 2, 4].map(|at| u16_at(node, at).map(u64::from));
    pages.page(low? | middle? << 16 | high? << 32)
}
