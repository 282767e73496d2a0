//! What is new, each second, as server-sent events.
//!
//! A stream is asked for its next event when its client has taken the last one, so a slow client
//! holds one event and a copy of the last status, however long it takes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::rt::time::{Instant, Sleep, sleep};
use actix_web::web::{Bytes, Data, Query};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::access::problem;
use crate::serve::board::{Bin, Board, RejectRow, STARS, StarRow};

/// The time between two events.
const EVERY: Duration = Duration::from_secs(1);
/// Stars in one event; of more the newest.
const MOST_STARS: usize = 500;
/// Rejects in one event; of more the newest.
const MOST_REJECTS: usize = 50;
const _: () = assert!(MOST_STARS <= STARS);

/// What is new since the last event of a stream.
#[derive(Serialize, ToSchema)]
pub(super) struct Delta {
    /// The keys of the status whose values have changed; in the first event all.
    #[schema(value_type = Object)]
    status: Map<String, Value>,
    /// New stars, oldest first; the numbers show whether some were left out.
    stars: Vec<StarRow>,
    /// New rejects, oldest first.
    rejects: Vec<RejectRow>,
    /// The bins of ten seconds since the newest one of the last event, which may have grown.
    bins: Vec<Bin>,
}

/// Where a stream begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// The number of the last star that the client has; absent: only new ones.
    stars: Option<u64>,
    /// The same of rejects.
    rejects: Option<u64>,
}

/// What is new, as an event `delta` each second.
#[utoipa::path(get, path = "/api/v1/events", params(From), responses(
    (status = 200, body = Delta, content_type = "text/event-stream"),
    (status = 503, body = super::api::Problem)
))]
pub(super) async fn events(
    board: Data<Board>,
    streams: Data<Streams>,
    from: Query<From>,
) -> HttpResponse {
    let Some(seat) = streams.take() else {
        let says = "too many follow the events; close a page, or raise http.max_streams";
        let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, says);
        response.headers_mut().insert(RETRY_AFTER, 10.into());
        return response;
    };
    let (newest_star, newest_reject) = board.newest();
    HttpResponse::Ok().content_type("text/event-stream").body(Events {
        board: board.into_inner(),
        due: Box::pin(sleep(Duration::ZERO)),
        star: from.stars.unwrap_or(newest_star),
        reject: from.rejects.unwrap_or(newest_reject),
        bin: None,
        last: Map::new(),
        _seat: seat,
    })
}

/// How many streams there may be.
#[derive(Clone)]
pub(super) struct Streams {
    most: usize,
    open: Arc<AtomicUsize>,
}

/// One of them, until it is dropped.
struct Seat(Arc<AtomicUsize>);

impl Streams {
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    fn take(&self) -> Option<Seat> {
        let more = |open| (open < self.most).then_some(open + 1);
        self.open.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Seat(Arc::clone(&self.open)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The body of one stream.
struct Events {
    board: Arc<Board>,
    due: Pin<Box<Sleep>>,
    // The newest that the client has.
    star: u64,
    reject: u64,
    // When the newest bin that it has begins.
    bin: Option<f64>,
    last: Map<String, Value>,
    _seat: Seat,
}

impl Events {
    fn next(&mut self) -> Delta {
        let status = self.board.status();
        let time = status.time;
        let now = match serde_json::to_value(status) {
            Ok(Value::Object(now)) => now,
            // A status is an object; the client would see no change.
            _ => Map::new(),
        };
        let changed = now.iter().filter(|(key, value)| self.last.get(*key) != Some(value));
        let delta = Delta {
            status: changed.map(|(key, value)| (key.clone(), value.clone())).collect(),
            stars: self.board.stars(self.star, MOST_STARS),
            rejects: self.board.rejects(self.reject, MOST_REJECTS),
            bins: self.board.timeline(self.bin.unwrap_or(time - 10.0), 10, 60),
        };
        self.last = now;
        self.star = delta.stars.last().map_or(self.star, |star| star.number);
        self.reject = delta.rejects.last().map_or(self.reject, |reject| reject.number);
        self.bin = delta.bins.last().map(|bin| bin.time).or(self.bin);
        delta
    }
}

impl MessageBody for Events {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        ready!(self.due.as_mut().poll(context));
        self.due.as_mut().reset(Instant::now() + EVERY);
        let delta = self.next();
        // Numbers and texts always have a form in JSON.
        let data = serde_json::to_string(&delta).unwrap_or_default();
        let event = format!("event: delta\nid: {}-{}\ndata: {data}\n\n", self.star, self.reject);
        Poll::Ready(Some(Ok(event.into())))
    }
}
