//! The recorded cases of `testdata/oracle` and `testdata/asked`: where they are and what a case holds. Knows no engine and
//! no verdicts.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use headwater_engine::bson::extjson;
use headwater_engine::bson::{Array, Doc, DocBuf, View};

/// What stands for the cursor id in a recorded reply of a script, once parsed.
pub const ANY_CURSOR: i64 = -0x0C05_0000_0000_0001;

/// One recorded case.
#[derive(Debug)]
pub struct Case {
    /// Its name, `folder/topic/case`.
    pub name: String,
    /// The file it stands in, without its ending: `folder/file`.
    pub file: String,
    /// Whether MongoDB 8.0 is believed to answer otherwise, so that it is not required.
    pub newer: bool,
    document: DocBuf,
}

/// The folder of our copy of the recordings.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/oracle")
}

/// The folder of what was asked since, as plain text.
fn asked() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/asked")
}

/// All files below a folder, relative to it and sorted.
///
/// # Errors
/// Of the file system.
pub fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?.into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a compressed file.
///
/// # Errors
/// Of the file system, or if the file is not compressed text.
pub fn unpacked(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

/// Every case whose name starts with `prefix`, in order.
///
/// # Errors
/// What is wrong with the recordings.
pub fn cases(prefix: &str) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let folder = folder();
    for name in files(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let Some(file) = name.strip_suffix(".gz") else { continue };
        let text = unpacked(&folder.join(&name)).map_err(|e| format!("{name}: {e}"))?;
        match file.strip_suffix(".jsonl") {
            Some(file) => lines(&text, file, &mut cases)?,
            None => scripts(&text, file.trim_end_matches(".json"), &mut cases)?,
        }
    }
    let asked = asked();
    for name in files(&asked).map_err(|e| format!("{}: {e}", asked.display()))? {
        let Some(file) = name.strip_suffix(".jsonl") else { continue };
        let text =
            std::fs::read_to_string(asked.join(&name)).map_err(|e| format!("{name}: {e}"))?;
        lines(&text, &format!("asked/{file}"), &mut cases)?;
    }
    cases.retain(|case| case.name.starts_with(prefix));
    Ok(cases)
}

fn lines(text: &str, file: &str, cases: &mut Vec<Case>) -> Result<(), String> {
    for line in text.lines() {
        cases.push(Case::new(file, parse(line, file)?)?);
    }
    Ok(())
}

fn scripts(text: &str, file: &str, cases: &mut Vec<Case>) -> Result<(), String> {
    let any = format!("\"$numberLong\": \"{ANY_CURSOR}\"");
    let scripts = parse(&text.replace("\"$numberLong\": \"<cursor>\"", &any), file)?;
    let scripts = scripts.as_doc().get("cases").and_then(|cases| cases.as_array());
    for script in scripts.ok_or_else(|| format!("{file}: no cases"))?.iter() {
        let script = script.as_doc().ok_or_else(|| format!("{file}: not a case"))?;
        cases.push(Case::new(file, script.to_buf())?);
    }
    Ok(())
}

fn parse(text: &str, name: &str) -> Result<DocBuf, String> {
    extjson::parse_commands(text).map_err(|error| format!("{name}: {error}"))
}

impl Case {
    fn new(file: &str, document: DocBuf) -> Result<Case, String> {
        let doc = document.as_doc();
        let name = doc.get("name").and_then(|name| name.as_str());
        let name = name.ok_or_else(|| format!("{file}: a case without a name"))?.to_owned();
        let newer = doc.get("version").is_some();
        Ok(Case { name, file: file.to_owned(), newer, document })
    }

    /// A document of the case: `command`, `reply`, `then`, `then_reply`.
    pub fn doc(&self, field: &str) -> Option<Doc<'_>> {
        self.document.as_doc().get(field)?.as_doc()
    }

    /// The documents of a list of the case: `setup`, `steps`, `replies`.
    pub fn docs(&self, field: &str) -> Vec<Doc<'_>> {
        let list = self.document.as_doc().get(field).and_then(|list| list.as_array());
        list.into_iter().flat_map(Array::iter).filter_map(|value| value.as_doc()).collect()
    }

    /// The whole case as it stands in its file.
    pub fn document(&self) -> Doc<'_> {
        self.document.as_doc()
    }

    /// Whether the order of the answered documents does not count.
    pub fn unordered(&self) -> bool {
        matches!(self.document.as_doc().get("unordered").map(|v| v.view()), Some(View::Bool(true)))
    }
}
