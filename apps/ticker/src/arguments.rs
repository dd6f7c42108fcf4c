//! The command line: one table of options feeds the parser, the check of what belongs to which command, and `--help`.

use std::path::PathBuf;
use std::time::Duration;

use command_line::options::{self, CommandRow, OptionRow, command_lines, option_lines};
use command_line::value;

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

const COMMANDS: [CommandRow<Command>; 6] = [
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
pub type Request = options::Request<Arguments>;

/// Reads the command line without the program's name.
///
/// The first argument that is no option names the command; it is trimmed and upper-cased, so ` init ` equals
/// `INIT`. Further ones are ignored.
///
/// # Errors
/// A usage error if there is no such command or option, an option misses its value or does not belong to the command.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Request> {
    let Some(given) = options::read(words, OPTIONS)? else { return Ok(Request::Help) };
    let name = given.names.first().map(|name| name.trim().to_uppercase());
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::usage("No command argument provided"))?;
    let &(_, command, _) = COMMANDS
        .iter()
        .find(|row| row.0 == name)
        .ok_or_else(|| Error::usage(format!("Illegal command argument provided: \"{name}\"")))?;
    let mut parsed = Arguments::new(command);
    given.apply(command, &name, &mut parsed)?;
    if parsed.resume && parsed.force {
        return Err(Error::usage("--resume and --force exclude each other"));
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
    format!(
        "\nUsage:\n\n $ ticker <COMMAND> [OPTIONS]\n\n Commands:\n{}\n Options:\n{}",
        command_lines(&COMMANDS),
        option_lines(&COMMANDS, OPTIONS)
    )
}

const OPTIONS: &[OptionRow<Command, Arguments>] = command_line::options! {
    "--all" None, &[Command::Trace], "inserts, deletes and replacements too"
        => |arguments, _text| arguments.all = true;
    "--batch" Some("N"), &[Command::Init], "documents per batch (default 1000)"
        => |arguments, text| arguments.batch = value::number(text, 1, 100_000, "a number from 1 to 100000")? as usize;
    "--cluster-time" None, &[Command::Trace], "add the server's time and the delay"
        => |arguments, _text| arguments.cluster_time = true;
    "--collection-only" None, &[Command::Clean], "drop the collection, not the database"
        => |arguments, _text| arguments.collection_only = true;
    "--data" Some("DIR"), &[], "data folder of the embedded server (environment: TICKER_DATA)"
        => |arguments, text| arguments.data = Some(value::text(text, "a folder")?.into());
    "--force" None, &[Command::Init], "drop what is there and start over"
        => |arguments, _text| arguments.force = true;
    "--highlight-ms" Some("MS"), &[Command::Display, Command::Web], "full highlight, then dim for as long again (default 1000)"
        => |arguments, text| arguments.highlight = value::milliseconds(text, 0)?;
    "--json" None, &[Command::Trace], "one JSON object per line"
        => |arguments, _text| arguments.json = true;
    "--listen" Some("ADDR"), &[Command::Web], "address and port (default 127.0.0.1:8080)"
        => |arguments, text| arguments.listen = value::text(text, "an address and port")?.to_owned();
    "--numbers" Some("N"), &[Command::Init], "numbers to load, four documents each (default 5000)"
        => |arguments, text| arguments.numbers = value::number(text, 1, MAX_NUMBERS, "a number from 1 to 9000000")?;
    "--rate" Some("MS"), &[Command::Change], "time from the start of a cycle to the next (default 250)"
        => |arguments, text| arguments.interval = value::milliseconds(text, 1)?;
    "--repair" None, &[Command::Change], "put missing Z documents back first"
        => |arguments, _text| arguments.repair = true;
    "--resume" None, &[Command::Init], "complete a partial load"
        => |arguments, _text| arguments.resume = true;
    "--resume-file" Some("FILE"), &[Command::Trace], "keep the position there and continue from it"
        => |arguments, text| arguments.resume_file = Some(value::text(text, "a file")?.into());
    "--seconds" Some("N"), &[Command::Trace, Command::Change, Command::Display, Command::Web], "end after this time"
        => |arguments, text| arguments.run_for = Some(value::seconds(text)?);
    "--timeout" Some("SECONDS"), &[], "how long to look for the server (default 5)"
        => |arguments, text| arguments.timeout = value::seconds(text)?;
    "--uri" Some("URI"), &[], "server to use instead of the embedded one (environment: MONGODB_URL)"
        => |arguments, text| arguments.uri = Some(value::text(text, "a mongodb:// URI")?.to_owned());
};

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
