use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use super::*;

fn status() -> serde_json::Value {
    serde_json::json!({
        "version": "0.1.0", "ready": true, "model": "fcresnet 1.0.0", "provider": "CPUExecutionProvider",
        "counts": { "files": 120, "rows": 117, "rejects": 3 },
        "rate_per_s": 12.5,
        "latency": { "p50_s": 0.42, "p99_s": 2.5 },
        "queues": [
            { "from": "read", "to": "prepare", "items": 64, "capacity_items": 128, "bytes": 10, "capacity_bytes": 1000 },
            { "from": "prepare", "to": "infer", "items": 1, "capacity_items": 512, "bytes": 990, "capacity_bytes": 1000 },
        ],
        "stages": [{ "name": "read", "workers": 2, "busy": 0.75, "restarts": 1 }],
        "rejects_by_code": { "corrupt_fits": 1, "not_fits": 2 },
        "last_rejects": [
            { "code": "corrupt_fits", "file": "evil\u{1b}[2Jname.fits", "detail": "", "remedy": "fetch it again" },
            { "code": "not_fits", "file": "old.fits", "detail": "HDU 0", "remedy": "remove it" },
        ],
        "nights": [{ "name": "2026-11-21", "phase": "open", "files": 120, "rows": 117, "rejects": 3 }],
        "inboxes": [{ "name": "live", "waiting": 7, "settling": 2, "oldest_s": 130.0 }],
        "disk": { "free_bytes": 5e9, "total_bytes": 1e11 },
        "waits": "read waits for prepare",
    })
}

fn shown(status: &serde_json::Value) -> String {
    printed(&Status::parse(status.to_string().as_bytes()).unwrap())
}

#[test]
fn a_screen_says_what_the_service_says() {
    let screen = shown(&status());
    for words in [
        "starmill 0.1.0  ready  fcresnet 1.0.0  CPUExecutionProvider",
        "files 120  rows 117  rejects 3  latency p50 420 ms  p99 2.5 s  disk 5 GB free (5 %)",
        "read waits for prepare",
        "spectra a second: 12.5",
        "read \u{2192} prepare",
        "64 of 128",
        "read        75 % of 2 busy, 1 restarts",
        "2026-11-21    open       120 files    117 rows     3 rejects",
        "live: 7 waiting, 2 settling, 2 min",
        "rejects: not_fits 2, corrupt_fits 1",
        "\u{2192} fetch it again",
    ] {
        assert!(screen.contains(words), "{words:?} is missing:\n{screen}");
    }
    // The newest reject stands first as in the answer, and no name can move the cursor.
    assert!(screen.find("evil").unwrap() < screen.find("old.fits").unwrap());
    assert!(!screen.contains('\u{1b}'));
}

#[test]
fn a_queue_is_as_full_as_its_nearer_bound() {
    let status = Status::parse(status().to_string().as_bytes()).unwrap();
    let mut terminal = Terminal::new(TestBackend::new(100, 40)).unwrap();
    terminal.draw(|frame| view::draw(frame, &status, &VecDeque::new(), None)).unwrap();
    let buffer = terminal.backend().buffer();
    // A gauge colours its cells; the second queue is full by bytes, the first half full by items.
    let yellow = |row: u16| {
        (0..60).filter(move |&x: &u16| {
            let cell = &buffer[(x, row)];
            cell.fg == ratatui::style::Color::Yellow || cell.bg == ratatui::style::Color::Yellow
        })
    };
    let row = (0..40).find(|&row| yellow(row).count() > 30).expect("a queue that is nearly full");
    let line: String = (0..60).map(|x| buffer[(x, row)].symbol()).collect();
    assert!(line.starts_with("prepare"), "{line}");
}

#[test]
fn a_service_of_another_version_is_shown_as_far_as_it_is_understood() {
    let screen = shown(&serde_json::json!({ "counts": 7, "queues": [null, {}], "nights": "none" }));
    assert!(screen.contains("not ready") && screen.contains("rejects: none"), "{screen}");
    assert!(Status::parse(b"[1]").is_none() && Status::parse(b"<html>").is_none());
    // A terminal of any size can be drawn on.
    let status = Status::parse(status().to_string().as_bytes()).unwrap();
    for (width, height) in [(1, 1), (20, 5), (300, 100)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| view::draw(frame, &status, &VecDeque::from([1.0]), Some("gone")))
            .unwrap();
    }
}

fn args(url: String) -> TopArgs {
    TopArgs { url, token: None, once: true, every: 1.0 }
}

fn ask(answer: &'static str, token: Option<PathBuf>) -> (Result<Status, TopError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        stream.write_all(answer.as_bytes()).unwrap();
        head.join("\n")
    });
    let asked = Service::new(&TopArgs { token, ..args(url) }).unwrap().ask();
    (asked, server.join().unwrap())
}

#[test]
fn the_service_is_asked_for_its_status_with_the_token_of_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret\n").unwrap();
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"ready\": true}";
    let (status, head) = ask(answer, Some(file.path().to_owned()));
    assert!(status.unwrap().all().flag("ready"));
    assert!(head.starts_with("GET /api/v1/status HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer secret"), "{head}");
}

#[test]
fn what_is_wrong_is_said_with_the_remedy() {
    let unauthorized =
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<html";
    for (answer, says) in [(unauthorized, "--token"), (page, "no status")] {
        let error = ask(answer, None).0.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    // The port was free a moment ago.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = top(&args(format!("http://{closed}"))).unwrap_err().to_string();
    assert!(error.contains("see whether `starmill serve` runs there"), "{error}");
    let error = top(&args("https://x".into())).unwrap_err().to_string();
    assert!(error.contains("ssh -L"), "{error}");
}
