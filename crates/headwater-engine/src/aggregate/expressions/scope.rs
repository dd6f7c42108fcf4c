//! Variables: which names an expression may use (known when it is parsed) and their values (known when it runs).
//!
//! Values that are known at parse time (`$$NOW`, the command's `let`) are folded into the expression as constants.

use std::sync::Arc;

use super::{Expression, Metadata, Needs, Offered, variable};
use crate::bson::{Doc, Raw, Type, Value};
use crate::collation::{Collation, ValueOrder};
use crate::error::{Code, Error, Result};
use crate::limits::COMMAND_DEPTH_MAX;

/// The names that an expression may use, while it is parsed.
#[derive(Debug, Clone)]
pub struct Scope {
    order: ValueOrder,
    /// What was defined, beside what [`Scope::system`] knows.
    names: Vec<(Box<str>, Binding)>,
    slots: usize,
    depth: usize,
    now_ms: i64,
    folding_error: Option<Error>,
    uses_outer: bool,
    reads_document: bool,
    metadata: Offered,
    needs: Needs,
    rewrites: bool,
}

/// What a variable's name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Binding {
    /// The current document.
    Root,
    /// A slot of the frame.
    Slot(usize),
    /// A value that is known already.
    Constant(Value<'static>),
    /// A value that is known when the pipeline around runs; what is compiled with it is only checked, never run.
    Outer,
    /// A name that MongoDB knows but that has no value here.
    Unavailable,
}

impl Scope {
    /// The system variables, and the variables of a command's `let`. `now_ms` is `$$NOW` in milliseconds since 1970.
    /// The values of `let` are computed here: a command makes one scope and clones it, so that `$rand` keeps its value.
    ///
    /// # Errors
    /// A `let` with an invalid name or a value that is no constant expression.
    pub fn new(let_doc: Option<Doc<'_>>, now_ms: i64) -> Result<Scope> {
        Scope::collated(let_doc, now_ms, None)
    }

    /// As [`Scope::new`] with a collation, which the values of `let` are computed with too.
    ///
    /// # Errors
    /// As [`Scope::new`].
    pub fn collated(
        let_doc: Option<Doc<'_>>,
        now_ms: i64,
        collation: Option<Arc<Collation>>,
    ) -> Result<Scope> {
        let mut scope = Scope {
            order: ValueOrder::new(collation),
            names: Vec::new(),
            slots: 0,
            depth: 0,
            now_ms,
            folding_error: None,
            uses_outer: false,
            reads_document: false,
            metadata: Offered::NotKept,
            needs: Needs::default(),
            rewrites: true,
        };
        for element in let_doc.into_iter().flatten() {
            scope.define_let(element.name_str(), element.value)?;
        }
        Ok(scope)
    }

    /// Gives `$$CLUSTER_TIME` its value: seconds in the high, increment in the low 32 bits.
    #[must_use]
    pub fn with_cluster_time(mut self, timestamp: u64) -> Scope {
        let value = Value::owned(Type::Timestamp, &timestamp.to_le_bytes());
        self.define("CLUSTER_TIME", Binding::Constant(value));
        self
    }

    /// Gives `$$USER_ROLES` its value, an array of `{_id, role, db}`.
    #[must_use]
    pub fn with_user_roles(mut self, roles: Raw<'_>) -> Scope {
        self.define("USER_ROLES", Binding::Constant(Value::owned(roles.kind, roles.data)));
        self
    }

    /// Gives filters and expressions that are parsed with the scope a collation.
    #[must_use]
    pub fn with_collation(mut self, collation: Option<Arc<Collation>>) -> Scope {
        self.order = ValueOrder::new(collation);
        self
    }

    /// Says whether a pipeline that is parsed with the scope may run otherwise than as it was written.
    #[must_use]
    pub fn with_rewrites(self, rewrites: bool) -> Scope {
        Scope { rewrites, ..self }
    }

