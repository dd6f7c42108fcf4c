//! Which names of an index's paths met an array in some document: what makes it multikey, path by path. Only ever grows.

use std::collections::BTreeSet;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::bson::{Array, Doc, DocWriter, Raw, View};
use crate::query::path::Multikey;

/// Paths of arrays that a wildcard index tells apart; with more, every path counts as one.
const PATHS_MAX: usize = 1000;

/// What is known of arrays in the documents of an index. Shared by all versions of the index.
#[derive(Debug, Default)]
pub struct Arrays {
    any: AtomicBool,
    /// One bit per name of each path, the first name lowest.
    names: Vec<AtomicU64>,
    /// Of a wildcard index: the paths of arrays.
    paths: RwLock<Paths>,
}

#[derive(Debug, Default)]
struct Paths {
    known: BTreeSet<Box<str>>,
    all: bool,
}

impl Arrays {
    /// For an index of that many paths, no array being known yet.
    pub fn new(paths: usize) -> Arrays {
        let names = (0..paths).map(|_| AtomicU64::new(0)).collect();
        Arrays { names, ..Arrays::default() }
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// The names of a path of the index, by its place, that met arrays.
    pub fn of_path(&self, at: usize) -> u64 {
        self.names.get(at).map_or(0, |bits| bits.load(Ordering::Acquire))
    }

    /// Whether a wildcard index may have met an array at a path.
    pub fn is_array(&self, path: &str) -> bool {
        self.any() && self.paths.read().is_ok_and(|paths| paths.all || paths.known.contains(path))
    }

    /// Whether nothing of what the keys of a document met is new.
    pub fn knows(&self, met: &Multikey, paths: &[String]) -> bool {
        let new_names = |(at, bits): (usize, &u64)| bits & !self.of_path(at) != 0;
        !met.0.iter().enumerate().any(new_names) && paths.iter().all(|path| self.is_array(path))
    }

    /// Adds what the keys of a document met; `true` if any of it is new.
    pub fn add(&self, met: &Multikey, paths: &[String]) -> bool {
        let mut is_new = false;
        for (names, &bits) in self.names.iter().zip(&met.0) {
            if bits & !names.load(Ordering::Acquire) != 0 {
                names.fetch_or(bits, Ordering::AcqRel);
                is_new = true;
            }
        }
        if !paths.is_empty() && paths.iter().any(|path| !self.is_array(path)) {
            let mut known = self.paths.write().unwrap_or_else(|broken| broken.into_inner());
            known.known.extend(paths.iter().map(|path| path.as_str().into()));
            if known.known.len() > PATHS_MAX {
                *known = Paths { known: BTreeSet::new(), all: true };
            }
            is_new = true;
        }
        if is_new {
            self.any.store(true, Ordering::Release);
        }
        is_new
    }

    /// Writes it into the record of an index.
    pub fn write(&self, record: &mut DocWriter) {
        record.bool("multikey", self.any());
        if !self.any() {
            return;
        }
        record.array("multikeyNames", |out| {
            for names in &self.names {
                let bits = names.load(Ordering::Acquire).cast_signed().to_le_bytes();
                out.raw(Raw { kind: crate::bson::Type::Int64, data: &bits });
            }
        });
        let paths = self.paths.read().unwrap_or_else(|broken| broken.into_inner());
        if paths.all {
            record.bool("multikeyEverywhere", true);
        } else if !paths.known.is_empty() {
            record.array("multikeyPaths", |out| paths.known.iter().for_each(|path| out.str(path)));
        }
    }

    /// Reads it from the record of an index of that many paths. One that does not tell names met arrays everywhere.
    pub fn read(record: Doc<'_>, paths: usize) -> Option<Arrays> {
        let arrays = Arrays::new(paths);
        if !record.get("multikey")?.as_bool()? {
            return Some(arrays);
        }
        let list = |name: &str| record.get(name).and_then(Raw::as_array);
        let bits = |list: Array<'_>| -> Vec<u64> {
            let bits = |raw: Raw<'_>| match raw.view() {
                View::Int64(bits) => bits.cast_unsigned(),
                _ => u64::MAX,
            };
            list.iter().map(bits).collect()
        };
        let known = list("multikeyNames");
        let names = known.map_or_else(|| vec![u64::MAX; paths], bits);
        let of_wildcard = list("multikeyPaths");
        let met: Vec<String> = of_wildcard
            .iter()
            .flat_map(|list| list.iter())
            .filter_map(|path| path.as_str().map(str::to_owned))
            .collect();
        arrays.add(&Multikey(names), &met);
        arrays.any.store(true, Ordering::Release);
        if known.is_none() || record.get("multikeyEverywhere").is_some() {
            arrays.paths.write().unwrap_or_else(|broken| broken.into_inner()).all = true;
        }
        Some(arrays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let arrays = Arrays::new(2);
        assert!(!arrays.any());
        assert!(arrays.add(&Multikey(vec![0, 2]), &["a.b".to_owned()]));
        assert!(!arrays.add(&Multikey(vec![0, 2]), &["a.b".to_owned()]));
        let mut record = DocWriter::new();
        arrays.write(&mut record);
        let read = Arrays::read(record.finish().as_doc(), 2).unwrap();
        assert_eq!([read.of_path(0), read.of_path(1)], [0, 2]);
        assert!(read.is_array("a.b") && !read.is_array("a"));
        let mut old = DocWriter::new();
        old.bool("multikey", true);
        let old = Arrays::read(old.finish().as_doc(), 2).unwrap();
        assert!(old.of_path(1) == u64::MAX && old.is_array("any"));
    }

    #[test]
    fn too_many_paths_are_all_paths() {
        let arrays = Arrays::new(1);
        let paths: Vec<String> = (0..=PATHS_MAX).map(|at| format!("p{at}")).collect();
        assert!(arrays.add(&Multikey::default(), &paths));
        assert!(arrays.is_array("another"));
        assert!(!arrays.add(&Multikey::default(), &["third".to_owned()]));
    }
}
