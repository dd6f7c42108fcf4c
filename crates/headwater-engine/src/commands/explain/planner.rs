//! The `queryPlanner` and `executionStats` of one query.

use std::time::{Duration, Instant};

use super::draw::Drawing;
use super::node::{Node, Work, millis, number};
use super::question::{Purpose, Question};
use super::ran::{Ran, Trial, run, try_out};
use super::top::Top;
use crate::bson::{Doc, DocWriter};
use crate::catalog::Collection;
use crate::error::Result;
use crate::limits::{TRIED_DOCUMENTS_MAX, TRIED_UNITS_MAX};
use crate::query::exec::Environment;
use crate::query::matcher::{Canonical, shape_hash};
use crate::query::plan::tree::{Access, Gives, Plan};
use crate::query::plan::{Chosen, Query, Rejected, choose};
use crate::query::run::Run;

/// What is written beside the plan.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About {
    /// That a whole pipeline is answered by the plan.
    pub(super) optimized_pipeline: bool,
    /// The verbosity `allPlansExecution`.
    pub(super) all_plans: bool,
    /// That queries like it get this plan without the others being weighed.
    pub(super) cached: bool,
}

/// What a plan answers.
pub(super) struct Answered<'q> {
    filter: Doc<'q>,
    sort: Doc<'q>,
    purpose: &'q Purpose<'q>,
    hash: String,
    key: String,
    collation: Option<Doc<'q>>,
    took: Duration,
    /// Bytes that a sort may hold in memory.
    memory: usize,
}

/// Explains a query on a collection, and runs it if `execute` says so.
///
/// # Errors
/// Those of planning and running.
pub(super) fn explain(
    view: &Run<'_>,
    question: Question<'_>,
    execute: bool,
    about: About,
    reply: &mut DocWriter,
) -> Result<()> {
    let Question { namespace, query, filter, sort, purpose } = question;
    let found = view.catalog.collection(namespace.db(), namespace.collection()).cloned();
    let Some(collection) = found else {
        missing(namespace.as_str(), filter, &purpose, execute, about, reply);
        return Ok(());
    };
    let pattern = query.sort.clone();
    let counts_all =
        matches!(purpose, Purpose::Count { .. }) && filter.is_empty() && query.hint.is_none();
    let single = query.id_only && query.hint.is_none() && query.range.is_everything();
    let collation = query.order.collation().cloned();
    let shape = shape(&query, filter, &purpose);
    let key = plan_key(&shape, &collection);
    let started = Instant::now();
    let mut chosen = choose(view.store(), &collection, query)?;
    let about = About { cached: chosen.cached, ..about };
    let answered = Answered {
        filter,
        sort,
        purpose: &purpose,
        hash: shape_hash(&shape),
        key,
        collation: collation.as_ref().map(|collation| collation.spec()),
        took: started.elapsed(),
        memory: view.stage_bytes_max(),
    };
    if counts_all {
        return fast_count(view, &collection, &purpose, (execute, about), reply);
    }
    let express = single && takes_first(&purpose);
    let rejected = std::mem::take(&mut chosen.rejected);
    let draw = |plan: &Plan, sorted: bool, ran: Option<&Ran>| {
        answered.node(plan, &plan.access, sorted, express, ran)
    };
    let plan = draw(&chosen.plan, chosen.sorted, None);
    let others: Vec<Node> = rejected
        .iter()
        .map(|other| {
            let plan = plan_of(other, &chosen.plan);
            answered.node(&plan, &plan.access, other.sorted, false, None)
        })
        .collect();
    reply.document("queryPlanner", |out| {
        answered.write_planner(out, namespace.as_str(), about, &plan, &others);
    });
    if !execute {
        return Ok(());
    }
    let tried = match about.all_plans && !rejected.is_empty() {
        true => answered.try_out(view, &chosen, &rejected, pattern.is_some())?,
        false => Vec::new(),
    };
    let (shown, sorted) = (copy(&chosen.plan), chosen.sorted);
    let ran = run(view, &purpose, chosen, pattern)?;
    let node = draw(&shown, sorted, Some(&ran));
    write_stats(reply, &node, &ran, about, &tried);
    Ok(())
}

/// Whether no more is done than to take the first document that is found.
fn takes_first(purpose: &Purpose<'_>) -> bool {
    !matches!(
        purpose,
        Purpose::Find { skip: 1.., .. }
            | Purpose::Count { .. }
            | Purpose::Update { many: true, .. }
            | Purpose::Delete { many: true, .. }
    )
}

