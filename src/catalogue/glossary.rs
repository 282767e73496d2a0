//! The columns, flags and codes in words.

use super::columns::{Column, Schema};
use super::published;

const CHI2: &str = "\n## How well labels fit (`chi2`)\n\n\
     Where the manifest of a model names a forward model, each row is held against its spectrum at \
     the row's labels, moved by the known radial velocity (`rv`, else the survey's `z`). Data and \
     model are divided by themselves smoothed with a Gaussian of 50 A; nothing else is fitted. \
     What the air and the sky leave is left out: bands of oxygen and water, sky lines, and for models \
     of low resolution whatever repeat visits of a star disagree on (`skip` in the manifest). \
     Abundances that the model does not give follow iron (`ASSUMED` in the header). The variance is \
     that of the noise, of the forward model, and of what the errors of labels, of the velocity and \
     of the sky that the manifest states leave, so that `chi2_red` of good rows is near 1 or, at high S/N, below it. `worst_wave` \
     and `worst_chi2` are of the 100 A that are furthest beyond their limit or nearest to it, and \
     `poor_fit` is set beyond a limit that one in a hundred good *synthetic* rows exceeds.\n\n\
     `chi2_state` says which rows have one: 0 yes; 1 yes, at a velocity that was looked for because \
     none is known; 2 no, labels lie where the forward model was not trained; 3 no, too little of the \
     spectrum lies in its window. Models that are fitted (`payne`) have the `chi2` of their fit and 1, \
     since a fit looks for the velocity; their regions are the same, and their limits stand in their \
     own manifest.\n";

/// The columns, flags and codes as Markdown.
pub fn glossary(schema: &Schema) -> String {
    let mut page = String::from(
        "# Catalogue columns, flags and codes\n\n\
         Written by `starmill catalogue columns --markdown`; do not edit.\n\n\
         `spectrum_id` is survey:lmjd-planid-spid-fiberid, for a single exposure with -lmjm behind \
         it; of a table with many spectra it is survey:obsid-row. A clean sample is `flag_bad = false` with the S/N that your question needs.\n\n\
         A file with other bytes of an observation is another reduction of it. `reduction` is 1 \
         in the row of the newest (by `DATE`, then the smaller digest) and, with \
         `catalogue.reductions = \"all\"`, 2, 3, ... in the rows of the others, whose \
         `older_reduction` sets `flag_bad`; by default the others are rejects. A file that is \
         rewritten counts with what it holds now. The volumes of a night (`DATE`, `DATE+1`, ...) \
         are numbered each as if all up to it were one: put them together in this order, keep \
         `reduction = 1`, and of each `spectrum_id` the last row.\n",
    );
    let table = |title: &str, columns: Vec<&Column>| {
        let mut text = format!(
            "\n## {title}\n\n| column | type | unit | UCD | meaning |\n|---|---|---|---|---|\n"
        );
        for column in columns {
            let Column { name, kind, unit, ucd, description, alias, .. } = column;
            let shape = if column.shape.is_empty() {
                String::new()
            } else {
                format!(", shape {}", column.shape_text())
            };
            let alias =
                if alias.is_empty() { String::new() } else { format!("; published as `{alias}`") };
            text += &format!(
                "| `{name}` | {kind:?}{shape} | {unit} | {ucd} | {description}{alias} |\n"
            );
        }
        text
    };
    page += &table("catalogue", schema.rows().collect());
    page += &table("rejects", schema.rejects().collect());
    let medium = Schema::medium();
    page += &table("medium-resolution surveys, beside `fibermask`", medium.iter().collect());
    page += "\nThe table of rejects has those but `rv` and `rv_err`.\n";
    page += &table("Gaia XP, beside `fibermask`", Schema::gaia().iter().collect());
    page += "\nThey are in the table of rejects as well.\n";
    page += CHI2;
    page += &published::page();
    page += "\n## Quality bits (`flags`)\n\n| bit | value | name | sets `flag_bad` | meaning |\n|---|---|---|---|---|\n";
    for bit in crate::quality::BITS {
        let (value, bad) = (1u32 << bit.bit, if bit.bad { "yes" } else { "no" });
        page += &format!("| {} | {value} | `{}` | {bad} | {} |\n", bit.bit, bit.name, bit.meaning);
    }
    page += &format!("\nBits {} to 30 are reserved.\n", crate::quality::BITS.len());
    page +=
        "\n## Reject codes (`code`)\n\n| code | reason | meaning | remedy |\n|---|---|---|---|\n";
    for entry in crate::reject::CODES {
        let number = entry.code.number();
        page +=
            &format!("| {number} | `{}` | {} | {} |\n", entry.name, entry.meaning, entry.remedy);
    }
    page
}
