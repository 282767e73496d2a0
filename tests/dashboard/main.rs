//! The page in a browser: a real board and a real server, a night that is made up.
//!
//! Needs `chromium-headless-shell` or another Chromium; without one it says so. The pictures lie in
//! `STARMILL_PICTURES`, if that names a folder, to be looked at.

mod browser;
mod contrast;
mod feed;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use browser::Browser;
use starmill::http::{self, HttpSettings};

/// A name that a page made of markup would run.
const HOSTILE: &str = "<img src=x onerror=alert(1)>.fits";

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn browser() -> Option<PathBuf> {
    let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
    let folders = std::env::var_os("PATH")?;
    let mut places =
        std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = places.find(|place| place.is_file());
    if found.is_none() {
        println!("skipped: the page needs a browser; apt-get install chromium-headless-shell");
    }
    found
}

/// What the browser prints for the page, after letting it live for some seconds.
fn visit(browser: &Path, url: &str, arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .arg("60")
        .arg(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=5000"])
        .args(arguments)
        .arg(url)
        .output()
        .expect("the browser starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn settings() -> HttpSettings {
    HttpSettings {
        address: "127.0.0.1:0".into(),
        token_file: PathBuf::new(),
        hosts: Vec::new(),
        max_connections: 64,
        max_streams: 16,
        timeout: 10.0,
    }
}

#[test]
fn the_page_asks_for_a_token_that_is_needed() {
    let Some(browser) = browser() else { return };
    let night = feed::Night::begin("a.fits");
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "a-token-of-many-letters").unwrap();
    std::fs::set_permissions(&token_file, PermissionsExt::from_mode(0o600)).unwrap();
    let server =
        http::start(&HttpSettings { token_file, ..settings() }, Arc::clone(&night.board)).unwrap();
    let page = visit(&browser, &format!("http://{}/", server.address()), &["--dump-dom"]);
    assert!(page.contains("<form id=\"ask\">"), "the form is hidden: {page}");
    assert!(!page.contains("fcresnet"), "data without a token");
}

#[test]
fn the_page_shows_the_night_and_runs_nothing_that_a_file_is_named() {
    let Some(browser) = browser() else { return };
    let night = feed::Night::begin(HOSTILE);
    let server = http::start(&settings(), Arc::clone(&night.board)).unwrap();
    let url = format!("http://{}/", server.address());
    // Some ticks, so that the board has seen the queues.
    std::thread::sleep(Duration::from_secs(3));

    let page = visit(&browser, &url, &["--dump-dom"]);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;.fits"), "{page}");
    assert!(!page.contains("<img"), "a name became markup");
    assert!(page.contains("infer") && page.contains("not_fits"), "{page}");
    assert!(page.contains(">live<"), "the page follows no events: {page}");
    assert!(page.contains("Kiel diagram of the last"), "a plot says nothing in words");

    let kept = std::env::var_os("STARMILL_PICTURES").map(PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().unwrap_or(folder.path());
    for (name, size) in [
        ("desk", "1280,800"),
        ("desk-long", "1280,2600"),
        ("phone", "360,740"),
        ("phone-long", "360,5200"),
    ] {
        for theme in ["dark", "red", "light"] {
            let picture = folder.join(format!("{name}-{theme}.png"));
            let screenshot = format!("--screenshot={}", picture.display());
            visit(
                &browser,
                &format!("{url}#{theme}"),
                &[&screenshot, &format!("--window-size={size}")],
            );
            let drawn = image::open(&picture).expect("a picture").to_rgb8();
            let is_lit = |pixel: &&image::Rgb<u8>| pixel.0.iter().any(|&value| value > 60);
            assert!(drawn.pixels().filter(is_lit).count() > 5000, "{name} {theme} is empty");
            // The eye stays adapted to the dark only where nothing but red shines.
            let keeps_eyes = |pixel: &image::Rgb<u8>| pixel.0[1] < 90 && pixel.0[2] < 90;
            assert!(theme != "red" || drawn.pixels().all(keeps_eyes), "{name} is not red alone");
        }
    }
    server.stop();
}

#[test]
fn the_page_says_that_it_has_lost_the_service_and_goes_on_when_it_is_back() {
    let Some(program) = browser() else { return };
    let night = feed::Night::begin("a.fits");
    let server = http::start(&settings(), Arc::clone(&night.board)).unwrap();
    let address = server.address().to_string();
    let mut page = Browser::open(&program, &format!("http://{address}/"));
    let live = "document.getElementById('link')?.textContent === 'live'";
    let rows = "Number(document.title.split(' ')[0])";
    page.wait_until(live);
    page.wait_until(&format!("{rows} > 0"));
    let before = page.evaluate(rows).as_u64().unwrap();
    assert_eq!(page.evaluate("document.getElementById('lost').hidden"), true);

    server.stop();
    page.wait_until("!document.getElementById('lost').hidden");
    let said = page.evaluate("document.getElementById('lost').innerText");
    let said = said.as_str().unwrap();
    assert!(said.starts_with("No connection since ") && said.ends_with("trying again."), "{said}");
    assert_eq!(page.evaluate("document.getElementById('link').textContent"), "no connection");
    assert_eq!(page.evaluate("document.getElementById('main').className"), "stale");
    assert_eq!(page.evaluate(rows), before, "what was known is still shown");

    night.more(50, SystemTime::now());
    let server = http::start(&HttpSettings { address, ..settings() }, Arc::clone(&night.board));
    page.wait_until(live);
    page.wait_until("document.getElementById('lost').hidden");
    page.wait_until(&format!("{rows} > {before}"));
    assert_eq!(page.evaluate("document.getElementById('main').className"), "");
    server.unwrap().stop();
}
