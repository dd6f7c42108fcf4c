//! The command line: one table of options feeds the parser, the check of what belongs to which command, and `--help`.

use std::path::PathBuf;
use std::time::Duration;

use command_line::options::{self, CommandRow, OptionRow, command_lines, option_lines};
use command_line::value;

use crate::error::{Error, Result};
use crate::low_stock::thresholds::Thresholds;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Connection pooling.
    Pooling,
    /// Robust client configuration.
    Robust,
    /// Error handling.
    Shipments,
    /// Least privilege.
    LeastPrivilege,
    /// Every change of the inventory.
    Watch,
    /// What is running out.
    LowStock,
    /// Sells fruit.
    Shop,
    /// All of them.
    All,
}

const COMMANDS: [CommandRow<Command>; 8] = [
    ("pooling", Command::Pooling, "what a connection pool is, and is not"),
    ("robust", Command::Robust, "write concerns with a limit, servers that are away"),
    ("shipments", Command::Shipments, "duplicate keys: trucks that are under way"),
    ("least-privilege", Command::LeastPrivilege, "what a user may do"),
    ("watch", Command::Watch, "every change of the inventory"),
    ("low-stock", Command::LowStock, "a warning when a fruit is running out"),
    ("shop", Command::Shop, "sells fruit"),
    ("all", Command::All, "all of them, one after the other"),
];

/// A command line that has been understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    /// What to do.
    pub command: Command,
    /// The deployment, if neither the environment nor the embedded database is meant.
    pub uri: Option<String>,
    /// The data folder of the embedded database.
    pub data: Option<PathBuf>,
    /// The database of the scenarios.
    pub database: String,
    /// Makes chance repeatable.
    pub seed: Option<u64>,
    /// How long to look for a server.
    pub timeout: Duration,
    /// shipments, shop: say more.
    pub verbose: bool,
    /// shipments: the race, with so many clients.
    pub clients: Option<u32>,
    /// shipments: how many trucks the race has.
    pub trucks: i32,
    /// shipments: how many of them are busy at the start.
    pub busy: i32,
    /// shipments: the truck whose shipment is done.
    pub complete: Option<i32>,
    /// shipments: each in a transaction.
    pub transaction: bool,
    /// End after this time.
    pub run_for: Option<Duration>,
    /// End after so many events, warnings or sales.
    pub events: Option<u64>,
    /// watch: the whole database.
    pub whole_database: bool,
    /// watch: the whole deployment.
    pub whole_deployment: bool,
    /// shop: the time between two sales.
    pub interval: Duration,
    /// shop: drop the inventory and fill it anew first.
    pub reset: bool,
    /// shop: add to a fruit that is sold out.
    pub restock: bool,
    /// low-stock: a warning for every sale, not once per crossing.
    pub every: bool,
    /// low-stock: where the position and what was warned about are kept.
    pub state: Option<PathBuf>,
    /// low-stock: when to warn.
    pub below: Thresholds,
    /// low-stock: one JSON object per warning.
    pub json: bool,
}

impl Arguments {
    /// What holds when nothing but the command is given.
    pub fn new(command: Command) -> Arguments {
        Arguments {
            command,
            uri: None,
            data: None,
            database: "lessons".to_owned(),
            seed: None,
            timeout: Duration::from_secs(5),
            verbose: false,
            clients: None,
            trucks: 50,
            busy: 30,
            complete: None,
            transaction: false,
            run_for: None,
            events: None,
            whole_database: false,
            whole_deployment: false,
            interval: Duration::from_secs(1),
            reset: false,
            restock: false,
            every: false,
            state: None,
            below: Thresholds::default(),
            json: false,
        }
    }
}

/// What a command line asks for.
pub type Request = options::Request<Arguments>;

/// Reads the command line without the program's name.
///
/// # Errors
/// A usage error if there is no such command or option, an option misses its value or does not belong to the command.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Request> {
    let Some(given) = options::read(words, OPTIONS)? else { return Ok(Request::Help) };
    let name = match given.names.as_slice() {
        [] => return Err(Error::usage("a command is missing")),
        [name] => name,
        [first, ..] => return Err(Error::usage(format!("one command at a time, after {first}"))),
    };
    let &(_, command, _) = COMMANDS
        .iter()
        .find(|row| row.0 == name)
        .ok_or_else(|| Error::usage(format!("there is no command {name}")))?;
    let mut parsed = Arguments::new(command);
    given.apply(command, name, &mut parsed)?;
    Ok(Request::Run(Box::new(parsed)))
}

/// The usage block.
pub fn usage() -> String {
    format!("Usage: lessons COMMAND [OPTIONS]\n\nCommands:\n{}", command_lines(&COMMANDS))
}

/// The usage block with every option.
pub fn help() -> String {
    format!("{}\nOptions:\n{}", usage(), option_lines(&COMMANDS, OPTIONS))
}

const ENDLESS: &[Command] = &[Command::Watch, Command::LowStock, Command::Shop];

