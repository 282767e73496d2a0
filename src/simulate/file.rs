//! One file as the survey delivers it: names, headers, extensions.

use std::path::PathBuf;

use chrono::{NaiveDate, NaiveTime, TimeDelta};

use super::damage::Damage;
use super::detector::{Exposed, expose};
use super::dice::Dice;
use super::fits::{Cards, Column, Values, image, table};
use super::light::{Model, light};
use super::target::{Kind, RV_ERROR, Target, fibre, plate, stream};
use super::{Release, Request, Survey};
use crate::prep::SPEED_OF_LIGHT;

/// A visit of a target: which plate it was on, when, and how well it was seen.
pub(super) struct Visit<'a> {
    pub(super) target: &'a Target,
    /// From 1.
    pub(super) number: u8,
    pub(super) snr: f64,
    pub(super) damage: Option<Damage>,
    release: Release,
    date: NaiveDate,
    clean: bool,
    dice: Dice,
}

/// Exposures of a medium-resolution file, and their length in minutes.
const EXPOSURES: u8 = 3;
const MINUTES: i64 = 10;

impl<'a> Visit<'a> {
    pub(super) fn draw(request: &Request, target: &'a Target, number: u8) -> Self {
        let mut dice = Dice::new(request.seed, stream(target.survey, target.number, number));
        let (low, high) = request.snr;
        // Faint stars are more than bright ones: even in the logarithm.
        let snr = dice.uniform(low.ln(), high.ln()).exp();
        let has_exposures = target.survey == Survey::Mrs;
        let damage = target.is_broken.then(|| Damage::draw(&mut dice, has_exposures));
        let Request { release, date, clean, .. } = *request;
        Self { target, number, snr, damage, release, date, clean, dice }
    }

    /// Plates of the two surveys, and those of second visits, follow one another.
    fn plate(&self) -> u32 {
        2 * plate(self.target.number) + u32::from(self.number) - 1
    }

    pub(super) fn planid(&self) -> String {
        let survey = if self.target.survey == Survey::Lrs { 'L' } else { 'M' };
        format!("SIM{survey}{:03}V{:02}", plate(self.target.number) + 1, self.number)
    }

    /// Local modified Julian day: that of the morning.
    fn lmjd(&self) -> i64 {
        let epoch = NaiveDate::from_ymd_opt(1858, 11, 17).unwrap_or_default();
        (self.date - epoch).num_days() + 1
    }

    /// Unique in its night, and within 32 bits, as real ones are.
    pub(super) fn obsid(&self) -> i64 {
        let (spectrograph, fibre) = fibre(self.target.number);
        let survey = i64::from(self.target.survey as u8);
        let plate = self.lmjd() % 100 * 200 + 100 * survey + i64::from(self.plate());
        plate * 100_000 + i64::from(spectrograph) * 1000 + i64::from(fibre)
    }

    /// As the catalogue names it.
    pub(super) fn spectrum_id(&self) -> String {
        let (spectrograph, fibre) = fibre(self.target.number);
        let (survey, lmjd, planid) = (self.target.survey.name(), self.lmjd(), self.planid());
        format!("{survey}:{lmjd:05}-{planid}-{spectrograph:02}-{fibre:03}")
    }

    /// Without `.gz`.
    fn filename(&self) -> String {
        let (spectrograph, fibre) = fibre(self.target.number);
        let (lmjd, planid) = (self.lmjd(), self.planid());
        let prefix = self.target.survey.prefix();
        format!("{prefix}-{lmjd:05}-{planid}_sp{spectrograph:02}-{fibre:03}.fits")
    }

    /// Where it lies in the archive.
    pub(super) fn path(&self) -> PathBuf {
        let folder = self.date.format("%Y%m%d").to_string();
        [folder, self.planid(), format!("{}.gz", self.filename())].iter().collect()
    }

    /// Minutes since the Julian epoch, local, at which the first exposure begins.
    fn first_minute(&self) -> i64 {
        // From 20:00 local time on, plate after plate.
        (self.lmjd() - 1) * 1440 + 20 * 60 + i64::from(self.plate() % 12) * 45
    }

