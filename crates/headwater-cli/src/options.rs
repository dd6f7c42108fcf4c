//! The options of `serve`: one table feeds the flags, the environment, the configuration file and `--help`.
//!
//! A flag wins over the environment, that over the file, that over the default. `--some-name` is `HEADWATER_SOME_NAME`
//! in the environment and `some-name` in the file.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use tracing::Level;

use crate::failure::Failure;
use crate::log::Format;

const ENVIRONMENT_PREFIX: &str = "HEADWATER_";
const DEFAULT_PORT: u16 = 27017;

/// How the server is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) data: Data,
    /// `None`: no TCP at all.
    pub(crate) listen: Option<String>,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) replica_set: String,
    pub(crate) advertise: Option<String>,
    pub(crate) mongos: bool,
    pub(crate) test_commands: bool,
    pub(crate) connections_max: usize,
    pub(crate) ttl_sleep_s: u32,
    pub(crate) log_format: Format,
    pub(crate) log_level: Level,
}

/// Where documents live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Memory,
    Folder(PathBuf),
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Help,
    Serve(Settings),
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            data: Data::Folder("headwater-data".into()),
            listen: Some(format!("127.0.0.1:{DEFAULT_PORT}")),
            socket: None,
            replica_set: "rs0".to_owned(),
            advertise: None,
            mongos: false,
            test_commands: false,
            connections_max: 10_000,
            ttl_sleep_s: 60,
            log_format: Format::Text,
            log_level: Level::INFO,
        }
    }
}

/// An option: its name without dashes, what its value is (a switch has none), and how it is stored. `apply` answers what
/// was expected instead.
struct Row {
    name: &'static str,
    value: Option<&'static str>,
    meaning: &'static str,
    apply: fn(&mut Settings, &str) -> Result<(), &'static str>,
}

const CONFIG: &str = "config";

const ROWS: &[Row] = &[
    Row {
        name: "advertise",
        value: Some("HOST:PORT"),
        meaning: "the address that clients are told to dial (default: the one that each has dialled)",
        apply: |settings, value| {
            settings.advertise = Some(host_and_port(value, None)?);
            Ok(())
        },
    },
    Row {
        name: "as",
        value: Some("WHAT"),
        meaning: "answer as a `replica-set` of one member (default) or as a router, `mongos`",
        apply: |settings, value| {
            settings.mongos = match value {
                "mongos" => true,
                "replica-set" => false,
                _ => return Err("replica-set or mongos"),
            };
            Ok(())
        },
    },
    Row {
        name: CONFIG,
        value: Some("FILE.toml"),
        meaning: "read options from this file",
        // Looked for before the others.
        apply: |_, _| Ok(()),
    },
    Row {
        name: "connections-max",
        value: Some("N"),
        meaning: "most connections at a time (default 10000)",
        apply: |settings, value| {
            let number = value.parse().ok().filter(|n| (1..=1_000_000).contains(n));
            settings.connections_max = number.ok_or("a number from 1 to 1000000")?;
            Ok(())
        },
    },
    Row {
        name: "data",
        value: Some("DIR|:memory:"),
        meaning: "the data folder, made if it isn't there (default ./headwater-data)",
        apply: |settings, value| {
            settings.data = match value {
                ":memory:" => Data::Memory,
                "" => return Err("a folder, or :memory:"),
                folder => Data::Folder(folder.into()),
            };
            Ok(())
        },
    },
    Row {
        name: "listen",
        value: Some("ADDR|none"),
        meaning: "the loopback address to listen on (default 127.0.0.1:27017), or `none` for no TCP",
        apply: |settings, value| {
            settings.listen = match value {
                "none" => None,
                address => Some(host_and_port(address, Some(DEFAULT_PORT))?),
            };
            Ok(())
        },
    },
    Row {
        name: "log-format",
        value: Some("FORMAT"),
        meaning: "log lines as `text` (default) or `json`",
        apply: |settings, value| {
            settings.log_format = value.parse()?;
            Ok(())
        },
    },
    Row {
        name: "log-level",
        value: Some("LEVEL"),
        meaning: "log from `error`, `warn`, `info` (default), `debug` or `trace` on",
        apply: |settings, value| {
            let level = Level::from_str(value);
            settings.log_level = level.map_err(|_| "error, warn, info, debug or trace")?;
            Ok(())
        },
    },
    Row {
        name: "replset",
        value: Some("NAME"),
        meaning: "the name of the replica set (default rs0)",
        apply: |settings, value| {
            let wrong = value.is_empty() || value.contains(['/', '\0']);
            settings.replica_set =
                (!wrong).then(|| value.to_owned()).ok_or("a name without `/`")?;
            Ok(())
        },
    },
    Row {
        name: "socket",
        value: Some("PATH"),
        meaning: "listen on this Unix socket as well",
        apply: |settings, value| {
            settings.socket = Some((!value.is_empty()).then(|| value.into()).ok_or("a path")?);
            Ok(())
        },
    },
    Row {
        name: "test-commands",
        value: None,
        meaning: "have the commands that only tests use, such as configureFailPoint",
        apply: |settings, value| {
            settings.test_commands = match value {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return Err("true or false"),
            };
            Ok(())
        },
    },
    Row {
        name: "ttl-monitor-sleep-secs",
        value: Some("N"),
        meaning: "seconds between two looks for documents that have expired (default 60)",
        apply: |settings, value| {
            let number = value.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
            settings.ttl_sleep_s = number.ok_or("a number from 1 to 86400")?;
            Ok(())
        },
    },
];

