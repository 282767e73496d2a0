use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::config::Config;

fn settings() -> HookSettings {
    Config::load(None).unwrap().hooks
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

fn burst() -> Event {
    Event::RejectBurst { rejects: 5, spectra: 10, share: 0.5 }
}

#[test]
fn every_event_has_its_name_in_json_and_settings() {
    let night = String::from("2026-11-21");
    let events = [
        Event::ServiceStarted { version: "1".into(), model: "m".into(), provider: "p".into() },
        Event::NightClosed {
            night: night.clone(),
            folder: "n".into(),
            report: "r".into(),
            rows: 1,
            rejects: 2,
            line: "l".into(),
        },
        burst(),
        Event::Stall { seconds: 1.0, waits: "w".into() },
        Event::DiskLow { free_bytes: 1, total_bytes: 2 },
        Event::LabelDrift {
            night,
            label: "teff".into(),
            unit: "K".into(),
            difference: 80.0,
            error: 5.0,
            stars: 9,
        },
    ];
    for (event, name) in events.iter().zip(EVENTS) {
        let json: serde_json::Value =
            serde_json::from_str(&event.json(SystemTime::UNIX_EPOCH)).unwrap();
        assert_eq!(json["event"], name);
        assert_eq!(event.name(), name);
        assert_eq!(json["at"], "1970-01-01T00:00:00Z");
    }
    let mut all = settings().events;
    all.sort();
    let mut named = EVENTS.map(str::to_owned);
    named.sort();
    assert_eq!(all, named);
}

#[test]
fn a_command_gets_the_event_and_its_output_is_kept() {
    let ran =
        command::run(&shell("cat; echo err >&2; exit 3"), "{\"a\":1}", Duration::from_secs(9));
    let ran = ran.unwrap();
    assert_eq!(ran.output, "{\"a\":1}\nerr");
    assert_eq!(ran.status.unwrap().code(), Some(3));
    let chatty = command::run(&shell("yes | head -c 1000000"), "", Duration::from_secs(9)).unwrap();
    assert_eq!(chatty.status.unwrap().code(), Some(0));
    assert!(chatty.output.len() > 4000 && chatty.output.len() <= 4096);
    let deaf = command::run(&shell("exec <&-; true"), "{}", Duration::from_secs(9)).unwrap();
    assert!(deaf.status.unwrap().success());
    assert!(command::run(&["/no/such/program".into()], "", Duration::from_secs(9)).is_err());
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("alive");
    let script = format!("(sleep 1; touch {}) & sleep 60", sign.display());
    let began = Instant::now();
    let ran = command::run(&shell(&script), "", Duration::from_millis(200)).unwrap();
    assert!(ran.status.is_none());
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    std::thread::sleep(Duration::from_millis(1300));
    assert!(!sign.exists(), "a child outlived its command");
}

#[test]
fn what_finds_no_room_is_dropped_and_nobody_waits() {
    let hooks = Hooks::new(&HookSettings {
        command: shell("sleep 1"),
        queue_items: 1,
        time_limit: 0.3,
        ..settings()
    });
    let began = Instant::now();
    for _ in 0..10 {
        hooks.fire(&burst());
    }
    assert!(began.elapsed() < Duration::from_millis(200));
    assert!((8..=9).contains(&hooks.dropped()), "{}", hooks.dropped());
    let began = Instant::now();
    drop(hooks);
    assert!(began.elapsed() < Duration::from_millis(1500), "dropping waits for the limit alone");
}

#[test]
fn what_is_queued_is_told_before_the_end_and_what_is_not_wanted_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let hooks = Hooks::new(&HookSettings {
        command: shell(&format!("cat >> {}", told.display())),
        events: vec!["disk_low".into()],
        ..settings()
    });
    hooks.fire(&burst());
    hooks.fire(&Event::DiskLow { free_bytes: 1, total_bytes: 2 });
    hooks.fire(&Event::DiskLow { free_bytes: 2, total_bytes: 2 });
    drop(hooks);
    let told = std::fs::read_to_string(told).unwrap();
    let names: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names.len(), 2, "{told}");
    assert!(names.iter().all(|event| event["event"] == "disk_low"), "{told}");
}

/// Answers each connection with the next of these lines of status; gives what was asked.
fn server(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let serve = move || answers.iter().map(|answer| serve(&listener, answer)).collect();
    (address, std::thread::spawn(serve))
}

fn serve(listener: &TcpListener, answer: &str) -> String {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut stream: &TcpStream = &stream;
    write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    head + &String::from_utf8(body).unwrap()
}

#[test]
fn a_webhook_is_tried_again_after_what_may_pass() {
    let (address, asked) = server(&["503 Busy", "204 No Content"]);
    webhook::post(&address, "{\"a\":1}", Duration::from_secs(5), 2).unwrap();
    let asked = asked.join().unwrap();
    assert_eq!(asked.len(), 2);
    for request in asked {
        assert!(request.starts_with("POST /hook HTTP/1.1"), "{request}");
        assert!(request.to_lowercase().contains("content-type: application/json"), "{request}");
        assert!(request.ends_with("{\"a\":1}"), "{request}");
    }
}

#[test]
fn a_webhook_is_not_sent_elsewhere_and_not_repeated_when_refused() {
    for answer in [&["302 Found\r\nLocation: /other"], &["404 Not Found"]] {
        let (address, asked) = server(answer);
        let error = webhook::post(&address, "{}", Duration::from_secs(5), 3).unwrap_err();
        assert!(matches!(error, ureq::Error::StatusCode(302 | 404)), "{error}");
        assert_eq!(asked.join().unwrap().len(), 1);
    }
}

#[test]
fn a_webhook_that_does_not_answer_costs_its_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let began = Instant::now();
    assert!(webhook::post(&address, "{}", Duration::from_millis(300), 0).is_err());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
