//! Connection strings: the whole grammar checked before the driver sees one, and one built from parts. No message
//! shows a part that may be secret.

mod options;

use std::fmt::Write;

use percent_encoding::percent_decode_str;

use self::options::{Given, Kind};
use super::layer::Layer;
use super::secret::Secret;

/// Characters that a user name or password must escape.
const RESERVED: &[char] = &[':', '/', '?', '#', '[', ']', '@'];
const DATABASE_FORBIDDEN: &[char] = &['/', '\\', ' ', '"', '$', '.', '\0'];
const DATABASE_BYTES_MAX: usize = 63;

/// A connection string that follows the grammar.
pub(super) struct ConnectionString {
    /// As it is handed to the driver: without the options that the connector itself follows.
    pub(super) for_driver: Secret,
    /// What its options say.
    pub(super) layer: Layer,
    /// Whether it says how to authenticate.
    pub(super) authenticates: bool,
    /// Whether it names the hosts by a DNS record.
    pub(super) is_srv: bool,
    /// What no message may hold.
    pub(super) secrets: Vec<Secret>,
}

impl ConnectionString {
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with "the connection string".
    pub(super) fn parse(uri: &str) -> Result<ConnectionString, String> {
        let (scheme, rest) = uri
            .split_once("://")
            .ok_or("has no scheme: it is to begin with mongodb:// or mongodb+srv://")?;
        let is_srv = match scheme {
            "mongodb" => false,
            "mongodb+srv" if cfg!(feature = "srv") => true,
            "mongodb+srv" => return Err("needs the feature `srv` of the crate".to_owned()),
            _ => return Err("is to begin with mongodb:// or mongodb+srv://".to_owned()),
        };
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, query),
            None => (rest, ""),
        };
        if query.contains('@') {
            return Err(RESERVED_UNESCAPED.to_owned());
        }
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        if let Some(user) = user {
            check_user(user)?;
        }
        let (hosts, database) = match place.split_once('/') {
            Some((hosts, database)) => (hosts, database),
            None => (place, ""),
        };
        check_hosts(hosts, is_srv)?;
        let given = options::read(query)?;
        let mut layer = options::layer(&given)?;
        layer.database = database_name(database)?;
        let mechanism = given.iter().any(|option| option.row.name == "authMechanism");
        if user.is_some_and(|user| user.is_empty() || user.starts_with(':')) && !mechanism {
            return Err("has an `@` but no user name before it".to_owned());
        }
        check_together(&given, is_srv, hosts)?;
        let names = user.into_iter().flat_map(|user| user.split(':')).filter_map(decoded);
        let secrets = options::secrets(&given).into_iter().chain(names);
        Ok(ConnectionString {
            for_driver: for_driver(uri, &given),
            layer,
            authenticates: user.is_some() || mechanism,
            is_srv,
            secrets: secrets.filter(|secret| !secret.is_empty()).map(Secret::new).collect(),
        })
    }
}

const RESERVED_UNESCAPED: &str =
    "has a user name or password with characters that must be percent-encoded: : / ? # [ ] @ %";

fn check_user(user: &str) -> Result<(), String> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    for part in [name, password] {
        if part.contains(RESERVED) {
            return Err(RESERVED_UNESCAPED.to_owned());
        }
        decoded(part).ok_or(RESERVED_UNESCAPED)?;
    }
    Ok(())
}

fn check_hosts(hosts: &str, is_srv: bool) -> Result<(), String> {
    let hosts: Vec<&str> = hosts.split(',').collect();
    for (index, host) in hosts.iter().enumerate() {
        check_host(host, is_srv).map_err(|why| match hosts.len() {
            1 => format!("has a host that {why}"),
            _ => format!("has a host (number {}) that {why}", index + 1),
        })?;
    }
    if is_srv && hosts.len() > 1 {
        return Err("is to name one host with mongodb+srv".to_owned());
    }
    Ok(())
}

fn check_host(host: &str, is_srv: bool) -> Result<(), &'static str> {
    const PORT: &str = "has a port that is no number from 1 to 65535";
    if host.is_empty() {
        return Err("is empty");
    }
    let name = decoded(host).ok_or("is not percent-encoded rightly")?;
    if name.contains('/') {
        let is_socket = name.ends_with(".sock") && !is_srv;
        return if is_socket { Ok(()) } else { Err("has a `/` but is no Unix socket (.sock)") };
    }
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or("has no `]`")?;
            let address = address.split_once("%25").map_or(address, |(address, _)| address);
            address.parse::<std::net::Ipv6Addr>().map_err(|_| "is no IPv6 address")?;
            let port =
                if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(PORT)?) };
            (address, port)
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    if let Some(port) = port {
        if is_srv {
            return Err("has a port, which mongodb+srv does not allow");
        }
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let number = port.parse::<u16>().ok().filter(|port| digits && *port > 0);
        number.ok_or(PORT)?;
    }
    let wrong = |c: char| c.is_whitespace() || c.is_control() || "<>{}|\\^`\"#[]".contains(c);
    if name.is_empty() || !host.starts_with('[') && name.contains(wrong) {
        return Err("is no name and no address");
    }
    Ok(())
}

