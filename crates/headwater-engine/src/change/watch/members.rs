//! The streams of one group.

use std::collections::HashMap;
use std::sync::Arc;

use super::ticket::Ticket;

/// Streams, each once.
#[derive(Debug, Default)]
pub(super) struct Members(HashMap<usize, Arc<Ticket>>);

impl Members {
    pub(super) fn add(&mut self, ticket: &Arc<Ticket>) {
        self.0.insert(identity(ticket), Arc::clone(ticket));
    }

    pub(super) fn remove(&mut self, ticket: &Ticket) {
        self.0.remove(&identity(ticket));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls those that have not read `seq` for themselves, which then are members no more.
    pub(super) fn call(&mut self, seq: u64, called: &mut Vec<Arc<Ticket>>) {
        self.0.retain(|_, ticket| {
            let has_read = ticket.read() >= seq;
            if !has_read {
                ticket.call();
                called.push(Arc::clone(ticket));
            }
            has_read
        });
    }
}

/// A ticket is held for as long as it is a member, so that its address is its own.
fn identity(ticket: &Ticket) -> usize {
    std::ptr::from_ref(ticket).addr()
}
