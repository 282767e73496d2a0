//! An evaluation as text for a terminal.

use super::agreement::{Agreement, Bin, Binned, LabelAgreement, Whose};
use super::repeats::{LabelRepeats, Repeats};
use super::statistics::{Pulls, Scatter, Summary};
use super::{Evaluated, Evaluation};
use crate::report::parts::{number, signed};

/// The evaluation in lines.
pub fn lines(evaluation: &Evaluation) -> Vec<String> {
    let mut lines = catalogue(&evaluation.catalogue);
    if let Some(found) = &evaluation.agreement {
        lines.push(String::new());
        lines.extend(agreement(found));
    }
    if let Some(found) = &evaluation.repeats {
        lines.push(String::new());
        lines.extend(repeats(found));
    }
    lines
}

fn catalogue(catalogue: &Evaluated) -> Vec<String> {
    let Evaluated { path, model, rows, left_out, evaluated, snr, .. } = catalogue;
    let mut lines = vec![format!("catalogue {path}: {evaluated} of {rows} rows evaluated")];
    if !model.is_empty() {
        lines[0] += &format!(", model {model}");
    }
    if catalogue.where_good {
        lines.push(format!(
            "left out: {} rows with flag_bad (--where-good false keeps them)",
            left_out.bad
        ));
    }
    if let Some(least) = catalogue.min_snr {
        lines
            .push(format!("left out: {} rows with S/N below {least} or unknown", left_out.low_snr));
    }
    if let Some(list) = &catalogue.only {
        lines.push(format!(
            "left out: {} rows that the list does not hold ({list})",
            left_out.unlisted
        ));
    }
    let snr = if snr.is_empty() { "unknown: the table has no such column" } else { snr };
    lines.push(format!("S/N: {snr}"));
    lines
}

fn agreement(found: &Agreement) -> Vec<String> {
    let Agreement { path, rows, matched_by, matched, ambiguous, missing, labels, .. } = found;
    let mut lines =
        vec![format!("reference {path}: {rows} rows, {matched} matched by {matched_by}")];
    if *ambiguous > 0 {
        lines.push(format!(
            "{ambiguous} rows have several partners: the nearest counts, or the first with that key"
        ));
    }
    if !missing.is_empty() {
        lines.push(format!("not compared, since the reference lacks them: {}", missing.join(", ")));
    }
    lines.push(String::new());
    let header =
        ["label", "unit", "reference", "N", "mean", "std", "MAE", "median", "robust", "outliers"];
    lines.extend(aligned(&header, labels.iter().map(residual_row)));
    lines.push(
        "residual: catalogue less reference; std: about the mean; robust: 1.4826 times the".into(),
    );
    lines.push(
        "median absolute deviation; outliers: beyond 3 robust sigma of the median, per cent".into(),
    );
    lines.push(String::new());
    lines.extend(pulls(labels));
    for quantity in 0..labels.first().map_or(0, |label| label.bins.len()) {
        lines.extend(binned(labels, quantity));
    }
    lines
}

fn residual_row(found: &LabelAgreement) -> Vec<String> {
    let LabelAgreement { label, reference, all, .. } = found;
    let column = match reference.unit.as_str() {
        "" => reference.column.clone(),
        unit => format!("{} [{unit}]", reference.column),
    };
    let mut row = vec![label.name.clone(), unit(&label.unit), column];
    row.extend(all.map_or_else(
        || std::iter::once("0".into()).chain(vec!["-".into(); 6]).collect::<Vec<_>>(),
        |Summary { count, mean, std, mae, median, robust_sigma, outliers }| {
            let numbers = [
                signed(mean),
                spread(count, std),
                number(mae),
                signed(median),
                spread(count, robust_sigma),
            ];
            std::iter::once(count.to_string()).chain(numbers).chain([percent(outliers)]).collect()
        },
    ));
    row
}

fn pulls(labels: &[LabelAgreement]) -> Vec<String> {
    let found = labels.iter().filter_map(|label| Some((label, label.pulls?)));
    let rows: Vec<Vec<String>> = found
        .map(
            |(
                found,
                Pulls { count, mean, std, median, robust_sigma, coverage_68, coverage_95 },
            )| {
                vec![
                    found.label.name.clone(),
                    found.reference.error.clone().unwrap_or_else(|| "none".into()),
                    count.to_string(),
                    signed(mean),
                    number(std),
                    signed(median),
                    number(robust_sigma),
                    percent(coverage_68),
                    percent(coverage_95),
                ]
            },
        )
        .collect();
    if rows.is_empty() {
        return vec!["the catalogue quotes no errors, so there are no pulls".into()];
    }
    let header =
        ["pulls", "error of reference", "N", "mean", "std", "median", "robust", "68 %", "95 %"];
    let mut lines = aligned(&header, rows);
    lines.push(
        "pull: residual by its quoted error, with the reference's where it has one; 68 %, 95 %:"
            .into(),
    );
    lines.push(
        "rows within 1 and 1.96 quoted errors, in per cent: 68.3 and 95 where errors are right"
            .into(),
    );
    lines
}

