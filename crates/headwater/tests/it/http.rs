//! Health, readiness, figures and the orderly end, over HTTP and with servers that fail.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::http::Monitor;
use headwater::mongodb::options::ClientOptions;
use headwater::{
    CircuitState, Config, ConnectionFailure, ErrorKind, Headwater, ResilienceSettings,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::patience::{PATIENCE, until, until_asked};
#[cfg(feature = "embedded")]
use crate::process::Running;
#[cfg(feature = "embedded")]
use crate::program;
use crate::proxy::{Fault, Proxy};
use crate::serve::Serve;

/// Status, content type and body of a `GET`.
async fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-type: ").map(Into::into));
    (status, kind.unwrap_or_default(), body.to_owned())
}

async fn get_json(address: SocketAddr, path: &str) -> (u16, Value) {
    let (status, kind, body) = get(address, path).await;
    assert_eq!(kind, "application/json");
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

async fn connect(uri: &str, settings: ResilienceSettings) -> Headwater {
    let options = ClientOptions::parse(uri).await.unwrap();
    Headwater::connect_with_settings(options, settings).unwrap()
}

/// The value of a line of the metrics page.
fn value(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

#[tokio::test]
async fn r24_health_follows_the_server_and_d27_gives_the_reason() {
    let mut serve = Serve::start(&[]);
    let monitor = Monitor::new(Headwater::connect(serve.uri()).await.unwrap());
    let server = monitor.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let healthy = json!({ "status": "healthy", "database": "connected" });
    assert_eq!(get_json(server.address(), "/health").await, (200, healthy.clone()));

    serve.kill();
    let begun = Instant::now();
    let (status, body) = get_json(server.address(), "/health").await;
    let took = begun.elapsed();
    assert_eq!(status, 503);
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.starts_with("Health check failed: "), "{detail}");
    assert!(detail.contains(&serve.address().to_string()), "{detail}");
    // Two seconds and what a busy machine adds; without that limit it would be 30 s.
    assert!(took < Duration::from_secs(10), "{took:?}");

    serve.restart();
    let address = server.address();
    until_asked("health", async || get_json(address, "/health").await.1 == healthy).await;
    server.stop().await;
}

#[tokio::test]
async fn r24_a_server_that_says_nothing_is_unhealthy_within_two_seconds() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy.uri(), ResilienceSettings::default()).await;
    let monitor = Monitor::new(headwater.clone());
    monitor.health().await.unwrap();
    proxy.inject(Fault::BlackHole.on("ping"));
    let begun = Instant::now();
    monitor.health().await.unwrap_err();
    let took = begun.elapsed();
    // Two seconds and what a busy machine adds; without that limit it would be 20 s.
    assert!(took > Duration::from_millis(1_500) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn r24_and_d27_the_reason_holds_no_secret() {
    let uri = "mongodb://ada:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=200";
    let monitor = Monitor::new(Headwater::connect(uri).await.unwrap());
    let detail = monitor.health().await.unwrap_err();
    assert!(detail.contains("127.0.0.1:1"), "{detail}");
    assert!(!detail.contains("s3cret") && !detail.contains("ada"), "{detail}");
    let reasons = monitor.readiness().await.unwrap_err().join(" ");
    assert!(!reasons.contains("s3cret"), "{reasons}");
}

#[tokio::test]
async fn r24_and_r25_before_there_is_a_connector() {
    let monitor = Monitor::starting();
    let server = monitor.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (status, body) = get_json(server.address(), "/health").await;
    assert_eq!((status, &body["detail"]), (503, &json!("Database connection failed")));
    let (status, body) = get_json(server.address(), "/ready").await;
    assert_eq!((status, &body["reasons"]), (503, &json!(["there is no connector yet"])));

    let error = Config::builder().uri("mongodb://ada:s3cret@h/?nonsense=1").build().unwrap_err();
    monitor.refused(&error);
    let (status, body) = get_json(server.address(), "/ready").await;
    let reason = body["reasons"][0].as_str().unwrap();
    assert_eq!(status, 503);
    assert!(reason.starts_with("the configuration is not valid: "), "{reason}");
    assert!(!body.to_string().contains("s3cret"), "{body}");

    let proxy = Proxy::start();
    monitor.connected(connect(&proxy.uri(), ResilienceSettings::default()).await);
    assert_eq!(get_json(server.address(), "/ready").await, (200, json!({ "status": "ready" })));
    assert_eq!(get(server.address(), "/nothing").await.0, 404);
}

#[tokio::test]
async fn d28_a_health_check_opens_no_connection_of_its_own() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy.uri(), ResilienceSettings::default()).await;
    headwater.ping().await.unwrap();
    let before = headwater.pool_stats().created();
    let monitor = Monitor::new(headwater.clone());
    for _ in 0..50 {
        monitor.health().await.unwrap();
    }
    assert_eq!((headwater.pool_stats().created(), before), (1, 1));
    assert_eq!(proxy.requests("ping"), 51);
}

