//! A persistent ordered sequence of small entries: a B-tree whose clones are O(1) and share nodes.
//! Knows nothing of keys: every call brings its own comparison, so entries may point elsewhere.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::estimate::{Step, between};

const NODE_ENTRIES_MAX: usize = 48;

/// Entries in ascending order. `order(entry)` arguments say how an entry compares to what is
/// looked for.
#[derive(Clone)]
pub(crate) struct Sorted<E> {
    root: Arc<Node<E>>,
    length: usize,
}

type Children<E> = [(E, Arc<Node<E>>)];

enum Node<E> {
    Leaf(Vec<E>),
    /// Each child with its lowest entry at the time it was split off; the first one's is unused.
    Inner(Vec<(E, Arc<Node<E>>)>),
}

impl<E: Clone> Sorted<E> {
    pub(crate) fn new() -> Sorted<E> {
        Sorted { root: Arc::new(Node::Leaf(Vec::new())), length: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Removes everything and keeps the room of a root leaf that nobody else holds.
    pub(crate) fn clear(&mut self) {
        self.length = 0;
        match Arc::get_mut(&mut self.root) {
            Some(Node::Leaf(entries)) => entries.clear(),
            _ => *self = Sorted::new(),
        }
    }

    pub(crate) fn get(&self, order: impl Fn(&E) -> Ordering) -> Option<&E> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Inner(children) => node = &children.get(child_of(children, &order))?.1,
                Node::Leaf(entries) => {
                    return entries.get(entries.binary_search_by(order).ok()?);
                }
            }
        }
    }

    /// Inserts `entry` at its place; an equal entry is replaced and returned.
    pub(crate) fn insert(&mut self, entry: E, order: impl Fn(&E) -> Ordering) -> Option<E> {
        let (replaced, split) = insert(&mut self.root, entry, &order);
        if let Some((first, right)) = split {
            let left = Arc::clone(&self.root);
            let mut children = Vec::with_capacity(NODE_ENTRIES_MAX);
            children.push((first.clone(), left));
            children.push((first, right));
            self.root = Arc::new(Node::Inner(children));
        }
        self.length += usize::from(replaced.is_none());
        replaced
    }

    /// Removes the entry that compares equal. Nodes are not merged, only empty ones vanish.
    pub(crate) fn remove(&mut self, order: impl Fn(&E) -> Ordering) -> Option<E> {
        self.get(&order)?;
        let removed = remove(&mut self.root, &order)?;
        self.length -= 1;
        if self.length == 0 {
            self.clear();
        }
        Some(removed)
    }

    /// About how many entries there are from the first that is not `before_lower` to the first that is not
    /// `before_upper`.
    pub(crate) fn estimate(
        &self,
        before_lower: impl Fn(&E) -> bool,
        before_upper: impl Fn(&E) -> bool,
    ) -> u64 {
        let (lower, upper) = (self.path(before_lower), self.path(before_upper));
        between(&lower, &upper, |taken| Some(self.path_by(taken)))
    }

    /// The path that takes these children, then the middle of each node.
    fn path_by(&self, taken: &[usize]) -> Vec<Step> {
        let (mut path, mut node) = (Vec::new(), &*self.root);
        loop {
            let of = match node {
                Node::Inner(children) => children.len(),
                Node::Leaf(entries) => entries.len(),
            };
            let at = taken.get(path.len()).copied().unwrap_or(of / 2);
            path.push(Step { at, of });
            match node {
                Node::Inner(children) => match children.get(at) {
                    Some((_, child)) => node = child,
                    None => return path,
                },
                Node::Leaf(_) => return path,
            }
        }
    }

    fn path(&self, before: impl Fn(&E) -> bool) -> Vec<Step> {
        let mut path = Vec::new();
        let mut node = &*self.root;
        loop {
            match node {
                Node::Inner(children) => {
                    let later = children.get(1..).unwrap_or_default();
                    let at = later.partition_point(|(first, _)| before(first));
                    path.push(Step { at, of: children.len() });
                    match children.get(at) {
                        Some((_, child)) => node = child,
                        None => return path,
                    }
                }
                Node::Leaf(entries) => {
                    path.push(Step { at: entries.partition_point(before), of: entries.len() });
                    return path;
                }
            }
        }
    }

    pub(crate) fn cursor(&self) -> SortedCursor<'_, E> {
        SortedCursor { root: &self.root, path: Vec::new(), leaf: &[], at: 0 }
    }
}

fn child_of<E>(children: &Children<E>, order: impl Fn(&E) -> Ordering) -> usize {
    let later = children.get(1..).unwrap_or_default();
    later.partition_point(|(first, _)| order(first) != Ordering::Greater)
}

type Split<E> = Option<(E, Arc<Node<E>>)>;

fn insert<E: Clone>(
    node: &mut Arc<Node<E>>,
    entry: E,
    order: &impl Fn(&E) -> Ordering,
) -> (Option<E>, Split<E>) {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => match entries.binary_search_by(order) {
            Ok(at) => (Some(std::mem::replace(&mut entries[at], entry)), None),
            Err(at) => {
                let split = insert_at(entries, at, entry);
                (None, split.map(|right| (right[0].clone(), Arc::new(Node::Leaf(right)))))
            }
        },
        Node::Inner(children) => {
            let at = child_of(children, order);
            let (replaced, split) = insert(&mut children[at].1, entry, order);
            let split = split.and_then(|child| insert_at(children, at + 1, child));
            (replaced, split.map(|right| (right[0].0.clone(), Arc::new(Node::Inner(right)))))
        }
    }
}

