//! The command line: one table of options feeds the parser, the check of what belongs to which command, and `--help`.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::symbols::{DEFAULT_NUMBERS, MAX_NUMBERS};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Print each change of a familiar symbol.
    Trace,
    /// Fill the collection.
    Init,
    /// Change prices without end.
    Change,
    /// Drop everything.
    Clean,
    /// Show the prices live in the terminal.
    Display,
    /// Show the prices live in a browser.
    Web,
}

const COMMANDS: [(&str, Command, &str); 6] = [
    ("TRACE", Command::Trace, "print each price change of the familiar symbols"),
    ("INIT", Command::Init, "load the stock symbols"),
    ("CHANGE", Command::Change, "change prices until interrupted"),
    ("CLEAN", Command::Clean, "drop the database of the ticker"),
    ("DISPLAY", Command::Display, "show the prices live in the terminal"),
    ("WEB", Command::Web, "show the prices live in a browser"),
];

/// A command line that has been understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// What to do.
    pub command: Command,
    /// The server, if not the embedded one.
    pub uri: Option<String>,
    /// The data folder of the embedded server.
    pub data: Option<PathBuf>,
    /// How long to look for a server.
    pub timeout: Duration,
    /// INIT: how many numbers, four documents each.
    pub numbers: u64,
    /// INIT: documents per batch.
    pub batch: usize,
    /// INIT: complete a partial load.
    pub resume: bool,
    /// INIT: drop what is there first.
    pub force: bool,
    /// CLEAN: leave the rest of the database alone.
    pub collection_only: bool,
    /// CHANGE: the time between two cycles.
    pub interval: Duration,
    /// CHANGE: put missing `Z` documents back first.
    pub repair: bool,
    /// TRACE: show server time and delay.
    pub cluster_time: bool,
    /// TRACE: one JSON object per line.
    pub json: bool,
    /// TRACE: inserts, deletes and replacements too.
    pub all: bool,
    /// TRACE: where the resume token is kept.
    pub resume_file: Option<PathBuf>,
    /// DISPLAY, WEB: how long a change is highlighted fully; as long again it is dim.
    pub highlight: Duration,
    /// WEB: the address to listen on.
    pub listen: String,
    /// End after this time.
    pub run_for: Option<Duration>,
}

impl Arguments {
    /// What holds when nothing but the command is given.
    pub fn new(command: Command) -> Arguments {
        Arguments {
            command,
            uri: None,
            data: None,
            timeout: Duration::from_secs(5),
            numbers: DEFAULT_NUMBERS,
            batch: 1_000,
            resume: false,
            force: false,
            collection_only: false,
            interval: Duration::from_millis(250),
            repair: false,
            cluster_time: false,
            json: false,
            all: false,
            resume_file: None,
            highlight: Duration::from_millis(1_000),
            listen: "127.0.0.1:8080".to_owned(),
            run_for: None,
        }
    }
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Run a command.
    Run(Box<Arguments>),
    /// Print the help text.
    Help,
}

/// Reads the command line without the program's name.
///
/// The first argument that is no option names the command; it is trimmed and upper-cased, so ` init ` equals
/// `INIT`. Further ones are ignored.
///
/// # Errors
/// A usage error if there is no such command or option, an option misses its value or does not belong to the command.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request> {
    let mut words = arguments.into_iter();
    let mut name = None;
    let mut given = Vec::new();
    while let Some(word) = words.next() {
        if !word.trim_start().starts_with("--") {
            name.get_or_insert_with(|| word.trim().to_uppercase());
            continue;
        }
        if word == "--help" {
            return Ok(Request::Help);
        }
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let row = OPTIONS
            .iter()
            .find(|row| row.flag == flag)
            .ok_or_else(|| Error::usage(format!("Illegal option provided: \"{flag}\"")))?;
        let value = match (row.value, inline) {
            (None, None) => String::new(),
            (None, Some(_)) => return Err(Error::usage(format!("{flag} takes no value"))),
            (Some(_), Some(value)) => value,
            (Some(what), None) => {
                words.next().ok_or_else(|| Error::usage(format!("{flag} needs a value: {what}")))?
            }
        };
        given.push((row, value));
    }
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::usage("No command argument provided".to_owned()))?;
    let &(_, command, _) = COMMANDS
        .iter()
        .find(|row| row.0 == name)
        .ok_or_else(|| Error::usage(format!("Illegal command argument provided: \"{name}\"")))?;
    let mut parsed = Arguments::new(command);
    for (row, value) in given {
        if !row.commands.is_empty() && !row.commands.contains(&command) {
            return Err(Error::usage(format!("{} does not belong to {name}", row.flag)));
        }
        (row.apply)(&mut parsed, &value)
            .map_err(|expected| Error::usage(format!("{} needs {expected}", row.flag)))?;
    }
    if parsed.resume && parsed.force {
        return Err(Error::usage("--resume and --force exclude each other".to_owned()));
    }
    Ok(Request::Run(Box::new(parsed)))
}

