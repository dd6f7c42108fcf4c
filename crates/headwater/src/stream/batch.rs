//! One batch of a server's reply, from which documents are taken one at a time, unread. Knows no cursor.

use std::ops::Range;
use std::vec;

use mongodb::bson::{RawBsonRef, RawDocument};
use mongodb::raw_batch_cursor::RawBatch;

/// The documents of a reply that were not taken yet. Holds the reply and their places, no copies.
#[derive(Default)]
pub(crate) struct Batch {
    reply: Option<RawBatch>,
    places: vec::IntoIter<Range<usize>>,
}

impl Batch {
    /// # Errors
    /// The reply is not what a cursor gives.
    pub(crate) fn new(reply: RawBatch) -> mongodb::error::Result<Batch> {
        let start = reply.as_raw_document().as_bytes().as_ptr().addr();
        let mut places = Vec::new();
        for element in reply.doc_slices()? {
            if let RawBsonRef::Document(document) = element? {
                let bytes = document.as_bytes();
                let from = bytes.as_ptr().addr() - start;
                places.push(from..from + bytes.len());
            }
        }
        Ok(Batch { reply: Some(reply), places: places.into_iter() })
    }

    /// How many documents are left.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of the next document, in bytes.
    pub(crate) fn next_size(&self) -> Option<usize> {
        self.places.as_slice().first().map(ExactSizeIterator::len)
    }

    /// Takes the next document, as its bytes.
    pub(crate) fn take(&mut self) -> Option<&[u8]> {
        let place = self.places.next()?;
        self.reply.as_ref()?.as_raw_document().as_bytes().get(place)
    }

    /// The whole reply, as long as documents were not asked for in vain.
    pub(crate) fn reply(&self) -> Option<&RawDocument> {
        self.reply.as_ref().map(RawBatch::as_raw_document)
    }

    /// Forgets the reply.
    pub(crate) fn clear(&mut self) {
        *self = Batch::default();
    }
}
