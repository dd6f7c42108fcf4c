//! The variables of the environment: their names, what each sets, and what it is to look like.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use mongodb::options::{Acknowledgment, AuthMechanism};

use super::layer::{CertificateCheck, Layer};
use super::secret::Secret;

const PREFIX: &str = "MONGO_";
/// The embedded database's folder, by the name that the server uses.
const DATA: &str = "HEADWATER_DATA";
/// Below this a known name is no likely meaning of an unknown one.
const LIKENESS_MIN: f64 = 0.8;

/// A variable.
struct Row {
    name: &'static str,
    /// What a value is to be, for the error.
    expected: &'static str,
    /// Whether the value may be shown.
    shown: bool,
    apply: fn(&mut Layer, &str) -> Option<()>,
}

const MILLIS: &str = "a number of milliseconds, 0 or more";
const POSITIVE_MILLIS: &str = "a number of milliseconds, 1 or more";
const TRUTH: &str = "`true` or `false`";
const TEXT: &str = "text";
const FILE: &str = "the path of a file";

macro_rules! row {
    ($name:literal, $expected:expr, $field:ident, $parse:expr) => {
        row!($name, $expected, $field, $parse, true)
    };
    ($name:literal, $expected:expr, $field:ident, $parse:expr, $shown:literal) => {
        Row {
            name: $name,
            expected: $expected,
            shown: $shown,
            apply: |layer, text| {
                layer.$field = Some($parse(text)?);
                Some(())
            },
        }
    };
}

/// Sorted by name.
const ROWS: &[Row] = &[
    row!("HEADWATER_DATA", "a folder, or `:memory:`", data, path),
    row!(
        "MONGO_AUTH_MECHANISM",
        "SCRAM-SHA-1, SCRAM-SHA-256 or MONGODB-X509",
        auth_mechanism,
        mechanism
    ),
    row!("MONGO_AUTH_SOURCE", TEXT, auth_source, text),
    row!("MONGO_BREAKER_FAILURES", "a number, 0 for never", breaker_failures, number),
    row!("MONGO_BREAKER_OPEN_MS", MILLIS, breaker_open, millis),
    row!("MONGO_BREAKER_WINDOW_MS", MILLIS, breaker_window, millis),
    row!("MONGO_CONNECT_TIMEOUT_MS", MILLIS, connect_timeout, millis),
    row!("MONGO_DB", "the name of a database", database, text),
    row!(
        "MONGO_HEARTBEAT_FREQUENCY_MS",
        "a number of milliseconds, 500 or more",
        heartbeat_frequency,
        heartbeat
    ),
    row!("MONGO_HOST", "the name or address of a host", host, text),
    row!("MONGO_JOURNAL", TRUTH, journal, truth),
    row!("MONGO_MAX_IDLE_TIME_MS", MILLIS, max_idle_time, millis),
    row!("MONGO_MAX_POOL_SIZE", "a number, 1 or more", max_pool_size, positive),
    row!("MONGO_MIN_POOL_SIZE", "a number, 0 or more", min_pool_size, number),
    row!("MONGO_PASSWORD", TEXT, password, secret, false),
    row!("MONGO_PORT", "a number from 1 to 65535", port, port),
    row!("MONGO_REPLICA_SET", "the name of a replica set", replica_set, text),
    row!("MONGO_RETRY_ATTEMPTS", "a number from 1 to 100", retry_attempts, attempts),
    row!("MONGO_RETRY_BASE_MS", MILLIS, retry_base, millis),
    row!("MONGO_RETRY_DEADLINE_MS", POSITIVE_MILLIS, deadline, positive_millis),
    row!("MONGO_RETRY_MAX_MS", MILLIS, retry_max, millis),
    row!("MONGO_SERVER_SELECTION_TIMEOUT_MS", MILLIS, server_selection_timeout, millis),
    row!("MONGO_SOCKET_TIMEOUT_MS", "a number of milliseconds, 0 for none", socket_timeout, millis),
    row!("MONGO_SSL_CA_CERTS", FILE, ca_file, path),
    row!("MONGO_SSL_CERTFILE", FILE, certificate_file, path),
    row!("MONGO_SSL_CERT_REQS", "`required`, `optional` or `none`", certificates, certificates),
    row!("MONGO_SSL_KEYFILE", FILE, key_file, path),
    row!("MONGO_SSL_KEYFILE_PASSWORD", TEXT, key_password, secret, false),
    row!("MONGO_URI", "a connection string", uri, secret, false),
    row!("MONGO_USERNAME", TEXT, username, text, false),
    row!("MONGO_USE_SSL", TRUTH, tls, truth),
    row!("MONGO_W", "a number, `majority` or the name of a tag set", w, acknowledgment),
    row!("MONGO_WAIT_QUEUE_TIMEOUT_MS", MILLIS, wait_queue_timeout, millis),
    row!("MONGO_WTIMEOUT_MS", MILLIS, w_timeout, millis),
];

