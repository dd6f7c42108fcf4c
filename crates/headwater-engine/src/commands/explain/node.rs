//! A plan as `explain` shows it: a tree of stages, each with what it is and, once it ran, with what it took.

use std::time::Duration;

use crate::bson::{Doc, DocBuf, DocWriter};

/// One stage.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: &'static str,
    /// What it tests of documents or keys.
    pub(super) filter: Option<DocBuf>,
    /// What it is told to do.
    pub(super) fields: DocBuf,
    /// What it did, in units of its own.
    pub(super) figures: DocBuf,
    /// What it did, in units that all stages share; `None` for one that works in a single step.
    pub(super) work: Option<Work>,
    /// Documents or keys that it gave.
    pub(super) returned: u64,
    /// Where it gets documents from.
    pub(super) inputs: Vec<Node>,
    /// Whether what it did is shown before what it is told to do.
    pub(super) figures_first: bool,
    /// Whether it shows its inputs as a list however few they are.
    pub(super) many: bool,
    /// The time that it took with what is below it, if that is known apart.
    pub(super) took: Option<Duration>,
}

/// What a stage did: in each unit it gave something, or nothing yet, or came to its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub(super) units: u64,
    pub(super) advanced: u64,
    pub(super) ended: bool,
}

impl Work {
    /// The work of a stage that passes on, or not, each of its input's units.
    pub(super) fn passing(self, advanced: u64) -> Work {
        Work { advanced, ..self }
    }

    fn waited(self) -> u64 {
        self.units.saturating_sub(self.advanced).saturating_sub(u64::from(self.ended))
    }
}

impl Node {
    /// A stage that tells `fields` of itself.
    pub(super) fn new(name: &'static str, fields: impl FnOnce(&mut DocWriter)) -> Node {
        Node { name, fields: document(fields), ..Node::default() }
    }

    pub(super) fn on(mut self, input: Node) -> Node {
        self.inputs.push(input);
        self
    }

    pub(super) fn on_all(self, inputs: Vec<Node>) -> Node {
        Node { inputs, many: true, ..self }
    }

    pub(super) fn filtered(self, filter: Option<DocBuf>) -> Node {
        Node { filter, ..self }
    }

    pub(super) fn worked(self, work: Work, figures: impl FnOnce(&mut DocWriter)) -> Node {
        let (returned, figures) = (work.advanced, document(figures));
        Node { work: Some(work), returned, figures, ..self }
    }

    /// The same with the time that it took together with what is below it, for which no more is known.
    pub(super) fn timed(self, took: Duration) -> Node {
        Node { took: Some(took), ..self }
    }

    /// The stages of a plan without what they took.
    pub(super) fn write_plan(&self, out: &mut DocWriter) {
        out.str("stage", self.name);
        if let Some(filter) = &self.filter {
            out.doc("filter", filter.as_doc());
        }
        out.extend(self.fields.as_doc());
        self.write_inputs(out, &Node::write_plan);
    }

    /// The stages with what they took; `took` is the time of all above this one.
    pub(super) fn write_run(&self, out: &mut DocWriter, took: Duration) {
        let took = self.took.unwrap_or(took);
        out.str("stage", self.name);
        if let Some(filter) = &self.filter {
            out.doc("filter", filter.as_doc());
        }
        if self.work.is_none() {
            out.extend(self.fields.as_doc());
        }
        number(out, "nReturned", self.returned);
        number(out, "executionTimeMillisEstimate", millis(took));
        if let Some(work) = self.work {
            number(out, "works", work.units);
            number(out, "advanced", work.advanced);
            number(out, "needTime", work.waited());
            // Nothing here lets others go first while it reads.
            for name in ["needYield", "saveState", "restoreState"] {
                out.i32(name, 0);
            }
            out.i32("isEOF", i32::from(work.ended));
        }
        let parts = match (self.work, self.figures_first) {
            (None, _) => [&self.figures, &DocBuf::new()],
            (_, true) => [&self.figures, &self.fields],
            (_, false) => [&self.fields, &self.figures],
        };
        parts.iter().for_each(|part| out.extend(part.as_doc()));
        self.write_inputs(out, &|node, out| node.write_run(out, took));
    }

    fn write_inputs(&self, out: &mut DocWriter, write: &dyn Fn(&Node, &mut DocWriter)) {
        match self.inputs.as_slice() {
            [] => {}
            [input] if !self.many => out.document("inputStage", |out| write(input, out)),
            inputs => out.array("inputStages", |out| {
                inputs.iter().for_each(|input| out.document(|out| write(input, out)));
            }),
        }
    }
}

/// Appends a count: an int where it fits.
pub(super) fn number(out: &mut DocWriter, name: &str, value: u64) {
    match i32::try_from(value) {
        Ok(value) => out.i32(name, value),
        Err(_) => out.i64(name, i64::try_from(value).unwrap_or(i64::MAX)),
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn document(write: impl FnOnce(&mut DocWriter)) -> DocBuf {
    let mut out = DocWriter::new();
    write(&mut out);
    out.finish()
}

/// The canonical form of a filter, `None` of one that says nothing.
pub(super) fn shown_filter(filter: Doc<'_>) -> Option<DocBuf> {
    let shown = crate::query::matcher::Canonical::of(filter).to_document();
    Some(shown).filter(|shown| !shown.as_doc().is_empty())
}
