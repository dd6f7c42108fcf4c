//! Groups while documents come in. When they fill the memory, documents of further groups are put aside, sorted by group;
//! so are all others from the first one on that makes its group larger.
//!
//! Many groups do not fit into the processor's caches. Documents are then copied to rows and taken in many at a time:
//! while one waits for the memory of its group the others do too.

use std::hint::black_box;

use hashbrown::DefaultHashBuilder;

use super::groups::{Groups, Part, Spilled};
use super::places::Places;
use super::rows::Rows;
use super::{GroupSpec, State, owned};
use crate::aggregate::accumulators::{self, State as Running};
use crate::aggregate::expressions::Expression;
use crate::bson::{Doc, Fields, Value};
use crate::error::{Code, Error, Result};
use crate::profile::is_noted;
use crate::query::exec::{Environment, Stage};
use crate::query::sort::Sorter;

/// Groups from which on documents are taken in many at a time.
const MANY: usize = 4096;
/// Documents that are taken in at a time.
const LANES: usize = 32;
/// Bytes of rows that wait at most.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// An expression over a document whose fields are found in one walk.
pub(super) enum Column<'s> {
    /// A field at the top.
    Field(&'s [u8]),
    Other(&'s Expression),
}

/// What is read of each document: the `_id` of its group and the inputs of the accumulators.
pub(super) struct Columns<'s> {
    pub(super) id: Column<'s>,
    pub(super) inputs: Vec<Column<'s>>,
}

impl<'s> Columns<'s> {
    pub(super) fn of(spec: &'s GroupSpec) -> Columns<'s> {
        let inputs = spec.statements.iter().map(|s| Column::of(s.spec.input())).collect();
        Columns { id: Column::of(&spec.id), inputs }
    }

    /// Copies what is read of a document.
    #[inline]
    pub(super) fn copy<'a>(
        &self,
        (doc, fields): (Doc<'a>, &mut Fields<'a>),
        id: &Value<'a>,
        rows: &mut Rows,
    ) -> Result<()>
    where
        's: 'a,
    {
        rows.value(id);
        for column in &self.inputs {
            rows.value(&column.read(doc, fields)?);
        }
        Ok(())
    }
}

impl<'s> Column<'s> {
    fn of(expression: &'s Expression) -> Column<'s> {
        if let Expression::Field(path) = expression {
            let mut names = path.names();
            if let (Some(name), None) = (names.next(), names.next()) {
                return Column::Field(name);
            }
        }
        Column::Other(expression)
    }

    #[inline]
    pub(super) fn read<'a>(&self, doc: Doc<'a>, fields: &mut Fields<'a>) -> Result<Value<'a>>
    where
        's: 'a,
    {
        match self {
            Column::Field(name) => Ok(fields.get_bytes(name).into()),
            Column::Other(expression) => expression.evaluate(doc),
        }
    }
}

/// The groups so far.
#[derive(Default)]
pub(super) struct Filling {
    pub(super) places: Places,
    ids: Vec<Value<'static>>,
    /// Of each group one for each accumulator, behind each other.
    states: Vec<Running>,
    /// When each group came first, if rows are numbered.
    firsts: Vec<u64>,
    bytes: usize,
    /// Whether a group takes more memory when a further document comes.
    growing: bool,
    rest: Option<Sorter>,
    /// Documents that wait to be taken in.
    waiting: Rows,
}

impl Filling {
    /// Groups whose keys are hashed like this.
    pub(super) fn with_hasher(hasher: DefaultHashBuilder) -> Filling {
        Filling { places: Places::with_hasher(hasher), ..Filling::default() }
    }

    /// The memory that the groups take, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in all documents of a stage. Some may wait when it ends, by an error too.
    pub(super) fn take_in(
        &mut self,
        spec: &GroupSpec,
        source: &mut dyn Stage,
        env: &dyn Environment,
    ) -> Result<()> {
        let bytes_max = env.stage_bytes_max();
        let columns = Columns::of(spec);
        let by_rows = spec.is_told_by_fields();
        let mut key = Vec::new();
        source.each(env, &mut |doc| {
            let fields = &mut Fields::new(doc);
            let id = columns.id.read(doc, fields)?;
            spec.key(&id, &mut key);
            let hash = self.places.hash(&key);
            let mut waits = by_rows && self.ids.len() >= MANY && self.rest.is_none();
            if waits {
                self.waiting.begin(hash, 0, &key);
                waits = columns.copy((doc, fields), &id, &mut self.waiting).is_ok();
                if !waits {
                    self.waiting.undo();
                } else if self.waiting.is_below(LANES, WAITING_BYTES_MAX) {
                    return Ok(());
                }
                self.flush(spec)?;
            }
            if !waits {
                let place = self.places.find(hash, &key);
                if let Some(sorter) = &mut self.rest
                    && (place.is_none() || self.growing)
                {
                    return sorter.push(&key, doc);
                }
                let at = match place {
                    Some(at) => at,
                    None => self.begin(spec, hash, &key, id)?,
                };
                self.put(spec, at, |state, number| {
                    let Some(column) = columns.inputs.get(number) else { return Ok(()) };
                    state.add(column.read(doc, fields)?, doc)
                })?;
            }
            if self.bytes > bytes_max && self.rest.is_none() {
                self.rest = Some(rest(env, bytes_max)?);
            }
            Ok(())
        })
    }

