//! The BSON corpus of the MongoDB specifications: every file, every case.
//!
//! The files are not part of this repository. They are looked for in `$HEADWATER_SPECS/bson-corpus/tests`, then in
//! `../shared/suites/unified/bson-corpus/tests` beside the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use headwater_engine::bson::extjson::{self, Style};
use headwater_engine::bson::{Decimal, Doc, DocBuf, DocWriter, validate};

fn folder() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let specs = std::env::var_os("HEADWATER_SPECS").map(PathBuf::from);
    let roots = [specs, Some(workspace.join("../shared/suites/unified"))];
    roots.into_iter().flatten().map(|root| root.join("bson-corpus/tests")).find(|dir| dir.is_dir())
}

#[test]
fn every_case_of_the_corpus_holds() {
    let Some(folder) = folder() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "the BSON corpus is missing; set HEADWATER_SPECS"
        );
        eprintln!("SKIPPED: the BSON corpus is missing; set HEADWATER_SPECS");
        return;
    };
    let mut wrong = Vec::new();
    let mut counts = [0; 3];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file = extjson::parse_commands(&fs::read_to_string(&path).unwrap()).unwrap();
        let file = file.as_doc();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut say = |case: Doc<'_>, what: String| {
            wrong.push(format!("{name}: {}: {what}", string(case, "description").unwrap()));
        };
        for case in cases(file, "valid") {
            counts[0] += 1;
            valid(case, &mut |what| say(case, what));
        }
        for case in cases(file, "decodeErrors") {
            counts[1] += 1;
            let bytes = unhex(string(case, "bson").unwrap());
            if validate(&bytes).is_ok() {
                say(case, "passes as valid".into());
            }
        }
        for case in cases(file, "parseErrors") {
            counts[2] += 1;
            let text = string(case, "string").unwrap();
            let passes = match string(file, "bson_type") {
                Some("0x13") => Decimal::parse_exact(text).is_ok(),
                _ => extjson::parse(text).is_ok(),
            };
            if passes {
                say(case, format!("{text:?} is read"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // The corpus of 2024 has 707 valid cases, 82 that must not decode and 175 that must not parse.
    assert!(counts[0] > 600 && counts[1] > 50 && counts[2] > 100, "{counts:?}");
}

fn valid(case: Doc<'_>, wrong: &mut dyn FnMut(String)) {
    let canonical_bson = unhex(string(case, "canonical_bson").unwrap());
    let canonical = string(case, "canonical_extjson").unwrap();
    let lossy = case.get("lossy").and_then(|raw| raw.as_bool()) == Some(true);
    let mut same_text = |what: &str, printed: String, expected: &str| {
        if plain(&printed) != plain(expected) {
            wrong(format!("{what} printed as {printed}, expected {expected}"));
        }
    };
    match validate(&canonical_bson) {
        Ok(doc) => {
            same_text("canonical", extjson::print(doc, Style::Canonical), canonical);
            if let Some(relaxed) = string(case, "relaxed_extjson") {
                same_text("relaxed", extjson::print(doc, Style::Relaxed), relaxed);
                let back = extjson::parse(relaxed).unwrap();
                same_text("relaxed again", extjson::print(back.as_doc(), Style::Relaxed), relaxed);
            }
        }
        Err(error) => wrong(format!("canonical BSON: {error}")),
    }
    if let Some(degenerate) = string(case, "degenerate_bson") {
        let degenerate = unhex(degenerate);
        match validate(&degenerate) {
            Ok(doc) => {
                let printed = extjson::print(doc, Style::Canonical);
                if plain(&printed) != plain(canonical) {
                    wrong(format!("degenerate BSON printed as {printed}"));
                }
            }
            Err(error) => wrong(format!("degenerate BSON: {error}")),
        }
    }
    if lossy {
        return;
    }
    for text in [Some(canonical), string(case, "degenerate_extjson")].into_iter().flatten() {
        match extjson::parse(text) {
            Ok(doc) if doc.as_doc().as_bytes() == canonical_bson => {}
            Ok(doc) => wrong(format!("{text} read as {doc:?}")),
            Err(error) => wrong(format!("{text}: {error}")),
        }
    }
    if rewritten(Doc::trusted(&canonical_bson)).as_doc().as_bytes() != canonical_bson {
        wrong("written anew it differs".into());
    }
}

/// A copy made element by element.
fn rewritten(doc: Doc<'_>) -> DocBuf {
    let mut copy = DocWriter::new();
    for element in doc {
        match element.value.as_doc() {
            Some(inner) => copy.doc(element.name_str(), rewritten(inner).as_doc()),
            None => copy.raw(element.name_str(), element.value),
        }
    }
    copy.finish()
}

fn cases<'a>(file: Doc<'a>, name: &str) -> Vec<Doc<'a>> {
    let list = file.get(name).and_then(|raw| raw.as_array());
    list.into_iter().flat_map(|list| list.iter()).filter_map(|raw| raw.as_doc()).collect()
}

fn string<'a>(doc: Doc<'a>, name: &str) -> Option<&'a str> {
    doc.get(name)?.as_str()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

/// JSON without blanks, escapes resolved, exponents in one spelling.
fn plain(json: &str) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some(quote) = rest.find('"') {
        out.extend(rest[..quote].chars().filter(|c| !c.is_whitespace()));
        let mut end = quote + 1;
        while !rest[end..].starts_with('"') {
            end += if rest[end..].starts_with('\\') { 2 } else { 1 };
            while !rest.is_char_boundary(end) {
                end += 1;
            }
        }
        let literal = extjson::parse_value(&rest[quote..=end]).unwrap();
        let text = literal.raw().unwrap().as_str().unwrap().to_owned();
        let number = text.parse::<f64>().is_ok();
        out.push_str(&if number { text.to_uppercase() } else { format!("{text:?}") });
        rest = &rest[end + 1..];
    }
    out.extend(rest.chars().filter(|c| !c.is_whitespace()));
    out.replace("e+", "E+")
}
