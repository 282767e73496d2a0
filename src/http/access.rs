//! Who may ask, and in which form.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::{HttpError, HttpSettings};

/// The shortest token.
const SHORTEST: usize = 16;
/// The longest file with a token.
const LONGEST: usize = 4096;

/// On every answer. The page has its own script and style and nothing else.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (header::PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=()"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Who may ask.
pub(super) struct Access {
    // Digests are compared in constant time, whatever the length of what is given.
    token: Option<blake3::Hash>,
    // Names that a browser may call a loopback address by; any elsewhere.
    hosts: Option<Vec<String>>,
}

impl Access {
    pub(super) fn new(settings: &HttpSettings, address: SocketAddr) -> Result<Self, HttpError> {
        let path = &settings.token_file;
        let named = !path.as_os_str().is_empty();
        let token = if named { Some(blake3::hash(&read_token(path)?)) } else { None };
        let is_local = address.ip().is_loopback();
        if !is_local && token.is_none() {
            return Err(HttpError::Open(address));
        }
        let own = [address.ip().to_string(), format!("[{}]", address.ip()), "localhost".to_owned()];
        let hosts = own.into_iter().chain(settings.hosts.iter().map(|host| host.to_lowercase()));
        Ok(Self { token, hosts: is_local.then(|| hosts.collect()) })
    }

    fn refuses(&self, request: &ServiceRequest) -> Option<Refusal> {
        let headers = request.headers();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Some(Refusal::METHOD);
        }
        let length = headers.get(header::CONTENT_LENGTH);
        if length.is_some_and(|length| length != "0")
            || headers.contains_key(header::TRANSFER_ENCODING)
        {
            return Some(Refusal::BODY);
        }
        if !self.knows_host(request.connection_info().host()) {
            return Some(Refusal::HOST);
        }
        (!is_open(request.path()) && !self.has_token(headers)).then_some(Refusal::TOKEN)
    }

    /// Whether a page from elsewhere could not have sent this: a browser names the host that it
    /// believes to ask.
    fn knows_host(&self, host: &str) -> bool {
        let Some(hosts) = &self.hosts else { return true };
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let name = match host.rsplit_once(':') {
            Some((name, port)) if is_port(port) => name,
            _ => host,
        };
        hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        given.is_some_and(|given| blake3::hash(given.as_bytes()) == *token)
    }
}

/// What needs no token: the page and its parts hold no data, and whether the service lives is no
/// secret. All else needs one, however a path is spelled.
fn is_open(path: &str) -> bool {
    matches!(path, "/health" | "/ready") || super::page::is_part(path)
}

fn read_token(path: &Path) -> Result<Vec<u8>, HttpError> {
    let wrong = |problem: String| HttpError::Token { path: path.to_owned(), problem };
    let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(wrong("others may read it; chmod 640 it".to_owned()));
    }
    if metadata.len() > LONGEST as u64 {
        return Err(wrong(format!("it is longer than {LONGEST} bytes")));
    }
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let token = text.trim_ascii();
    if token.len() < SHORTEST {
        return Err(wrong(format!("it is shorter than {SHORTEST} characters")));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err(wrong("it is not one word of ASCII".to_owned()));
    }
    Ok(token.to_vec())
}

/// An answer to what is not answered.
struct Refusal {
    status: StatusCode,
    says: &'static str,
    header: Option<(HeaderName, &'static str)>,
}

impl Refusal {
    const METHOD: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        says: "nothing can be changed here; use GET or HEAD",
        header: Some((header::ALLOW, "GET, HEAD")),
    };
    const BODY: Self = Self {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        says: "a request has no body here; send it without one",
        header: Some((header::CONNECTION, "close")),
    };
    const HOST: Self = Self {
        status: StatusCode::MISDIRECTED_REQUEST,
        says: "this service has another name; call it by its address, or add the name to http.hosts",
        header: None,
    };
    const TOKEN: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        says: "a token is needed; send it as `Authorization: Bearer TOKEN`",
        header: Some((header::WWW_AUTHENTICATE, "Bearer")),
    };

    fn response(&self) -> HttpResponse {
        let mut response = problem(self.status, self.says);
        if let Some((name, value)) = &self.header {
            response.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
        }
        response
    }
}

/// An error as the API gives it.
pub(super) fn problem(status: StatusCode, says: &str) -> HttpResponse {
    HttpResponse::build(status).json(serde_json::json!({ "error": says }))
}

/// Refuses what may not be asked, and puts the headers on every answer.
pub(super) async fn guard<B: MessageBody>(
    access: web::Data<Access>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let mut response = match access.refuses(&request) {
        Some(refusal) => request.into_response(refusal.response()).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(response)
}