    /// Whether a pipeline may run otherwise than as it was written, with the same result.
    pub fn rewrites(&self) -> bool {
        self.rewrites
    }

    /// How texts compare, if not by their bytes.
    pub fn collation(&self) -> Option<&Arc<Collation>> {
        self.order.collation()
    }

    /// How values compare.
    pub fn order(&self) -> &ValueOrder {
        &self.order
    }

    /// Tells what `$meta` has to say of every document.
    pub fn offer_metadata(&mut self, offered: Offered) {
        self.metadata = offered;
    }

    /// What `$meta` has to say of every document.
    pub(crate) fn metadata(&self) -> Offered {
        self.metadata
    }

    /// Notes what an expression asks of the metadata.
    pub(crate) fn need_metadata(&mut self, needs: Needs) {
        self.needs.record |= needs.record;
        self.needs.index_key |= needs.index_key;
        self.needs.sort_key |= needs.sort_key;
    }

    /// Tells that `$meta` has nothing more to say.
    pub(crate) fn withdraw_metadata(&mut self) {
        self.metadata = Offered::NotKept;
    }

    /// What the expressions parsed since the last call ask of the metadata.
    pub(crate) fn take_metadata_needs(&mut self) -> Needs {
        std::mem::take(&mut self.needs)
    }

    /// What the expressions that were parsed ask of the metadata.
    pub fn metadata_needs(&self) -> Needs {
        self.needs
    }

    /// `$$NOW` in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Defines a variable whose value is known.
    pub fn define_constant(&mut self, name: &str, value: Value<'static>) {
        self.define(name, Binding::Constant(value));
    }

    pub(crate) fn define(&mut self, name: &str, binding: Binding) {
        self.names.push((name.into(), binding));
    }

    /// Defines a variable whose value is known only when the pipeline around runs.
    pub(crate) fn define_outer(&mut self, name: &str) {
        self.define(name, Binding::Outer);
    }

    /// Whether a variable of [`Scope::define_outer`] was named.
    pub(crate) fn uses_outer(&self) -> bool {
        self.uses_outer
    }

    /// Notes that a variable of [`Scope::define_outer`] was named by an inner scope.
    pub(crate) fn note_outer_use(&mut self) {
        self.uses_outer = true;
    }

