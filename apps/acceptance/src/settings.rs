//! What the program is told: its words, and `CLEANUP_DATA`. The rest of the environment is the connector's affair.

use std::path::Path;

use command_line::error::{Error, Result};
use command_line::options::{self, OptionRow, option_lines};
use headwater::Config;

const HEADING: &str = "Passes a deployment through nine stages and tells what holds.\n\n";
const USAGE: &str = "usage: acceptance [--embedded] [--help]\n\n";
const EXPLANATION: &str = "
Without --embedded the environment, or a file .env, says where the server is: MONGO_URI, or MONGO_HOST and MONGO_DB
with the other MONGO_* variables. The collections async_test_collection, async_text_collection and
async_geo_collection are emptied first. They stay unless CLEANUP_DATA is true.

The exit code is 0 if nothing unexpected failed, 1 if something did, 2 if the configuration is not usable.
";

/// Connections at most, from the description of the stages.
const POOL_SIZE: u32 = 50;
const CLEANUP: &str = "CLEANUP_DATA";

/// What the words say.
#[derive(Default)]
struct Words {
    embedded: bool,
}

const OPTIONS: &[OptionRow<(), Words>] = command_line::options! {
    "--embedded" None, &[], "uses a database inside this process that keeps its data in memory"
        => |words, _text| words.embedded = true;
};

pub(crate) struct Settings {
    embedded: bool,
    /// Whether to remove at the end everything that was made.
    pub(crate) cleanup: bool,
}

impl Settings {
    /// Nothing if help is asked for.
    pub(crate) fn read(words: &[String]) -> Result<Option<Settings>> {
        let Some(given) = options::read(words.iter().cloned(), OPTIONS)? else { return Ok(None) };
        if let Some(word) = given.names.first() {
            return Err(Error::usage(format!("{word} is not understood")));
        }
        let mut words = Words::default();
        given.apply((), "acceptance", &mut words)?;
        let cleanup = match std::env::var(CLEANUP).ok().or_else(|| of_file(Path::new(".env"))) {
            None => false,
            Some(value) => match value.to_ascii_lowercase().as_str() {
                "true" => true,
                "false" | "" => false,
                _ => {
                    let wrong = format!("{CLEANUP} is `{value}`, but is to be true or false");
                    return Err(Error::usage(wrong));
                }
            },
        };
        Ok(Some(Settings { embedded: words.embedded, cleanup }))
    }

    pub(crate) fn config(&self) -> headwater::Result<Config> {
        let builder = Config::builder().process_environment().max_pool_size(POOL_SIZE);
        if self.embedded { builder.embedded(":memory:") } else { builder.needs_server() }.build()
    }
}

/// The usage block.
pub(crate) fn usage() -> String {
    format!("{USAGE}{}", option_lines::<(), _>(&[], OPTIONS))
}

/// The usage block and what it means.
pub(crate) fn help() -> String {
    format!("{HEADING}{}{EXPLANATION}", usage())
}

/// The connector says what is wrong with a file that cannot be read.
fn of_file(path: &Path) -> Option<String> {
    let entries = dotenvy::from_path_iter(path).ok()?;
    entries.flatten().find_map(|(name, value)| (name == CLEANUP).then_some(value))
}