/// Reads the options from a command line (without program and command), the environment and a file.
pub(crate) fn read(
    words: Vec<String>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Asked, Failure> {
    let Some(flags) = flags(words)? else { return Ok(Asked::Help) };
    let environment = from_environment(environment)?;
    let config = flags.iter().chain(&environment).find(|given| given.row.name == CONFIG);
    let file = config.map(|given| from_file(Path::new(&given.value))).transpose()?;
    let mut settings = Settings::default();
    // The weakest first.
    for Given { row, value, from } in file.iter().flatten().chain(&environment).chain(&flags) {
        (row.apply)(&mut settings, value)
            .map_err(|expected| Failure::usage(format!("{from} needs {expected}")))?;
    }
    if settings.listen.is_none() && settings.socket.is_none() {
        return Err(Failure::usage("--listen none needs a --socket"));
    }
    Ok(Asked::Serve(settings))
}

/// An option that was given, and where.
struct Given {
    row: &'static Row,
    value: String,
    from: String,
}

fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// `None` if help is asked for.
fn flags(words: Vec<String>) -> Result<Option<Vec<Given>>, Failure> {
    let mut words = words.into_iter();
    let mut given: Vec<Given> = Vec::new();
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            return Ok(None);
        }
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let unknown = || Failure::usage(format!("unknown option: {flag}; --help lists them"));
        let row = flag.strip_prefix("--").and_then(row).ok_or_else(unknown)?;
        let value = match (row.value, inline) {
            (_, Some(value)) => value,
            (None, None) => "true".to_owned(),
            (Some(what), None) => words
                .next()
                .ok_or_else(|| Failure::usage(format!("{flag} needs a value: {what}")))?,
        };
        if given.iter().any(|other| other.row.name == row.name) {
            return Err(Failure::usage(format!("{flag} is given twice")));
        }
        given.push(Given { row, value, from: flag.to_owned() });
    }
    Ok(Some(given))
}

fn variable(row: &Row) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", row.name.replace('-', "_").to_uppercase())
}

fn from_environment(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Given>, Failure> {
    let of_ours = environment.into_iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
    of_ours
        .map(|(name, value)| match ROWS.iter().find(|row| variable(row) == name) {
            Some(row) => Ok(Given { row, value, from: name }),
            None => Err(Failure::usage(format!("no option is called {name} in the environment"))),
        })
        .collect()
}

fn from_file(path: &Path) -> Result<Vec<Given>, Failure> {
    let failed = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let given = table.into_iter().map(|(name, value)| {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(switch) => switch.to_string(),
            _ => return Err(failed(format!("{name} is to be a string, number or boolean"))),
        };
        match row(&name).filter(|row| row.name != CONFIG) {
            Some(row) => Ok(Given { row, value, from: format!("{name} in {}", path.display()) }),
            None => Err(failed(format!("no option is called {name}"))),
        }
    });
    given.collect()
}

/// Checks `HOST:PORT`, also `[::1]:PORT`; a port may be left out where there is a default.
fn host_and_port(text: &str, default_port: Option<u16>) -> Result<String, &'static str> {
    const EXPECTED: &str = "an address and port, such as 127.0.0.1:27017";
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && !host.is_empty() => {
            (host, port.parse::<u16>().map_err(|_| EXPECTED)?)
        }
        _ => (text, default_port.ok_or(EXPECTED)?),
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let wrong = host.is_empty() || host.contains(char::is_whitespace) || host.contains(':');
    if wrong && !bracketed { Err(EXPECTED) } else { Ok(format!("{host}:{port}")) }
}