    /// Takes in the documents that wait.
    pub(super) fn flush(&mut self, spec: &GroupSpec) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let taken = self.take(spec, &waiting, None);
        waiting.clear();
        self.waiting = waiting;
        taken
    }

    /// Takes in rows, which are those of a piece if they are numbered.
    pub(super) fn take(&mut self, spec: &GroupSpec, rows: &Rows, piece: Option<u64>) -> Result<()> {
        let width = spec.statements.len();
        for heads in rows.heads().chunks(LANES) {
            let mut places = [None; LANES];
            for (place, head) in places.iter_mut().zip(heads) {
                *place = self.places.find(head.hash, rows.key(head));
            }
            // All ask memory for their groups before the first one waits for it.
            for at in places.iter().flatten() {
                let group = self.states.get(at * width..(at + 1) * width).unwrap_or_default();
                let is_other = |state: Option<&Running>| matches!(state, Some(Running::Other(_)));
                black_box(is_other(group.first()) | is_other(group.last()));
            }
            for (place, head) in places.iter().zip(heads) {
                let mut values = rows.values(head);
                let (id, key) = (values.next(), rows.key(head));
                // One of the rows before it may have begun its group.
                let at = match place.or_else(|| self.places.find(head.hash, key)) {
                    Some(at) => at,
                    None => {
                        let at = self.begin(spec, head.hash, key, id)?;
                        self.firsts.extend(piece.map(|piece| piece << 32 | u64::from(head.number)));
                        at
                    }
                };
                self.put(spec, at, |state, _| state.add(values.next(), Doc::EMPTY))?;
            }
        }
        Ok(())
    }

    /// Begins a group, and says where.
    fn begin(&mut self, spec: &GroupSpec, hash: u64, key: &[u8], id: Value<'_>) -> Result<usize> {
        let (id, at, before) = (owned(id), self.ids.len(), self.states.len());
        let fields = id.as_doc().unwrap_or(Doc::EMPTY);
        accumulators::begin(&spec.statements, fields, &mut self.states)?;
        self.places.insert(hash, key, at);
        self.bytes += Places::bytes_of(key) + size_of::<Value<'_>>();
        self.bytes += id.raw().map_or(0, |raw| raw.data.len());
        self.bytes += bytes_of(self.states.get(before..).unwrap_or_default());
        self.ids.push(id);
        Ok(at)
    }

    /// Has `put` change each accumulator of a group.
    #[inline]
    fn put(
        &mut self,
        spec: &GroupSpec,
        at: usize,
        mut put: impl FnMut(&mut Running, usize) -> Result<()>,
    ) -> Result<()> {
        let width = spec.statements.len();
        let states = self.states.get_mut(at * width..(at + 1) * width).unwrap_or_default();
        let before = bytes_of(states);
        states.iter_mut().zip(0..).try_for_each(|(state, number)| put(state, number))?;
        let after = bytes_of(states);
        self.growing |= after > before;
        self.bytes = (self.bytes + after).saturating_sub(before);
        Ok(())
    }

    /// The groups, and those that were put aside.
    pub(super) fn finish(mut self, spec: &GroupSpec) -> Result<State> {
        if is_noted() {
            spec.note(&self.states);
        }
        let (places, rest) = (std::mem::take(&mut self.places), self.rest.take());
        let groups = Groups::new(vec![self.into_part()], spec.statements.len());
        let Some(rest) = rest else { return Ok(State::Giving { spilled: None, groups }) };
        let held = groups.map(Some).collect();
        let spilled = Spilled { places, held, rest: rest.finish()?, next: None };
        Ok(State::Giving { spilled: Some(Box::new(spilled)), groups: Groups::default() })
    }

    /// The groups as a part of all.
    pub(super) fn into_part(self) -> Part {
        let Filling { ids, states, firsts, .. } = self;
        Part { ids: ids.into_iter(), states: states.into_iter(), firsts: firsts.into_iter() }
    }

    /// The one group of which nothing but sums is asked.
    pub(super) fn of_sums(id: Value<'static>, sums: Vec<Running>) -> Filling {
        Filling { ids: vec![id], states: sums, ..Filling::default() }
    }
}

fn bytes_of(states: &[Running]) -> usize {
    states.iter().map(Running::bytes).sum()
}

/// Takes the documents that memory has no room for.
fn rest(env: &dyn Environment, bytes_max: usize) -> Result<Sorter> {
    let Some(folder) = env.spill_folder() else {
        let message = "Exceeded memory limit for $group, but didn't allow external sort. Pass allowDiskUse:true to opt in.";
        return Err(Error::new(Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED, message));
    };
    Ok(Sorter::new(None, bytes_max / 2).with_folder(Some(folder)))
}
