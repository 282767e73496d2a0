//! The routes, and the document that describes them.

use actix_web::error::InternalError;
use actix_web::guard::{Any, Get, Head};
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Json, Query, QueryConfig, ServiceConfig, resource, route};
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::access::problem;
use super::events;
use super::metrics;
use super::page;
use crate::serve::board::{
    Bin, Board, Glossary, NightSummary, Queue, REJECTS, RejectRow, STARS, Stage, StarRow, Status,
    glossary,
};

/// Bins in an answer.
const MOST_BINS: usize = 8640;

/// The document of the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Starmill",
        description = "What the night daemon does, read-only. Times are seconds since 1970-01-01 \
                       UTC, durations seconds, sizes bytes.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        health,
        ready,
        metrics_text,
        status,
        stages,
        queues,
        stars,
        rejects,
        nights,
        timeline,
        meanings,
        openapi_document,
        events::events
    ),
    components(schemas(events::Delta, Problem))
)]
struct Document;

/// The document of the API, as `/api/v1/openapi.json` gives it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// What every error is.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// What is wrong, and the remedy.
    error: String,
}

/// All routes.
pub(super) fn routes(config: &mut ServiceConfig) {
    let malformed = |error: actix_web::error::QueryPayloadError, _: &_| {
        let says = format!("{error}; see /api/v1/openapi.json for the parameters");
        InternalError::from_response(error, problem(StatusCode::BAD_REQUEST, &says)).into()
    };
    config
        .app_data(QueryConfig::default().error_handler(malformed))
        .service(read("/health", health))
        .service(read("/ready", ready))
        .service(read("/metrics", metrics_text))
        .service(read("/api/v1/status", status))
        .service(read("/api/v1/stages", stages))
        .service(read("/api/v1/queues", queues))
        .service(read("/api/v1/stars", stars))
        .service(read("/api/v1/rejects", rejects))
        .service(read("/api/v1/nights", nights))
        .service(read("/api/v1/timeline", timeline))
        .service(read("/api/v1/glossary", meanings))
        .service(read("/api/v1/events", events::events))
        .service(read("/api/v1/openapi.json", openapi_document))
        .service(read("/", page::html))
        .service(read("/dashboard.css", page::css))
        .service(read("/icon.svg", page::icon))
        .service(read("/{script}.js", page::script))
        .default_service(route().to(nothing));
}

fn read<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource(path).route(route().guard(Any(Get()).or(Head())).to(handler))
}

async fn nothing() -> HttpResponse {
    problem(
        StatusCode::NOT_FOUND,
        "there is nothing here; / is the page, /api/v1/openapi.json the API",
    )
}

/// Whether the service lives.
#[utoipa::path(get, path = "/health", responses((status = 200, body = String)))]
async fn health() -> &'static str {
    "alive\n"
}

/// Whether the models are warm and the flow runs.
#[utoipa::path(get, path = "/ready", responses(
    (status = 200, body = String), (status = 503, body = String)
))]
async fn ready(board: Data<Board>) -> HttpResponse {
    if board.is_ready() {
        HttpResponse::Ok().content_type(ContentType::plaintext()).body("ready\n")
    } else {
        let mut response = HttpResponse::ServiceUnavailable();
        response.content_type(ContentType::plaintext()).body("not ready; see the log\n")
    }
}

/// The metrics in the text format of OpenMetrics, which Prometheus reads.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String)))]
async fn metrics_text(board: Data<Board>) -> HttpResponse {
    match metrics::text(board.into_inner()) {
        Ok(text) => HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(text),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}; report this")),
    }
}

/// The state now.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status)))]
async fn status(board: Data<Board>) -> Json<Status> {
    Json(board.status())
}

/// The stages in the order of the flow.
#[utoipa::path(get, path = "/api/v1/stages", responses((status = 200, body = Vec<Stage>)))]
async fn stages(board: Data<Board>) -> Json<Vec<Stage>> {
    Json(board.status().stages)
}

/// The queues in the order of the flow.
#[utoipa::path(get, path = "/api/v1/queues", responses((status = 200, body = Vec<Queue>)))]
async fn queues(board: Data<Board>) -> Json<Vec<Queue>> {
    Json(board.status().queues)
}

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Part {
    /// Those with a larger number alone.
    #[serde(default)]
    after: u64,
    /// At most so many, the newest.
    #[serde(default = "all")]
    limit: usize,
}

fn all() -> usize {
    usize::MAX
}

/// The newest stars, oldest first; 2,000 are kept.
#[utoipa::path(get, path = "/api/v1/stars", params(Part), responses(
    (status = 200, body = Vec<StarRow>), (status = 400, body = Problem)
))]
async fn stars(board: Data<Board>, part: Query<Part>) -> Json<Vec<StarRow>> {
    Json(board.stars(part.after, part.limit.min(STARS)))
}

/// The newest rejects, oldest first; 200 are kept.
#[utoipa::path(get, path = "/api/v1/rejects", params(Part), responses(
    (status = 200, body = Vec<RejectRow>), (status = 400, body = Problem)
))]
async fn rejects(board: Data<Board>, part: Query<Part>) -> Json<Vec<RejectRow>> {
    Json(board.rejects(part.after, part.limit.min(REJECTS)))
}

/// The latest nights, newest first.
#[utoipa::path(get, path = "/api/v1/nights", responses((status = 200, body = Vec<NightSummary>)))]
async fn nights(board: Data<Board>) -> Json<Vec<NightSummary>> {
    Json(board.status().nights)
}

/// Which part of the timeline.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Span {
    /// Bins that begin then or later alone, in seconds since 1970.
    #[serde(default)]
    since: f64,
    /// The length of a bin, rounded up to ten seconds.
    #[serde(default = "minute")]
    seconds: u64,
}

fn minute() -> u64 {
    60
}

/// What happened in the last 24 hours; of the time before the service started, what was committed.
#[utoipa::path(get, path = "/api/v1/timeline", params(Span), responses(
    (status = 200, body = Vec<Bin>), (status = 400, body = Problem)
))]
async fn timeline(board: Data<Board>, span: Query<Span>) -> Json<Vec<Bin>> {
    Json(board.timeline(span.since, span.seconds.clamp(10, 86_400), MOST_BINS))
}

/// What the codes and bits mean.
#[utoipa::path(get, path = "/api/v1/glossary", responses((status = 200, body = Glossary)))]
async fn meanings() -> Json<Glossary> {
    Json(glossary())
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200, body = Object)))]
async fn openapi_document() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}
