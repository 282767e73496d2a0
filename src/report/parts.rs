//! Numbers as the page and the log write them.

/// As many digits as an eye can use: none from 1000, else three significant ones.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if !size.is_finite() => return "-".into(),
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    // No negative zero, and a true minus sign nowhere: the log is ASCII.
    if text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

/// The same with its sign.
pub(crate) fn signed(value: f64) -> String {
    let text = number(value);
    if value.is_finite() && !text.starts_with('-') { format!("+{text}") } else { text }
}

/// A part of a whole in per cent.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".into(),
        _ => format!("{:.1} %", 100.0 * part as f64 / whole as f64),
    }
}

/// A count with thin gaps between thousands.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join("\u{202f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_an_eye_can_use() {
        for (value, text) in [
            (4812.34, "4812"),
            (48.25, "48.2"),
            (-1.239, "-1.24"),
            (0.0471, "0.047"),
            (-0.0001, "0.000"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!((signed(2.0), signed(-2.0)), ("+2.00".into(), "-2.00".into()));
        assert_eq!((percent(1, 8), percent(0, 0)), ("12.5 %".into(), "-".into()));
        assert_eq!(count(1_234_567).replace('\u{202f}', " "), "1 234 567");
    }
}