/// Reads what a source says. A variable without a value counts as not set. Names that begin like ours and that nobody
/// knows end up in `warnings`.
///
/// # Errors
/// A sentence that names the variable, its value unless that is secret, and what it is to be.
pub(super) fn read(
    variables: &BTreeMap<String, String>,
    source: &str,
    warnings: &mut Vec<String>,
) -> Result<Layer, String> {
    let mut layer = Layer::default();
    let ours = |name: &&String| name.starts_with(PREFIX) || *name == DATA;
    for name in variables.keys().filter(ours) {
        let value = variables[name].trim();
        let Some(row) = ROWS.iter().find(|row| row.name == name) else {
            warnings.push(unknown(name, source));
            continue;
        };
        if value.is_empty() {
            continue;
        }
        if (row.apply)(&mut layer, value).is_none() {
            let shown = if row.shown { format!("`{value}`") } else { "(not shown)".to_owned() };
            return Err(format!(
                "{name} {source} has the value {shown}, but is to be {}",
                row.expected
            ));
        }
    }
    Ok(layer)
}

fn unknown(name: &str, source: &str) -> String {
    let likeness = |row: &Row| strsim::normalized_damerau_levenshtein(name, row.name);
    let nearest = ROWS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|row| likeness(row) >= LIKENESS_MIN) {
        Some(row) => format!("{name} {source} is not known: did you mean {}?", row.name),
        None => format!("{name} {source} is not known"),
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

fn path(text: &str) -> Option<std::path::PathBuf> {
    Some(text.into())
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

fn positive(text: &str) -> Option<u32> {
    number(text).filter(|number| *number > 0)
}

fn attempts(text: &str) -> Option<u32> {
    number(text).filter(|number| (1..=100).contains(number))
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn millis(text: &str) -> Option<Duration> {
    // Further than any program runs; the driver adds some of these to the time of day.
    let millis = text.parse().ok().filter(|millis| *millis <= u64::from(u32::MAX));
    millis.map(Duration::from_millis)
}

fn positive_millis(text: &str) -> Option<Duration> {
    millis(text).filter(|time| !time.is_zero())
}

fn heartbeat(text: &str) -> Option<Duration> {
    millis(text).filter(|time| *time >= Duration::from_millis(500))
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn certificates(text: &str) -> Option<CertificateCheck> {
    match text.to_ascii_lowercase().as_str() {
        // A client that takes a server's certificate "optionally" checks it all the same: every server has one.
        "required" | "optional" => Some(CertificateCheck::Required),
        "none" => Some(CertificateCheck::None),
        _ => None,
    }
}

fn mechanism(text: &str) -> Option<AuthMechanism> {
    let known = ["SCRAM-SHA-1", "SCRAM-SHA-256", "MONGODB-X509"].contains(&text);
    known.then(|| AuthMechanism::from_str(text).ok())?
}

fn acknowledgment(text: &str) -> Option<Acknowledgment> {
    match text.parse::<i64>() {
        Ok(number) => u32::try_from(number).ok().map(Acknowledgment::from),
        Err(_) => Some(Acknowledgment::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(ROWS.is_sorted_by(|a, b| a.name < b.name));
    }
}
