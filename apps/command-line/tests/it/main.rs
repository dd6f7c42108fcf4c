//! Signals, seen from outside: this test binary runs again as the program that gets them.

#[path = "../../../../crates/headwater/tests/it/process.rs"]
mod process;

use std::process::Command;

use command_line::stop::Stop;

use crate::process::Running;

/// The program: says what it hears, and does not end by itself.
#[tokio::test]
#[ignore = "the process of another test"]
async fn endless() {
    let (stopper, mut stop) = Stop::new();
    stopper.on_signals(|| println!("last words")).unwrap();
    println!("\nlistening");
    println!("told to end: {:?}", stop.wait().await);
    std::future::pending::<()>().await;
}

fn start() -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["endless", "--exact", "--ignored", "--nocapture"]);
    let running = Running::start(command);
    running.line_where(|line| line == "listening");
    running
}

#[test]
fn the_first_signal_tells_and_the_second_ends() {
    for signals in [["INT", "TERM"], ["TERM", "HUP"], ["HUP", "INT"]] {
        let mut running = start();
        running.signal(signals[0]);
        running.line_where(|line| line == "told to end: Interrupt");
        assert!(running.is_running(), "{signals:?}");
        running.signal(signals[1]);
        let output = running.end();
        assert_eq!(
            (output.code, output.lines().last()),
            (Some(1), Some(&"last words")),
            "{signals:?}"
        );
    }
}