/// One column for each bin of a quantity in which any label has a residual. All labels are binned by
/// the same ones.
fn binned(labels: &[LabelAgreement], quantity: usize) -> Vec<String> {
    let found: Vec<(&LabelAgreement, &[Bin])> =
        labels.iter().map(|label| (label, label.bins[quantity].bins.as_slice())).collect();
    let Some((label, first)) = found.first() else { return Vec::new() };
    let Binned { by, of, .. } = &label.bins[quantity];
    let has = |bin: &usize| found.iter().any(|(_, bins)| bins[*bin].summary.is_some());
    let shown: Vec<usize> = (0..first.len()).filter(has).collect();
    if shown.is_empty() {
        return Vec::new();
    }
    let names = shown.iter().map(|bin| first[*bin].range.name());
    let header: Vec<String> = std::iter::once(format!("by {by}")).chain(names).collect();
    let cell = |summary: Option<Summary>| {
        summary.map_or("-".into(), |Summary { median, robust_sigma, count, .. }| {
            format!("{} {} ({count})", signed(median), spread(count, robust_sigma))
        })
    };
    let rows = found.iter().map(|(label, bins)| {
        let cells = shown.iter().map(|bin| cell(bins[*bin].summary));
        std::iter::once(label.label.name.clone()).chain(cells).collect()
    });
    let title = format!(
        "median, robust sigma (N) by {by}{}",
        match of {
            Whose::Catalogue => "",
            Whose::Reference => " of the reference",
        }
    );
    [String::new(), title].into_iter().chain(aligned(&header, rows)).collect()
}

fn repeats(repeats: &Repeats) -> Vec<String> {
    let Repeats { matched_by, stars, visits, pairs, unpaired, without_snr, labels } = repeats;
    let mut lines = vec![format!(
        "repeat visits by {matched_by}: {stars} stars, {visits} visits, {pairs} pairs"
    )];
    if *unpaired > 0 {
        lines.push(format!("{unpaired} visits of stars with very many are not paired"));
    }
    if *without_snr > 0 {
        lines.push(format!("{without_snr} pairs have no S/N and are in no bin"));
    }
    let header = ["label", "unit", "pairs", "scatter", "robust", "quoted", "pull", "68 %", "95 %"];
    let rows = labels.iter().map(|found| {
        let mut row = vec![found.label.name.clone(), unit(&found.label.unit)];
        row.extend(found.all.map_or_else(|| vec!["-".into(); 7], |all| scatter_cells(&all)));
        row
    });
    lines.push(String::new());
    lines.extend(aligned(&header, rows));
    lines.push(
        "scatter: rms difference of a pair / sqrt 2; robust: 1.4826 median |difference| / sqrt 2;"
            .into(),
    );
    lines.push("quoted: rms of the catalogue's errors; pull: robust sigma of difference / its quoted error,".into());
    lines.push(
        "1 where errors are right; 68 %, 95 %: pairs within 1 and 1.96 quoted errors, in per cent"
            .into(),
    );
    lines.push(String::new());
    lines.push("robust scatter / quoted error (pairs) by S/N of a pair".into());
    lines.extend(by_snr(labels));
    lines
}

fn scatter_cells(all: &Scatter) -> Vec<String> {
    let pulls = |value: fn(&super::statistics::PairPulls) -> String| {
        all.pulls.as_ref().map_or("-".into(), value)
    };
    vec![
        all.pairs.to_string(),
        number(all.scatter),
        number(all.robust_scatter),
        all.quoted.map_or("-".into(), number),
        pulls(|pulls| number(pulls.robust_sigma)),
        pulls(|pulls| percent(pulls.coverage_68)),
        pulls(|pulls| percent(pulls.coverage_95)),
    ]
}

/// One column for each bin in which any label has a pair.
fn by_snr(labels: &[LabelRepeats]) -> Vec<String> {
    let bins = labels.first().map_or(0, |label| label.by_snr.len());
    let has = |bin: &usize| labels.iter().any(|label| label.by_snr[*bin].scatter.is_some());
    let shown: Vec<usize> = (0..bins).filter(has).collect();
    let names = shown.iter().map(|bin| labels[0].by_snr[*bin].range.name());
    let header: Vec<String> = std::iter::once("label".into()).chain(names).collect();
    let cell = |scatter: &Option<Scatter>| match scatter {
        None => "-".into(),
        Some(Scatter { robust_scatter, quoted: None, pairs, .. }) => {
            format!("{} ({pairs})", number(*robust_scatter))
        }
        Some(Scatter { robust_scatter, quoted: Some(quoted), pairs, .. }) => {
            format!("{}/{} ({pairs})", number(*robust_scatter), number(*quoted))
        }
    };
    let rows = labels.iter().map(|label| {
        let cells = shown.iter().map(|bin| cell(&label.by_snr[*bin].scatter));
        std::iter::once(label.label.name.clone()).chain(cells).collect()
    });
    aligned(&header, rows)
}

fn unit(unit: &str) -> String {
    if unit.is_empty() { "-".into() } else { unit.into() }
}

/// How far so many values spread; one alone does not.
pub(super) fn spread(count: usize, value: f64) -> String {
    if count > 1 { number(value) } else { "-".into() }
}

/// A part in per cent.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1}", 100.0 * part)
}

/// A table: the first column to the left, the others to the right.
pub(super) fn aligned(
    header: &[impl AsRef<str>],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Vec<String> {
    let header = header.iter().map(|name| name.as_ref().to_owned()).collect();
    let table: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let columns = table[0].len();
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(number, (cell, &width))| {
            if number == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    table.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_no_spread() {
        assert_eq!(spread(1, 0.0), "-");
        assert_eq!(spread(2, 0.5), number(0.5));
    }
}