    /// The file, not yet compressed.
    pub(super) fn make_fits(&mut self, model: &Model) -> Vec<u8> {
        let mut fits = match self.target.survey {
            Survey::Lrs => self.low_resolution(model),
            Survey::Mrs => self.medium_resolution(model),
        };
        if let Some(damage) = self.damage {
            damage.cut(&mut fits);
        }
        fits
    }

    fn see(&mut self, wave: &[f64], model: &Model, snr: f64) -> Exposed {
        let light = light(self.target, model, wave);
        expose(&light, wave, snr, self.clean, &mut self.dice)
    }

    fn spoil(&self, seen: &mut Exposed) {
        if let Some(damage) = self.damage {
            damage.spoil(&mut seen.flux, &mut seen.ivar);
        }
    }

    fn low_resolution(&mut self, model: &Model) -> Vec<u8> {
        let wave = log_linear(LRS_FIRST, LRS_STEP, LRS_PIXELS);
        let mut seen = self.see(&wave, model, self.snr);
        let bands = BANDS.map(|(keyword, low, high)| (keyword, seen.snr(&wave, low, high)));
        self.spoil(&mut seen);
        let is_table = self.release == Release::Dr9;
        let mut cards = Cards::default();
        cards.value("SIMPLE", "T", "");
        cards.value("BITPIX", if is_table { 16 } else { -32 }, "");
        cards.value("NAXIS", if is_table { 0 } else { 2 }, "Number of array dimensions");
        cards.value("NAXIS1", LRS_PIXELS, "");
        cards.value("NAXIS2", 5, "");
        cards.value("EXTEND", "T", "");
        if is_table {
            cards.value("N_EXTEN", 2, "The amount of extension");
            cards.value("NORM", 0, "1 if there exists a normalizated spectrum");
        } else {
            cards.text("EXTEN0", "Flux, Inverse, Wavelength, Andmask, Ormask", "");
            cards.value("N_EXTEN", 1, "The extension number");
            cards.text("EXTNAME", "Flux", "The extension name");
        }
        self.observation(&mut cards, 3 * 30);
        cards.value("COEFF0", LRS_FIRST, "Central wavelength (log10) of first pixel");
        cards.value("COEFF1", LRS_STEP, "Log10 dispersion per pixel");
        cards.value("CRVAL1", LRS_FIRST, "");
        cards.value("CD1_1", LRS_STEP, "");
        cards.value("CRPIX1", 1, "Starting pixel (1-indexed)");
        cards.value("DC-FLAG", 1, "Log-linear flag");
        cards.text("CLASS", self.target.kind.name(), "Class of object");
        cards.text("SUBCLASS", "Non", "Subclass of object");
        let z = match self.target.kind {
            Kind::Star => self.target.measured / SPEED_OF_LIGHT,
            Kind::Galaxy(z) | Kind::Quasar(z) => z,
        };
        cards.value("Z", format!("{z:.8}"), "Redshift of object");
        let error = RV_ERROR / SPEED_OF_LIGHT;
        cards.value("Z_ERR", format!("{error:.8}"), "Redshift error of object");
        for (keyword, snr) in bands {
            cards.value(keyword, format!("{snr:.2}"), "");
        }
        let mut bytes = cards.end();
        let [andmask, ormask] = [floats(&seen.andmask), floats(&seen.ormask)];
        let wave = single(&wave);
        if is_table {
            let column = |name, values| Column { name, values: Values::Float(values) };
            let columns = [
                column("FLUX", seen.flux),
                column("IVAR", seen.ivar),
                column("WAVELENGTH", wave),
                column("ANDMASK", andmask),
                column("ORMASK", ormask),
                column("NORMALIZATION", vec![-9999.0; LRS_PIXELS]),
            ];
            bytes.extend(table("COADD", &columns, true, Cards::default()));
        } else {
            bytes.extend(image(&[&seen.flux, &seen.ivar, &wave, &andmask, &ormask]));
        }
        bytes
    }