#[tokio::test]
async fn r25_and_d28_ready_needs_a_closed_circuit_and_a_ping() {
    let proxy = Proxy::start();
    let mut settings = ResilienceSettings::default();
    settings.retry.attempts = 1;
    let headwater = connect(&proxy.uri(), settings).await;
    let monitor = Monitor::new(headwater.clone());
    let server = monitor.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    assert_eq!(get_json(server.address(), "/ready").await, (200, json!({ "status": "ready" })));

    // The ping that passed is remembered.
    let pings = proxy.requests("ping");
    monitor.readiness().await.unwrap();
    assert_eq!(proxy.requests("ping"), pings);

    headwater.set_circuit_state(CircuitState::Open);
    let (status, body) = get_json(server.address(), "/ready").await;
    assert_eq!((status, &body["reasons"]), (503, &json!(["the circuit is open"])));
    headwater.set_circuit_state(CircuitState::Closed);
    monitor.readiness().await.unwrap();

    // One that fails makes it forgotten.
    proxy.inject(Fault::ResetBefore.on("ping").times(2));
    monitor.health().await.unwrap_err();
    let (status, body) = get_json(server.address(), "/ready").await;
    let reason = body["reasons"][0].as_str().unwrap();
    assert_eq!(status, 503);
    assert!(reason.starts_with("no ping has passed in the last 10 s: "), "{reason}");
    monitor.readiness().await.unwrap();
}

#[tokio::test]
async fn r25_a_ping_counts_for_ten_seconds() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy.uri(), ResilienceSettings::default()).await;
    let monitor = Monitor::new(headwater);
    monitor.readiness().await.unwrap();
    assert_eq!(proxy.requests("ping"), 1);
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    monitor.readiness().await.unwrap();
    assert_eq!(proxy.requests("ping"), 2);
}

#[tokio::test]
async fn r23_and_d28_metrics_have_the_names_of_the_specification_and_true_values() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy.uri(), ResilienceSettings::default()).await;
    let things = headwater.collection::<Document>("things");
    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    things.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    things.insert_many((2..=300).map(|id| doc! { "_id": id })).await.unwrap();
    assert_eq!(things.find(doc! {}).await.unwrap().all().await.unwrap().len(), 300);
    proxy.inject(Fault::ResetBefore.on("find").times(1));
    things.find_one(doc! {}).await.unwrap();
    headwater.set_circuit_state(CircuitState::Open);
    // Connections come back on a task of the driver.
    until("the connections", || headwater.pool_stats().in_use() == 0).await;

    let monitor = Monitor::new(headwater);
    let server = monitor.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (status, kind, page) = get(server.address(), "/metrics").await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let total = "mongodb_operations_total";
    assert_eq!(
        value(&page, &format!("{total}{{operation=\"insert_one\",status=\"success\"}}")),
        1.0
    );
    assert_eq!(value(&page, &format!("{total}{{operation=\"insert_one\",status=\"error\"}}")), 1.0);
    let took = "mongodb_operation_duration_seconds";
    assert_eq!(value(&page, &format!("{took}_count{{operation=\"insert_one\"}}")), 2.0);
    let all = format!("{took}_bucket{{operation=\"insert_one\",le=\"+Inf\"}}");
    assert_eq!(value(&page, &all), 2.0);
    assert!(value(&page, &format!("{took}_sum{{operation=\"insert_one\"}}")) > 0.0);
    assert_eq!(value(&page, "mongodb_retries_total{operation=\"find_one\"}"), 1.0);
    assert_eq!(value(&page, "mongodb_retries_total{operation=\"insert_one\"}"), 0.0);
    assert_eq!(value(&page, "mongodb_pool_connections{state=\"in_use\"}"), 0.0);
    assert!(value(&page, "mongodb_pool_connections{state=\"open\"}") >= 1.0);
    assert!(value(&page, "mongodb_pool_wait_seconds_count") >= 5.0);
    assert_eq!(value(&page, "mongodb_circuit_state"), 2.0);
    assert_eq!(value(&page, "mongodb_stream_documents_total"), 300.0);
    well_formed(&page);
}

