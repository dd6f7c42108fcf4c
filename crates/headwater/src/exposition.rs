//! The connector's own figures as Prometheus text. Reads them; collects none.

use std::fmt::{Display, Write};

use crate::connector::Headwater;
use crate::histogram::{LIMITS_US, Reading};
use crate::resilience::breaker::CircuitState;

impl Headwater {
    /// The figures of this connector in the text format of Prometheus (version 0.0.4), as `GET /metrics` gives them.
    ///
    /// They are this connector's own, whether or not the application has installed a recorder of the `metrics` crate,
    /// which is told the same figures under the same names.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// headwater.ping().await?;
    /// let line = r#"mongodb_operations_total{operation="ping",status="success"} 1"#;
    /// assert!(headwater.metrics_text().lines().any(|found| found == line));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn metrics_text(&self) -> String {
        let mut page = Page(String::new());
        self.write_operations(&mut page);
        self.write_pool(&mut page);
        let state = circuit_value(self.circuit_state());
        page.head("mongodb_circuit_state", "gauge", "0 closed, 1 half-open, 2 open.");
        page.line("mongodb_circuit_state", "", state);
        let streamed = self.0.resilience.statistics().streamed();
        page.head("mongodb_stream_documents_total", "counter", "Documents that cursors gave.");
        page.line("mongodb_stream_documents_total", "", streamed);
        page.0
    }

    fn write_operations(&self, page: &mut Page) {
        let operations = self.0.resilience.statistics().readings();
        let name = "mongodb_operations_total";
        page.head(name, "counter", "Operations by name and outcome.");
        for (operation, reading) in &operations {
            for (status, count) in [("success", reading.success), ("error", reading.error)] {
                let labels = format!("operation=\"{operation}\",status=\"{status}\"");
                page.line(name, &labels, count);
            }
        }
        let name = "mongodb_operation_duration_seconds";
        page.head(name, "histogram", "How long operations took, all attempts and pauses included.");
        for (operation, reading) in &operations {
            page.histogram(name, &format!("operation=\"{operation}\""), &reading.took);
        }
        let name = "mongodb_retries_total";
        page.head(name, "counter", "Attempts after the first one.");
        for (operation, reading) in &operations {
            page.line(name, &format!("operation=\"{operation}\""), reading.retries);
        }
    }

    fn write_pool(&self, page: &mut Page) {
        let pool = self.pool_stats();
        let name = "mongodb_pool_connections";
        page.head(name, "gauge", "Connections to all servers by state; open are all that exist.");
        let idle: u64 = pool.servers.iter().map(|server| server.idle).sum();
        for (state, count) in [("idle", idle), ("in_use", pool.in_use()), ("open", pool.size())] {
            page.line(name, &format!("state=\"{state}\""), count);
        }
        let name = "mongodb_pool_wait_seconds";
        page.head(name, "histogram", "How long operations waited for a connection.");
        page.histogram(name, "", &self.0.pool.waits());
    }
}

/// The number by which metrics tell the state.
pub(crate) fn circuit_value(state: CircuitState) -> f64 {
    match state {
        CircuitState::Closed => 0.0,
        CircuitState::HalfOpen => 1.0,
        CircuitState::Open => 2.0,
    }
}

/// Text that grows line by line. The labels come from this crate and need no escapes.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, meaning: &str) {
        let _ = writeln!(self.0, "# HELP {name} {meaning}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            _ => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn histogram(&mut self, name: &str, labels: &str, reading: &Reading) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bucket = format!("{name}_bucket");
        let limits = LIMITS_US.iter().map(|us| (*us as f64 / 1e6).to_string());
        for (limit, count) in limits.chain(["+Inf".to_owned()]).zip(reading.cumulative) {
            self.line(&bucket, &format!("{labels}{comma}le=\"{limit}\""), count);
        }
        let all = reading.cumulative[LIMITS_US.len()];
        self.line(&format!("{name}_sum"), labels, reading.sum.as_secs_f64());
        self.line(&format!("{name}_count"), labels, all);
    }
}
