//! The terminal: full-screen mode, keys, sizes, and everything put back on every way out.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use tokio::sync::mpsc;

use crate::screen::{Colour, Line, Look};

/// How often the thread that reads keys looks whether it is still wanted.
const KEYS_EVERY: Duration = Duration::from_millis(100);

static FULL_SCREEN: AtomicBool = AtomicBool::new(false);

/// What the user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Wants to leave.
    Quit,
    /// Scrolls by so many lines.
    Scroll(i32),
    /// Has changed the size of the window.
    Resize,
}

/// A terminal in full-screen mode; it is put back when this is dropped, also by a panic.
#[derive(Debug)]
pub struct Terminal {
    inputs: mpsc::UnboundedReceiver<Input>,
    wanted: std::sync::Arc<AtomicBool>,
}

impl Terminal {
    /// Enters full-screen mode without echo.
    ///
    /// # Errors
    /// Standard output is no usable terminal.
    pub fn enter() -> io::Result<Terminal> {
        restore_on_panic();
        FULL_SCREEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        let (sender, inputs) = mpsc::unbounded_channel();
        let wanted = std::sync::Arc::new(AtomicBool::new(true));
        let terminal = Terminal { inputs, wanted: wanted.clone() };
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide, Clear(ClearType::All))?;
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read_inputs(&wanted, &sender))?;
        Ok(terminal)
    }

    /// What the user does next. Dropping the future loses nothing.
    pub async fn input(&mut self) -> Input {
        match self.inputs.recv().await {
            Some(input) => input,
            // The keyboard is gone, as without a controlling terminal; signals still end the program.
            None => std::future::pending().await,
        }
    }

    /// Cells per line and lines.
    ///
    /// # Errors
    /// The terminal does not tell.
    pub fn size(&self) -> io::Result<(usize, usize)> {
        let (width, height) = crossterm::terminal::size()?;
        Ok((usize::from(width), usize::from(height)))
    }

    /// Shows the lines from the top and leaves the rest of the `height` lines empty.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn draw(&mut self, lines: &[Line], height: usize) -> io::Result<()> {
        let mut out = Vec::with_capacity(4_096);
        queue!(out, BeginSynchronizedUpdate)?;
        for (at, line) in (0_u16..).zip(lines) {
            queue!(out, cursor::MoveTo(0, at))?;
            for span in line {
                put_look(&mut out, span.look)?;
                queue!(out, Print(&span.text), ResetColor, SetAttribute(Attribute::Reset))?;
            }
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        if let Ok(rest) = u16::try_from(lines.len())
            && lines.len() < height
        {
            queue!(out, cursor::MoveTo(0, rest), Clear(ClearType::FromCursorDown))?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::SeqCst);
        restore();
    }
}

/// Puts the terminal back if it is in full-screen mode. Failures have nowhere to be reported.
pub fn restore() {
    if FULL_SCREEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), cursor::Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

fn restore_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            print(panic);
        }));
    });
}

fn put_look(out: &mut Vec<u8>, look: Look) -> io::Result<()> {
    if look.reverse {
        queue!(out, SetAttribute(Attribute::Reverse))?;
    }
    if look.dim {
        queue!(out, SetAttribute(Attribute::Dim))?;
    }
    if let Some(colour) = look.colour {
        let colour = match colour {
            Colour::Green => Color::Green,
            Colour::Red => Color::Red,
            Colour::Yellow => Color::Yellow,
        };
        queue!(out, SetForegroundColor(colour))?;
    }
    Ok(())
}

fn read_inputs(wanted: &AtomicBool, inputs: &mpsc::UnboundedSender<Input>) {
    while wanted.load(Ordering::SeqCst) {
        let event = match event::poll(KEYS_EVERY) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let Ok(event) = event else { return };
        if let Some(input) = meaning(&event)
            && inputs.send(input).is_err()
        {
            return;
        }
    }
}

fn meaning(event: &Event) -> Option<Input> {
    let key = match event {
        Event::Resize(..) => return Some(Input::Resize),
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Input::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Input::Quit),
        KeyCode::Up => Some(Input::Scroll(-1)),
        KeyCode::Down => Some(Input::Scroll(1)),
        KeyCode::PageUp | KeyCode::Home => Some(Input::Scroll(-100)),
        KeyCode::PageDown | KeyCode::End => Some(Input::Scroll(100)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn keys_that_quit_and_scroll() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Input::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Down, KeyModifiers::NONE), Some(Input::Scroll(1)));
        assert_eq!(meaning(&Event::Resize(80, 24)), Some(Input::Resize));
    }
}
