//! Files of two-armed spectrographs from a description, in both layouts: each arm a table of its own,
//! sound but for what was changed in its names, sizes, columns, order and values.

use arbitrary::Arbitrary;

use crate::hostile::{Edit, Extension, Fill, append, card, header};

/// The most arms of a file; a real one has some twenty.
const MOST_ARMS: usize = 12;
/// The most pixels of an arm, so that a file stays small.
const MOST_PIXELS: u16 = 384;
/// Local modified Julian minutes of exposures, of which some are one.
const MINUTES: [&str; 5] = ["83555758", "83555772", "83555785", "0", "9999999999"];

/// A file that is a survey's but for what was changed.
#[derive(Debug, Clone, Arbitrary)]
pub struct File {
    /// The primary header alone: an edit's `primary` says nothing here.
    edits: Vec<Edit>,
    arms: Vec<Arm>,
    /// Behind the arms.
    after: Vec<Extension>,
    /// Bytes missing at the end.
    cut: Option<u16>,
}

#[derive(Debug, Clone, Arbitrary)]
struct Arm {
    /// The letter is the colour of the wavelengths, too.
    is_blue: bool,
    held: Held,
    layout: Layout,
    pixels: u16,
    /// As red exposures are.
    descending: bool,
    /// Wavelength, flux, ivar, mask, ormask.
    fills: [Fill; 5],
    /// Columns that are left out, by bit.
    without: u8,
    /// What the header says of rows or cells, where that is not what there is.
    rows: Option<u32>,
    repeat: Option<u32>,
    edits: Vec<Edit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Held {
    Coadd,
    /// One of [`MINUTES`].
    Exposure(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Layout {
    Rows,
    Cells,
    /// One row of vectors under the names of the older layout.
    Mixed,
}

impl File {
    /// The file's bytes: at most some 150 kB.
    pub fn to_bytes(&self) -> Vec<u8> {
        let arms = &self.arms[..self.arms.len().min(MOST_ARMS)];
        let mut primary = vec![card("SIMPLE", "T"), card("BITPIX", "16"), card("NAXIS", "0")];
        primary.extend([card("EXTEND", "T"), card("TELESCOP", "'LAMOST'")]);
        primary.push(card("N_EXTEN", &(1 + arms.len()).to_string()));
        primary.extend([card("OBSID", "589000001"), card("LMJD", "58025")]);
        primary.extend([card("PLANID", "'HIP9645901'"), card("SPID", "2"), card("FIBERID", "51")]);
        primary.extend([card("COMBIN_B", "T"), card("COMBIN_R", "T")]);
        for edit in self.edits.iter().take(16) {
            edit.apply(&mut primary);
        }
        let mut bytes = header(&primary);
        for arm in arms {
            arm.write(&mut bytes);
        }
        for extension in self.after.iter().take(2) {
            extension.write(&mut bytes);
        }
        let cut = usize::from(self.cut.unwrap_or(0)).min(bytes.len());
        bytes.truncate(bytes.len() - cut);
        bytes
    }
}

impl Arm {
    fn write(&self, bytes: &mut Vec<u8>) {
        let pixels = usize::from(self.pixels % MOST_PIXELS);
        let columns = self.columns(pixels);
        let width: usize = columns.iter().map(|column| column.form.1).sum();
        let (rows, repeat) = match self.layout {
            Layout::Rows => (pixels, 1),
            Layout::Cells | Layout::Mixed => (1, pixels),
        };
        let said = |said: Option<u32>, real: usize| said.map_or(real, |said| said as usize);
        let mut cards = vec![card("XTENSION", "'BINTABLE'"), card("BITPIX", "8")];
        cards.extend([card("NAXIS", "2"), card("NAXIS1", &(width * repeat).to_string())]);
        cards.extend([card("NAXIS2", &said(self.rows, rows).to_string()), card("PCOUNT", "0")]);
        cards.extend([card("GCOUNT", "1"), card("TFIELDS", &columns.len().to_string())]);
        let letter = if self.is_blue { 'B' } else { 'R' };
        let (name, further) = match self.held {
            Held::Coadd => (format!("COADD_{letter}"), ("LMJMLIST", "'83555758-83555772'")),
            Held::Exposure(minute) => {
                let minute = MINUTES[usize::from(minute) % MINUTES.len()];
                (format!("{letter}-{minute}"), ("EXPTIME", "600"))
            }
        };
        cards.extend([card("EXTNAME", &format!("'{name}'")), card(further.0, further.1)]);
        cards.push(card("SNR", "45.5"));
        for (field, column) in (1..).zip(&columns) {
            let form = format!("'{}{}'", said(self.repeat, repeat), column.form.0);
            cards.push(card(&format!("TTYPE{field}"), &format!("'{}'", column.name)));
            cards.push(card(&format!("TFORM{field}"), &form));
        }
        for edit in self.edits.iter().take(16) {
            edit.apply(&mut cards);
        }
        bytes.extend(header(&cards));
        let cells = columns.iter().map(|column| column.cells.as_slice());
        let data: Vec<u8> = if self.layout == Layout::Rows {
            let cells: Vec<_> = cells.collect();
            let row = |pixel: usize| {
                let sizes = columns.iter().map(|column| column.form.1);
                cells.iter().zip(sizes).flat_map(move |(cells, size)| {
                    cells[pixel * size..(pixel + 1) * size].iter().copied()
                })
            };
            (0..pixels).flat_map(row).collect()
        } else {
            cells.flatten().copied().collect()
        };
        append(bytes, &data);
    }

    fn columns(&self, pixels: usize) -> Vec<Column> {
        let is_sum = self.held == Held::Coadd;
        let (first, step) = (if self.is_blue { 3.690_2 } else { 3.799_4 }, 0.036 / 384.0);
        let order = |pixel: usize| if self.descending { pixels - 1 - pixel } else { pixel };
        let loglam = |pixel: usize| first + step * order(pixel) as f64;
        let wave = |pixel: usize| match self.layout {
            Layout::Cells => 10f64.powf(loglam(pixel)),
            Layout::Rows | Layout::Mixed => loglam(pixel),
        };
        let names = match self.layout {
            Layout::Cells => "WAVELENGTH",
            Layout::Rows | Layout::Mixed => "LOGLAM",
        };
        let masks = if is_sum { ["ANDMASK", "ORMASK"] } else { ["PIXMASK", ""] };
        let mut columns = Vec::new();
        for (number, name) in [names, "FLUX", "IVAR", masks[0], masks[1]].into_iter().enumerate() {
            if name.is_empty() || self.without >> number & 1 == 1 {
                continue;
            }
            #[expect(clippy::cast_possible_truncation, reason = "spectra are single precision")]
            let sound = |pixel: usize| match number {
                0 => wave(pixel) as f32,
                1 => 100.0 + (pixel % 17) as f32,
                2 => 4.0,
                _ => 0.0,
            };
            let mut values: Vec<f32> = (0..pixels).map(sound).collect();
            self.fills[number].spoil(&mut values);
            // Masks of sums are integers in the public files; what those of the newer one are is
            // not known.
            columns.push(if number >= 3 && is_sum {
                #[expect(clippy::cast_possible_truncation, reason = "saturates, as masks may")]
                let cells = values.iter().flat_map(|&value| (value as i16).to_be_bytes());
                Column { name, form: ('I', 2), cells: cells.collect() }
            } else {
                let cells = values.into_iter().flat_map(f32::to_be_bytes);
                Column { name, form: ('E', 4), cells: cells.collect() }
            });
        }
        columns
    }
}

struct Column {
    name: &'static str,
    /// Letter of its TFORM and bytes of a value.
    form: (char, usize),
    cells: Vec<u8>,
}
