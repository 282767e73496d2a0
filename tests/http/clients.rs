//! Clients that follow the events, and clients that misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use starmill::http::HttpSettings;

use super::client::{Follower, get};
use super::{feed, serve, settings};

#[test]
fn events_tell_what_is_new_once() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &settings());
    let (stars, rejects) = night.board.newest();
    let query = format!("?stars={}&rejects={}", stars - 5, rejects - 1);
    let mut follower = Follower::begin(server.address(), &query).unwrap();
    let first = follower.delta();
    assert_eq!(first["stars"].as_array().unwrap().len(), 5);
    assert_eq!(first["rejects"][0]["file"], "a.fits");
    assert_eq!(first["status"]["model"], "fcresnet 1.0.0");
    let second = follower.delta();
    assert_eq!(second["stars"], Value::Array(Vec::new()));
    assert!(second["status"].get("model").is_none(), "what has not changed is sent again");
    let now = SystemTime::now();
    night.more(40, now);
    let third = follower.delta();
    let new = third["stars"].as_array().unwrap().len() + third["rejects"].as_array().unwrap().len();
    assert_eq!(new, 40);
    assert_eq!(third["stars"][0]["number"], stars + 1);
    let counts = &third["status"]["counts"];
    assert_eq!(counts["files"], night.board.status().counts.files);
    let bins = third["bins"].as_array().unwrap();
    assert!(bins.iter().any(|bin| bin["rows"].as_u64() >= Some(30)), "{bins:?}");
}

#[test]
fn followers_are_bounded_and_one_who_leaves_makes_room() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &settings());
    let first = Follower::begin(server.address(), "").unwrap();
    let _second = Follower::begin(server.address(), "").unwrap();
    assert_eq!(Follower::begin(server.address(), "").err(), Some(503));
    drop(first);
    until("the seat is free", || Follower::begin(server.address(), "").is_ok());
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_client_that_does_not_read_holds_no_memory_and_loses_its_seat() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &HttpSettings { max_streams: 20, ..settings() });
    let idle: Vec<_> =
        (0..20).map(|_| Follower::begin(server.address(), "?stars=1").unwrap()).collect();
    for follower in &idle {
        rustix::net::sockopt::set_socket_recv_buffer_size(follower.0.get_ref(), 4096).unwrap();
    }
    assert_eq!(Follower::begin(server.address(), "").err(), Some(503));
    let before = starmill::telemetry::rss_bytes().unwrap();
    // Some hundred kB an event for each of them.
    let mut most = 0;
    until("the seats are free", || {
        night.more(1000, SystemTime::now());
        most = most.max(starmill::telemetry::rss_bytes().unwrap());
        Follower::begin(server.address(), "").is_ok()
    });
    let grown = most.saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes more");
    drop(idle);
}

#[test]
fn a_client_that_does_not_finish_its_request_is_sent_away() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &HttpSettings { max_connections: 4, ..settings() });
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: loc").unwrap();
            stream
        })
        .collect();
    // All connections are taken; the request waits and is answered when the slow ones are gone.
    let begin = Instant::now();
    assert_eq!(get(server.address(), "/health").status, 200);
    assert!(begin.elapsed() > Duration::from_secs(1), "the connections are not bounded");
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{said:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(1 << 20));
    let mut stream = TcpStream::connect(server.address()).unwrap();
    // The server may close while the rest is sent.
    let _ = stream.write_all(long.as_bytes());
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP/1.1 200"), "{said:?}");
}
