//! What an operation that is explained tells of itself beside its counts: the memory that stages held, and how the documents of
//! other collections were found. Nothing is noted unless somebody on this thread wants to know.

use std::cell::RefCell;

use crate::query::plan::tree::{Access, Plan};

/// What was told since somebody began to listen.
#[derive(Debug, Clone, Default)]
pub struct Noted {
    /// Walks through whole collections that were begun.
    pub scans: u64,
    /// The names of the indexes through which others went, in the order in which they came up.
    pub indexes: Vec<String>,
    /// By output, the most bytes that it held.
    pub held: Vec<(String, u64)>,
}

thread_local! {
    static NOTED: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

impl Noted {
    /// Listens from now on into what is in `aside`, and puts there what was listened into so far.
    pub fn exchange(aside: &mut Option<Noted>) {
        NOTED.with_borrow_mut(|noted| std::mem::swap(noted, aside));
    }

    /// Adds what was told to another listener.
    pub fn add(&mut self, other: Noted) {
        self.scans += other.scans;
        other.indexes.into_iter().for_each(|name| self.use_index(&name));
        other.held.into_iter().for_each(|(name, bytes)| self.hold(&name, bytes));
    }

    fn use_index(&mut self, name: &str) {
        if !self.indexes.iter().any(|known| known == name) {
            self.indexes.push(name.to_owned());
        }
    }

    fn hold(&mut self, name: &str, bytes: u64) {
        match self.held.iter_mut().find(|(known, _)| known == name) {
            Some((_, most)) => *most = bytes.max(*most),
            None => self.held.push((name.to_owned(), bytes)),
        }
    }
}

/// Whether somebody wants to know.
pub fn is_noted() -> bool {
    NOTED.with_borrow(Option::is_some)
}

/// Tells of the memory that an output of a stage holds at its largest.
pub fn held(output: &str, bytes: usize) {
    NOTED.with_borrow_mut(|noted| {
        noted.iter_mut().for_each(|noted| noted.hold(output, bytes as u64));
    });
}

/// Tells of a plan that begins to run.
pub fn begun(plan: &Plan) {
    NOTED.with_borrow_mut(|noted| {
        let Some(noted) = noted else { return };
        let whole = match &plan.access {
            Access::Collection { .. } => true,
            Access::Index(scan) => scan.index.clustered,
            Access::Id(_) => plan.collection.id_index().is_none_or(|index| index.clustered),
            _ => false,
        };
        if whole {
            noted.scans += 1;
        } else if let Access::Id(_) = &plan.access {
            noted.use_index("_id_");
        } else {
            plan.access.scans().iter().for_each(|scan| noted.use_index(&scan.index.name));
        }
    });
}
