//! `starmill top`: what a running service does, in the terminal.

mod status;
mod view;

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use thiserror::Error;
use ureq::Agent;
use ureq::config::Config;

use super::Exit;
use crate::cli::TopArgs;
use crate::config::seconds;
use status::Status;

/// A service that could not be asked.
#[derive(Debug, Error)]
enum TopError {
    #[error(
        "{url}: {source}; see whether `starmill serve` runs there, or name its address with --url"
    )]
    NoAnswer { url: String, source: Box<ureq::Error> },
    #[error("{url}: the service asks for a token; give the file that holds it with --token")]
    Token { url: String },
    #[error("{path}: {source}; check the path given with --token")]
    TokenFile { path: PathBuf, source: std::io::Error },
    #[error("{url}: the answer is no status; see whether another program listens there")]
    NoStatus { url: String },
    #[error(
        "--url {url}: an address that begins with http:// is needed; starmill speaks no TLS, a tunnel of ssh -L does"
    )]
    NotPlain { url: String },
    #[error("the screen cannot be drawn on: {0}; print one screen with --once")]
    Screen(#[from] std::io::Error),
}

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// No status is near this size.
const MOST_BYTES: u64 = 8 << 20;
/// Rates that are remembered for the curve.
const REMEMBERED: usize = 600;
/// The screen of `--once`.
const PRINTED: (u16, u16) = (100, 40);

pub(super) fn top(args: &TopArgs) -> anyhow::Result<Exit> {
    let service = Service::new(args)?;
    if args.once || !std::io::stdout().is_terminal() {
        print!("{}", printed(&service.ask()?));
    } else {
        // The first answer comes before the screen is taken, so that its error can be read.
        let first = service.ask()?;
        let mut terminal = ratatui::try_init().map_err(TopError::from)?;
        let watched = watch(&mut terminal, &service, first, seconds(args.every));
        ratatui::restore();
        watched.map_err(TopError::from)?;
    }
    Ok(Exit::Success)
}

/// The service's address and how to ask it.
struct Service {
    agent: Agent,
    url: String,
    token: Option<String>,
}

impl Service {
    fn new(args: &TopArgs) -> Result<Self, TopError> {
        if !args.url.starts_with("http://") {
            return Err(TopError::NotPlain { url: args.url.clone() });
        }
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map(|token| token.trim().to_owned())
                .map_err(|source| TopError::TokenFile { path: path.clone(), source })
        };
        // A proxy of the environment is for the world outside.
        let config = Config::builder().timeout_global(Some(PATIENCE)).max_redirects(0).proxy(None);
        Ok(Self {
            agent: Agent::new_with_config(config.build()),
            url: format!("{}/api/v1/status", args.url.trim_end_matches('/')),
            token: args.token.as_ref().map(read).transpose()?,
        })
    }

    fn ask(&self) -> Result<Status, TopError> {
        let mut request = self.agent.get(&self.url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let url = || self.url.clone();
        let mut answer = request.call().map_err(|error| match error {
            ureq::Error::StatusCode(401 | 403) => TopError::Token { url: url() },
            source => TopError::NoAnswer { url: url(), source: Box::new(source) },
        })?;
        let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
        let body =
            body.map_err(|source| TopError::NoAnswer { url: url(), source: Box::new(source) })?;
        Status::parse(&body).ok_or_else(|| TopError::NoStatus { url: url() })
    }
}

/// One screen as text.
fn printed(status: &Status) -> String {
    let rates = VecDeque::from([status.rate()]);
    let Ok(mut terminal) = Terminal::new(TestBackend::new(PRINTED.0, PRINTED.1));
    let Ok(_) = terminal.draw(|frame| view::draw(frame, status, &rates, None));
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(PRINTED.0)).map(|line| {
        let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    let mut lines: Vec<String> = lines.collect();
    let used = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines.truncate(used);
    lines.join("\n") + "\n"
}

/// Draws until q is pressed. A service that goes away is said so and asked again.
fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    service: &Service,
    mut status: Status,
    every: Duration,
) -> std::io::Result<()> {
    let mut rates = VecDeque::from([status.rate()]);
    let mut lost = None;
    loop {
        terminal.draw(|frame| view::draw(frame, &status, &rates, lost.as_deref()))?;
        let next = Instant::now() + every;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            if !event::poll(left)? {
                break;
            }
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press && quits(key) => return Ok(()),
                Event::Resize(..) => {
                    terminal.draw(|frame| view::draw(frame, &status, &rates, lost.as_deref()))?;
                }
                _ => {}
            }
        }
        match service.ask() {
            Ok(new) => {
                status = new;
                lost = None;
            }
            Err(error) => lost = Some(error.to_string()),
        }
        rates.push_back(if lost.is_some() { 0.0 } else { status.rate() });
        if rates.len() > REMEMBERED {
            rates.pop_front();
        }
    }
}

fn quits(key: event::KeyEvent) -> bool {
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

#[cfg(test)]
mod tests;