/// Inserts into a node's list; a full list is split and its upper part returned. Insertion at the
/// end leaves the lower part full, so that ascending keys fill nodes completely.
fn insert_at<T>(list: &mut Vec<T>, at: usize, item: T) -> Option<Vec<T>> {
    if list.len() < NODE_ENTRIES_MAX {
        list.insert(at, item);
        return None;
    }
    let middle = if at == list.len() { at } else { list.len() / 2 };
    let mut right = Vec::with_capacity(NODE_ENTRIES_MAX);
    right.extend(list.drain(middle..));
    match at > middle || right.is_empty() {
        true => right.insert(at - middle, item),
        false => list.insert(at, item),
    }
    Some(right)
}

fn remove<E: Clone>(node: &mut Arc<Node<E>>, order: &impl Fn(&E) -> Ordering) -> Option<E> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let at = entries.binary_search_by(order).ok()?;
            Some(entries.remove(at))
        }
        Node::Inner(children) => {
            let at = child_of(children, order);
            let removed = remove(&mut children.get_mut(at)?.1, order)?;
            if children[at].1.is_vacant() {
                children.remove(at);
            }
            Some(removed)
        }
    }
}

impl<E> Node<E> {
    fn is_vacant(&self) -> bool {
        match self {
            Node::Leaf(entries) => entries.is_empty(),
            Node::Inner(children) => children.is_empty(),
        }
    }
}

impl<E: Clone> Clone for Node<E> {
    /// Copies with room to insert, since a node is only ever copied to be changed.
    fn clone(&self) -> Node<E> {
        fn roomy<T: Clone>(list: &[T]) -> Vec<T> {
            let mut copy = Vec::with_capacity(NODE_ENTRIES_MAX.min(list.len() + 8));
            copy.extend_from_slice(list);
            copy
        }
        match self {
            Node::Leaf(entries) => Node::Leaf(roomy(entries)),
            Node::Inner(children) => Node::Inner(roomy(children)),
        }
    }
}

/// A place in a [`Sorted`]: on an entry, or on none after running off an end.
pub(crate) struct SortedCursor<'s, E> {
    root: &'s Node<E>,
    path: Vec<(&'s Children<E>, usize)>,
    leaf: &'s [E],
    at: usize,
}

impl<'s, E> SortedCursor<'s, E> {
    pub(crate) fn get(&self) -> Option<&'s E> {
        self.leaf.get(self.at)
    }

    pub(crate) fn first(&mut self) {
        self.path.clear();
        self.descend_first(self.root);
    }

    pub(crate) fn last(&mut self) {
        self.path.clear();
        self.descend_last(self.root);
    }

    /// Moves to the first entry for which `before` is false.
    pub(crate) fn seek(&mut self, before: impl Fn(&E) -> bool) {
        self.path.clear();
        let mut node = self.root;
        loop {
            match node {
                Node::Inner(children) => {
                    let later = children.get(1..).unwrap_or_default();
                    let at = later.partition_point(|(first, _)| before(first));
                    self.path.push((children, at));
                    match children.get(at) {
                        Some((_, child)) => node = child,
                        None => return self.leave(),
                    }
                }
                Node::Leaf(entries) => {
                    self.leaf = entries;
                    self.at = entries.partition_point(before);
                    if self.at == entries.len() {
                        self.next_leaf();
                    }
                    return;
                }
            }
        }
    }

    /// Moves to the last entry for which `before` is true.
    pub(crate) fn seek_back(&mut self, before: impl Fn(&E) -> bool) {
        self.seek(before);
        match self.get() {
            Some(_) => self.previous(),
            None => self.last(),
        }
    }

    pub(crate) fn next(&mut self) {
        self.at += 1;
        if self.at >= self.leaf.len() {
            self.next_leaf();
        }
    }

    pub(crate) fn previous(&mut self) {
        match self.at.checked_sub(1) {
            Some(at) => self.at = at,
            None => self.previous_leaf(),
        }
    }

    fn leave(&mut self) {
        (self.leaf, self.at) = (&[], 0);
    }

    fn next_leaf(&mut self) {
        while let Some((children, at)) = self.path.pop() {
            if let Some((_, child)) = children.get(at + 1) {
                self.path.push((children, at + 1));
                return self.descend_first(child);
            }
        }
        self.leave();
    }

    fn previous_leaf(&mut self) {
        while let Some((children, at)) = self.path.pop() {
            if let Some(before) = at.checked_sub(1)
                && let Some((_, child)) = children.get(before)
            {
                self.path.push((children, before));
                return self.descend_last(child);
            }
        }
        self.leave();
    }

    fn descend_first(&mut self, mut node: &'s Node<E>) {
        while let Node::Inner(children) = node {
            self.path.push((children, 0));
            match children.first() {
                Some((_, child)) => node = child,
                None => return self.leave(),
            }
        }
        if let Node::Leaf(entries) = node {
            (self.leaf, self.at) = (entries, 0);
        }
    }

    fn descend_last(&mut self, mut node: &'s Node<E>) {
        while let Node::Inner(children) = node {
            self.path.push((children, children.len().saturating_sub(1)));
            match children.last() {
                Some((_, child)) => node = child,
                None => return self.leave(),
            }
        }
        if let Node::Leaf(entries) = node {
            (self.leaf, self.at) = (entries, entries.len().saturating_sub(1));
        }
    }
}
