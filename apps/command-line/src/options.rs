//! Options from a table, which feeds the parser, the check of what belongs to which command, and the help text. Knows
//! no option.

use crate::error::{Error, Result};
use crate::value::Read;

/// One option of a program whose commands are `C` and whose settings are `S`.
pub struct OptionRow<C: 'static, S> {
    /// Its name, with the two dashes.
    pub flag: &'static str,
    /// What its value is called in the help text; none if it takes no value.
    pub value: Option<&'static str>,
    /// The commands that take it; empty stands for all.
    pub commands: &'static [C],
    /// What it does, for the help text.
    pub meaning: &'static str,
    /// Stores the value, or says what was expected instead.
    pub apply: fn(&mut S, &str) -> Read<()>,
}

/// One command: its name, and what it does, for the help text.
pub type CommandRow<C> = (&'static str, C, &'static str);

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<S> {
    /// Run a command with these settings.
    Run(Box<S>),
    /// Print the help text.
    Help,
}

/// A table of options, one row each: `FLAG VALUE, COMMANDS, MEANING => |settings, text| STATEMENT;`.
///
/// ```
/// use command_line::options::OptionRow;
/// use command_line::{options, value};
///
/// const OPTIONS: &[OptionRow<(), u64>] = options! {
///     "--count" Some("N"), &[], "how many" => |count, text| *count = value::number(text, 1, 9, "a digit above 0")?;
/// };
/// let words = ["--count".to_owned(), "7".to_owned()];
/// let given = command_line::options::read(words, OPTIONS).unwrap().unwrap();
/// let mut count = 1;
/// given.apply((), "", &mut count).unwrap();
/// assert_eq!(count, 7);
/// ```
#[macro_export]
macro_rules! options {
    ($($flag:literal $value:expr, $commands:expr, $meaning:literal => |$settings:ident, $text:ident| $apply:expr;)*) => {
        &[$($crate::options::OptionRow {
            flag: $flag,
            value: $value,
            commands: $commands,
            meaning: $meaning,
            apply: |$settings, $text| {
                $apply;
                Ok(())
            },
        }),*]
    };
}

/// The words of a command line, told apart.
pub struct Given<C: 'static, S: 'static> {
    /// The words that are no options, in their order.
    pub names: Vec<String>,
    options: Vec<(&'static OptionRow<C, S>, String)>,
}

/// Reads the words after the program's name; nothing if help is asked for (`--help`, `-h`).
///
/// # Errors
/// A usage error if there is no such option, or if one misses its value or has one that it does not take.
pub fn read<C, S>(
    words: impl IntoIterator<Item = String>,
    table: &'static [OptionRow<C, S>],
) -> Result<Option<Given<C, S>>> {
    let mut words = words.into_iter();
    let mut given = Given { names: Vec::new(), options: Vec::new() };
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            return Ok(None);
        }
        if !word.starts_with("--") {
            given.names.push(word);
            continue;
        }
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let row = table
            .iter()
            .find(|row| row.flag == flag)
            .ok_or_else(|| Error::usage(format!("there is no option {flag}")))?;
        let value = match (row.value, inline) {
            (None, None) => String::new(),
            (None, Some(_)) => return Err(Error::usage(format!("{flag} takes no value"))),
            (Some(_), Some(value)) => value,
            (Some(what), None) => {
                words.next().ok_or_else(|| Error::usage(format!("{flag} needs a value: {what}")))?
            }
        };
        given.options.push((row, value));
    }
    Ok(Some(given))
}

impl<C: PartialEq, S> Given<C, S> {
    /// Stores the values of the options in the settings of a command.
    ///
    /// # Errors
    /// A usage error if an option does not belong to the command, or its value is not what it is to be.
    pub fn apply(&self, command: C, name: &str, settings: &mut S) -> Result<()> {
        for (row, value) in &self.options {
            if !row.commands.is_empty() && !row.commands.contains(&command) {
                return Err(Error::usage(format!("{} does not belong to {name}", row.flag)));
            }
            (row.apply)(settings, value)
                .map_err(|expected| Error::usage(format!("{} needs {expected}", row.flag)))?;
        }
        Ok(())
    }
}

/// The lines of the help text that tell of the commands.
pub fn command_lines<C>(commands: &[CommandRow<C>]) -> String {
    commands.iter().map(|(name, _, meaning)| format!("  {name:<24} {meaning}\n")).collect()
}

/// The lines of the help text that tell of the options, `--help` the last.
pub fn option_lines<C: PartialEq, S>(
    commands: &[CommandRow<C>],
    table: &[OptionRow<C, S>],
) -> String {
    let mut text = String::new();
    for row in table {
        let left = format!("{} {}", row.flag, row.value.unwrap_or_default());
        let of: Vec<&str> = commands
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Command {
        Sing,
        Dance,
    }

    const COMMANDS: [CommandRow<Command>; 2] =
        [("sing", Command::Sing, "makes a sound"), ("dance", Command::Dance, "moves")];

    const TABLE: &[OptionRow<Command, (bool, u64)>] = crate::options! {
        "--loud" None, &[Command::Sing], "is heard" => |settings, _text| settings.0 = true;
        "--times" Some("N"), &[], "how often" => |settings, text| settings.1 = value::number(text, 1, 9, "a digit")?;
    };

    fn apply(command: Command, words: &[&str]) -> Result<(Vec<String>, (bool, u64))> {
        let given = read(words.iter().map(|word| (*word).to_owned()), TABLE)?.expect("no help");
        let mut settings = (false, 1);
        given.apply(command, "it", &mut settings)?;
        Ok((given.names, settings))
    }

    #[test]
    fn options_stand_anywhere_and_take_their_value_either_way() {
        let (names, settings) = apply(Command::Sing, &["--times", "3", "sing", "--loud"]).unwrap();
        assert_eq!((names, settings), (vec!["sing".to_owned()], (true, 3)));
        assert_eq!(apply(Command::Dance, &["--times=2"]).unwrap().1, (false, 2));
    }

    #[test]
    fn nothing_is_silently_ignored() {
        for (words, message) in [
            (&["--soft"][..], "there is no option --soft"),
            (&["--times"], "--times needs a value: N"),
            (&["--times", "none"], "--times needs a digit"),
            (&["--loud=yes"], "--loud takes no value"),
            (&["--loud"], "--loud does not belong to it"),
        ] {
            let error = apply(Command::Dance, words).unwrap_err();
            assert!(error.is_usage(), "{words:?}");
            assert_eq!(error.to_string(), format!("Error: {message}"), "{words:?}");
        }
    }

    #[test]
    fn the_help_tells_of_everything() {
        for word in ["--help", "-h"] {
            assert!(read(["sing".to_owned(), word.to_owned()], TABLE).unwrap().is_none());
        }
        let commands = command_lines(&COMMANDS);
        assert_eq!(commands.lines().count(), 2);
        assert!(commands.starts_with("  sing                     makes a sound\n"), "{commands}");
        let options = option_lines(&COMMANDS, TABLE);
        assert!(options.contains("  --loud                   sing: is heard\n"), "{options}");
        assert!(options.contains("  --times N                how often\n"), "{options}");
        assert!(options.ends_with("this text\n"), "{options}");
    }
}