/// A plan is run by value; its drawing needs it afterwards.
fn copy(plan: &Plan) -> Plan {
    Plan {
        collection: plan.collection.clone(),
        access: plan.access.clone(),
        matcher: plan.matcher.clone(),
        exact: plan.exact,
        gives: plan.gives,
        told_apart: plan.told_apart,
    }
}

/// The plan that a way would have been.
fn plan_of(other: &Rejected, winner: &Plan) -> Plan {
    let exact = other.exact || winner.matcher.is_none();
    Plan { access: other.access.clone(), exact, gives: other.gives, ..copy(winner) }
}

impl Answered<'_> {
    /// Runs every plan as far as the winning one needs for its first documents, the winning one first. Plans are chosen by their
    /// cost: these runs decide nothing, they are what the verbosity asks for.
    fn try_out(
        &self,
        view: &Run<'_>,
        winner: &Chosen,
        rejected: &[Rejected],
        ordered: bool,
    ) -> Result<Vec<(Node, Ran)>> {
        let most = self.purpose.most().unwrap_or(u64::MAX).clamp(1, TRIED_DOCUMENTS_MAX);
        let mut trial = Trial { units: TRIED_UNITS_MAX, most };
        let mut tried = Vec::new();
        let winning = (copy(&winner.plan), winner.sorted);
        let others = rejected.iter().map(|other| (plan_of(other, &winner.plan), other.sorted));
        for (plan, sorted) in std::iter::once(winning).chain(others) {
            let sorted = sorted || !ordered;
            let ran = try_out(view, copy(&plan), sorted, trial)?;
            if tried.is_empty() {
                trial.units = ran.taken.keys.max(ran.taken.docs).max(1);
            }
            let drawing = Drawing {
                plan: &plan,
                access: &plan.access,
                sort: self.sort,
                express: false,
                ran: Some((&ran.taken, ran.found)),
            };
            let way = drawing.draw();
            tried.push((self.top(sorted, plan.gives, Some(&ran)).in_order(way), ran));
        }
        Ok(tried)
    }

    fn top<'t>(&'t self, sorted: bool, gives: Gives, ran: Option<&'t Ran>) -> Top<'t> {
        let (purpose, sort, memory) = (self.purpose, self.sort, self.memory);
        Top { purpose, sort, sorted, gives, ran, memory }
    }

    fn node(
        &self,
        plan: &Plan,
        access: &Access,
        sorted: bool,
        express: bool,
        ran: Option<&Ran>,
    ) -> Node {
        let drawing = Drawing {
            plan,
            access,
            sort: self.sort,
            express,
            ran: ran.map(|ran| (&ran.taken, ran.found)),
        };
        let node = self.top(sorted, plan.gives, ran).above(drawing.draw());
        let filter = Canonical::of(self.filter);
        match filter.is_alternative() && matches!(access, Access::Any(_) | Access::Merge(_)) {
            true => {
                let (work, returned) = (node.work, node.returned);
                let plan = Node::new("SUBPLAN", |_| {}).on(node);
                Node { work, returned, ..plan }
            }
            false => node,
        }
    }

    fn write_planner(
        &self,
        out: &mut DocWriter,
        namespace: &str,
        about: About,
        plan: &Node,
        others: &[Node],
    ) {
        out.str("namespace", namespace);
        let express_write = plan.name.starts_with("EXPRESS") && self.purpose.writes();
        if !express_write {
            out.doc("parsedQuery", Canonical::of(self.filter).to_document().as_doc());
            if let Some(collation) = self.collation {
                out.doc("collation", collation);
            }
            out.bool("indexFilterSet", false);
            out.str("queryHash", &self.hash);
            out.str("planCacheShapeHash", &self.hash);
            out.str("planCacheKey", &self.key);
        }
        number(out, "optimizationTimeMillis", millis(self.took));
        write_plans(out, about, plan, others);
    }
}

/// Writes what the planner says of its search, and the plans that it found.
fn write_plans(out: &mut DocWriter, about: About, winner: &Node, others: &[Node]) {
    if about.optimized_pipeline {
        out.bool("optimizedPipeline", true);
    }
    for name in [
        "maxIndexedOrSolutionsReached",
        "maxIndexedAndSolutionsReached",
        "maxScansToExplodeReached",
    ] {
        out.bool(name, false);
    }
    out.bool("prunedSimilarIndexes", false);
    let write = |out: &mut DocWriter, plan: &Node, cached: bool| {
        out.bool("isCached", cached);
        plan.write_plan(out);
    };
    out.document("winningPlan", |out| write(out, winner, about.cached));
    out.array("rejectedPlans", |out| {
        others.iter().for_each(|other| out.document(|out| write(out, other, false)));
    });
}

