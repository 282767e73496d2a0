//! The columns of a published catalogue, under our names: Table 3 of Xiong et al. 2022, A Model `RRNet`
//! for Spectral Information Exploitation and LAMOST Medium-resolution Spectrum Parameter Estimation.
//!
//! What is no label is here; the labels have their published names in the model's manifest.

use super::columns::Column;

/// Name in the publication, and ours. Its `flag` is 1 for good, so that ours is the opposite.
pub(super) const OBSERVATION: [(&str, &str); 9] = [
    ("obsid", "obsid"),
    ("filename", "file"),
    ("ra", "ra"),
    ("dec", "dec"),
    ("extname_blue", "extname_blue"),
    ("extname_red", "extname_red"),
    ("snr_blue", "snr_blue"),
    ("snr_red", "snr_red"),
    ("not flag", "flag_bad"),
];

/// The same of the labels, each of which has an error beside it: `Teff[K]_err` is `teff_err`.
pub(super) const LABELS: [(&str, &str); 17] = [
    ("Teff[K]", "teff"),
    ("Logg", "logg"),
    ("CH", "c_h"),
    ("NH", "n_h"),
    ("OH", "o_h"),
    ("MgH", "mg_h"),
    ("AlH", "al_h"),
    ("SiH", "si_h"),
    ("SH", "s_h"),
    ("KH", "k_h"),
    ("CaH", "ca_h"),
    ("TiH", "ti_h"),
    ("CrH", "cr_h"),
    ("MnH", "mn_h"),
    ("FeH", "fe_h"),
    ("NiH", "ni_h"),
    ("CuH", "cu_h"),
];

/// Gives the columns of an observation their published names.
pub(super) fn name_as_published(columns: &mut [Column]) {
    for (published, ours) in OBSERVATION {
        if let Some(column) = columns.iter_mut().find(|column| column.name == ours) {
            published.clone_into(&mut column.alias);
        }
    }
}

/// The table as Markdown, with how the names are found in a catalogue.
pub(super) fn page() -> String {
    let mut page = String::from(
        "\n## Names of the published RRNet catalogue\n\n\
         Every column of Table 3 of Xiong et al. 2022 and the one that it is here. Catalogues of \
         medium-resolution models have the published name of a column in FITS as the keyword \
         `TALIn` of the n-th column, in Parquet as `alias` in the metadata of its field; \
         `starmill catalogue columns --model rrnet` prints them.\n\n\
         | published | here |\n|---|---|\n",
    );
    let errors = |(published, ours): (&str, &str)| {
        format!("| `{published}`, `{published}_err` | `{ours}`, `{ours}_err` |\n")
    };
    let single = |(published, ours): (&str, &str)| format!("| `{published}` | `{ours}` |\n");
    let (flag, before) = OBSERVATION.split_last().expect("the table is not empty");
    page.extend(before.iter().copied().map(single));
    page.extend(LABELS.map(errors));
    page += &format!("| `flag`, 1 for good | `{}`, false for good (`{}`) |\n", flag.1, flag.0);
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{LabelColumn, ModelColumns, Schema};

    #[test]
    fn every_published_column_is_an_alias_of_one_of_ours() {
        let label = |(alias, name): (&str, &str)| LabelColumn {
            name: name.into(),
            alias: alias.into(),
            ..LabelColumn::default()
        };
        let labels = LABELS.map(label).into();
        let model = ModelColumns { labels, errors: true, vectors: Vec::new() };
        let schema = Schema::of_model("rrnet 1", &model).with_medium();
        let found: Vec<&str> = schema
            .rows()
            .map(|column| column.alias.as_str())
            .filter(|name| !name.is_empty())
            .collect();
        assert_eq!(found.len(), 43, "{found:?}");
        let with_error = |(name, _): (&str, &str)| [name.to_owned(), format!("{name}_err")];
        let labels = LABELS.into_iter().flat_map(with_error);
        let others = OBSERVATION.map(|(name, _)| name.to_owned());
        for name in others.into_iter().chain(labels) {
            assert!(found.contains(&name.as_str()), "{name} is not among {found:?}");
        }
        let low = Schema::of_model("fcresnet 1", &ModelColumns::default());
        assert!(low.rows().all(|column| column.alias.is_empty()));
    }
}