/// The usage block: what the original prints, under this program's name.
pub fn usage() -> String {
    let mut text = String::from("\nUsage:\n\n $ ticker <COMMAND>\n\n Command options:\n");
    for (name, _, _) in COMMANDS {
        text.push_str(&format!(" * {name}\n"));
    }
    text.push_str(" \n");
    text
}

/// The long form of [`usage`]: every command and option with its meaning.
pub fn help() -> String {
    let mut text = String::from("\nUsage:\n\n $ ticker <COMMAND> [OPTIONS]\n\n Commands:\n");
    for (name, _, meaning) in COMMANDS {
        text.push_str(&format!("  {name:<24} {meaning}\n"));
    }
    text.push_str("\n Options:\n");
    for row in OPTIONS {
        let left = format!("{} {}", row.flag, row.value.unwrap_or_default());
        let of: Vec<&str> = COMMANDS
            .iter()
            .filter(|(_, command, _)| row.commands.contains(command))
            .map(|(name, _, _)| *name)
            .collect();
        let of = if of.is_empty() { String::new() } else { format!("{}: ", of.join(", ")) };
        text.push_str(&format!("  {left:<24} {of}{}\n", row.meaning));
    }
    text.push_str(&format!("  {:<24} this text\n", "--help"));
    text
}

struct OptionRow {
    flag: &'static str,
    value: Option<&'static str>,
    /// The commands that take the option; empty stands for all.
    commands: &'static [Command],
    meaning: &'static str,
    /// Stores the value, or says what was expected instead.
    apply: fn(&mut Arguments, &str) -> std::result::Result<(), &'static str>,
}

const OPTIONS: &[OptionRow] = &[
    OptionRow {
        flag: "--all",
        value: None,
        commands: &[Command::Trace],
        meaning: "inserts, deletes and replacements too",
        apply: |arguments, _| {
            arguments.all = true;
            Ok(())
        },
    },
    OptionRow {
        flag: "--batch",
        value: Some("N"),
        commands: &[Command::Init],
        meaning: "documents per batch (default 1000)",
        apply: |arguments, value| {
            arguments.batch = number(value, 1, 100_000, "a number from 1 to 100000")? as usize;
            Ok(())
        },
    },
    OptionRow {
        flag: "--cluster-time",
        value: None,
        commands: &[Command::Trace],
        meaning: "add the server's time and the delay",
        apply: |arguments, _| {
            arguments.cluster_time = true;
            Ok(())
        },
    },
    OptionRow {
        flag: "--collection-only",
        value: None,
        commands: &[Command::Clean],
        meaning: "drop the collection, not the database",
        apply: |arguments, _| {
            arguments.collection_only = true;
            Ok(())
        },
    },
    OptionRow {
        flag: "--data",
        value: Some("DIR"),
        commands: &[],
        meaning: "data folder of the embedded server (environment: TICKER_DATA)",
        apply: |arguments, value| {
            arguments.data = Some(text(value, "a folder")?.into());
            Ok(())
        },
    },
    OptionRow {
        flag: "--force",
        value: None,
        commands: &[Command::Init],
        meaning: "drop what is there and start over",
        apply: |arguments, _| {
            arguments.force = true;
            Ok(())
        },
    },
    OptionRow {
        flag: "--highlight-ms",
        value: Some("MS"),
        commands: &[Command::Display, Command::Web],
        meaning: "full highlight, then dim for as long again (default 1000)",
        apply: |arguments, value| {
            arguments.highlight = milliseconds(value, 0)?;
            Ok(())
        },
    },
    OptionRow {
        flag: "--json",
        value: None,
        commands: &[Command::Trace],
        meaning: "one JSON object per line",
        apply: |arguments, _| {
            arguments.json = true;
            Ok(())
        },
    },
    OptionRow {
        flag: "--listen",
        value: Some("ADDR"),
        commands: &[Command::Web],
        meaning: "address and port (default 127.0.0.1:8080)",
        apply: |arguments, value| {
            arguments.listen = text(value, "an address and port")?.to_owned();
            Ok(())
        },
    },
    OptionRow {
        flag: "--numbers",
        value: Some("N"),
        commands: &[Command::Init],
        meaning: "numbers to load, four documents each (default 5000)",
        apply: |arguments, value| {
            arguments.numbers = number(value, 1, MAX_NUMBERS, "a number from 1 to 9000000")?;
            Ok(())
        },
    },
    OptionRow {
        flag: "--rate",
        value: Some("MS"),
        commands: &[Command::Change],
        meaning: "time from the start of a cycle to the next (default 250)",
        apply: |arguments, value| {
            arguments.interval = milliseconds(value, 1)?;
            Ok(())
        },
    },
    OptionRow {
        flag: "--repair",
        value: None,
        commands: &[Command::Change],
        meaning: "put missing Z documents back first",
        apply: |arguments, _| {
            arguments.repair = true;
            Ok(())
        },
    },
    OptionRow {
        flag: "--resume",
        value: None,
        commands: &[Command::Init],
        meaning: "complete a partial load",
        apply: |arguments, _| {
            arguments.resume = true;
            Ok(())
        },
    },
    OptionRow {
        flag: "--resume-file",
        value: Some("FILE"),
        commands: &[Command::Trace],
        meaning: "keep the position there and continue from it",
        apply: |arguments, value| {
            arguments.resume_file = Some(text(value, "a file")?.into());
            Ok(())
        },
    },
    OptionRow {
        flag: "--seconds",
        value: Some("N"),
        commands: &[Command::Trace, Command::Change, Command::Display, Command::Web],
        meaning: "end after this time",
        apply: |arguments, value| {
            arguments.run_for = Some(seconds(value)?);
            Ok(())
        },
    },
    OptionRow {
        flag: "--timeout",
        value: Some("SECONDS"),
        commands: &[],
        meaning: "how long to look for the server (default 5)",
        apply: |arguments, value| {
            arguments.timeout = seconds(value)?;
            Ok(())
        },
    },
    OptionRow {
        flag: "--uri",
        value: Some("URI"),
        commands: &[],
        meaning: "server to use instead of the embedded one (environment: MONGODB_URL)",
        apply: |arguments, value| {
            arguments.uri = Some(text(value, "a mongodb:// URI")?.to_owned());
            Ok(())
        },
    },
];

