//! A pseudo terminal and what is to be seen on it: enough of a terminal to read what DISPLAY draws.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// One cell of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) glyph: char,
    pub(crate) reverse: bool,
    pub(crate) dim: bool,
}

const BLANK: Cell = Cell { glyph: ' ', reverse: false, dim: false };

/// A command on a pseudo terminal; killed when this is dropped.
pub(crate) struct Pty {
    child: Child,
    controller: OwnedFd,
    screen: Arc<Mutex<Screen>>,
}

impl Pty {
    pub(crate) fn start(mut command: Command, rows: u16, columns: u16) -> Pty {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        resize(&controller, rows, columns);
        let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
        let open = || File::options().read(true).write(true).open(&name).unwrap();
        let child = command.stdin(open()).stdout(open()).stderr(open()).spawn().unwrap();
        let screen = Arc::new(Mutex::new(Screen::new(usize::from(rows), usize::from(columns))));
        let mut output = File::from(controller.try_clone().unwrap());
        let seen = screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                seen.lock().unwrap().feed(&bytes[..count]);
            }
        });
        Pty { child, controller, screen }
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        *self.screen.lock().unwrap() = Screen::new(usize::from(rows), usize::from(columns));
        resize(&self.controller, rows, columns);
        // Without a controlling terminal nobody else says so.
        self.signal("WINCH");
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub(crate) fn press(&self, keys: &[u8]) {
        rustix::io::write(&self.controller, keys).unwrap();
    }

    pub(crate) fn row(&self, row: usize) -> String {
        let screen = self.screen.lock().unwrap();
        let text: String = screen.cells[row].iter().map(|cell| cell.glyph).collect();
        text.trim_end().to_owned()
    }

    pub(crate) fn cell(&self, row: usize, column: usize) -> Cell {
        self.screen.lock().unwrap().cells[row][column]
    }

    pub(crate) fn is_full_screen(&self) -> bool {
        self.screen.lock().unwrap().alternate
    }

    /// Waits until something is to be seen; gives when it was.
    pub(crate) fn until(&self, limit: Duration, fits: impl Fn(&Pty) -> bool) -> Instant {
        let begun = Instant::now();
        while !fits(self) {
            if begun.elapsed() > limit {
                let rows = self.screen.lock().unwrap().cells.len();
                let rows: Vec<String> = (0..rows).map(|row| self.row(row)).collect();
                panic!("not seen within {limit:?}: {rows:#?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Instant::now()
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < crate::process::PATIENCE, "the command does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(controller: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(controller, size).unwrap();
}

/// The cells, and the state of reading control sequences.
struct Screen {
    cells: Vec<Vec<Cell>>,
    at: (usize, usize),
    look: Cell,
    alternate: bool,
    pending: Vec<u8>,
}

impl Screen {
    fn new(rows: usize, columns: usize) -> Screen {
        let cells = vec![vec![BLANK; columns]; rows];
        Screen { cells, at: (0, 0), look: BLANK, alternate: false, pending: Vec::new() }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let mut rest = std::mem::take(&mut self.pending);
        while let Some(used) = self.step(&rest) {
            rest.drain(..used);
        }
        self.pending = rest;
    }

    /// Takes one character or sequence; nothing if it is not complete yet.
    fn step(&mut self, bytes: &[u8]) -> Option<usize> {
        match *bytes.first()? {
            0x1b if bytes.get(1)? == &b'[' => {
                let end = 2 + bytes[2..].iter().position(|byte| (0x40..0x7f).contains(byte))?;
                self.control(std::str::from_utf8(&bytes[2..end]).unwrap(), bytes[end]);
                Some(end + 1)
            }
            0x1b => Some(2),
            b'\r' => {
                self.at.1 = 0;
                Some(1)
            }
            b'\n' => {
                self.at.0 += 1;
                Some(1)
            }
            first => {
                let length = match first {
                    0xf0.. => 4,
                    0xe0.. => 3,
                    0xc0.. => 2,
                    _ => 1,
                };
                let text = std::str::from_utf8(bytes.get(..length)?).unwrap();
                self.put(text.chars().next().unwrap());
                Some(length)
            }
        }
    }

    fn put(&mut self, glyph: char) {
        let look = self.look;
        if let Some(cell) = self.cells.get_mut(self.at.0).and_then(|row| row.get_mut(self.at.1)) {
            *cell = Cell { glyph, ..look };
        }
        self.at.1 += 1;
    }

    fn control(&mut self, parameters: &str, last: u8) {
        let number = |at: usize| {
            parameters.split(';').nth(at).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0)
        };
        let (row, column) = self.at;
        match last {
            b'H' => self.at = (number(0).max(1) - 1, number(1).max(1) - 1),
            b'K' => {
                if let Some(row) = self.cells.get_mut(row) {
                    row.iter_mut().skip(column).for_each(|cell| *cell = BLANK);
                }
            }
            b'J' => {
                let first = if number(0) == 2 { 0 } else { row };
                self.cells.iter_mut().skip(first).for_each(|row| row.fill(BLANK));
            }
            b'm' => match number(0) {
                0 => self.look = BLANK,
                2 => self.look.dim = true,
                7 => self.look.reverse = true,
                _ => {}
            },
            b'h' if parameters == "?1049" => self.alternate = true,
            b'l' if parameters == "?1049" => self.alternate = false,
            _ => {}
        }
    }
}
