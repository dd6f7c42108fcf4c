//! The screen: the board laid out as styled lines for a terminal of a given size. Pure: writes nothing, asks no
//! clock.

use std::time::Instant;

use crate::board::{Board, Highlight, Trend, sparkline};
use crate::feed::Link;
use crate::symbols::FAMILIAR;

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Reverse video.
    pub reverse: bool,
    /// Less bright.
    pub dim: bool,
    /// The colour, if any.
    pub colour: Option<Colour>,
}

/// The colours in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Rising.
    Green,
    /// Falling.
    Red,
    /// Trouble.
    Yellow,
}

/// A piece of text with one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The text; every character is one cell wide.
    pub text: String,
    /// How it looks.
    pub look: Look,
}

/// A line of the screen.
pub type Line = Vec<Span>;

/// The room there is, and what is wished.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Cells per line.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// The first symbol row that is shown when there is no room for all.
    pub offset: usize,
    /// False if `NO_COLOR` is set.
    pub colours: bool,
}

const QUIT_HINT: &str = "(press \"Ctrl-C\" to quit)";
const QUIT_ROW: usize = 14;
const STATUS_ROW: usize = 16;
const PRICE_CELLS: usize = 5;
const SPARKLINE_CELLS: usize = crate::board::HISTORY;

impl Frame {
    /// True if every row and the status have room.
    fn is_whole(&self) -> bool {
        self.height > STATUS_ROW
    }

    /// How many symbol rows have room; the last line is kept for status and hint.
    pub fn visible_rows(&self) -> usize {
        if self.is_whole() {
            FAMILIAR.len()
        } else {
            self.height.saturating_sub(1).min(FAMILIAR.len())
        }
    }

    /// The largest useful offset.
    pub fn offset_max(&self) -> usize {
        FAMILIAR.len() - self.visible_rows()
    }
}

/// Lays the board out as it looks at `now`. There are never more lines than the frame has, nor more cells in a line.
pub fn lay_out(board: &Board, frame: Frame, now: Instant) -> Vec<Line> {
    let mut lines = Vec::with_capacity(frame.height);
    let visible = frame.visible_rows();
    let offset = frame.offset.min(frame.offset_max());
    for row in offset..offset + visible {
        lines.push(symbol_line(board, row, frame, now));
    }
    if frame.is_whole() {
        lines.resize(QUIT_ROW, Line::new());
        lines.push(vec![plain(QUIT_HINT)]);
        lines.resize(STATUS_ROW, Line::new());
        lines.push(status_line(board, frame));
        if frame.height > lines.len() {
            lines.push(vec![plain(board.caption())]);
        }
    } else if frame.height > 0 {
        lines.push(short_status_line(board, frame, offset, visible));
    }
    lines.into_iter().map(|line| cut(line, frame.width)).collect()
}

fn symbol_line(board: &Board, at: usize, frame: Frame, now: Instant) -> Line {
    let symbol = FAMILIAR[at];
    let row = &board.rows()[at];
    let price = row.price().map_or_else(|| "--".to_owned(), |price| price.to_string());
    let look = match board.highlight(row, now) {
        Highlight::Full => Look { reverse: true, ..Look::default() },
        Highlight::Dim => Look { reverse: true, dim: true, colour: None },
        Highlight::Plain => Look::default(),
    };
    let (arrow, colour) = match (row.price(), row.trend()) {
        (None, _) => (' ', None),
        (_, Trend::Up) => ('▲', Some(Colour::Green)),
        (_, Trend::Down) => ('▼', Some(Colour::Red)),
        (_, Trend::Level) => ('–', None),
    };
    let trend = Look { colour: colour.filter(|_| frame.colours), ..Look::default() };
    let change = if row.change() == 0 { String::new() } else { format!("{:+}", row.change()) };
    vec![
        plain(&format!("{:<6}: ", symbol.name)),
        Span { text: format!("{price:<PRICE_CELLS$}"), look },
        plain(" "),
        Span { text: format!("{arrow} {change:<5}"), look: trend },
        Span {
            text: format!(
                "{:<SPARKLINE_CELLS$}",
                sparkline(row.history().collect::<Vec<_>>().into_iter())
            ),
            look: trend,
        },
        plain("  "),
        plain(symbol.company),
    ]
}

fn status_line(board: &Board, frame: Frame) -> Line {
    let (text, trouble) = status(board);
    let colour = (trouble && frame.colours).then_some(Colour::Yellow);
    vec![Span { text, look: Look { dim: !trouble, colour, reverse: false } }]
}

fn short_status_line(board: &Board, frame: Frame, offset: usize, visible: usize) -> Line {
    if status(board).1 {
        return status_line(board, frame);
    }
    let hint = if visible < FAMILIAR.len() {
        format!(
            "rows {}-{} of {}, scroll with arrow keys ",
            offset + 1,
            offset + visible,
            FAMILIAR.len()
        )
    } else {
        String::new()
    };
    vec![plain(&format!("{hint}{QUIT_HINT}"))]
}

/// What the status row says, and whether it is trouble.
fn status(board: &Board) -> (String, bool) {
    match board.link() {
        Link::Reconnecting { cause } => (format!("reconnecting: {cause}"), true),
        _ if board.has_lost_history() => {
            ("live; the position was too old, prices were read anew".to_owned(), false)
        }
        _ => ("live".to_owned(), false),
    }
}

fn plain(text: &str) -> Span {
    Span { text: text.to_owned(), look: Look::default() }
}

