//! FITS files from a description: sound in their blocks and cards, so that the fuzzer reaches the
//! code behind them, and hostile in their sizes, types and values.

use arbitrary::Arbitrary;

/// Bytes in a block of header or data.
const BLOCK: usize = 2880;

/// A file that is a survey's but for what was changed.
#[derive(Debug, Clone, Arbitrary)]
pub struct File {
    layout: Layout,
    pixels: u16,
    /// Flux, ivar, wavelength, andmask, ormask, normalisation.
    arrays: [Fill; 6],
    edits: Vec<Edit>,
    /// HDUs before the survey's own extension.
    before: Vec<Extension>,
    after: Vec<Extension>,
    /// Bytes missing at the end.
    cut: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Layout {
    Pilot,
    Image,
    Table,
}

/// What an array holds.
#[derive(Debug, Clone, Arbitrary)]
pub(crate) enum Fill {
    Sound,
    Constant(f32),
    /// One value differs.
    Spoiled(u16, f32),
    /// These bytes, again and again.
    Bytes(Vec<u8>),
    Reversed,
}

/// A change to the cards of the primary header or of the survey's extension.
#[derive(Debug, Clone, Arbitrary)]
pub(crate) struct Edit {
    pub(crate) primary: bool,
    keyword: Keyword,
    action: Action,
}

#[derive(Debug, Clone, Arbitrary)]
enum Action {
    Set(Value),
    Remove,
    /// The same keyword once more, behind the first.
    Repeat(Value),
}

#[derive(Debug, Clone, Arbitrary)]
enum Keyword {
    /// One of [`KEYWORDS`].
    Known(u8),
    /// One of [`KEYWORDS`] with another number behind it.
    Numbered(u8, u16),
    Bytes([u8; 8]),
}

#[derive(Debug, Clone, Arbitrary)]
enum Value {
    /// One of [`VALUES`].
    Known(u8),
    Integer(i64),
    Float(f64),
    Text(String),
    /// A TFORM: repeat, letter, tail.
    Form(u32, u8, Option<u16>),
    Bytes([u8; 20]),
}

#[derive(Debug, Clone, Arbitrary)]
pub(crate) struct Extension {
    kind: u8,
    bitpix: Value,
    axes: Vec<Value>,
    cards: Vec<(Keyword, Value)>,
    data: Vec<u8>,
}

const KEYWORDS: [&str; 56] = [
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT",
    "GROUPS", "TFIELDS", "TFORM", "TTYPE", "TSCAL", "TZERO", "TNULL", "TDIM", "THEAP", "BSCALE",
    "BZERO", "BLANK", "EXTNAME", "EXTEN0", "TELESCOP", "COEFF0", "COEFF1", "CRVAL1", "CD1_1",
    "OBSID", "LMJD", "PLANID", "SPID", "FIBERID", "RA", "DEC", "DATE", "DATE-OBS", "SNRG", "SN_G",
    "CLASS", "SUBCLASS", "Z", "Z_ERR", "FIB_MASK", "FIBERMAS", "DATA_V", "CONTINUE", "ZIMAGE",
    "N_EXTEN", "COMBIN_B", "COMBIN_R", "LMJMLIST", "LMJMLIS0", "LMJM", "EXPTIME", "SNR",
];

const VALUES: [&str; 56] = [
    "0",
    "-1",
    "1",
    "2",
    "5",
    "8",
    "16",
    "32",
    "-32",
    "-64",
    "64",
    "999",
    "1000",
    "65536",
    "2147483648",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1.0",
    "5.0",
    "1E3",
    "1D400",
    "-1D400",
    "1E39",
    "1E-320",
    "NaN",
    "inf",
    "-9999",
    "-9999.99",
    "T",
    "F",
    "''",
    "'T'",
    "'5'",
    "'NaN'",
    "'LAMOST'",
    "'BINTABLE'",
    "'IMAGE'",
    "'TABLE'",
    "'COADD'",
    "'FLUX'",
    "'WAVELENGTH'",
    "'IVAR'",
    "'wavelength'",
    "'subcontinuum'",
    "'unclosed",
    "'COADD_B'",
    "'COADD_R'",
    "'B-83555758'",
    "'R-83555758'",
    "'LOGLAM'",
    "'PIXMASK'",
    "'83555758-83555772'",
    "'9999999999-1'",
];

impl File {
    /// The file's bytes: at most some 100 kB.
    pub fn to_bytes(&self) -> Vec<u8> {
        let pixels = 2 + usize::from(self.pixels % 512);
        // However many pixels, they span the window of the shipped model.
        let step = 0.4 / pixels as f64;
        let names = ["FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION"];
        let number = |n: usize| n.to_string();
        let mut primary = vec![card("SIMPLE", "T")];
        let is_table = self.layout == Layout::Table;
        let (bitpix, axes) = if is_table { ("16", "0") } else { ("-32", "2") };
        primary.extend([card("BITPIX", bitpix), card("NAXIS", axes)]);
        primary.extend([card("NAXIS1", &number(pixels)), card("NAXIS2", "5")]);
        primary.extend([card("TELESCOP", "'LAMOST'"), card("COEFF0", "3.5682")]);
        primary.push(card("COEFF1", &step.to_string()));
        match self.layout {
            Layout::Pilot => primary.push(card("EXTEN0", "'Flux Inverse Subcontinuum'")),
            Layout::Image => primary.push(card("EXTEN0", "'Flux, Inverse, Wavelength'")),
            Layout::Table => {}
        }
        let mut coadd = vec![card("XTENSION", "'BINTABLE'"), card("BITPIX", "8")];
        coadd.extend([card("NAXIS", "2"), card("NAXIS1", &number(24 * pixels))]);
        coadd.extend([card("NAXIS2", "1"), card("PCOUNT", "0"), card("GCOUNT", "1")]);
        coadd.extend([card("TFIELDS", "6"), card("EXTNAME", "'COADD'")]);
        for (field, name) in (1..).zip(names) {
            coadd.push(card(&format!("TTYPE{field}"), &format!("'{name}'")));
            coadd.push(card(&format!("TFORM{field}"), &format!("'{pixels}E'")));
        }
        for edit in self.edits.iter().take(32) {
            edit.apply(if edit.primary { &mut primary } else { &mut coadd });
        }
        let columns = if is_table { 6 } else { 5 };
        let data: Vec<u8> = self.arrays[..columns]
            .iter()
            .enumerate()
            .flat_map(|(column, fill)| fill.values(column, pixels, step))
            .flat_map(f32::to_be_bytes)
            .collect();

        let mut bytes = header(&primary);
        if !is_table {
            append(&mut bytes, &data);
        }
        for extension in self.before.iter().take(4) {
            extension.write(&mut bytes);
        }
        if is_table {
            bytes.extend(header(&coadd));
            append(&mut bytes, &data);
        }
        for extension in self.after.iter().take(4) {
            extension.write(&mut bytes);
        }
        let cut = usize::from(self.cut.unwrap_or(0)).min(bytes.len());
        bytes.truncate(bytes.len() - cut);
        bytes
    }
}

impl Fill {
    fn values(&self, column: usize, pixels: usize, step: f64) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "spectra are single precision")]
        let sound = |pixel: usize| match column {
            0 => 100.0 + (pixel % 17) as f32,
            1 => 4.0,
            2 => 10f64.powf(3.5682 + step * pixel as f64) as f32,
            _ => 0.0,
        };
        let mut values: Vec<f32> = (0..pixels).map(sound).collect();
        self.spoil(&mut values);
        values
    }

    /// Changes values that were sound.
    pub(crate) fn spoil(&self, values: &mut [f32]) {
        match self {
            Self::Constant(value) => values.fill(*value),
            Self::Spoiled(_, _) if values.is_empty() => {}
            Self::Spoiled(at, value) => values[usize::from(*at) % values.len()] = *value,
            Self::Reversed => values.reverse(),
            Self::Sound => {}
            Self::Bytes(bytes) if bytes.is_empty() => {}
            Self::Bytes(bytes) => {
                let mut bytes = bytes.iter().copied().cycle();
                let mut next = || bytes.next().unwrap_or_default();
                values.fill_with(|| f32::from_be_bytes([next(), next(), next(), next()]));
            }
        }
    }
}