fn database_name(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let name = decoded(text).ok_or("has a database name that is not percent-encoded rightly")?;
    check_database(&name).map_err(|why| format!("has a database name that {why}"))?;
    Ok(Some(name))
}

/// Whether a database may be called so; if not, the end of a sentence that begins with "a name that".
pub(super) fn check_database(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.contains(DATABASE_FORBIDDEN) {
        return Err("has one of the characters / \\ \" $ . or a space");
    }
    if name.len() > DATABASE_BYTES_MAX {
        return Err("is longer than 63 bytes");
    }
    Ok(())
}

/// Options that contradict each other or the hosts.
fn check_together(given: &[Given], is_srv: bool, hosts: &str) -> Result<(), String> {
    let value = |name: &str| {
        given.iter().find(|option| option.row.name == name).map(|option| option.value.as_str())
    };
    let several = hosts.contains(',');
    if value("directConnection") == Some("true") && (several || is_srv) {
        return Err("has directConnection=true, which needs exactly one host".to_owned());
    }
    if value("loadBalanced") == Some("true") {
        if several {
            return Err("has loadBalanced=true, which needs exactly one host".to_owned());
        }
        if value("replicaSet").is_some() || value("directConnection") == Some("true") {
            return Err("has loadBalanced=true beside replicaSet or directConnection".to_owned());
        }
    }
    if let (Some(tls), Some(ssl)) = (value("tls"), value("ssl"))
        && tls != ssl
    {
        return Err("has `tls` and `ssl` with different values".to_owned());
    }
    let insecure = ["tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames"];
    if value("tlsInsecure").is_some() && insecure.iter().any(|name| value(name).is_some()) {
        return Err("has tlsInsecure beside an option that it includes".to_owned());
    }
    if !is_srv && (value("srvServiceName").is_some() || value("srvMaxHosts").is_some()) {
        return Err("has an srv option without mongodb+srv".to_owned());
    }
    Ok(())
}

/// The text without the options that the driver does not know.
fn for_driver(uri: &str, given: &[Given]) -> Secret {
    let Some((place, _)) = uri.split_once('?') else { return Secret::new(uri) };
    let kept: Vec<&str> =
        given.iter().filter(|option| !option.row.ours).map(|option| option.raw.as_str()).collect();
    // The driver's grammar wants the `/` that the options' one leaves out.
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    let slash = if rest.rsplit('@').next().unwrap_or(rest).contains('/') { "" } else { "/" };
    match kept.is_empty() {
        true => Secret::new(format!("{scheme}://{rest}{slash}")),
        false => Secret::new(format!("{scheme}://{rest}{slash}?{}", kept.join("&"))),
    }
}

/// Percent-decoded text; `None` if a `%` is not followed by two digits or the bytes are no text.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let whole = text.match_indices('%').all(|(at, _)| digit(at + 1) && digit(at + 2));
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    whole.then(|| decoded.into_owned())
}

/// The parts of a connection string that is built.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) credentials: Option<(&'a str, Option<&'a Secret>)>,
    pub(super) auth_source: Option<&'a str>,
    pub(super) auth_mechanism: Option<&'a str>,
    pub(super) replica_set: Option<&'a str>,
}

impl Parts<'_> {
    /// `mongodb://user:password@host:port/database?options`, everything percent-encoded that needs it.
    pub(super) fn build(&self) -> Secret {
        let mut uri = String::from("mongodb://");
        if let Some((name, password)) = self.credentials {
            uri.push_str(&encoded(name));
            if let Some(password) = password {
                uri.push(':');
                uri.push_str(&encoded(password.reveal()));
            }
            uri.push('@');
        }
        let is_address = self.host.parse::<std::net::Ipv6Addr>().is_ok();
        if self.host.contains('/') {
            uri.push_str(&encoded(self.host));
        } else if is_address {
            let _ = write!(uri, "[{}]:{}", self.host, self.port);
        } else {
            let _ = write!(uri, "{}:{}", self.host, self.port);
        }
        let _ = write!(uri, "/{}", encoded(self.database));
        let options = [
            ("authSource", self.auth_source),
            ("authMechanism", self.auth_mechanism),
            ("replicaSet", self.replica_set),
        ];
        let given = options.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        for (index, (name, value)) in given.enumerate() {
            let _ = write!(uri, "{}{name}={}", if index == 0 { '?' } else { '&' }, encoded(value));
        }
        Secret::new(uri)
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, ENCODED).to_string()
}

/// All but the letters, digits and marks that mean themselves everywhere (RFC 3986, section 2.3).
const ENCODED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Kind {
    /// What a value is to be.
    fn expected(self) -> &'static str {
        match self {
            Kind::Truth => "`true` or `false`",
            Kind::Number => "a number, 0 or more",
            Kind::Integer => "a number",
            Kind::Millis => "a number of milliseconds, 0 or more",
            Kind::Text | Kind::Secret => "text",
            Kind::OneOf(_) => "one of those that MongoDB knows",
        }
    }
}