fn text<'a>(value: &'a str, expected: &'static str) -> std::result::Result<&'a str, &'static str> {
    if value.trim().is_empty() { Err(expected) } else { Ok(value) }
}

fn number(
    value: &str,
    min: u64,
    max: u64,
    expected: &'static str,
) -> std::result::Result<u64, &'static str> {
    let number: u64 = value.trim().parse().map_err(|_| expected)?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(expected) }
}

fn milliseconds(value: &str, min: u64) -> std::result::Result<Duration, &'static str> {
    number(value, min, 3_600_000, "milliseconds, at most an hour").map(Duration::from_millis)
}

fn seconds(value: &str) -> std::result::Result<Duration, &'static str> {
    const EXPECTED: &str = "seconds, above 0 and at most 86400";
    let seconds: f64 = value.trim().parse().map_err(|_| EXPECTED)?;
    if seconds > 0.0 && seconds <= 86_400.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Request> {
        parse(words.iter().map(|word| (*word).to_owned()))
    }

    fn run(words: &[&str]) -> Arguments {
        match parsed(words) {
            Ok(Request::Run(arguments)) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn t4_command_is_trimmed_and_upper_cased() {
        assert_eq!(run(&[" init "]).command, Command::Init);
        assert_eq!(run(&["Change", "ignored", "too"]).command, Command::Change);
    }

    #[test]
    fn t4_missing_and_unknown_commands_are_usage_errors() {
        let missing = parsed(&[]).unwrap_err();
        assert_eq!(missing.to_string(), "Error: No command argument provided");
        assert!(missing.is_usage());
        let unknown = parsed(&["foo"]).unwrap_err();
        assert_eq!(unknown.to_string(), "Error: Illegal command argument provided: \"FOO\"");
        assert_eq!(unknown.exit_code(), 2);
    }

    #[test]
    fn section_2_usage_block_has_the_original_shape() {
        let expected = "\nUsage:\n\n $ ticker <COMMAND>\n\n Command options:\n * TRACE\n * INIT\n \
                        * CHANGE\n * CLEAN\n * DISPLAY\n * WEB\n \n";
        assert_eq!(usage(), expected);
    }

    #[test]
    fn options_take_their_value_either_way() {
        let arguments = run(&["--uri=mongodb://h/", "init", "--numbers", "7", "--timeout=1.5"]);
        assert_eq!(arguments.uri.as_deref(), Some("mongodb://h/"));
        assert_eq!(arguments.numbers, 7);
        assert_eq!(arguments.timeout, Duration::from_millis(1_500));
        assert_eq!(run(&["change", "--rate", "100"]).interval, Duration::from_millis(100));
    }

    #[test]
    fn nothing_is_silently_ignored() {
        for words in [
            &["init", "--frobnicate"][..],
            &["init", "--json"],
            &["trace", "--json=yes"],
            &["init", "--numbers"],
            &["init", "--numbers", "0"],
            &["init", "--numbers", "9000001"],
            &["init", "--batch", "many"],
            &["init", "--resume", "--force"],
            &["change", "--rate", "0"],
            &["trace", "--timeout", "-1"],
            &["trace", "--timeout", "nan"],
        ] {
            assert!(parsed(words).unwrap_err().is_usage(), "{words:?}");
        }
    }

    #[test]
    fn options_are_sorted_and_all_in_the_help() {
        assert!(OPTIONS.is_sorted_by_key(|row| row.flag));
        let help = help();
        assert!(OPTIONS.iter().all(|row| help.contains(row.flag)));
        assert_eq!(parsed(&["--help"]).unwrap(), Request::Help);
    }
}
