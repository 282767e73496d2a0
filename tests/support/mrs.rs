//! LAMOST medium-resolution files of both layouts, written card by card. The older one is as in the
//! public files; the newer one follows what laspec and pylamost read.

#![expect(clippy::cast_possible_truncation, reason = "spectra are single precision")]

use super::lrs::{card, header};

/// One arm of a sum or an exposure.
#[derive(Clone)]
pub struct Arm {
    /// In the order of the file: ascending but for red exposures.
    pub loglam: Vec<f32>,
    pub flux: Vec<f32>,
    pub ivar: Vec<f32>,
    /// ANDMASK of a sum, PIXMASK of an exposure.
    pub mask: Vec<i16>,
    /// ORMASK of a sum.
    pub ormask: Vec<i16>,
    /// Cards behind the columns.
    pub cards: Vec<(&'static str, String)>,
}

/// A file to write.
#[derive(Clone)]
pub struct Mrs {
    pub cards: Vec<(&'static str, String)>,
    /// EXTNAME and arm, in the order of the file.
    pub arms: Vec<(String, Arm)>,
}

/// A layout to write it in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Until DR9 v0: a row for each pixel.
    Rows,
    /// DR9 v1 and later: one row of vector cells.
    Cells,
}

/// Local modified Julian minutes of the exposures.
pub const MINUTES: [i64; 3] = [83_555_758, 83_555_772, 83_555_785];

impl Mrs {
    /// A quiet star of S/N about 50 with both sums and three exposures.
    pub fn star(seed: u32) -> Self {
        let text = |value: &str| format!("'{value:<8}'");
        let cards = vec![
            ("TELESCOP", text("LAMOST")),
            ("OBSID", format!("{}", 589_000_000 + seed)),
            ("DATA_V", text("LAMOST DR7")),
            ("EXTNAME", text("Information")),
            ("DATE", text("2020-02-19T12:54:23")),
            ("DATE-OBS", text("2017-09-28T12:23:00")),
            ("LMJD", "58025".into()),
            ("PLANID", text("HIP9645901")),
            ("SPID", "2".into()),
            ("FIBERID", format!("{}", 1 + seed % 250)),
            ("RA", "293.343833".into()),
            ("DEC", "43.017495".into()),
            ("FIBERMAS", "128".into()),
            ("COMBIN_B", "T".into()),
            ("COMBIN_R", "T".into()),
            ("HELIO", "T".into()),
            ("VACUUM", "T".into()),
        ];
        let mut arms = Vec::new();
        for name in ["COADD_B", "COADD_R"] {
            let mut arm = Arm::new(name.ends_with('B'), 3771, seed);
            arm.cards.push(("LMJMLIS0", "'83555758-83555772-83555785'".into()));
            arm.cards.push(("SNR", if name.ends_with('B') { "52.25" } else { "80.37" }.into()));
            arms.push((name.into(), arm));
        }
        for is_blue in [true, false] {
            for (number, lmjm) in (1_u8..).zip(MINUTES) {
                let mut arm = Arm::new(is_blue, 4136, seed + u32::from(number));
                if !is_blue {
                    arm.reverse();
                }
                arm.cards.push(("LMJM", format!("'{lmjm}'")));
                arm.cards.push(("EXPTIME", "600".into()));
                arm.cards.push(("SNR", format!("{}", f32::from(number) * 10.5)));
                arms.push((format!("{}-{lmjm}", if is_blue { 'B' } else { 'R' }), arm));
            }
        }
        Self { cards, arms }
    }

    /// The arm of this name.
    pub fn arm(&mut self, name: &str) -> &mut Arm {
        let found = self.arms.iter_mut().find(|(extname, _)| extname == name);
        &mut found.expect("an arm of the file").1
    }

    /// Removes the arms of these names.
    pub fn without(mut self, names: &[&str]) -> Self {
        self.arms.retain(|(extname, _)| !names.contains(&extname.as_str()));
        for (name, keyword) in [("COADD_B", "COMBIN_B"), ("COADD_R", "COMBIN_R")] {
            if names.contains(&name) {
                self = self.with(keyword, "F");
            }
        }
        self
    }

    /// Sets a card of the primary header; the value as it is written.
    pub fn with(mut self, keyword: &'static str, value: &str) -> Self {
        self.cards.retain(|(existing, _)| *existing != keyword);
        self.cards.push((keyword, value.to_owned()));
        self
    }

