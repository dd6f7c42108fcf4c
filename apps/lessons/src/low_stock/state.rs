//! The state file: where a watcher was and what it had warned about, so that the next one goes on from there.

use std::path::{Path, PathBuf};

use headwater::bson::{Document, deserialize_from_slice, doc, serialize_to_vec};

use super::ledger::Ledger;
use crate::changes::Place;
use crate::error::{Error, Result};

/// One BSON document, of one collection.
pub struct StateFile {
    path: PathBuf,
    namespace: String,
}

impl StateFile {
    /// The file at a path; it need not exist.
    pub fn new(path: &Path, namespace: String) -> StateFile {
        StateFile { path: path.to_owned(), namespace }
    }

    /// Fills the ledger and gives the place; an empty ledger and now if there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of this collection.
    pub fn read(&self, ledger: &mut Ledger) -> Result<Place> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Place::Now),
            Err(error) => return Err(self.unusable(&error.to_string())),
        };
        let kept: Document =
            deserialize_from_slice(&bytes).map_err(|_| self.unusable("it is not a state file"))?;
        let namespace = kept.get_str("namespace").unwrap_or_default();
        if namespace != self.namespace {
            return Err(self.unusable(&format!("it belongs to {namespace:?}")));
        }
        for entry in kept.get_array("fruits").into_iter().flatten() {
            let entry = entry.as_document().and_then(|entry| ledger.restore(entry));
            entry.ok_or_else(|| self.unusable("it holds a fruit that makes no sense"))?;
        }
        match kept.get_document("place") {
            Ok(place) => Place::from_document(place)
                .ok_or_else(|| self.unusable("it holds a place that makes no sense")),
            Err(_) => Ok(Place::Now),
        }
    }

    /// Keeps ledger and place so that a crash leaves the old ones or the new ones.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, ledger: &Ledger, place: &Place) -> Result<()> {
        let mut kept = doc! { "namespace": &self.namespace, "fruits": ledger.entries() };
        if let Some(place) = place.to_bson() {
            kept.insert("place", place);
        }
        let bytes = serialize_to_vec(&kept).map_err(|error| self.unusable(&error.to_string()))?;
        let mut fresh = self.path.as_os_str().to_owned();
        fresh.push(".new");
        std::fs::write(&fresh, bytes)
            .and_then(|()| std::fs::rename(&fresh, &self.path))
            .map_err(|error| self.unusable(&error.to_string()))
    }

    fn unusable(&self, cause: &str) -> Error {
        Error::failed(format!("state file {}: {cause}", self.path.display()))
    }
}
