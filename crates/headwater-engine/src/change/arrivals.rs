//! Waiting for what happens to one collection, as a tailable cursor does: no thread waits, and nobody reads in vain.

use std::sync::Arc;

use super::options::{Before, FullDocument, Shown};
use super::scope::Scope;
use super::watch::{Armed, Interest, Watch};
use crate::namespace::Namespace;
use crate::query::run::Run;
use crate::request::Wait;

/// What a cursor waits for, and its place among those that wait.
#[derive(Debug)]
pub(crate) struct Arrivals {
    interest: Interest,
    watch: Option<Watch>,
}

impl Arrivals {
    /// All that happens to a collection.
    pub(crate) fn of(namespace: &Namespace) -> Arrivals {
        let shown =
            Shown { full_document: FullDocument::Default, before: Before::Off, expanded: false };
        let interest =
            Interest { scope: Scope::Collection(namespace.clone()), shown, filter: None };
        Arrivals { interest, watch: None }
    }

    /// What to wait for when everything that `run` shows was seen.
    pub(crate) fn wait(&mut self, run: &Run<'_>) -> Wait {
        let (shared, read) = (run.shared, run.seq());
        let durable = shared.store.durable();
        if durable > read {
            self.watch = None;
            return Wait::Durable(durable);
        }
        if let Some(watch) = &self.watch
            && watch.idle().is_some()
        {
            watch.has_read(read);
            return Wait::Events(watch.ticket());
        }
        self.watch = None;
        match shared.watches.arm(&self.interest, durable, read) {
            Armed::Waits(watch) => {
                let ticket = watch.ticket();
                self.watch = Some(watch);
                shared.watches.call_on_catalog(&ticket);
                // A catalog that changed before the ticket was there calls nobody.
                match Arc::ptr_eq(&run.catalog, &shared.catalog()) {
                    true => Wait::Events(ticket),
                    false => Wait::Durable(durable),
                }
            }
            Armed::Behind => Wait::Durable(durable),
            Armed::Alone => Wait::Durable(read.saturating_add(1)),
        }
    }
}