    /// Defines a variable of a command's `let`: its value is computed once, before there are documents.
    fn define_let(&mut self, name: &str, raw: Raw<'_>) -> Result<()> {
        check_variable_name(name)
            .map_err(|error| error.with_prefix("Invalid 'let' parameter :: caused by :: "))?;
        self.reads_document = false;
        let expression = Expression::parse(raw, self)?;
        // Evaluating raises it again, without the words of optimizing.
        self.folding_error = None;
        if self.reads_document {
            let message = "Command let Expression tried to access a field, but this is not allowed becauseCommand let \
                           Expressions run before the query examines any documents.";
            return Err(Error::location(4_890_500, message));
        }
        let value = expression.evaluate(Doc::EMPTY)?.into_owned();
        self.define_constant(name, value);
        Ok(())
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// 17276 for a name that is not defined.
    pub(crate) fn resolve(&mut self, name: &str) -> Result<Binding> {
        let defined = self.names.iter().rev().find(|(known, _)| &**known == name);
        let found = match defined {
            Some((_, binding)) => Some(binding.clone()),
            None => self.system(name),
        };
        self.uses_outer |= matches!(found, Some(Binding::Outer));
        self.reads_document |= matches!(found, Some(Binding::Root));
        match found {
            Some(Binding::Unavailable) => {
                Err(Error::location(51144, format!("Builtin variable '$${name}' is not available")))
            }
            Some(binding) => Ok(binding),
            None => Err(Error::location(17276, format!("Use of undefined variable: {name}"))),
        }
    }

    /// What a name stands for if nobody defined it.
    fn system(&self, name: &str) -> Option<Binding> {
        match name {
            "ROOT" | "CURRENT" => Some(Binding::Root),
            "REMOVE" | "SEARCH_META" => Some(Binding::Constant(Value::MISSING)),
            "NOW" => Some(Binding::Constant(Value::date(self.now_ms))),
            "CLUSTER_TIME" | "USER_ROLES" | "JS_SCOPE" => Some(Binding::Unavailable),
            _ => None,
        }
    }

    /// Parses with further variables in sight; each lives in a slot of its own, in order, from the returned first one on.
    pub(crate) fn with_slots<T>(
        &mut self,
        names: &[&str],
        parse: impl FnOnce(&mut Scope) -> Result<T>,
    ) -> Result<(usize, T)> {
        let first = self.slots;
        let visible = self.names.len();
        for name in names {
            self.define(name, Binding::Slot(self.slots));
            self.slots += 1;
        }
        let parsed = parse(self);
        self.names.truncate(visible);
        self.slots = first;
        Ok((first, parsed?))
    }

    /// Parses with names for the slots that [`Scope::with_slots`] reserved last.
    pub(crate) fn with_aliases<T>(
        &mut self,
        names: &[&str],
        parse: impl FnOnce(&mut Scope) -> Result<T>,
    ) -> Result<T> {
        let visible = self.names.len();
        let first = self.slots - names.len();
        for (i, name) in names.iter().enumerate() {
            self.define(name, Binding::Slot(first + i));
        }
        let parsed = parse(self);
        self.names.truncate(visible);
        parsed
    }

    /// Parses one level deeper.
    pub(crate) fn nested<T>(&mut self, parse: impl FnOnce(&mut Scope) -> Result<T>) -> Result<T> {
        if self.depth >= COMMAND_DEPTH_MAX {
            return Err(Error::new(Code::OVERFLOW, "An expression is nested too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    pub(crate) fn keep_folding_error(&mut self, error: Error) {
        self.folding_error.get_or_insert(error);
    }

    pub(crate) fn folding_error(&self) -> Option<&Error> {
        self.folding_error.as_ref()
    }

    pub(crate) fn restore_folding_error(&mut self, error: Option<Error>) {
        self.folding_error = error;
    }

    /// The first error that evaluating constants raised since the last call. MongoDB raises it once the whole command has
    /// been parsed, whether or not there are documents.
    pub fn take_folding_error(&mut self) -> Option<Error> {
        self.folding_error.take()
    }
}

/// The current document and the values of variables, while an expression runs.
#[derive(Debug)]
pub struct Frame<'a> {
    root: Doc<'a>,
    slots: Vec<Value<'a>>,
    metadata: Option<&'a Metadata>,
}

impl<'a> Frame<'a> {
    /// A frame for a document.
    #[inline]
    pub fn new(root: Doc<'a>) -> Frame<'a> {
        Frame { root, slots: Vec::new(), metadata: None }
    }

    /// A frame for a document of which more is known.
    pub fn with_metadata(root: Doc<'a>, metadata: Option<&'a Metadata>) -> Frame<'a> {
        Frame { metadata, ..Frame::new(root) }
    }

    /// What is known of the document beside its fields.
    pub(crate) fn metadata(&self) -> Option<&'a Metadata> {
        self.metadata
    }

    /// The current document.
    #[inline]
    pub fn root(&self) -> Doc<'a> {
        self.root
    }

    /// The value of a slot.
    pub(crate) fn get(&self, slot: usize) -> &Value<'a> {
        self.slots.get(slot).unwrap_or(&Value::MISSING)
    }

    /// Sets the value of a slot.
    pub(crate) fn set(&mut self, slot: usize, value: Value<'a>) {
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, Value::MISSING);
        }
        self.slots[slot] = value;
    }
}

/// Checks the name of a variable that a user defines.
///
/// # Errors
/// `FailedToParse` (9).
pub fn check_variable_name(name: &str) -> Result<()> {
    variable::check_name(name)
}