/// What `serve --help` prints.
pub(crate) fn help() -> String {
    let mut text = String::from("Usage: headwater serve [OPTIONS]\n\nOptions:\n");
    for row in ROWS {
        let left = format!("--{} {}", row.name, row.value.unwrap_or_default());
        text.push_str(&format!("  {left:<26} {}\n", row.meaning));
    }
    text.push_str(
        "\nEach can stand in the environment (--log-level as HEADWATER_LOG_LEVEL) and in the file (log-level = \"debug\").\n\
         A flag wins over the environment, that over the file.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(words: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        match read(words, environment).map_err(|failure| failure.to_string())? {
            Asked::Serve(settings) => Ok(settings),
            Asked::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn defaults_hold_without_options() {
        assert_eq!(settings(&[], &[("PATH", "/bin")]), Ok(Settings::default()));
    }

    #[test]
    fn every_option_is_understood() {
        let all = settings(
            &[
                "--data=:memory:",
                "--listen",
                "localhost",
                "--socket=/tmp/s",
                "--replset=rs7",
                "--advertise=db:1",
                "--as=mongos",
                "--test-commands",
                "--connections-max=5",
                "--ttl-monitor-sleep-secs=7",
                "--log-format=json",
                "--log-level=debug",
            ],
            &[],
        );
        let expected = Settings {
            data: Data::Memory,
            listen: Some("localhost:27017".to_owned()),
            socket: Some("/tmp/s".into()),
            replica_set: "rs7".to_owned(),
            advertise: Some("db:1".to_owned()),
            mongos: true,
            test_commands: true,
            connections_max: 5,
            ttl_sleep_s: 7,
            log_format: Format::Json,
            log_level: Level::DEBUG,
        };
        assert_eq!(all, Ok(expected));
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let path = std::env::temp_dir().join(format!("headwater-{}.toml", std::process::id()));
        std::fs::write(&path, "replset = \"file\"\nas = \"mongos\"\ntest-commands = true\n")
            .unwrap();
        let file = path.to_str().unwrap();
        let found = settings(
            &["--as", "replica-set"],
            &[("HEADWATER_CONFIG", file), ("HEADWATER_REPLSET", "environment")],
        );
        std::fs::remove_file(&path).unwrap();
        let found = found.unwrap();
        assert_eq!((found.replica_set.as_str(), found.mongos), ("environment", false));
        assert!(found.test_commands);
    }

    #[test]
    fn nothing_is_silently_ignored() {
        for (words, environment, needle) in [
            (&["--frob"][..], &[][..], "unknown option: --frob"),
            (&["extra"], &[], "unknown option: extra"),
            (&["--data"], &[], "--data needs a value"),
            (&["--data="], &[], "--data needs a folder"),
            (&["--as=shard"], &[], "--as needs replica-set or mongos"),
            (&["--as=mongos", "--as=mongos"], &[], "given twice"),
            (&["--test-commands=perhaps"], &[], "--test-commands needs true or false"),
            (&["--listen=127.0.0.1:99999"], &[], "--listen needs an address"),
            (&["--listen=::1"], &[], "--listen needs an address"),
            (&["--listen=none"], &[], "needs a --socket"),
            (&["--connections-max=0"], &[], "a number from 1"),
            (&["--config=/nonexistent.toml"], &[], "/nonexistent.toml"),
            (&[], &[("HEADWATER_DATE", "x")], "HEADWATER_DATE"),
            (&[], &[("HEADWATER_LOG_LEVEL", "loud")], "HEADWATER_LOG_LEVEL needs error"),
        ] {
            let error = settings(words, environment).unwrap_err();
            assert!(error.contains(needle), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_file_with_unknown_names_is_refused() {
        let path = std::env::temp_dir().join(format!("headwater-x{}.toml", std::process::id()));
        for (text, needle) in [
            ("replsett = \"a\"", "replsett"),
            ("replset = [1]", "replset"),
            ("config = \"b\"", "config"),
            ("replset = ", "TOML"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = settings(&["--config", path.to_str().unwrap()], &[]).unwrap_err();
            assert!(error.contains(needle), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn addresses_get_the_default_port() {
        let listen = |address| {
            let found = settings(&["--listen", address], &[]);
            found.map(|found| found.listen.unwrap())
        };
        assert_eq!(listen("127.0.0.1").unwrap(), "127.0.0.1:27017");
        assert_eq!(listen("[::1]").unwrap(), "[::1]:27017");
        assert_eq!(listen("[::1]:5").unwrap(), "[::1]:5");
    }

    #[test]
    fn rows_are_sorted_and_all_in_the_help() {
        assert!(ROWS.is_sorted_by_key(|row| row.name));
        let help = help();
        assert!(ROWS.iter().all(|row| help.contains(&format!("--{}", row.name))));
        assert_eq!(settings(&["--help"], &[]), Err("help".to_owned()));
    }
}
