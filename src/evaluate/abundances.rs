//! Abundances of elements from labels: some models give [X/H], others [X/Fe].

use super::matching::Mapped;
use super::rows::Rows;

/// An element of which both tables have an abundance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    /// As in `mg_h`, in small letters.
    pub(super) symbol: String,
    /// Its label.
    label: usize,
    /// Whether the label is relative to iron.
    of_iron: bool,
}

impl Element {
    /// [X/H] of what gives the value of a label.
    pub(super) fn of_h(&self, value: impl Fn(usize) -> f64, fe_h: Option<usize>) -> f64 {
        let own = value(self.label);
        if self.of_iron { own + iron(value, fe_h) } else { own }
    }

    /// [X/Fe], which iron itself has not.
    pub(super) fn of_fe(&self, value: impl Fn(usize) -> f64, fe_h: Option<usize>) -> f64 {
        let own = value(self.label);
        if self.of_iron { own } else { own - iron(value, fe_h) }
    }

    /// Magnesium as `Mg`.
    pub(super) fn name(&self) -> String {
        let mut letters = self.symbol.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect()
    }
}

fn iron(value: impl Fn(usize) -> f64, fe_h: Option<usize>) -> f64 {
    fe_h.map_or(f64::NAN, value)
}

/// The label of [Fe/H].
pub(super) fn fe_h_of(rows: &Rows) -> Option<usize> {
    rows.label("fe_h")
}

/// The elements of the labels that both tables have; those that are relative to iron need its own.
pub(super) fn elements(rows: &Rows, mapped: &[Mapped]) -> Vec<Element> {
    let is_mapped = |name: &str| mapped.iter().any(|mapped| mapped.label == name);
    let has_iron = is_mapped("fe_h");
    let element = |(label, name): (usize, &str)| {
        let (symbol, of_iron) = match name.strip_suffix("_h") {
            Some(symbol) => (symbol, false),
            None => (name.strip_suffix("_fe")?, true),
        };
        let is_element = (1..=2).contains(&symbol.len()) && is_mapped(name);
        (is_element && (!of_iron || has_iron)).then(|| Element {
            symbol: symbol.to_owned(),
            label,
            of_iron,
        })
    };
    let mut elements: Vec<Element> = Vec::new();
    let names = rows.labels.iter().map(|label| label.name.as_str());
    for found in names.enumerate().filter_map(element) {
        // Some catalogues have an abundance in both forms.
        if elements.iter().all(|element| element.symbol != found.symbol) {
            elements.push(found);
        }
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abundances_are_converted_by_iron() {
        let values = [-0.5, 0.3];
        let value = |label: usize| values[label];
        let of_fe = Element { symbol: "mg".into(), label: 1, of_iron: true };
        assert!((of_fe.of_h(value, Some(0)) + 0.2).abs() < 1e-12);
        assert_eq!(of_fe.of_fe(value, Some(0)), 0.3);
        let of_h = Element { symbol: "mg".into(), label: 1, of_iron: false };
        assert!((of_h.of_fe(value, Some(0)) - 0.8).abs() < 1e-12);
        assert!(of_h.of_fe(value, None).is_nan());
        assert_eq!(of_h.name(), "Mg");
    }
}