    fn medium_resolution(&mut self, model: &Model) -> Vec<u8> {
        let in_cells = self.release == Release::Dr9;
        let mut cards = Cards::default();
        cards.value("SIMPLE", "T", "");
        cards.value("BITPIX", 16, "");
        cards.value("NAXIS", 0, "");
        cards.value("EXTEND", "T", "");
        cards.value("N_EXTEN", 3 + 2 * EXPOSURES, "The extension number");
        cards.text("EXTNAME", "Information", "The extension name");
        self.observation(&mut cards, MINUTES * i64::from(EXPOSURES));
        cards.value("COMBIN_B", "T", "Whether the combined data of B band exists");
        cards.value("COMBIN_R", "T", "Whether the combined data of R band exists");
        let mut bytes = cards.end();
        let first = self.first_minute();
        let minutes: Vec<i64> =
            (0..i64::from(EXPOSURES)).map(|exposure| first + exposure * (MINUTES + 3)).collect();
        let list = minutes.iter().map(i64::to_string).collect::<Vec<_>>().join("-");
        for arm in ARMS {
            let wave = log_linear(arm.first, 1e-5, arm.coadd_pixels);
            let snr = self.snr * arm.light;
            let mut seen = self.see(&wave, model, snr);
            self.spoil(&mut seen);
            let mut cards = Cards::default();
            cards.text("LMJMLIST", &list, "Local Modified Julian Minute list");
            cards.value("SNR", format!("{snr:.2}"), "Signal to noise ratio");
            let columns = arm_columns(seen, &wave, in_cells, true);
            bytes.extend(table(&format!("COADD_{}", arm.name), &columns, in_cells, cards));
        }
        for arm in ARMS {
            for minute in &minutes {
                let wave = uneven(arm.first);
                let snr = self.snr * arm.light / f64::from(EXPOSURES).sqrt();
                let mut seen = self.see(&wave, model, snr);
                self.spoil(&mut seen);
                let mut wave = wave;
                if arm.name == 'R' {
                    // As in real files, whose red exposures descend.
                    wave.reverse();
                    seen.flux.reverse();
                    seen.ivar.reverse();
                    seen.ormask.reverse();
                }
                let mut cards = Cards::default();
                cards.text("LMJM", &minute.to_string(), "Local Modified Julian Minute");
                cards.value("EXPTIME", 60 * MINUTES, "[s] Exposure duration time");
                cards.value("SNR", format!("{snr:.2}"), "Signal to noise ratio");
                let columns = arm_columns(seen, &wave, in_cells, false);
                bytes.extend(table(&format!("{}-{minute}", arm.name), &columns, in_cells, cards));
            }
        }
        bytes
    }

    /// What the primary headers of both surveys say.
    fn observation(&self, cards: &mut Cards, minutes: i64) {
        let target = self.target;
        let (spectrograph, fibre) = fibre(target.number);
        let local = self.date.and_time(NaiveTime::MIN)
            + TimeDelta::minutes(self.first_minute() - (self.lmjd() - 1) * 1440);
        let end = local + TimeDelta::minutes(minutes);
        let utc = local + TimeDelta::minutes(minutes / 2) - TimeDelta::hours(8);
        let release = if self.release == Release::Dr7 { "LAMOST DR7" } else { "LAMOST DR9" };
        let is_old = self.release == Release::Dr7;
        cards.text("FILENAME", &self.filename(), "");
        cards.value("OBSID", self.obsid(), "Unique number ID of this spectrum");
        cards.text("AUTHOR", "starmill simulate-night", "Not an observation");
        cards.text("DATA_V", release, "Data release whose layout this is");
        cards.text("ORIGIN", "SIMULATED", "Not an observation");
        cards.text("DATE", &(end + TimeDelta::hours(10)).format(ISO).to_string(), "");
        cards.text("TELESCOP", "LAMOST", "Telescope that is simulated");
        cards.value("LONGITUD", 117.58, "[deg] Longitude of site");
        cards.value("LATITUDE", 40.39, "[deg] Latitude of site");
        cards.text("DATE-OBS", &utc.format(ISO).to_string(), "The observation median UTC");
        cards.text("DATE-BEG", &local.format(ISO).to_string(), "start local time");
        cards.text("DATE-END", &end.format(ISO).to_string(), "end local time");
        cards.value("LMJD", self.lmjd(), "Local Modified Julian Day");
        cards.value("MJD", self.lmjd() - 1, "Modified Julian Day");
        cards.text("PLANID", &self.planid(), "Plan ID in use");
        cards.value("RA", format!("{:.6}", target.ra), "[deg] Right ascension of object");
        cards.value("DEC", format!("{:.6}", target.dec), "[deg] Declination of object");
        cards.value("SPID", spectrograph, "Spectrograph ID");
        cards.value("FIBERID", fibre, "Fiber ID of Object");
        cards.text("OBJTYPE", "Star", "Object type from input catalog");
        cards.text(if is_old { "FIBERTYP" } else { "FIB_TYPE" }, "Obj", "Fiber type of object");
        cards.value(if is_old { "FIBERMAS" } else { "FIB_MASK" }, 0, "0 means all is well");
        cards.value("HELIO", "T", "Heliocentric correction");
        cards.value("HELIO_RV", "0.00000", "[km/s] Heliocentric correction");
        cards.value("VACUUM", "T", "Wavelengths are in vacuum");
        cards.text("VERSPIPE", concat!("starmill ", env!("CARGO_PKG_VERSION")), "");
    }
}

