//! Reading ahead: the next entries of a walk and their documents, looked up side by side before they are asked for. What is
//! counted, and where a walk goes on later, follows what was asked for alone.

use std::collections::VecDeque;

use headwater_store::Read;

use super::{Entry, Walk};
use crate::catalog::tables;
use crate::collection::document_key;
use crate::error::Result;
use crate::query::scan::find::record;

/// Entries that are read ahead at most, and how much more each time: a reader that stops early has read few in vain.
const AHEAD_MAX: usize = 32;
const GROWTH: usize = 4;

/// The document of an entry, if it was looked for: `Some(None)` if there is none.
pub(in crate::query::scan) type Fetched<'r> = Option<Option<&'r [u8]>>;

/// What is read ahead.
pub(super) struct Ahead<'r> {
    collection: u32,
    held: VecDeque<Held<'r>>,
    wanted: usize,
    /// The range that is read.
    range: usize,
    /// Times that the cursor was put somewhere since the last entry.
    seeks: u64,
}

/// An entry, or a single key that is not there.
struct Held<'r> {
    range: usize,
    entry: Option<Entry<'r>>,
    document: Fetched<'r>,
    seeks: u64,
}

impl<'r> Walk<'r, '_> {
    /// The same walk, which looks up documents of a collection ahead; not for one that leaps.
    pub(in crate::query::scan) fn ahead(mut self, collection: u32) -> Self {
        if self.fields.count == 0 {
            let (held, range) = (VecDeque::new(), self.place.range);
            self.ahead = Some(Ahead { collection, held, wanted: 1, range, seeks: 0 });
        }
        self
    }

    /// As [`Walk::next`], with the document if it was looked up.
    pub(in crate::query::scan) fn next_fetched(
        &mut self,
    ) -> Result<Option<(Entry<'r>, Fetched<'r>)>> {
        let Some(mut ahead) = self.ahead.take() else {
            return Ok(self.next()?.map(|entry| (entry, None)));
        };
        let next = self.next_held(&mut ahead);
        self.ahead = Some(ahead);
        next
    }

    fn next_held(&mut self, ahead: &mut Ahead<'r>) -> Result<Option<(Entry<'r>, Fetched<'r>)>> {
        loop {
            if ahead.held.is_empty() {
                match self.scan.points {
                    true => self.read_points(ahead)?,
                    false => self.read_ranges(ahead)?,
                }
                fetch(self, ahead)?;
                ahead.wanted = (ahead.wanted * GROWTH).min(AHEAD_MAX);
            }
            let Some(held) = ahead.held.pop_front() else {
                self.place.range = self.scan.ranges.len();
                self.place.seeks += std::mem::take(&mut ahead.seeks);
                (self.place.last, self.taken) = (None, None);
                return Ok(None);
            };
            self.place.seeks += held.seeks;
            if held.range != self.place.range {
                self.place.range = held.range;
                (self.place.last, self.taken) = (None, None);
            }
            if let Some(entry) = held.entry {
                self.place.keys += 1;
                self.place.inside += 1;
                return Ok(Some((entry, held.document)));
            }
        }
    }

    fn read_points(&mut self, ahead: &mut Ahead<'r>) -> Result<()> {
        // The key that an earlier run ended behind.
        if let Some((key, _)) = self.range_at(ahead.range)
            && ahead.range == self.place.range
            && self.place.last.take().is_some_and(|last| last == *key)
        {
            ahead.range += 1;
        }
        let ranges = ahead.range..self.scan.ranges.len().min(ahead.range + ahead.wanted);
        let keys = ranges.clone().filter_map(|at| self.range_at(at));
        let keys: Vec<&'r [u8]> = keys.map(|(key, _)| key.as_slice()).collect();
        let values = values(self.read, tables::INDEX, &keys)?;
        for ((range, key), value) in ranges.clone().zip(keys).zip(values) {
            let entry = value.map(|value| (key, value));
            ahead.held.push_back(Held { range, entry, document: None, seeks: 1 });
        }
        ahead.range = ranges.end;
        Ok(())
    }

    fn read_ranges(&mut self, ahead: &mut Ahead<'r>) -> Result<()> {
        while ahead.held.len() < ahead.wanted {
            if self.cursor.is_none() {
                if !self.open_at(ahead.range, ahead.range == self.place.range)? {
                    return Ok(());
                }
                ahead.seeks += 1;
            }
            match self.cursor.as_mut().map(headwater_store::Cursor::next).transpose()?.flatten() {
                Some(entry) => {
                    let seeks = std::mem::take(&mut ahead.seeks);
                    let (range, entry) = (ahead.range, Some(entry));
                    ahead.held.push_back(Held { range, entry, document: None, seeks });
                }
                None => {
                    self.cursor = None;
                    ahead.range += 1;
                }
            }
        }
        Ok(())
    }
}

/// Looks up the documents of what is held; of a single entry whoever asks for it does.
fn fetch<'r>(walk: &Walk<'r, '_>, ahead: &mut Ahead<'r>) -> Result<()> {
    if ahead.held.len() < 2 {
        return Ok(());
    }
    let key = |entry| document_key(ahead.collection, record(walk.scan, entry));
    let keys: Vec<_> = ahead.held.iter().filter_map(|held| held.entry).map(key).collect();
    let keys: Vec<&[u8]> = keys.iter().map(<[u8; 12]>::as_slice).collect();
    let documents = values(walk.read, tables::DOCUMENTS, &keys)?;
    let entries = ahead.held.iter_mut().filter(|held| held.entry.is_some());
    for (held, document) in entries.zip(documents) {
        held.document = Some(document);
    }
    Ok(())
}

fn values<'r>(
    read: &'r dyn Read,
    table: headwater_store::Table,
    keys: &[&[u8]],
) -> Result<Vec<Option<&'r [u8]>>> {
    match keys {
        [] => Ok(Vec::new()),
        [only] => Ok(vec![read.get(table, only)?]),
        keys => Ok(read.get_each(table, keys)?),
    }
}