/// Drops what has no room; the company name goes as a whole.
fn cut(line: Line, width: usize) -> Line {
    let mut room = width;
    let mut kept = Line::new();
    let last = line.len().saturating_sub(1);
    for (at, mut span) in line.into_iter().enumerate() {
        let cells = span.text.chars().count();
        if cells > room {
            if at == last && at > 0 {
                break;
            }
            span.text = span.text.chars().take(room).collect();
        }
        room -= cells.min(room);
        kept.push(span);
    }
    kept
}

/// The text of a line without its looks.
pub fn text_of(line: &[Span]) -> String {
    line.iter().map(|span| span.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::feed::Signal;

    const FULL: Frame = Frame { width: 80, height: 24, offset: 0, colours: true };

    fn board(prices: impl Fn(usize) -> Option<i64>) -> Board {
        let mut board = Board::new(Duration::from_secs(1));
        let prices = std::array::from_fn(prices);
        board.apply(&Signal::Snapshot(Box::new(prices)), Instant::now());
        board
    }

    fn texts(board: &Board, frame: Frame) -> Vec<String> {
        lay_out(board, frame, Instant::now()).iter().map(|line| text_of(line)).collect()
    }

    #[test]
    fn t7_layout_in_24_lines_of_80_cells() {
        let lines = texts(&board(|row| Some(20 + row as i64)), FULL);
        for (row, symbol) in FAMILIAR.iter().enumerate() {
            let line = &lines[row];
            assert!(line.starts_with(symbol.name), "{line}");
            assert_eq!(line.chars().nth(6), Some(':'), "{line}");
            let price: String = line.chars().skip(8).take(2).collect();
            assert_eq!(price, (20 + row).to_string(), "{line}");
            assert!(line.ends_with(symbol.company), "{line}");
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert_eq!(lines[13], "");
        assert_eq!(lines[14], "(press \"Ctrl-C\" to quit)");
        assert_eq!(lines[15], "");
        assert_eq!(lines[16], "live");
        assert!(lines.len() <= 24);
    }

    #[test]
    fn b17_a_missing_symbol_is_two_dashes() {
        let lines = texts(&board(|row| (row != 1).then_some(40)), FULL);
        assert_eq!(lines[1].chars().skip(8).take(5).collect::<String>(), "--   ");
    }

    #[test]
    fn b18_arrows_and_colours_follow_the_price_and_no_color_is_honoured() {
        let mut board = board(|_| Some(40));
        let now = Instant::now();
        board.apply(&crate::board::tests::tick(0, Some(52)), now);
        board.apply(&crate::board::tests::tick(1, Some(31)), now);
        let lines = lay_out(&board, FULL, now);
        assert!(text_of(&lines[0]).contains("▲ +12"));
        assert_eq!(lines[0][3].look.colour, Some(Colour::Green));
        assert!(text_of(&lines[1]).contains("▼ -9"));
        assert_eq!(lines[1][3].look.colour, Some(Colour::Red));
        assert!(text_of(&lines[2]).contains('–'));
        let grey = lay_out(&board, Frame { colours: false, ..FULL }, now);
        assert!(grey.iter().flatten().all(|span| span.look.colour.is_none()));
    }

    #[test]
    fn t8_price_cell_is_reverse_then_dim_then_plain() {
        let mut board = board(|_| Some(40));
        let now = Instant::now();
        board.apply(&crate::board::tests::tick(4, Some(41)), now);
        let look = |ms| lay_out(&board, FULL, now + Duration::from_millis(ms))[4][1].look;
        assert_eq!(look(0), Look { reverse: true, ..Look::default() });
        assert_eq!(look(1_000), Look { reverse: true, dim: true, colour: None });
        assert_eq!(look(2_000), Look::default());
        assert_eq!(lay_out(&board, FULL, now)[5][1].look, Look::default());
    }

    #[test]
    fn b20_price_cells_keep_their_width() {
        for price in [None, Some(7), Some(99), Some(12_345)] {
            let lines = lay_out(&board(|_| price), FULL, Instant::now());
            assert_eq!(lines[0][1].text.chars().count(), 5);
        }
    }

    #[test]
    fn b19_small_terminals_scroll_and_nothing_leaves_the_frame() {
        let board = board(|_| Some(40));
        for height in 0..20 {
            for width in [0, 1, 9, 40, 79, 200] {
                for offset in [0, 3, 99] {
                    let frame = Frame { width, height, offset, colours: true };
                    let lines = texts(&board, frame);
                    assert!(lines.len() <= height, "{frame:?}");
                    assert!(lines.iter().all(|line| line.chars().count() <= width), "{frame:?}");
                }
            }
        }
        let small = Frame { width: 80, height: 6, offset: 99, colours: true };
        let lines = texts(&board, small);
        assert!(lines[4].starts_with("SAP"), "{lines:?}");
        assert!(lines[5].contains("rows 9-13 of 13"), "{lines:?}");
    }

    #[test]
    fn b14_status_row_shows_the_state() {
        let mut board = board(|_| Some(40));
        let link = Link::Reconnecting { cause: "connection refused".to_owned() };
        board.apply(&Signal::Link(link), Instant::now());
        assert_eq!(texts(&board, FULL)[16], "reconnecting: connection refused");
        let small = Frame { height: 8, ..FULL };
        assert_eq!(texts(&board, small)[7], "reconnecting: connection refused");
    }
}
