//! The rows of `wire`, in their order.

use super::load::{Figures, Load};
use super::process::{self, Child};
use super::{PORT, Plan, SERVER_CORE, message, print, raw_store, streams};
use crate::walker;

/// Documents of the collection that is scanned.
const SCANNED: u64 = 200_000;
/// Documents of the collection that is updated.
const UPDATED: i32 = 100_000;
/// Idle change streams beside the writers.
const WATCHERS: u64 = 100;

/// Measures what the plan wants and prints each row as it is there.
pub(super) async fn measure(plan: &Plan) -> Result<(), String> {
    let address = format!("127.0.0.1:{PORT}");
    let all = plan.connections;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut echo = f64::NAN;
    for name in ["echo", "bare"].into_iter().filter(|&name| name == "echo" || plan.wants(name)) {
        let server = Child::start(&this, &[name, &address], SERVER_CORE)?;
        process::await_listener(&address).await?;
        let load = Load { address: &address, server: &server, connections: all, time: plan.time };
        let figures = load.run(|_| message::ping()).await?;
        if name == "echo" {
            echo = figures.cpu_us;
        }
        print(&format!("{name}, {all} connections"), &figures, echo);
    }
    if !plan.server.exists() {
        println!("{} is not built: no more than the wire is measured", plan.server.display());
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(&plan.data);
    let data = plan.data.to_string_lossy().into_owned();
    let arguments = ["serve", "--data", &data, "--listen", &address, "--log-level", "warn"];
    let server = Child::start(&plan.server, &arguments, SERVER_CORE)?;
    process::await_listener(&address).await?;
    let load = Load { address: &address, server: &server, connections: all, time: plan.time };
    let bench = Bench { plan, load, echo };
    bench.requests().await?;
    bench.updates().await?;
    bench.batches().await?;
    bench.scan().await?;
    bench.watchers().await?;
    if plan.wants("events") {
        let (insert, event) = streams::latency(&bench.load).await?;
        print("events: insert acknowledged, 1 connection", &insert, echo);
        print("events: insert to event received", &event, echo);
    }
    Ok(())
}

struct Bench<'p> {
    plan: &'p Plan,
    load: Load<'p>,
    echo: f64,
}

impl Bench<'_> {
    /// Requests of one document.
    async fn requests(&self) -> Result<(), String> {
        let all = self.plan.connections;
        if self.plan.wants("ping") {
            let figures = self.load.run(|_| message::ping()).await?;
            self.print(&format!("ping, {all} connections"), &figures);
        }
        let documents = self.plan.documents;
        if self.plan.wants("find") {
            let batches = u64::from(documents.unsigned_abs()).div_ceil(1_000);
            self.load.count(batches, |at| message::insert("found", at, 1_000, 1_000)).await?;
            let find = move |n| message::find_by_id("found", scattered(n, documents));
            let figures = self.load.run(find).await?;
            self.print(&format!("find by _id of {documents}, {all} conn."), &figures);
        }
        if self.plan.wants("insertOne") {
            let figures = self.load.run(|n| message::insert("one", n, 1, 256)).await?;
            self.print(&format!("insertOne durable, {all} connections"), &figures);
            let figures = self.one().run(|n| message::insert("single", n, 1, 256)).await?;
            self.print("insertOne durable, 1 connection", &figures);
        }
        Ok(())
    }

    /// Updates of one document beside inserts of one, and of many documents in one command.
    async fn updates(&self) -> Result<(), String> {
        if !self.plan.wants("update") {
            return Ok(());
        }
        let all = self.plan.connections;
        let batches = u64::from(UPDATED.unsigned_abs()) / 1_000;
        self.load.count(batches, |at| message::insert("updated", at, 1_000, 256)).await?;
        let insert = self.load.run(|n| message::insert("beside", n, 1, 256)).await?;
        self.print(&format!("update: insertOne durable, {all} connections"), &insert);
        let one = |n| message::increment("updated", Some(scattered(n, UPDATED)));
        let update = self.load.run(one).await?;
        self.print(&format!("update: $inc by _id durable, {all} conn."), &update);
        println!("  {:.2} x insertOne's processor time", update.cpu_us / insert.cpu_us);
        let many = self.one().run(|_| message::increment("updated", None)).await?;
        self.print(&format!("update: $inc of all {UPDATED}, 1 conn."), &many);
        let rate = f64::from(UPDATED) / many.cpu_us * 1_000.0;
        println!("  {rate:.0}k documents/s of processor time");
        Ok(())
    }

    /// Batches of inserts beside the same batches put into the store alone, on one core each.
    async fn batches(&self) -> Result<(), String> {
        if !self.plan.wants("insertMany") {
            return Ok(());
        }
        let figures = self.one().run(|n| message::insert("many", n, 1_000, 275)).await?;
        self.print("insertMany of 1000 x 275 B, 1 conn.", &figures);
        let folder = self.plan.data.with_extension("store");
        let alone = raw_store::batches_per_second(&folder, self.plan.time)?;
        let part = figures.per_second / alone * 100.0;
        println!("  the store alone {:.0}k documents/s: {part:.0} %", alone);
        Ok(())
    }

    /// A whole collection scanned for one value, beside the walker doing the same on documents in memory.
    async fn scan(&self) -> Result<(), String> {
        if !self.plan.wants("scan") {
            return Ok(());
        }
        let batch = |at| message::insert_raw("people", (at * 1_000..(at + 1) * 1_000).map(person));
        self.load.count(SCANNED / 1_000, batch).await?;
        let figures = self.one().run(|_| message::find_all("people", "n", 7)).await?;
        self.print(&format!("scan of {SCANNED} x 239 B, {{n: 7}}, 1 conn."), &figures);
        let ours = figures.cpu_us * 1_000.0 / SCANNED as f64;
        let bare = walker::match_nanos("n");
        println!(
            "  {ours:.1} ns of processor time per document, the walker {bare:.1}: {:.0} % of its rate",
            bare / ours * 100.0
        );
        Ok(())
    }

    /// Writers without and with streams that wait for what never comes.
    async fn watchers(&self) -> Result<(), String> {
        if !self.plan.wants("watchers") {
            return Ok(());
        }
        let mut before = None;
        let kinds = [
            ("none", 0, false),
            ("with one filter", WATCHERS, false),
            ("each its own", WATCHERS, true),
        ];
        for (kind, count, different) in kinds {
            let collection = format!("watched{}{different}", count);
            let waiting = streams::idle(self.load.address, &collection, count, different).await?;
            let figures = self.load.run(move |n| message::insert(&collection, n, 1, 256)).await?;
            drop(waiting);
            self.print(&format!("watchers: insertOne, {count} streams ({kind})"), &figures);
            let alone = *before.get_or_insert(figures.per_second);
            println!("  {:.1} % slower", (1.0 - figures.per_second / alone) * 100.0);
        }
        Ok(())
    }

    fn one(&self) -> Load<'_> {
        Load { connections: 1, ..self.load }
    }

    fn print(&self, name: &str, figures: &Figures) {
        print(name, figures, self.echo);
    }
}

fn person(at: u64) -> Vec<u8> {
    walker::document(usize::try_from(at).unwrap_or(0))
}

/// A number below `below` that jumps about as `n` counts up.
fn scattered(n: u64, below: i32) -> i32 {
    (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as i32 % below.max(1)
}