impl Edit {
    pub(crate) fn apply(&self, cards: &mut Vec<[u8; 80]>) {
        let keyword = self.keyword.bytes();
        let position = cards.iter().position(|card| card[..8] == keyword);
        match (&self.action, position) {
            (Action::Set(value), Some(at)) => cards[at] = value.card(keyword),
            (Action::Set(value) | Action::Repeat(value), _) => cards.push(value.card(keyword)),
            (Action::Remove, Some(at)) => {
                cards.remove(at);
            }
            (Action::Remove, None) => {}
        }
    }
}

impl Keyword {
    fn bytes(&self) -> [u8; 8] {
        let known = |index: u8| KEYWORDS[usize::from(index) % KEYWORDS.len()];
        match self {
            Self::Known(index) => padded(known(*index).as_bytes()),
            Self::Numbered(index, number) => {
                padded(format!("{}{number}", known(*index)).as_bytes())
            }
            Self::Bytes(bytes) => *bytes,
        }
    }
}

impl Value {
    fn card(&self, keyword: [u8; 8]) -> [u8; 80] {
        let value = match self {
            Self::Known(index) => VALUES[usize::from(*index) % VALUES.len()].into(),
            Self::Integer(number) => number.to_string().into_bytes(),
            Self::Float(number) => format!("{number:E}").into_bytes(),
            Self::Text(text) => [b"'", text.as_bytes(), b"'"].concat(),
            Self::Form(repeat, letter, tail) => {
                let letter = char::from(b"LXBIJKAEDCMPQ"[usize::from(*letter) % 13]);
                let tail = tail.map(|length| format!("E({length})")).unwrap_or_default();
                format!("'{repeat}{letter}{tail}'").into_bytes()
            }
            Self::Bytes(bytes) => bytes.to_vec(),
        };
        let mut card = [b' '; 80];
        card[..8].copy_from_slice(&keyword);
        card[8] = b'=';
        let length = value.len().min(70);
        card[10..10 + length].copy_from_slice(&value[..length]);
        card
    }
}