const OPTIONS: &[OptionRow<Command, Arguments>] = command_line::options! {
    "--below" Some("N|FRUIT=N"), &[Command::LowStock], "warn below this quantity (default 20); also per fruit"
        => |arguments, text| arguments.below.set(text)?;
    "--busy" Some("B"), &[Command::Shipments], "trucks that are under way when the race begins (default 30)"
        => |arguments, text| arguments.busy = value::number(text, 0, 100_000, "a number of trucks")? as i32;
    "--clients" Some("K"), &[Command::Shipments], "the race: so many clients want truck 4"
        => |arguments, text| arguments.clients = Some(value::number(text, 1, 10_000, "a number from 1 to 10000")? as u32);
    "--complete" Some("T"), &[Command::Shipments], "the shipment of this truck is done"
        => |arguments, text| arguments.complete = Some(value::number(text, 0, 100_000, "the number of a truck")? as i32);
    "--data" Some("DIR"), &[], "data folder of the embedded database (default ./headwater-data)"
        => |arguments, text| arguments.data = Some(value::text(text, "a folder")?.into());
    "--database" None, &[Command::Watch], "watch the whole database"
        => |arguments, _text| arguments.whole_database = true;
    "--db" Some("NAME"), &[], "database of the scenarios (default lessons)"
        => |arguments, text| arguments.database = value::text(text, "the name of a database")?.to_owned();
    "--deployment" None, &[Command::Watch], "watch the whole deployment"
        => |arguments, _text| arguments.whole_deployment = true;
    "--events" Some("N"), ENDLESS, "end after so many events, warnings or sales"
        => |arguments, text| arguments.events = Some(value::number(text, 1, u64::MAX, "a number above 0")?);
    "--every" None, &[Command::LowStock], "a warning for every sale below, not once per crossing"
        => |arguments, _text| arguments.every = true;
    "--for" Some("SECONDS"), &[Command::Watch, Command::LowStock, Command::Shop, Command::All], "end after this time"
        => |arguments, text| arguments.run_for = Some(value::seconds(text)?);
    "--interval" Some("TIME"), &[Command::Shop, Command::All], "time between two sales, as in 1s or 100ms (default 1s)"
        => |arguments, text| arguments.interval = value::time(text)?;
    "--json" None, &[Command::LowStock], "one JSON object per warning"
        => |arguments, _text| arguments.json = true;
    "--reset" None, &[Command::Shop], "drop the inventory and fill it anew first"
        => |arguments, _text| arguments.reset = true;
    "--restock" None, &[Command::Shop], "add 100 to a fruit that is sold out"
        => |arguments, _text| arguments.restock = true;
    "--seed" Some("N"), &[], "make chance repeatable"
        => |arguments, text| arguments.seed = Some(value::number(text, 0, u64::MAX, "a number")?);
    "--state" Some("FILE"), &[Command::LowStock], "keep the position and the warned fruits there, and go on from it"
        => |arguments, text| arguments.state = Some(value::text(text, "a file")?.into());
    "--timeout" Some("SECONDS"), &[], "how long to look for a server (default 5)"
        => |arguments, text| arguments.timeout = value::seconds(text)?;
    "--transaction" None, &[Command::Shipments], "send each in a transaction, which finds a free truck and takes it in one step"
        => |arguments, _text| arguments.transaction = true;
    "--trucks" Some("M"), &[Command::Shipments], "how many trucks the race has (default 50)"
        => |arguments, text| arguments.trucks = value::number(text, 5, 100_000, "a number from 5 to 100000")? as i32;
    "--uri" Some("URI"), &[], "deployment to use (environment: MONGO_URI and its kin; default: embedded)"
        => |arguments, text| arguments.uri = Some(value::text(text, "a mongodb:// URI")?.to_owned());
    "--verbose" None, &[Command::Shipments, Command::Shop], "say more on standard error"
        => |arguments, _text| arguments.verbose = true;
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
    fn options_are_understood() {
        let arguments = run(&["shipments", "--clients", "200", "--trucks=50"]);
        assert_eq!((arguments.clients, arguments.trucks, arguments.busy), (Some(200), 50, 30));
        let arguments = run(&["shop", "--interval", "100ms", "--reset", "--for=1.5"]);
        assert_eq!(arguments.interval, Duration::from_millis(100));
        assert_eq!(arguments.run_for, Some(Duration::from_millis(1_500)));
        assert!(arguments.reset);
        assert_eq!(run(&["shop", "--interval", "1s"]).interval, Duration::from_secs(1));
        assert_eq!(run(&["pooling"]).database, "lessons");
        assert!(matches!(parsed(&["shop", "--help"]), Ok(Request::Help)));
    }

    #[test]
    fn wrong_lines_are_usage_errors() {
        for words in [
            &[][..],
            &["dance"],
            &["shop", "watch"],
            &["shop", "--what"],
            &["shop", "--events", "0"],
            &["shop", "--interval", "soon"],
            &["shop", "--interval"],
            &["shop", "--reset=yes"],
            &["pooling", "--reset"],
            &["shipments", "--trucks", "4"],
            &["low-stock", "--below", "cherries=3"],
        ] {
            let error = parsed(words).unwrap_err();
            assert!(error.is_usage(), "{words:?}: {error}");
        }
    }

    #[test]
    fn options_are_sorted_and_in_the_help() {
        assert!(OPTIONS.is_sorted_by_key(|row| row.flag));
        let help = help();
        assert!(OPTIONS.iter().all(|row| help.contains(row.flag)));
    }
}