    /// The file's bytes.
    pub fn to_fits(&self, layout: Layout) -> Vec<u8> {
        let mut cards = vec![card("SIMPLE", "T"), card("BITPIX", "16"), card("NAXIS", "0")];
        cards.push(card("EXTEND", "T"));
        if !self.cards.iter().any(|(keyword, _)| *keyword == "N_EXTEN") {
            cards.push(card("N_EXTEN", &(1 + self.arms.len()).to_string()));
        }
        cards.extend(self.cards.iter().map(|(keyword, value)| card(keyword, value)));
        let mut bytes = header(&cards);
        for (name, arm) in &self.arms {
            bytes.extend(arm.to_hdu(name, layout));
        }
        bytes
    }
}

impl Arm {
    fn new(is_blue: bool, pixels: u16, seed: u32) -> Self {
        let first = if is_blue { 3.690_2 } else { 3.799_4 };
        let loglam: Vec<f32> =
            (0..pixels).map(|pixel| (first + 1e-5 * f64::from(pixel)) as f32).collect();
        let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut noise = || {
            // xorshift, uniform from -1 to 1.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        };
        let line = |wave: f32, centre: f32| (-0.5 * ((wave - centre) / 0.8).powi(2)).exp();
        let shape = |loglam: f32| {
            let wave = 10f32.powf(loglam);
            let lines: f32 =
                [5168.8, 5174.1, 5185.0, 6564.6].iter().map(|&centre| line(wave, centre)).sum();
            1500.0 * (1.0 - 0.6 * lines) * (1.0 + (wave - 5900.0) / 9000.0)
        };
        let flux = loglam.iter().map(|&l| shape(l) * (1.0 + noise() / 50.0)).collect();
        let zeros = vec![0; loglam.len()];
        Self {
            ivar: vec![(50.0_f32 / 1500.0).powi(2); loglam.len()],
            loglam,
            flux,
            mask: zeros.clone(),
            ormask: zeros,
            cards: Vec::new(),
        }
    }

    /// Turns the order of the pixels.
    pub fn reverse(&mut self) {
        self.loglam.reverse();
        self.flux.reverse();
        self.ivar.reverse();
        self.mask.reverse();
        self.ormask.reverse();
    }

    fn to_hdu(&self, name: &str, layout: Layout) -> Vec<u8> {
        let is_sum = name.starts_with("COADD");
        let wave: Vec<f32> = match layout {
            Layout::Rows => self.loglam.clone(),
            Layout::Cells => self.loglam.iter().map(|&l| 10f64.powf(f64::from(l)) as f32).collect(),
        };
        let floats = |values: &[f32]| -> Vec<Vec<u8>> {
            values.iter().map(|value| value.to_be_bytes().to_vec()).collect()
        };
        // What masks are in the newer layout is not known: those of exposures are floats here.
        let masks_are_floats = layout == Layout::Cells && !is_sum;
        let masks = |values: &[i16]| -> Vec<Vec<u8>> {
            let cell = |value: i16| {
                if masks_are_floats {
                    f32::from(value).to_be_bytes().to_vec()
                } else {
                    value.to_be_bytes().to_vec()
                }
            };
            values.iter().map(|&value| cell(value)).collect()
        };
        let mask_form = if masks_are_floats { 'E' } else { 'I' };
        let wave_name = if layout == Layout::Rows { "LOGLAM" } else { "WAVELENGTH" };
        let mut columns = vec![
            ("FLUX", 'E', floats(&self.flux)),
            ("IVAR", 'E', floats(&self.ivar)),
            (wave_name, 'E', floats(&wave)),
        ];
        if is_sum {
            columns.push(("ANDMASK", mask_form, masks(&self.mask)));
            columns.push(("ORMASK", mask_form, masks(&self.ormask)));
        } else {
            columns.push(("PIXMASK", mask_form, masks(&self.mask)));
        }
        let pixels = self.loglam.len();
        let (rows, repeat) = match layout {
            Layout::Rows => (pixels, String::new()),
            Layout::Cells => (1, pixels.to_string()),
        };
        let width: usize =
            columns.iter().map(|(_, form, _)| if *form == 'E' { 4 } else { 2 }).sum();
        let mut cards = vec![
            card("XTENSION", "'BINTABLE'"),
            card("BITPIX", "8"),
            card("NAXIS", "2"),
            card("NAXIS1", &(width * pixels / rows).to_string()),
            card("NAXIS2", &rows.to_string()),
            card("PCOUNT", "0"),
            card("GCOUNT", "1"),
            card("TFIELDS", &columns.len().to_string()),
            card("EXTNAME", &format!("'{name:<8}'")),
        ];
        cards.extend(self.cards.iter().map(|(keyword, value)| card(keyword, value)));
        for (number, (name, form, _)) in (1..).zip(&columns) {
            cards.push(card(&format!("TTYPE{number}"), &format!("'{name:<8}'")));
            cards.push(card(
                &format!("TFORM{number}"),
                &format!("'{:<8}'", format!("{repeat}{form}")),
            ));
        }
        let mut bytes = header(&cards);
        match layout {
            Layout::Rows => {
                for row in 0..pixels {
                    bytes.extend(columns.iter().flat_map(|(_, _, cells)| &cells[row]));
                }
            }
            Layout::Cells => {
                bytes.extend(columns.iter().flat_map(|(_, _, cells)| cells.iter().flatten()));
            }
        }
        bytes.resize(bytes.len().div_ceil(2880) * 2880, 0);
        bytes
    }
}
