//! What spans, log lines and metrics tell, and what they must not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use headwater::CircuitState;
use headwater::bson::{Document, doc};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing::field::{Field, Visit};
use tracing::span;

use super::{connect, quick};
use crate::proxy::{Fault, Proxy};

/// Keeps all figures under their names and labels.
#[derive(Default, Clone)]
struct Figures(Arc<Mutex<BTreeMap<String, Arc<Figure>>>>);

#[derive(Default)]
struct Figure {
    sum: Mutex<f64>,
    count: AtomicU64,
}

impl Figures {
    fn figure(&self, key: &Key) -> Arc<Figure> {
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().entry(name).or_default().clone()
    }

    fn sum(&self, name: &str) -> f64 {
        let figures = self.0.lock().unwrap();
        let figure = figures.get(name).unwrap_or_else(|| panic!("{name} of {:?}", figures.keys()));
        *figure.sum.lock().unwrap()
    }

    fn count(&self, name: &str) -> u64 {
        let figures = self.0.lock().unwrap();
        let figure = figures.get(name).unwrap_or_else(|| panic!("{name} of {:?}", figures.keys()));
        figure.count.load(Ordering::SeqCst)
    }
}

impl CounterFn for Figure {
    fn increment(&self, value: u64) {
        *self.sum.lock().unwrap() += value as f64;
    }
    fn absolute(&self, value: u64) {
        *self.sum.lock().unwrap() = value as f64;
    }
}

impl GaugeFn for Figure {
    fn increment(&self, value: f64) {
        *self.sum.lock().unwrap() += value;
    }
    fn decrement(&self, value: f64) {
        *self.sum.lock().unwrap() -= value;
    }
    fn set(&self, value: f64) {
        *self.sum.lock().unwrap() = value;
    }
}

impl HistogramFn for Figure {
    fn record(&self, value: f64) {
        *self.sum.lock().unwrap() += value;
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder for Figures {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.figure(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.figure(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.figure(key))
    }
}

/// Keeps every span and every line of the threads that called [`lines_of`] as text.
///
/// It is the whole process's subscriber: with a thread's own one (`with_default`), another test's thread that comes
/// to a span first settles for everyone that nobody listens to it.
struct Lines;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The spans and lines of this thread while `run` runs.
pub(super) fn lines_of(run: impl FnOnce()) -> Vec<String> {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        tracing::subscriber::set_global_default(Lines).unwrap();
        tracing::callsite::rebuild_interest_cache();
    });
    LINES.set(Some(Vec::new()));
    run();
    LINES.take().unwrap()
}

fn keep(line: Line) {
    LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.push(line.0.clone())));
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("headwater")
    }
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut line = Line(format!("span {}", attributes.metadata().level()));
        attributes.record(&mut line);
        keep(line);
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(format!("line {}", event.metadata().level()));
        event.record(&mut line);
        keep(line);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

pub(super) fn blocking<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn r23_figures_have_the_names_of_the_specification() {
    let figures = Figures::default();
    metrics::with_local_recorder(&figures, || {
        blocking(async {
            let proxy = Proxy::start();
            let headwater = connect(&proxy, quick()).await;
            let things = headwater.collection::<Document>("things");
            things.insert_one(doc! { "_id": 1 }).await.unwrap();
            things.insert_one(doc! { "_id": 1 }).await.unwrap_err();
            proxy.inject(Fault::ResetBefore.on("find").times(1));
            things.find_one(doc! {}).await.unwrap();
            headwater.set_circuit_state(CircuitState::Open);
        });
    });
    let total = "mongodb_operations_total";
    assert_eq!(figures.sum(&format!("{total}{{operation=insert_one,status=success}}")), 1.0);
    assert_eq!(figures.sum(&format!("{total}{{operation=insert_one,status=error}}")), 1.0);
    assert_eq!(figures.sum(&format!("{total}{{operation=find_one,status=success}}")), 1.0);
    let duration = "mongodb_operation_duration_seconds{operation=insert_one}";
    assert_eq!(figures.count(duration), 2);
    assert!(figures.sum(duration) > 0.0);
    assert_eq!(figures.sum("mongodb_retries_total{operation=find_one}"), 1.0);
    assert_eq!(figures.sum("mongodb_circuit_state{}"), 2.0);
    assert!(figures.count("mongodb_pool_wait_seconds{}") >= 4);
}

#[test]
fn r22_spans_and_lines_hold_no_content() {
    let lines = lines_of(|| {
        blocking(async {
            let proxy = Proxy::start();
            let headwater = connect(&proxy, quick()).await;
            let things = headwater.collection::<Document>("things");
            let secret = || doc! { "_id": "s3cret", "s3cret": "s3cret" };
            things.insert_one(secret()).await.unwrap();
            things.insert_one(secret()).await.unwrap_err();
            things.find_one(secret()).await.unwrap();
            things.update_one(secret(), doc! { "$set": { "a": "s3cret" } }).await.unwrap();
        });
    });
    let spans = lines.iter().filter(|line| line.starts_with("span DEBUG")).count();
    assert_eq!(spans, 4, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("operation=\"insert_one\"")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("line ERROR") && line.contains("11000")));
    assert!(!lines.iter().any(|line| line.contains("s3cret")), "{lines:#?}");
}
