//! The options of a connection string: which there are, what their values are to be, and what they set.

use std::time::Duration;

use mongodb::options::Acknowledgment;

use super::decoded;
use crate::config::layer::{CertificateCheck, Layer};
use crate::config::secret::Secret;

const LIKENESS_MIN: f64 = 0.7;
const APP_NAME_BYTES_MAX: usize = 128;

/// What a value is to look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Truth,
    Number,
    /// May be negative.
    Integer,
    Millis,
    Text,
    /// Never shown.
    Secret,
    OneOf(&'static [&'static str]),
}

pub(super) struct Row {
    pub(super) name: &'static str,
    kind: Kind,
    /// Followed by the connector; the driver does not know it.
    pub(super) ours: bool,
}

/// An option that was given.
pub(super) struct Given {
    pub(super) row: &'static Row,
    pub(super) value: String,
    pub(super) raw: String,
}

const fn row(name: &'static str, kind: Kind) -> Row {
    Row { name, kind, ours: false }
}

const fn ours(name: &'static str, kind: Kind) -> Row {
    Row { name, kind, ours: true }
}

const MECHANISMS: &[&str] = &[
    "GSSAPI",
    "MONGODB-AWS",
    "MONGODB-OIDC",
    "MONGODB-X509",
    "PLAIN",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
];
const READ_PREFERENCES: &[&str] =
    &["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"];
const READ_CONCERNS: &[&str] = &["local", "majority", "linearizable", "available", "snapshot"];
const MONITORING: &[&str] = &["auto", "poll", "stream"];
const UUIDS: &[&str] = &["csharpLegacy", "javaLegacy", "pythonLegacy"];

/// Sorted by name without regard to case.
const ROWS: &[Row] = &[
    row("adaptiveRetries", Kind::Truth),
    row("appName", Kind::Text),
    row("authMechanism", Kind::OneOf(MECHANISMS)),
    row("authMechanismProperties", Kind::Secret),
    row("authSource", Kind::Text),
    row("compressors", Kind::Text),
    row("connectTimeoutMS", Kind::Millis),
    row("directConnection", Kind::Truth),
    row("heartbeatFrequencyMS", Kind::Millis),
    row("journal", Kind::Truth),
    row("loadBalanced", Kind::Truth),
    row("localThresholdMS", Kind::Millis),
    row("maxAdaptiveRetries", Kind::Number),
    row("maxConnecting", Kind::Number),
    row("maxIdleTimeMS", Kind::Millis),
    row("maxPoolSize", Kind::Number),
    row("maxStalenessSeconds", Kind::Integer),
    row("minPoolSize", Kind::Number),
    row("proxyHost", Kind::Text),
    row("proxyPassword", Kind::Secret),
    row("proxyPort", Kind::Number),
    row("proxyUsername", Kind::Secret),
    row("readConcernLevel", Kind::OneOf(READ_CONCERNS)),
    row("readPreference", Kind::OneOf(READ_PREFERENCES)),
    row("readPreferenceTags", Kind::Text),
    row("replicaSet", Kind::Text),
    row("retryReads", Kind::Truth),
    row("retryWrites", Kind::Truth),
    row("serverMonitoringMode", Kind::OneOf(MONITORING)),
    row("serverSelectionTimeoutMS", Kind::Millis),
    ours("socketTimeoutMS", Kind::Millis),
    row("srvMaxHosts", Kind::Number),
    row("srvServiceName", Kind::Text),
    row("ssl", Kind::Truth),
    ours("timeoutMS", Kind::Millis),
    row("tls", Kind::Truth),
    row("tlsAllowInvalidCertificates", Kind::Truth),
    ours("tlsAllowInvalidHostnames", Kind::Truth),
    row("tlsCAFile", Kind::Text),
    row("tlsCertificateKeyFile", Kind::Text),
    row("tlsCertificateKeyFilePassword", Kind::Secret),
    row("tlsInsecure", Kind::Truth),
    row("uuidRepresentation", Kind::OneOf(UUIDS)),
    row("w", Kind::Text),
    ours("waitQueueTimeoutMS", Kind::Millis),
    row("wTimeoutMS", Kind::Millis),
    row("zlibCompressionLevel", Kind::Integer),
];

/// Reads the part behind the `?`.
pub(super) fn read(query: &str) -> Result<Vec<Given>, String> {
    let mut given: Vec<Given> = Vec::new();
    for raw in query.split('&').filter(|raw| !raw.is_empty()) {
        let (name, value) = raw.split_once('=').ok_or("has an option without `=`")?;
        let row = ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name));
        let row = row.ok_or_else(|| unknown(name))?;
        let value = decoded(value).ok_or_else(|| {
            format!("has a value of {} that is not percent-encoded rightly", row.name)
        })?;
        if given.iter().any(|other| other.row.name == row.name) && row.name != "readPreferenceTags"
        {
            return Err(format!("has the option {} twice", row.name));
        }
        if !row.kind.fits(&value) || value.is_empty() && row.name != "readPreferenceTags" {
            return Err(wrong(row, &value));
        }
        let is_property =
            |part: &str| part.split_once(':').is_some_and(|(name, _)| !name.is_empty());
        if row.name == "authMechanismProperties" && !value.split(',').all(is_property) {
            return Err("has authMechanismProperties that are not NAME:VALUE,NAME:VALUE".to_owned());
        }
        given.push(Given { row, value, raw: raw.to_owned() });
    }
    Ok(given)
}

