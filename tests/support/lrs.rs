//! LAMOST low-resolution files of every layout, written card by card.

#![expect(clippy::cast_possible_truncation, reason = "spectra are single precision")]

/// A spectrum to write.
#[derive(Clone)]
pub struct Lrs {
    pub cards: Vec<(&'static str, String)>,
    pub coeff0: f64,
    pub wave: Vec<f32>,
    pub flux: Vec<f32>,
    pub ivar: Vec<f32>,
    pub andmask: Vec<f32>,
    pub ormask: Vec<f32>,
}

/// A layout to write it in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    Pilot,
    Image,
    Table,
}

const PIXELS: i32 = 3909;

/// Centre and width, Angstrom, and depth of what a spectrum of a star has at least.
const LINES: [[f32; 3]; 20] = [
    [3934.8, 12.0, 0.39],
    [3969.6, 12.0, 0.36],
    [4102.9, 6.0, 0.14],
    [4227.9, 6.0, 0.17],
    [4305.0, 18.0, 0.19],
    [4341.7, 6.0, 0.14],
    [4384.8, 6.0, 0.11],
    [4668.0, 15.0, 0.07],
    [4862.7, 5.0, 0.17],
    [5176.0, 20.0, 0.23],
    [5271.0, 12.0, 0.11],
    [5330.0, 10.0, 0.08],
    [5406.0, 8.0, 0.055],
    [5709.0, 8.0, 0.033],
    [5783.0, 8.0, 0.028],
    [5893.5, 6.0, 0.17],
    [6163.0, 6.0, 0.055],
    [6497.0, 8.0, 0.044],
    [6564.6, 4.0, 0.22],
    [7055.0, 40.0, 0.028],
];

