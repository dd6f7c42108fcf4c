//! The `headwater` binary: its commands, and what the exit code says.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong options.

mod demo;
mod failure;
mod log;
mod options;
mod serve;

use std::process::ExitCode;

use failure::Failure;

/// Commands are many small allocations on few threads, which the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A command of the binary.
struct Command {
    name: &'static str,
    meaning: &'static str,
    run: fn(Vec<String>) -> Result<(), Failure>,
}

const COMMANDS: &[Command] = &[
    Command { name: "demo", meaning: "show stock prices change live on a server", run: demo::run },
    Command { name: "serve", meaning: "run the database server", run: serve::run },
];

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let result = match words.next().as_deref() {
        None => Err(Failure::usage(format!("no command given\n\n{}", help()))),
        Some("help" | "--help" | "-h") => {
            println!("{}", help());
            Ok(())
        }
        Some("version" | "--version" | "-V") => {
            println!("headwater {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Some(name) => match COMMANDS.iter().find(|command| command.name == name) {
            Some(command) => (command.run)(words.collect()),
            None => Err(Failure::usage(format!("no such command: {name}\n\n{}", help()))),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("headwater: {failure}");
            failure.exit_code()
        }
    }
}

fn help() -> String {
    let mut text = String::from("Usage: headwater COMMAND [OPTIONS]\n\nCommands:\n");
    for command in COMMANDS {
        text.push_str(&format!("  {:<10} {}\n", command.name, command.meaning));
    }
    text.push_str("  help       this text\n  version    the version\n\n");
    text.push_str("headwater COMMAND --help tells of a command's options.");
    text
}
