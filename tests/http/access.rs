//! Who may ask, and in which form.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use starmill::http::{self, HttpError, HttpSettings};

use super::client::{ask, send};
use super::{documented, feed, serve, settings};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn nothing_can_be_changed_or_sent() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &settings());
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        let answer = ask(server.address(), method, "/api/v1/status", "");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    }
    for body in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let request = format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{body}");
        assert_eq!(send(server.address(), &request).status, 413, "{body}");
    }
}

#[test]
fn a_page_from_elsewhere_cannot_read_it_through_a_browser() {
    let night = feed::Night::begin("a.fits");
    let given = HttpSettings { hosts: vec!["Summit.example".into()], ..settings() };
    let server = serve(&night, &given);
    let called = |host: &str| {
        let request =
            format!("GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        send(server.address(), &request).status
    };
    for known in ["localhost", "LOCALHOST:8765", "127.0.0.1", "127.0.0.1:1", "summit.example:80"] {
        assert_eq!(called(known), 200, "{known}");
    }
    for unknown in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "x:y"] {
        assert_eq!(called(unknown), 421, "{unknown}");
    }
}

fn token_file(folder: &Path, token: &str, mode: u32) -> PathBuf {
    let path = folder.join("token");
    std::fs::write(&path, token).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_token_opens_what_has_data_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let night = feed::Night::begin("a.fits");
    let token_file = token_file(folder.path(), &format!("{TOKEN}\n"), 0o600);
    let server = serve(&night, &HttpSettings { token_file, ..settings() });
    let with = |path: &str, header: &str| ask(server.address(), "GET", path, header).status;
    for path in documented() {
        let is_open = ["/health", "/ready"].contains(&path.as_str());
        assert_eq!(with(&path, ""), if is_open { 200 } else { 401 }, "{path}");
    }
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    let wrong = [
        format!("Authorization: Bearer {TOKEN}0\r\n"),
        format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
        format!("Authorization: Basic {TOKEN}\r\n"),
        "Authorization: Bearer\r\n".to_owned(),
        format!("X-Token: {TOKEN}\r\n"),
    ];
    for path in ["/metrics", "/api/v1/status"] {
        assert_eq!(with(path, &right), 200);
        for header in &wrong {
            assert_eq!(with(path, header), 401, "{header}");
        }
    }
    // A path is guarded however it is spelled.
    for path in ["/api/v1/%73tatus", "/%61pi/v1/status", "//api/v1/status", "/x/../metrics", "/x"] {
        assert_eq!(with(path, ""), 401, "{path}");
    }
    for path in ["/dashboard.css", "/dashboard.js", "/plots.js", "/stream.js", "/icon.svg"] {
        assert_eq!(with(path, ""), 200, "{path}");
    }
    assert_eq!(with("/", ""), 200);
    assert_eq!(
        ask(server.address(), "GET", "/metrics", "").header("www-authenticate"),
        Some("Bearer")
    );
}

#[test]
fn it_does_not_start_open_to_others_or_with_a_weak_token() {
    let folder = tempfile::tempdir().unwrap();
    let night = feed::Night::begin("a.fits");
    let says = |settings: HttpSettings| match http::start(&settings, Arc::clone(&night.board)) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it starts with {settings:?}"),
    };
    let everywhere = || HttpSettings { address: "0.0.0.0:0".into(), ..settings() };
    assert!(says(everywhere()).contains("http.token_file"));
    assert!(says(HttpSettings { address: "[::]:0".into(), ..settings() }).contains("loopback"));
    assert!(says(HttpSettings { address: "somewhere".into(), ..settings() }).contains("port"));
    let with = |token: &str, mode| HttpSettings {
        token_file: token_file(folder.path(), token, mode),
        ..everywhere()
    };
    assert!(says(with("short", 0o600)).contains("shorter"));
    assert!(says(with("", 0o600)).contains("shorter"));
    assert!(says(with(TOKEN, 0o644)).contains("chmod"));
    assert!(says(with(&TOKEN.repeat(1000), 0o600)).contains("longer"));
    assert!(says(with("two words of a token", 0o600)).contains("one word"));
    let missing = folder.path().join("missing");
    assert!(says(HttpSettings { token_file: missing, ..everywhere() }).contains("missing"));
    let server = serve(&night, &with(TOKEN, 0o600));
    let taken = HttpSettings { address: server.address().to_string(), ..with(TOKEN, 0o600) };
    let taken = http::start(&taken, Arc::clone(&night.board)).err();
    assert!(matches!(taken, Some(HttpError::Bind { .. })), "{taken:?}");
}
