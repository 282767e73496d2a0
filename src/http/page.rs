//! What the observer sees: one page, its script and its style, from this program alone.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Path;

use super::access::problem;

/// The parts of the page's script, by name.
const SCRIPTS: [(&str, &str); 3] = [
    ("dashboard", include_str!("page/dashboard.js")),
    ("plots", include_str!("page/plots.js")),
    ("stream", include_str!("page/stream.js")),
];

/// Whether a path is the page's or that of a part of it.
pub(super) fn is_part(path: &str) -> bool {
    let script = |name: &str| SCRIPTS.iter().any(|(known, _)| *known == name);
    matches!(path, "/" | "/dashboard.css" | "/icon.svg")
        || path.strip_prefix('/').and_then(|path| path.strip_suffix(".js")).is_some_and(script)
}

pub(super) async fn html() -> HttpResponse {
    let page = include_str!("page/dashboard.html");
    HttpResponse::Ok().content_type(ContentType::html()).body(page)
}

pub(super) async fn css() -> HttpResponse {
    let style = include_str!("page/dashboard.css");
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(style)
}

pub(super) async fn icon() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").body(include_str!("page/icon.svg"))
}

pub(super) async fn script(name: Path<String>) -> HttpResponse {
    match SCRIPTS.iter().find(|(known, _)| *known == name.as_str()) {
        Some((_, script)) => {
            HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(*script)
        }
        None => problem(StatusCode::NOT_FOUND, "there is no such script; reload the page"),
    }
}