impl Extension {
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let kinds = ["'IMAGE   '", "'BINTABLE'", "'TABLE   '", "'A3DTABLE'", "'ODD", "5"];
        let mut cards = vec![card("XTENSION", kinds[usize::from(self.kind) % kinds.len()])];
        cards.push(self.bitpix.card(padded(b"BITPIX")));
        let axes = self.axes.len().min(8);
        cards.push(card("NAXIS", &axes.to_string()));
        for (axis, value) in (1..).zip(&self.axes[..axes]) {
            cards.push(value.card(padded(format!("NAXIS{axis}").as_bytes())));
        }
        let further = self.cards.iter().take(64);
        cards.extend(further.map(|(keyword, value)| value.card(keyword.bytes())));
        bytes.extend(header(&cards));
        append(bytes, &self.data[..self.data.len().min(4 * BLOCK)]);
    }
}

fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut bytes = [b' '; N];
    let length = text.len().min(N);
    bytes[..length].copy_from_slice(&text[..length]);
    bytes
}

pub(crate) fn card(keyword: &str, value: &str) -> [u8; 80] {
    padded(format!("{keyword:<8}= {value}").as_bytes())
}

pub(crate) fn header(cards: &[[u8; 80]]) -> Vec<u8> {
    let mut bytes = cards.concat();
    bytes.extend(padded::<80>(b"END"));
    bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
    bytes
}

pub(crate) fn append(bytes: &mut Vec<u8>, data: &[u8]) {
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
}