const ISO: &str = "%Y-%m-%dT%H:%M:%S";

/// The grid of low-resolution files, in log10 of Angstrom.
const LRS_FIRST: f64 = 3.5682;
const LRS_STEP: f64 = 1e-4;
const LRS_PIXELS: usize = 3909;

/// The bands of S/N, those of SDSS within the spectrum.
const BANDS: [(&str, f64, f64); 5] = [
    ("SNRU", 3700.0, 3900.0),
    ("SNRG", 4000.0, 5500.0),
    ("SNRR", 5620.0, 6890.0),
    ("SNRI", 6930.0, 8250.0),
    ("SNRZ", 8250.0, 9100.0),
];

/// An arm of the medium-resolution spectrographs.
struct Arm {
    name: char,
    /// log10 of the first wavelength, Angstrom.
    first: f64,
    coadd_pixels: usize,
    /// Its S/N as a part of that of the blue arm, which is the worse one.
    light: f64,
}

const ARMS: [Arm; 2] = [
    Arm { name: 'B', first: 3.6898, coadd_pixels: 4150, light: 1.0 },
    Arm { name: 'R', first: 3.798, coadd_pixels: 3750, light: 1.4 },
];

/// Pixels of an exposure.
const EXPOSURE_PIXELS: u32 = 4136;

fn log_linear(first: f64, step: f64, pixels: usize) -> Vec<f64> {
    (0..pixels).map(|pixel| 10f64.powf(first + step * pixel as f64)).collect()
}

/// The steps of an exposure shrink along the arm, from 1.03e-5 to 0.74e-5.
fn uneven(first: f64) -> Vec<f64> {
    let slope = 0.29e-5 / f64::from(EXPOSURE_PIXELS);
    let at = |pixel: u32| {
        let pixel = f64::from(pixel);
        10f64.powf(first + 1.03e-5 * pixel - 0.5 * slope * pixel * pixel)
    };
    (0..EXPOSURE_PIXELS).map(at).collect()
}

fn arm_columns(seen: Exposed, wave: &[f64], in_cells: bool, is_sum: bool) -> Vec<Column> {
    let column = |name, values| Column { name, values };
    let wave = if in_cells {
        column("WAVELENGTH", Values::Float(single(wave)))
    } else {
        let loglam: Vec<f64> = wave.iter().map(|wave| wave.log10()).collect();
        column("LOGLAM", Values::Float(single(&loglam)))
    };
    let flux = column("FLUX", Values::Float(seen.flux));
    let ivar = column("IVAR", Values::Float(seen.ivar));
    if is_sum {
        let andmask = column("ANDMASK", Values::Short(seen.andmask));
        let ormask = column("ORMASK", Values::Short(seen.ormask));
        vec![flux, ivar, wave, andmask, ormask]
    } else {
        vec![flux, ivar, wave, column("PIXMASK", Values::Short(seen.ormask))]
    }
}

fn floats(mask: &[u8]) -> Vec<f32> {
    mask.iter().copied().map(f32::from).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "files hold single precision")]
fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}
