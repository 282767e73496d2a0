//! One screen: pure, from a status to cells.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Gauge, Paragraph, Sparkline};

use super::status::{Part, Status};

const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WELL: Style = Style::new().fg(Color::Green);
const FAINT: Style = Style::new().fg(Color::DarkGray);
const NAME: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws the status, the rates of the last looks, and why the service could not be asked if it
/// could not.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    status: &Status,
    rates: &VecDeque<f64>,
    lost: Option<&str>,
) {
    let all = status.all();
    let queues = all.list("queues").count().max(1);
    let [head, curve, queue_area, middle, rejects] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(5),
        Constraint::Length(height(queues)),
        Constraint::Length(height(
            all.list("nights").count().max(all.list("inboxes").count()).clamp(3, 7),
        )),
        Constraint::Min(5),
    ])
    .areas(frame.area());
    draw_head(frame, head, all, lost);
    draw_rates(frame, curve, status, rates);
    let [queue_area, stages] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)])
            .areas(queue_area);
    draw_queues(frame, queue_area, all);
    draw_stages(frame, stages, all);
    let [nights, inboxes] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(middle);
    draw_nights(frame, nights, all);
    draw_inboxes(frame, inboxes, all);
    draw_rejects(frame, rejects, all);
}

/// Lines and their frame.
fn height(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2)
}

fn block(title: &str) -> Block<'_> {
    Block::new().borders(Borders::TOP).border_style(FAINT).title(Span::styled(title, NAME))
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, all: Part<'_>, lost: Option<&str>) {
    let (counts, latency, disk) = (all.part("counts"), all.part("latency"), all.part("disk"));
    let state = match (lost, all.flag("ready")) {
        (Some(_), _) => Span::styled("lost", ALARM),
        (None, true) => Span::styled("ready", WELL),
        (None, false) => Span::styled("not ready", ALARM),
    };
    let first = Line::from(vec![
        Span::styled(format!("starmill {}  ", all.text("version")), NAME),
        state,
        Span::raw(format!("  {}  {}", all.text("model"), all.text("provider"))),
    ]);
    let second = format!(
        "files {}  rows {}  rejects {}",
        counts.count("files"),
        counts.count("rows"),
        counts.count("rejects")
    );
    let free = match (disk.number("free_bytes"), disk.number("total_bytes")) {
        (Some(free), Some(total)) if total > 0.0 => {
            let style = if free < 0.1 * total { ALARM } else { Style::new() };
            let words = format!("  disk {} free ({:.0} %)", bytes(free), 100.0 * free / total);
            Span::styled(words, style)
        }
        _ => Span::raw(""),
    };
    let latency = format!(
        "  latency p50 {}  p99 {}",
        seconds(latency.number("p50_s")),
        seconds(latency.number("p99_s"))
    );
    let sentence = match lost {
        Some(why) => Line::styled(why.to_owned(), ALARM),
        None => Line::raw(all.text("waits")),
    };
    let lines = vec![first, Line::from(vec![second.into(), latency.into(), free]), sentence];
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, status: &Status, rates: &VecDeque<f64>) {
    let title = format!("spectra a second: {:.1} ", status.rate());
    let shown = rates.iter().rev().take(usize::from(area.width)).rev();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "tenths, not below 0"
    )]
    let data: Vec<u64> = shown.map(|rate| (rate.max(0.0) * 10.0).round() as u64).collect();
    let curve = Sparkline::default().block(block(&title)).data(data).style(WELL);
    frame.render_widget(curve, area);
}

fn draw_queues(frame: &mut Frame<'_>, area: Rect, all: Part<'_>) {
    let block = block("queues ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    for (row, queue) in inner.rows().zip(all.list("queues")) {
        let [name, gauge] =
            Layout::horizontal([Constraint::Length(20), Constraint::Min(10)]).areas(row);
        let part = |used: &str, room: &str| {
            let room = queue.number(room).filter(|room| *room > 0.0)?;
            Some(queue.number(used)? / room)
        };
        // Whichever bound is nearer makes senders wait.
        let items = part("items", "capacity_items").unwrap_or(0.0);
        let full = items.max(part("bytes", "capacity_bytes").unwrap_or(0.0)).clamp(0.0, 1.0);
        let label = format!("{} of {}", queue.count("items"), queue.count("capacity_items"));
        let colour = if full > 0.9 { Color::Yellow } else { Color::Blue };
        frame.render_widget(format!("{} \u{2192} {}", queue.text("from"), queue.text("to")), name);
        frame.render_widget(Gauge::default().ratio(full).label(label).gauge_style(colour), gauge);
    }
}

fn draw_stages(frame: &mut Frame<'_>, area: Rect, all: Part<'_>) {
    let lines: Vec<Line<'_>> = all
        .list("stages")
        .map(|stage| {
            let busy = stage.number("busy").unwrap_or(0.0);
            let (name, workers) = (stage.text("name"), stage.count("workers"));
            let mut words = format!(" {name:<10} {:>3.0} % of {workers} busy", 100.0 * busy);
            if stage.count("restarts") > 0 {
                words += &format!(", {} restarts", stage.count("restarts"));
            }
            Line::raw(words)
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block(" stages ")), area);
}

fn draw_nights(frame: &mut Frame<'_>, area: Rect, all: Part<'_>) {
    let lines: Vec<Line<'_>> = all
        .list("nights")
        .map(|night| {
            let count = |key| night.count(key);
            Line::raw(format!(
                "{:<13} {:<7} {:>6} files {:>6} rows {:>5} rejects",
                night.text("name"),
                night.text("phase"),
                count("files"),
                count("rows"),
                count("rejects")
            ))
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block("nights ")), area);
}

fn draw_inboxes(frame: &mut Frame<'_>, area: Rect, all: Part<'_>) {
    let lines: Vec<Line<'_>> = all
        .list("inboxes")
        .map(|inbox| {
            let age = inbox.number("oldest_s").map(|age| format!(", {}", seconds(Some(age))));
            Line::raw(format!(
                " {}: {} waiting, {} settling{}",
                inbox.text("name"),
                inbox.count("waiting"),
                inbox.count("settling"),
                age.unwrap_or_default()
            ))
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block(" inboxes ")), area);
}

fn draw_rejects(frame: &mut Frame<'_>, area: Rect, all: Part<'_>) {
    let counts = all.counts("rejects_by_code");
    let counts: Vec<String> =
        counts.iter().map(|(code, count)| format!("{code} {count}")).collect();
    let title = if counts.is_empty() {
        "rejects: none ".into()
    } else {
        format!("rejects: {} ", counts.join(", "))
    };
    let lines: Vec<Line<'_>> = all
        .list("last_rejects")
        .take(usize::from(area.height))
        .map(|reject| {
            let remedy = reject.text("remedy");
            let remedy = if remedy.is_empty() { remedy } else { format!("  \u{2192} {remedy}") };
            Line::from(vec![
                Span::styled(format!("{} ", reject.text("code")), NAME),
                Span::raw(reject.text("file")),
                Span::styled(format!(" {}{remedy}", reject.text("detail")), FAINT),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block(&title)), area);
}

fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value < 1.0 => format!("{:.0} ms", value * 1000.0),
        Some(value) if value < 120.0 => format!("{value:.1} s"),
        Some(value) if value < 7200.0 => format!("{:.0} min", value / 60.0),
        Some(value) => format!("{:.0} h", value / 3600.0),
    }
}

fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return format!("{value:.0} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}