impl Lrs {
    /// A quiet giant of S/N about 60 whose noise follows from `seed`.
    pub fn star(seed: u32) -> Self {
        let coeff0 = 3.5682;
        let loglam = (0..PIXELS).map(|pixel| coeff0 + 1e-4 * f64::from(pixel));
        let wave: Vec<f32> = loglam.map(|loglam| 10f64.powf(loglam) as f32).collect();
        let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut noise = move || {
            // xorshift: twelve uniform numbers make a normal one, near enough for a fixture.
            let mut uniform = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / 16_777_216.0
            };
            (0..12).map(|_| uniform()).sum::<f32>() - 6.0
        };
        let shape = |w: f32| {
            let continuum = 1e3 * (-((w - 7460.0) / 4415.0).powi(2)).exp();
            let line = |flux: f32, [centre, width, depth]: [f32; 3]| {
                flux * (1.0 - depth * (-0.5 * ((w - centre) / width).powi(2)).exp())
            };
            LINES.into_iter().fold(continuum, line)
        };
        let flux: Vec<f32> = wave.iter().map(|&w| shape(w) * (1.0 + noise() / 60.0)).collect();
        let ivar = wave.iter().map(|&w| (60.0 / shape(w)).powi(2)).collect();
        let zeros = vec![0.0; wave.len()];
        let text = |value: &str| format!("'{value:<8}'");
        let cards = vec![
            ("TELESCOP", text("LAMOST")),
            ("OBSID", format!("{}", 100_000_000 + seed)),
            ("DATA_V", text("LAMOST DR9")),
            ("DATE", text("2021-03-13T03:31:34")),
            ("DATE-OBS", text("2017-11-11T21:23:44.48")),
            ("LMJD", "58069".into()),
            ("PLANID", text("HD000000N")),
            ("SPID", format!("{}", 1 + seed / 250 % 16)),
            ("FIBERID", format!("{}", 1 + seed % 250)),
            ("RA", "141.017274".into()),
            ("DEC", "26.602472".into()),
            ("CLASS", text("STAR")),
            ("SUBCLASS", text("K3")),
            ("Z", "0.00001788".into()),
            ("Z_ERR", "0.00002068".into()),
            ("SNRU", "12.5".into()),
            ("SNRG", "48.25".into()),
            ("SNRR", "60.0".into()),
            ("SNRI", "66.0".into()),
            ("SNRZ", "50.0".into()),
            ("FIBERMAS", "0".into()),
            ("COEFF0", format!("{coeff0}")),
            ("COEFF1", "0.0001".into()),
        ];
        Self { cards, coeff0, wave, flux, ivar, andmask: zeros.clone(), ormask: zeros }
    }

    /// Sets a card; the value as it is written.
    pub fn with(mut self, keyword: &'static str, value: &str) -> Self {
        self.cards.retain(|(existing, _)| *existing != keyword);
        self.cards.push((keyword, value.to_owned()));
        self
    }

    /// Removes a card.
    pub fn without(mut self, keyword: &str) -> Self {
        self.cards.retain(|(existing, _)| *existing != keyword);
        self
    }

    /// The same spectrum over so many pixels.
    pub fn with_pixels(mut self, pixels: usize) -> Self {
        let old = self.wave.len();
        let nearest = |values: &[f32]| -> Vec<f32> {
            (0..pixels).map(|pixel| values[pixel * old / pixels]).collect()
        };
        let (first, last) = (f64::from(self.wave[0]), f64::from(self.wave[old - 1]));
        let step = (last - first) / (pixels - 1) as f64;
        let wave = (0..pixels).map(|pixel| (first + step * pixel as f64) as f32).collect();
        for values in [&mut self.flux, &mut self.ivar, &mut self.andmask, &mut self.ormask] {
            *values = nearest(values);
        }
        Self { wave, ..self }
    }

    /// The file's bytes.
    pub fn to_fits(&self, layout: Layout) -> Vec<u8> {
        let pixels = self.wave.len();
        let mut cards = vec![card("SIMPLE", "T")];
        if layout == Layout::Table {
            // As in the real files: axis cards beside NAXIS = 0.
            cards.extend([card("BITPIX", "16"), card("NAXIS", "0")]);
        } else {
            cards.extend([card("BITPIX", "-32"), card("NAXIS", "2")]);
        }
        cards.extend([
            card("NAXIS1", &pixels.to_string()),
            card("NAXIS2", "5"),
            card("EXTEND", "T"),
        ]);
        match layout {
            Layout::Pilot => {
                cards.push(card("EXTEN0", "'Flux Inverse Subcontinuum Andmask Ormask'"));
            }
            Layout::Image => {
                cards.push(card("EXTEN0", "'Flux, Inverse, Wavelength, Andmask, Ormask'"));
            }
            Layout::Table => {}
        }
        cards.extend(self.cards.iter().map(|(keyword, value)| card(keyword, value)));
        let mut bytes = header(&cards);
        let third: Vec<f32> = match layout {
            Layout::Pilot => self.flux.iter().map(|flux| flux - 500.0).collect(),
            _ => self.wave.clone(),
        };
        if layout == Layout::Table {
            let mut cards = vec![
                card("XTENSION", "'BINTABLE'"),
                card("BITPIX", "8"),
                card("NAXIS", "2"),
                card("NAXIS1", &(24 * pixels).to_string()),
                card("NAXIS2", "1"),
                card("PCOUNT", "0"),
                card("GCOUNT", "1"),
                card("TFIELDS", "6"),
                card("EXTNAME", "'COADD   '"),
            ];
            let names = ["FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION"];
            for (number, name) in (1..).zip(names) {
                cards.push(card(&format!("TTYPE{number}"), &format!("'{name:<8}'")));
                cards.push(card(&format!("TFORM{number}"), &format!("'{pixels}E'")));
            }
            bytes.extend(header(&cards));
            let normalised = vec![-9999.0; pixels];
            let columns =
                [&self.flux, &self.ivar, &third, &self.andmask, &self.ormask, &normalised];
            bytes.extend(data(&columns));
        } else {
            bytes.extend(data(&[&self.flux, &self.ivar, &third, &self.andmask, &self.ormask]));
        }
        bytes
    }

    /// The file's bytes, gzipped.
    pub fn to_gzip(&self, layout: Layout) -> Vec<u8> {
        gzip(&self.to_fits(layout))
    }
}

/// Compresses with gzip, quickly.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Level 0 would only store.
    gzip_at(libdeflater::CompressionLvl::new(1).expect("a level of libdeflate"), bytes)
}

/// Compresses with gzip as archives do.
pub fn gzip_well(bytes: &[u8]) -> Vec<u8> {
    gzip_at(libdeflater::CompressionLvl::default(), bytes)
}

fn gzip_at(level: libdeflater::CompressionLvl, bytes: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).expect("the buffer is large enough");
    out.truncate(length);
    out
}

pub fn card(keyword: &str, value: &str) -> String {
    if value.starts_with('\'') {
        format!("{keyword:<8}= {value}")
    } else {
        format!("{keyword:<8}= {value:>20}")
    }
}

pub fn header(cards: &[String]) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        cards.iter().flat_map(|card| format!("{card:<80}").into_bytes()).collect();
    bytes.extend(format!("{:<80}", "END").into_bytes());
    bytes.resize(bytes.len().div_ceil(2880) * 2880, b' ');
    bytes
}

fn data(columns: &[&Vec<f32>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = columns
        .iter()
        .flat_map(|column| column.iter().flat_map(|value| value.to_be_bytes()))
        .collect();
    bytes.resize(bytes.len().div_ceil(2880) * 2880, 0);
    bytes
}
