//! The state file: where a watcher was and what it had warned about, so that the next one goes on from there.

use std::path::{Path, PathBuf};

use headwater::ResumeToken;
use headwater::bson::{Bson, Document, deserialize_from_slice, doc, serialize_to_vec};

use super::ledger::Ledger;
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

    /// Fills the ledger and gives the place; an empty ledger and no place if there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of this collection.
    pub fn read(&self, ledger: &mut Ledger) -> Result<Option<ResumeToken>> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
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
        match kept.get("place") {
            Some(Bson::Document(place)) => Ok(Some(ResumeToken::from(place.clone()))),
            Some(_) => Err(self.unusable("it holds a place that makes no sense")),
            None => Ok(None),
        }
    }

    /// Keeps ledger and place so that a crash leaves the old ones or the new ones.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, ledger: &Ledger, place: Option<&ResumeToken>) -> Result<()> {
        let mut kept = doc! { "namespace": &self.namespace, "fruits": ledger.entries() };
        if let Some(place) = place {
            kept.insert("place", place.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::low_stock::thresholds::Thresholds;

    #[test]
    fn a6_a_state_survives_the_file_and_nonsense_is_refused() {
        let path = std::env::temp_dir().join(format!("lessons-state-{}", std::process::id()));
        let file = StateFile::new(&path, "lessons.inventory".to_owned());
        let mut ledger = Ledger::new(Thresholds::default(), false);
        assert_eq!(file.read(&mut ledger).unwrap(), None);
        file.write(&ledger, None).unwrap();
        assert_eq!(file.read(&mut ledger).unwrap(), None);
        let token = ResumeToken::from(doc! { "_data": "82" });
        file.write(&ledger, Some(&token)).unwrap();
        assert_eq!(file.read(&mut ledger).unwrap(), Some(token));

        let namespace = "lessons.inventory";
        for (kept, cause) in [
            (doc! { "namespace": namespace, "fruits": [], "place": 1 }, "a place"),
            (doc! { "namespace": namespace, "fruits": [1] }, "a fruit"),
            (doc! { "namespace": "other" }, "it belongs to"),
        ] {
            std::fs::write(&path, serialize_to_vec(&kept).unwrap()).unwrap();
            let error = file.read(&mut ledger).unwrap_err();
            assert!(error.to_string().contains(cause), "{error}");
        }
        std::fs::write(&path, b"junk").unwrap();
        assert!(file.read(&mut ledger).unwrap_err().to_string().contains("not a state file"));
        std::fs::remove_file(path).unwrap();
    }
}