/// The values that may never be shown, also piece by piece.
pub(super) fn secrets(given: &[Given]) -> Vec<String> {
    let secret = given.iter().filter(|option| matches!(option.row.kind, Kind::Secret));
    secret
        .flat_map(|option| option.value.split([',', ':']).chain([option.value.as_str()]))
        .filter(|piece| !piece.is_empty())
        .map(str::to_owned)
        .collect()
}

fn unknown(name: &str) -> String {
    let likeness = |row: &Row| {
        strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &row.name.to_lowercase())
    };
    let nearest = ROWS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    // The name itself may be a piece of an unescaped password.
    match nearest.filter(|row| likeness(row) >= LIKENESS_MIN) {
        Some(row) => format!("has an unknown option: did you mean {}?", row.name),
        None => "has an unknown option".to_owned(),
    }
}

fn wrong(row: &Row, value: &str) -> String {
    let expected = match row.kind {
        Kind::OneOf(names) => format!("one of {}", names.join(", ")),
        kind => kind.expected().to_owned(),
    };
    match row.kind {
        Kind::Secret => format!("has an option {} that is to be {expected}", row.name),
        _ => format!(
            "has the option {} with the value `{value}`, but it is to be {expected}",
            row.name
        ),
    }
}

impl Kind {
    fn fits(self, value: &str) -> bool {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Kind::Truth => ["true", "false"].contains(&value),
            Kind::Number | Kind::Millis => digits && value.parse::<u32>().is_ok(),
            Kind::Integer => value.parse::<i32>().is_ok(),
            Kind::OneOf(names) => names.iter().any(|name| name.eq_ignore_ascii_case(value)),
            Kind::Text | Kind::Secret => true,
        }
    }
}

/// The settings that the options give.
pub(super) fn layer(given: &[Given]) -> Result<Layer, String> {
    let mut layer = Layer::default();
    for Given { row, value, .. } in given {
        let millis = || value.parse().ok().map(Duration::from_millis);
        let number = || value.parse::<u32>().ok();
        match row.name {
            "appName" if value.len() > APP_NAME_BYTES_MAX => {
                return Err("has an appName of more than 128 bytes".to_owned());
            }
            "appName" => layer.app_name = Some(value.clone()),
            "connectTimeoutMS" => layer.connect_timeout = millis(),
            "directConnection" => layer.direct_connection = Some(value == "true"),
            "heartbeatFrequencyMS" => layer.heartbeat_frequency = millis(),
            "journal" => layer.journal = Some(value == "true"),
            "maxIdleTimeMS" => layer.max_idle_time = millis(),
            "maxPoolSize" => layer.max_pool_size = number(),
            "minPoolSize" => layer.min_pool_size = number(),
            "replicaSet" => layer.replica_set = Some(value.clone()),
            "serverSelectionTimeoutMS" => layer.server_selection_timeout = millis(),
            "socketTimeoutMS" => layer.socket_timeout = millis(),
            "timeoutMS" => layer.deadline = millis().filter(|time| !time.is_zero()),
            "tls" | "ssl" => layer.tls = Some(value == "true"),
            "tlsAllowInvalidHostnames" if value == "true" => {
                return Err("has tlsAllowInvalidHostnames, which is not supported: the host's name is checked \
                            unless nothing is (tlsAllowInvalidCertificates)"
                    .to_owned());
            }
            "tlsAllowInvalidCertificates" | "tlsInsecure" => {
                let check = if value == "true" {
                    CertificateCheck::None
                } else {
                    CertificateCheck::Required
                };
                layer.certificates = Some(check);
            }
            "tlsCAFile" => layer.ca_file = Some(value.into()),
            "tlsCertificateKeyFile" => layer.certificate_file = Some(value.into()),
            "tlsCertificateKeyFilePassword" => layer.key_password = Some(Secret::new(value)),
            "w" => layer.w = Some(acknowledgment(value)?),
            "waitQueueTimeoutMS" => layer.wait_queue_timeout = millis(),
            "wTimeoutMS" => layer.w_timeout = millis(),
            _ => {}
        }
    }
    let tls = ["tlsAllowInvalidCertificates", "tlsInsecure", "tlsCAFile", "tlsCertificateKeyFile"];
    if given.iter().any(|option| tls.contains(&option.row.name)) {
        if layer.tls == Some(false) {
            return Err("has tls=false beside other TLS options".to_owned());
        }
        layer.tls = Some(true);
    }
    Ok(layer)
}

fn acknowledgment(value: &str) -> Result<Acknowledgment, String> {
    match value.parse::<i64>() {
        Ok(number) => match u32::try_from(number) {
            Ok(nodes) => Ok(Acknowledgment::from(nodes)),
            Err(_) => Err("has the option w with a negative number".to_owned()),
        },
        Err(_) => Ok(Acknowledgment::from(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(ROWS.is_sorted_by(|a, b| a.name.to_lowercase() < b.name.to_lowercase()));
    }
}
