//! Who waits for what: waiting streams by scope, by what their events show, and by filter. Decides which of them an event
//! concerns. Knows nothing of threads or of the log's reading.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use headwater_store::Record;

use super::Interest;
use super::filters::Filters;
use super::members::Members;
use super::ticket::Ticket;
use crate::bson::DocBuf;
use crate::change::document::{self, LookUp};
use crate::change::event::Event;
use crate::change::options::Shown;
use crate::change::scope::{Scope, renamed_to};
use crate::change::token::Token;
use crate::error::Result;
use crate::namespace::Namespace;

/// The waiting streams.
#[derive(Debug, Default)]
pub(super) struct Interests {
    collections: HashMap<String, Forms>,
    databases: HashMap<String, Forms>,
    cluster: Forms,
}

/// The streams of one scope, by what their events show: at most as many as there are such choices.
type Forms = Vec<Form>;

#[derive(Debug)]
struct Form {
    shown: Shown,
    /// Streams without a filter.
    all: Members,
    filters: Filters,
}

/// Where a stream stands among the others.
#[derive(Debug)]
pub(super) struct Place {
    scope: Scope,
    shown: Shown,
    /// The group of its filter, if it has one.
    group: Option<u64>,
}

/// The documents of one event, one for each choice of what they show.
type Documents = Vec<(Shown, Result<Option<DocBuf>>)>;

impl Interests {
    /// Adds a stream.
    pub(super) fn add(&mut self, interest: &Interest, ticket: &Arc<Ticket>) -> Place {
        let forms = match &interest.scope {
            Scope::Collection(own) => self.collections.entry(own.as_str().to_owned()).or_default(),
            Scope::Database(own) => self.databases.entry(own.clone()).or_default(),
            Scope::Cluster => &mut self.cluster,
        };
        let shown = interest.shown;
        let at = forms.iter().position(|form| form.shown == shown).unwrap_or_else(|| {
            forms.push(Form { shown, all: Members::default(), filters: Filters::default() });
            forms.len() - 1
        });
        let form = &mut forms[at];
        let group = match &interest.filter {
            None => {
                form.all.add(ticket);
                None
            }
            Some(filter) => Some(form.filters.add(filter, ticket)),
        };
        Place { scope: interest.scope.clone(), shown, group }
    }

    /// Takes a stream out, if it is still there.
    pub(super) fn remove(&mut self, place: &Place, ticket: &Ticket) {
        let take = |forms: &mut Forms| {
            if let Some(form) = forms.iter_mut().find(|form| form.shown == place.shown) {
                match place.group {
                    None => form.all.remove(ticket),
                    Some(group) => form.filters.remove(group, ticket),
                }
            }
            forms.retain(|form| !form.is_empty());
        };
        match &place.scope {
            Scope::Cluster => take(&mut self.cluster),
            Scope::Collection(own) => {
                with_entry(&mut self.collections, own.as_str(), take);
            }
            Scope::Database(own) => with_entry(&mut self.databases, own, take),
        }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.collections.is_empty() && self.databases.is_empty() && self.cluster.is_empty()
    }

    /// Calls the streams that an event concerns: those that show it, those that it ends, and those that fail on it.
    /// Returns how many filters were asked.
    pub(super) fn call(
        &mut self,
        record: &Record<'_>,
        event: &Event<'_>,
        look_up: LookUp<'_>,
        called: &mut Vec<Arc<Ticket>>,
    ) -> u64 {
        let mut call = Call { record, event, look_up, documents: Vec::new(), called, asked: 0 };
        let namespace = event.namespace.as_str();
        with_entry(&mut self.collections, namespace, |forms| {
            call.all(&Scope::Collection(event.namespace.clone()), forms);
        });
        if let Some(to) = renamed_to(event)
            && to != event.namespace
        {
            with_entry(&mut self.collections, to.as_str(), |forms| {
                call.all(&Scope::Collection(to.clone()), forms);
            });
        }
        let db = event.namespace.db();
        let to = renamed_to(event).filter(|to| to.db() != db);
        for db in [Some(db), to.as_ref().map(Namespace::db)].into_iter().flatten() {
            with_entry(&mut self.databases, db, |forms| {
                call.all(&Scope::Database(db.to_owned()), forms);
            });
        }
        if !self.cluster.is_empty() {
            call.all(&Scope::Cluster, &mut self.cluster);
        }
        call.asked
    }

    /// Calls everybody, whatever they have read.
    pub(super) fn call_all(&mut self, called: &mut Vec<Arc<Ticket>>) {
        let scopes = self.collections.values_mut().chain(self.databases.values_mut());
        for form in scopes.chain([&mut self.cluster]).flatten() {
            form.all.call(u64::MAX, called);
            form.filters.call_all(u64::MAX, called);
        }
        *self = Interests::default();
    }
}

/// Changes the forms of a name, which goes when they do.
fn with_entry(map: &mut HashMap<String, Forms>, name: &str, change: impl FnOnce(&mut Forms)) {
    let Some(forms) = map.get_mut(name) else { return };
    change(forms);
    if forms.is_empty()
        && let Entry::Occupied(entry) = map.entry(name.to_owned())
    {
        entry.remove();
    }
}

/// One event on its way to those whom it concerns.
struct Call<'c> {
    record: &'c Record<'c>,
    event: &'c Event<'c>,
    look_up: LookUp<'c>,
    documents: Documents,
    called: &'c mut Vec<Arc<Ticket>>,
    asked: u64,
}

impl Call<'_> {
    fn all(&mut self, scope: &Scope, forms: &mut Forms) {
        if !scope.covers(self.event) {
            return;
        }
        let ends = scope.is_ended_by(self.event);
        for form in forms.iter_mut() {
            let seq = self.record.seq;
            if ends {
                form.all.call(seq, self.called);
                form.filters.call_all(seq, self.called);
            } else if document::is_shown(self.event.kind, &form.shown) {
                form.all.call(seq, self.called);
                self.filtered(form);
            }
        }
        forms.retain(|form| !form.is_empty());
    }

    fn filtered(&mut self, form: &mut Form) {
        let seq = self.record.seq;
        if form.filters.is_empty() {
            return;
        }
        match self.document(form.shown) {
            Ok(None) => {}
            Ok(Some(at)) => {
                if let Some((_, Ok(Some(doc)))) = self.documents.get(at) {
                    self.asked += form.filters.call(doc.as_doc(), seq, self.called);
                }
            }
            Err(()) => form.filters.call_all(seq, self.called),
        }
    }

    /// The place of the document among those made so far.
    fn document(&mut self, shown: Shown) -> Result<Option<usize>, ()> {
        let known = self.documents.iter().position(|(other, _)| *other == shown);
        let at = known.unwrap_or_else(|| {
            let token = Token::event(self.record.seq, 1, false);
            let made = document::write(self.look_up, &shown, token, self.record, self.event);
            self.documents.push((shown, made));
            self.documents.len() - 1
        });
        match self.documents.get(at) {
            Some((_, Ok(Some(_)))) => Ok(Some(at)),
            Some((_, Err(_))) => Err(()),
            _ => Ok(None),
        }
    }
}

impl Form {
    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.filters.is_empty()
    }
}
