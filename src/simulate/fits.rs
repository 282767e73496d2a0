//! FITS files card by card, for the survey's headers have what no library writes: axis cards beside
//! NAXIS = 0.

/// Bytes of a block.
const BLOCK: usize = 2880;

/// The cards of a header.
#[derive(Default)]
pub(super) struct Cards(Vec<u8>);

impl Cards {
    /// A number or logical value.
    pub(super) fn value(&mut self, keyword: &str, value: impl std::fmt::Display, comment: &str) {
        self.line(&format!("{keyword:<8}= {value:>20} / {comment}"));
    }

    /// A text of at most 68 characters without quotes.
    pub(super) fn text(&mut self, keyword: &str, value: &str, comment: &str) {
        let quoted = format!("'{value:<8}'");
        self.line(&format!("{keyword:<8}= {quoted:<20} / {comment}"));
    }

    fn line(&mut self, card: &str) {
        self.0.extend(format!("{card:<80.80}").bytes());
    }

    /// The header, padded to whole blocks.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.line("END");
        pad(&mut self.0, b' ');
        self.0
    }
}

/// A column of a binary table.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) values: Values,
}

/// What a column holds.
pub(super) enum Values {
    /// Single precision, TFORM E.
    Float(Vec<f32>),
    /// 16-bit integers, TFORM I.
    Short(Vec<u8>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Short(values) => values.len(),
        }
    }

    fn form(&self) -> (char, usize) {
        match self {
            Self::Float(_) => ('E', 4),
            Self::Short(_) => ('I', 2),
        }
    }

    fn put(&self, at: usize, bytes: &mut Vec<u8>) {
        match self {
            Self::Float(values) => bytes.extend(values[at].to_be_bytes()),
            Self::Short(values) => bytes.extend(i16::from(values[at]).to_be_bytes()),
        }
    }
}

/// A table extension: a row for each pixel, or one row of vector cells.
pub(super) fn table(name: &str, columns: &[Column], in_cells: bool, more: Cards) -> Vec<u8> {
    let pixels = columns.first().map_or(0, |column| column.values.len());
    let pixel_bytes: usize = columns.iter().map(|column| column.values.form().1).sum();
    let (width, rows) = if in_cells { (pixel_bytes * pixels, 1) } else { (pixel_bytes, pixels) };
    let mut cards = Cards::default();
    cards.text("XTENSION", "BINTABLE", "binary table");
    cards.value("BITPIX", 8, "");
    cards.value("NAXIS", 2, "");
    cards.value("NAXIS1", width, "bytes of a row");
    cards.value("NAXIS2", rows, "rows");
    cards.value("PCOUNT", 0, "");
    cards.value("GCOUNT", 1, "");
    cards.value("TFIELDS", columns.len(), "columns");
    cards.text("EXTNAME", name, "The extension name");
    cards.0.extend(more.0);
    for (number, column) in (1..).zip(columns) {
        let (letter, _) = column.values.form();
        let form = if in_cells { format!("{pixels}{letter}") } else { letter.to_string() };
        cards.text(&format!("TTYPE{number}"), column.name, "");
        cards.text(&format!("TFORM{number}"), &form, "");
    }
    let mut bytes = cards.end();
    if in_cells {
        for column in columns {
            for pixel in 0..pixels {
                column.values.put(pixel, &mut bytes);
            }
        }
    } else {
        for pixel in 0..pixels {
            for column in columns {
                column.values.put(pixel, &mut bytes);
            }
        }
    }
    pad(&mut bytes, 0);
    bytes
}

/// The data block of a float image, row by row.
pub(super) fn image(rows: &[&[f32]]) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        rows.iter().flat_map(|row| row.iter().flat_map(|value| value.to_be_bytes())).collect();
    pad(&mut bytes, 0);
    bytes
}

fn pad(bytes: &mut Vec<u8>, with: u8) {
    bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, with);
}
