//! WEB: the board in a browser. One feed serves any number of viewers by server-sent events. Read-only.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast, mpsc};

use crate::board::Board;
use crate::error::{Error, Result};
use crate::feed::{Feed, Link, Signal};
use crate::market::{COLLECTION, DATABASE, Market};
use crate::output;
use crate::stop::Stop;
use crate::symbols::FAMILIAR;

const PAGE: &str = include_str!("web/page.html");
const VIEWERS_MAX: usize = 1_000;
/// Events that a slow viewer may be behind before it is given the whole board again.
const BEHIND_MAX: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Serves the page until told to end.
///
/// # Errors
/// Exit code 3 if the collection is empty or the server has no change streams; the address cannot be listened on.
pub async fn run(market: &Market, listen: &str, highlight: Duration, stop: Stop) -> Result<()> {
    if market.is_empty().await? {
        return Err(refusal());
    }
    let (listener, address) = bind(listen).await?;
    output::line(&format!(
        "-- Showing changes of collection \"{DATABASE}.{COLLECTION}\" at http://{address}/"
    ))?;
    serve(market, listener, highlight, stop).await
}

/// Listens on an address.
///
/// # Errors
/// The address makes no sense or is taken.
pub async fn bind(listen: &str) -> Result<(TcpListener, SocketAddr)> {
    let failed = |error| Error::failed(format!("cannot listen on {listen}: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Serves the page on a listener until told to end.
///
/// # Errors
/// The feed cannot be opened.
pub async fn serve(
    market: &Market,
    listener: TcpListener,
    highlight: Duration,
    mut stop: Stop,
) -> Result<()> {
    let mut feed = Feed::open(market, true, None).await?;
    let hall = Arc::new(Hall::new(highlight));
    let seats = Arc::new(Semaphore::new(VIEWERS_MAX));
    loop {
        tokio::select! {
            biased;
            _ = stop.wait() => return Ok(()),
            signal = feed.next() => hall.tell(&signal),
            accepted = listener.accept() => {
                // Without a free seat the connection is closed; the page comes back by itself.
                if let (Ok((stream, _)), Ok(seat)) = (accepted, seats.clone().try_acquire_owned()) {
                    let (hall, stop) = (hall.clone(), stop.clone());
                    tokio::spawn(async move {
                        attend(stream, hall, stop).await;
                        drop(seat);
                    });
                }
            }
        }
    }
}

/// The board, and everyone who looks at it.
struct Hall {
    board: Mutex<Board>,
    news: broadcast::Sender<Bytes>,
    highlight: Duration,
}

impl Hall {
    fn new(highlight: Duration) -> Hall {
        let (news, _) = broadcast::channel(BEHIND_MAX);
        Hall { board: Mutex::new(Board::new(highlight)), news, highlight }
    }

    fn tell(&self, signal: &Signal) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.apply(signal, Instant::now());
        let text = match signal {
            Signal::Tick(tick) => event("price", &row_json(&board, tick.row)),
            Signal::Snapshot(_) | Signal::Emptied => event("board", &self.json(&board)),
            Signal::Link(_) => event("state", &state_json(&board)),
        };
        // Sent under the lock, so that a newcomer's board and the news behind it fit together. No viewers is fine.
        let _ = self.news.send(text);
    }

    /// The whole board as an event, and the news from then on.
    fn enter(&self) -> (Bytes, broadcast::Receiver<Bytes>) {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        (event("board", &self.json(&board)), self.news.subscribe())
    }

    fn snapshot(&self) -> String {
        self.json(&self.board.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn json(&self, board: &Board) -> String {
        let rows: Vec<String> = (0..FAMILIAR.len()).map(|row| row_json(board, row)).collect();
        format!(
            "{{\"state\":{},\"highlightMs\":{},\"rows\":[{}]}}",
            state_json(board),
            self.highlight.as_millis(),
            rows.join(",")
        )
    }
}

fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn row_json(board: &Board, at: usize) -> String {
    let (symbol, row) = (FAMILIAR[at], &board.rows()[at]);
    let price = row.price().map_or_else(|| "null".to_owned(), |price| price.to_string());
    let history: Vec<String> = row.history().map(|price| price.to_string()).collect();
    format!(
        "{{\"row\":{at},\"symbol\":{},\"company\":{},\"price\":{price},\"change\":{},\"history\":[{}]}}",
        json_string(symbol.name),
        json_string(symbol.company),
        row.change(),
        history.join(",")
    )
}

fn state_json(board: &Board) -> String {
    let (live, text) = match board.link() {
        Link::Reconnecting { cause } => (false, format!("reconnecting: {cause}")),
        _ if board.has_lost_history() => (true, "live; prices were read anew".to_owned()),
        _ => (true, "live".to_owned()),
    };
    format!("{{\"live\":{live},\"text\":{}}}", json_string(&text))
}

fn json_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if u32::from(c) < 0x20 => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn attend(stream: TcpStream, hall: Arc<Hall>, mut stop: Stop) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let reply = reply(&request, &hall);
        async move { Ok::<_, Infallible>(reply) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        // A viewer that leaves in the middle is no trouble of ours.
        _ = connection => {}
        _ = stop.wait() => {}
    }
}

fn reply(request: &Request<Incoming>, hall: &Arc<Hall>) -> Reply {
    if request.method() != Method::GET {
        let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned());
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return reply;
    }
    match request.uri().path() {
        "/" => text(StatusCode::OK, "text/html; charset=utf-8", PAGE.to_owned()),
        "/api/prices" => text(StatusCode::OK, "application/json", hall.snapshot()),
        "/events" => {
            let mut reply = Response::new(News::follow(hall.clone()).boxed_unsync());
            head(&mut reply, "text/event-stream");
            reply
        }
        _ => text(StatusCode::NOT_FOUND, "text/plain", "nothing here\n".to_owned()),
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *reply.status_mut() = status;
    head(&mut reply, kind);
    reply
}

fn head(reply: &mut Reply, kind: &'static str) {
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

/// The endless body of a viewer's event stream.
struct News {
    events: mpsc::Receiver<Bytes>,
}

impl News {
    fn follow(hall: Arc<Hall>) -> News {
        let (sender, events) = mpsc::channel(8);
        tokio::spawn(async move {
            let (board, mut news) = hall.enter();
            let hello = Bytes::from_static(b"retry: 1000\n\n");
            let mut next = vec![hello, board];
            loop {
                for event in next.drain(..) {
                    if sender.send(event).await.is_err() {
                        return;
                    }
                }
                let event = tokio::select! {
                    () = sender.closed() => return,
                    event = tokio::time::timeout(KEEP_ALIVE, news.recv()) => event,
                };
                next.push(match event {
                    Ok(Ok(event)) => event,
                    Ok(Err(broadcast::error::RecvError::Lagged(_))) => {
                        let (board, fresh) = hall.enter();
                        news = fresh;
                        board
                    }
                    Ok(Err(broadcast::error::RecvError::Closed)) => return,
                    Err(_) => Bytes::from_static(b": still here\n\n"),
                });
            }
        });
        News { events }
    }
}

impl Body for News {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        self.events.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

fn refusal() -> Error {
    Error::refused(format!(
        "-- Web view of collection \"{DATABASE}.{COLLECTION}\" aborted because\n   collection does not exist \
         (run with command \"INIT\" first)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b21_json_snapshot_holds_every_row() {
        let hall = Hall::new(Duration::from_millis(1_000));
        hall.tell(&Signal::Snapshot(Box::new([Some(40); FAMILIAR.len()])));
        hall.tell(&crate::board::tests::tick(0, Some(42)));
        let json = hall.snapshot();
        assert!(json.starts_with(
            "{\"state\":{\"live\":true,\"text\":\"live\"},\"highlightMs\":1000,\"rows\":[{\"row\":0,\
             \"symbol\":\"ADBE\",\"company\":\"Adobe Systems Inc.\",\"price\":42,\"change\":2,\
             \"history\":[40,42]}"
        ));
        assert_eq!(json.matches("\"symbol\"").count(), FAMILIAR.len());
    }

    #[test]
    fn b21_a_newcomer_gets_the_board_and_then_the_news() {
        let hall = Hall::new(Duration::from_millis(1_000));
        hall.tell(&crate::board::tests::tick(0, Some(42)));
        let (board, mut news) = hall.enter();
        assert!(board.starts_with(b"event: board\ndata: {"));
        hall.tell(&crate::board::tests::tick(1, Some(43)));
        assert!(news.try_recv().unwrap().starts_with(b"event: price\ndata: {\"row\":1,"));
        assert!(news.try_recv().is_err());
    }

    #[test]
    fn text_from_the_server_is_quoted() {
        assert_eq!(json_string("a\"b\\c\nd"), "\"a\\\"b\\\\c\\u000ad\"");
    }
}