fn write_stats(reply: &mut DocWriter, node: &Node, ran: &Ran, about: About, tried: &[(Node, Ran)]) {
    reply.document("executionStats", |out| {
        out.bool("executionSuccess", true);
        write_figures(out, "executionTimeMillis", node, ran);
        if about.all_plans {
            out.array("allPlansExecution", |out| {
                for (node, ran) in tried {
                    out.document(|out| {
                        write_figures(out, "executionTimeMillisEstimate", node, ran);
                    });
                }
            });
        }
    });
}

/// Writes what a run came to, under the name `time` how long it took, and its stages.
fn write_figures(out: &mut DocWriter, time: &str, node: &Node, ran: &Ran) {
    number(out, "nReturned", node.returned);
    number(out, time, millis(ran.took));
    number(out, "totalKeysExamined", ran.taken.keys);
    number(out, "totalDocsExamined", ran.taken.docs);
    out.document("executionStages", |out| {
        out.bool("isCached", false);
        node.write_run(out, ran.took);
    });
}

/// What is said of a query on a collection that is not there.
pub(super) fn missing(
    namespace: &str,
    filter: Doc<'_>,
    purpose: &Purpose<'_>,
    execute: bool,
    about: About,
    reply: &mut DocWriter,
) {
    let end = |units| {
        Node::new("EOF", |out| out.str("type", "nonExistentNamespace"))
            .worked(Work { units, advanced: 0, ended: true }, |_| {})
    };
    let counts = matches!(purpose, Purpose::Count { .. });
    let node = match counts {
        false => end(1),
        true => Node::new("COUNT", |_| {}).on(end(0)).worked(
            Work { units: 1, advanced: 0, ended: true },
            |out| {
                out.i32("nCounted", 0);
                out.i32("nSkipped", 0);
            },
        ),
    };
    reply.document("queryPlanner", |out| {
        out.str("namespace", namespace);
        let says_filter = !counts || !filter.is_empty();
        if says_filter && !purpose.writes() {
            out.doc("parsedQuery", Canonical::of(filter).to_document().as_doc());
            out.bool("indexFilterSet", false);
        }
        out.i32("optimizationTimeMillis", 0);
        write_plans(out, about, &node, &[]);
    });
    if execute {
        write_stats(reply, &node, &Ran::default(), about, &[]);
    }
}

/// What is said of a count of all documents, whose number is kept.
fn fast_count(
    view: &Run<'_>,
    collection: &Collection,
    purpose: &Purpose<'_>,
    (execute, about): (bool, About),
    reply: &mut DocWriter,
) -> Result<()> {
    let started = Instant::now();
    let namespace = &collection.namespace;
    let sizes = view.sizes(namespace.db(), namespace.collection())?;
    let all = sizes.map_or(0, |sizes| sizes.documents.unsigned_abs());
    let (skip, limit) = match purpose {
        Purpose::Count { skip, limit } => (*skip, *limit),
        _ => (0, None),
    };
    let counted = all.saturating_sub(skip).min(limit.unwrap_or(u64::MAX));
    let node = Node::new("RECORD_STORE_FAST_COUNT", |_| {}).worked(
        Work { units: 1, advanced: 0, ended: true },
        |out| {
            number(out, "nCounted", counted);
            number(out, "nSkipped", all.min(skip));
        },
    );
    reply.document("queryPlanner", |out| {
        out.str("namespace", namespace.as_str());
        out.i32("optimizationTimeMillis", 0);
        write_plans(out, about, &node, &[]);
    });
    if execute {
        let ran = Ran { took: started.elapsed(), ..Ran::default() };
        write_stats(reply, &node, &ran, about, &[]);
    }
    Ok(())
}

/// The shape of a query: what of it decides the plan but for values.
fn shape(query: &Query, filter: Doc<'_>, purpose: &Purpose<'_>) -> String {
    let projection = match purpose {
        Purpose::Find { projection, .. } => *projection,
        _ => Doc::EMPTY,
    };
    query.shape(filter, projection)
}

/// The shape and the indexes that there are.
pub(super) fn plan_key(shape: &str, collection: &Collection) -> String {
    let indexes = collection.indexes.iter().filter(|index| !index.hidden);
    let ids: Vec<String> =
        indexes.map(|index| format!("{}:{}", index.id, index.is_multikey())).collect();
    shape_hash(&format!("{shape}\n{}", ids.join(",")))
}