/// Every line is a comment or a value, every name is announced before, and buckets never fall.
fn well_formed(page: &str) {
    assert!(page.ends_with('\n'));
    let mut announced = String::new();
    let mut bucket: Option<(String, f64)> = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            announced = rest.split(' ').next().unwrap().to_owned();
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(name.starts_with(&announced), "{name} after {announced}");
        if let Some((series, _)) = name.split_once("le=\"") {
            if let Some((last, least)) = &bucket {
                assert!(last != series || value >= *least, "{line}");
            }
            bucket = Some((series.to_owned(), value));
        }
    }
}

#[tokio::test]
async fn r29_calls_under_way_finish_and_new_ones_are_refused() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy.uri(), ResilienceSettings::default()).await;
    headwater.ping().await.unwrap();
    proxy.inject(Fault::DelayReply(Duration::from_secs(3)).on("insert"));
    let things = headwater.collection::<Document>("things");
    let slow = tokio::spawn({
        let things = things.clone();
        async move { things.insert_one(doc! { "_id": 1 }).await }
    });
    until("the insert", || proxy.requests("insert") == 1).await;
    let monitor = Monitor::new(headwater.clone());
    monitor.readiness().await.unwrap();
    let begun = Instant::now();
    let ended = tokio::spawn(headwater.shutdown(PATIENCE));
    until_asked("the shutdown", async || monitor.readiness().await.is_err()).await;
    let error = things.find_one(doc! {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection(ConnectionFailure::Closed));
    let reasons = monitor.readiness().await.unwrap_err();
    assert_eq!(reasons[0], "the connector is shutting down");
    assert!(ended.await.unwrap(), "nothing was cut off");
    slow.await.unwrap().unwrap();
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn r29_the_end_waits_no_longer_than_the_limit() {
    let proxy = Proxy::start();
    let headwater = connect(&proxy.uri(), ResilienceSettings::default()).await;
    headwater.ping().await.unwrap();
    proxy.inject(Fault::BlackHole.on("insert"));
    let things = headwater.collection::<Document>("things");
    let stuck = tokio::spawn(async move { things.insert_one(doc! { "_id": 1 }).await });
    until("the insert", || proxy.requests("insert") == 1).await;
    let begun = Instant::now();
    assert!(!headwater.shutdown(Duration::from_millis(500)).await);
    let took = begun.elapsed();
    // Half a second and what a busy machine adds; the insert has 30 s.
    assert!(took >= Duration::from_millis(350) && took < Duration::from_secs(10), "{took:?}");
    stuck.abort();
}

#[tokio::test]
async fn the_monitor_alone_is_for_this_machine_only() {
    let error = Monitor::starting().serve("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn r29_a_service_answers_and_ends_in_order_on_a_signal() {
    let words = ["-p", "headwater", "--features", "http", "--example", "monitoring"];
    let program = program::built("examples/monitoring", &words);
    for signal in ["TERM", "INT"] {
        let mut command = std::process::Command::new(&program);
        command.arg("127.0.0.1:0");
        let service = Running::start(command);
        let line = service.line();
        let address = line.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let healthy = json!({ "status": "healthy", "database": "connected" });
        assert_eq!(get_json(address, "/health").await, (200, healthy));
        assert_eq!(get_json(address, "/ready").await, (200, json!({ "status": "ready" })));
        let (_, _, page) = get(address, "/metrics").await;
        assert!(
            value(&page, "mongodb_operations_total{operation=\"ping\",status=\"success\"}") >= 1.0
        );
        service.signal(signal);
        let output = service.end();
        assert_eq!(output.code, Some(0), "{signal} {output:?}");
        let lines = output.lines();
        assert_eq!(lines[0], "ended in order", "{signal}");
        assert!(lines[1..].iter().any(|line| line.starts_with("insert_one: ")), "{output:?}");
    }
}
