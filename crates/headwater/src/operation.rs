//! What is known about an operation before it runs: its name, where it works, and when it may be tried again.

use std::time::Duration;

use crate::error::classify::Family;

/// One call of the connector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    /// The name of the method, as metrics and spans show it.
    pub(crate) name: &'static str,
    pub(crate) database: &'a str,
    pub(crate) collection: Option<&'a str>,
    pub(crate) safety: Safety,
    pub(crate) family: Family,
    /// How long the whole call may take, if not as long as the connector's settings say.
    pub(crate) deadline: Option<Duration>,
}

/// When an operation may be tried again after it was sent. One that was not sent may always be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// Changes nothing.
    Read,
    /// A single-statement write: the driver tries it once more under the same number, by which the server knows it;
    /// the connector, which would need a new number, does not.
    WriteOnce,
    /// An insert whose `_id` was fixed before the first attempt: a second one is a duplicate of the first.
    FixedInsert,
    /// Inserts with fixed `_id`s that the driver numbers as well.
    FixedInserts,
    /// Twice is not the same as once.
    Never,
}

impl Safety {
    pub(crate) fn is_read(self) -> bool {
        self == Safety::Read
    }

    /// Whether an attempt that was sent but not answered may be made again.
    pub(crate) fn again_after_sent(self) -> bool {
        matches!(self, Safety::Read | Safety::FixedInsert | Safety::FixedInserts)
    }

    /// How many attempts one call of the driver may come to.
    pub(crate) fn driver_attempts(self) -> u32 {
        match self {
            Safety::WriteOnce | Safety::FixedInserts => 2,
            Safety::Read | Safety::FixedInsert | Safety::Never => 1,
        }
    }
}

impl<'a> Operation<'a> {
    pub(crate) fn new(
        name: &'static str,
        database: &'a str,
        collection: Option<&'a str>,
        safety: Safety,
    ) -> Operation<'a> {
        Operation { name, database, collection, safety, family: Family::Query, deadline: None }
    }

    pub(crate) fn family(mut self, family: Family) -> Operation<'a> {
        self.family = family;
        self
    }

    pub(crate) fn deadline(mut self, deadline: Option<Duration>) -> Operation<'a> {
        self.deadline = deadline;
        self
    }

    pub(crate) fn namespace(&self) -> String {
        match self.collection {
            Some(collection) => format!("{}.{collection}", self.database),
            None => self.database.to_owned(),
        }
    }
}
