//! One spectrum of one observation, with its invariants held by the constructor.

use std::ops::Range;

use crate::reject::{Code, Reject};

/// The most pixels of one spectrum: thirty times the longest of any survey, so that what one item
/// may take is known before any file is.
pub const MAX_PIXELS: usize = 1 << 18;
/// The longest text of an observation, bytes; a FITS card holds 68.
pub const MAX_TEXT: usize = 1024;
/// The most that [`Spectrum::bytes`] gives.
pub const MAX_BYTES: usize = MAX_PIXELS * PIXEL_BYTES + META_TEXTS * MAX_TEXT;

/// Bytes of a pixel in all arrays.
const PIXEL_BYTES: usize = size_of::<f64>() + 2 * size_of::<f32>() + 2 * size_of::<u16>();
/// Texts in [`Meta`].
const META_TEXTS: usize = 10;

/// What the header says of an observation; absent values are `None`, never a magic number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meta {
    /// Survey identifier of the spectrum.
    pub obsid: Option<i64>,
    /// Row of the table that the spectrum is, from 0, where a table holds many.
    pub row: Option<usize>,
    /// Name of the star beside its identifier.
    pub designation: Option<String>,
    /// Magnitudes in G, BP and RP.
    pub magnitudes: [Option<f32>; 3],
    /// Local modified Julian day of the observation.
    pub lmjd: Option<i32>,
    /// Plan (plate) identifier.
    pub planid: Option<String>,
    /// Spectrograph number.
    pub spid: Option<i32>,
    /// Fibre number.
    pub fiberid: Option<i32>,
    /// Whether it is a single exposure of those that make the observation.
    pub is_exposure: bool,
    /// Local modified Julian minute at which the exposure, or the first one of a sum, began.
    pub lmjm: Option<i64>,
    /// Extension of the file with the blue arm, where arms have extensions of their own.
    pub extname_blue: Option<String>,
    /// The same with the red arm.
    pub extname_red: Option<String>,
    /// Right ascension, degrees, J2000.
    pub ra: Option<f64>,
    /// Declination, degrees, J2000.
    pub dec: Option<f64>,
    /// Median UTC of the observation, ISO 8601.
    pub date_obs: Option<String>,
    /// When the file was reduced, UTC, ISO 8601: the newer of two reductions wins.
    pub date_reduced: Option<String>,
    /// Signal-to-noise ratio a pixel in u, g, r, i, z.
    pub snr: [Option<f32>; 5],
    /// Signal-to-noise ratio a pixel in the blue arm of a two-armed spectrograph.
    pub snr_b: Option<f32>,
    /// The same in its red arm.
    pub snr_r: Option<f32>,
    /// Median over the pixels of flux by error, where the survey gives no signal-to-noise ratio.
    pub snr_median: Option<f32>,
    /// Class that the survey's pipeline gave: STAR, GALAXY, QSO, ...
    pub class: Option<String>,
    /// Subclass that the survey's pipeline gave.
    pub subclass: Option<String>,
    /// Redshift that the survey's pipeline gave.
    pub z: Option<f64>,
    /// Its error.
    pub z_err: Option<f64>,
    /// Heliocentric radial velocity, km/s, positive when receding.
    pub rv_kms: Option<f64>,
    /// Its error, km/s.
    pub rv_err_kms: Option<f64>,
    /// Where it comes from.
    pub rv_source: Option<String>,
    /// Whether something about it is odd.
    pub rv_is_doubtful: bool,
    /// Fibre mask; 0 means all is well.
    pub fibermask: Option<i32>,
    /// Data release that the file names.
    pub release: Option<String>,
}

/// A flux-calibrated spectrum in vacuum wavelengths.
///
/// Invariants: all arrays have the same length of two to [`MAX_PIXELS`]; wavelengths are finite,
/// positive and strictly increasing; `ivar` is finite and not negative, and zero wherever `flux` is
/// not finite.
#[derive(Debug, Clone)]
pub struct Spectrum {
    survey: &'static str,
    wave: Vec<f64>,
    flux: Vec<f32>,
    ivar: Vec<f32>,
    andmask: Vec<u16>,
    ormask: Vec<u16>,
    repaired: usize,
    /// What the header says.
    pub meta: Meta,
}

/// The arrays that make a spectrum, as read.
#[derive(Debug, Clone, Default)]
pub struct Arrays {
    /// Wavelength in vacuum, Angstrom.
    pub wave: Vec<f64>,
    /// Flux in the survey's relative unit.
    pub flux: Vec<f32>,
    /// Inverse variance of the flux; zero where there is no measurement.
    pub ivar: Vec<f32>,
    /// Mask bits set in every exposure.
    pub andmask: Vec<u16>,
    /// Mask bits set in at least one exposure.
    pub ormask: Vec<u16>,
}

impl Spectrum {
    /// Checks the arrays and repairs what can be repaired: pixels with a value that is not finite,
    /// or a negative ivar, get zero ivar and are counted; texts beyond [`MAX_TEXT`] lose their end.
    ///
    /// # Errors
    /// [`Code::CORRUPT_FITS`] for arrays of unequal length, [`Code::TOO_LARGE`] for too many
    /// pixels, [`Code::BAD_WAVELENGTH`] for wavelengths that do not increase.
    pub fn new(survey: &'static str, arrays: Arrays, mut meta: Meta) -> Result<Self, Reject> {
        let Arrays { wave, flux, mut ivar, andmask, ormask } = arrays;
        let pixels = wave.len();
        let lengths = [flux.len(), ivar.len(), andmask.len(), ormask.len()];
        if lengths.iter().any(|&length| length != pixels) {
            return Err(Code::CORRUPT_FITS.because(format!(
                "{pixels} wavelengths but {lengths:?} values of flux, ivar, andmask, ormask"
            )));
        }
        check_pixels(pixels)?;
        check_wavelengths(&wave)?;
        for text in meta.texts_mut().into_iter().flatten() {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
        }
        #[expect(clippy::needless_bitwise_bool, reason = "without branches it runs in vectors")]
        let usable = |flux: f32, ivar: f32| flux.is_finite() & ivar.is_finite() & (ivar >= 0.0);
        let sound = flux.iter().zip(&ivar).fold(true, |all, (&f, &i)| all & usable(f, i));
        let mut repaired = 0;
        if !sound {
            for (ivar, flux) in ivar.iter_mut().zip(&flux) {
                if !usable(*flux, *ivar) {
                    *ivar = 0.0;
                    repaired += 1;
                }
            }
        }
        Ok(Self { survey, wave, flux, ivar, andmask, ormask, repaired, meta })
    }

    /// The survey, as manifests name it: `lamost-lrs`.
    pub fn survey(&self) -> &'static str {
        self.survey
    }

    /// Wavelength in vacuum, Angstrom.
    pub fn wave(&self) -> &[f64] {
        &self.wave
    }

    /// Flux in the survey's relative unit; may be not finite where `ivar` is zero.
    pub fn flux(&self) -> &[f32] {
        &self.flux
    }

    /// Inverse variance of the flux; zero where there is no measurement.
    pub fn ivar(&self) -> &[f32] {
        &self.ivar
    }

    /// Mask bits set in every exposure.
    pub fn andmask(&self) -> &[u16] {
        &self.andmask
    }

    /// Mask bits set in at least one exposure.
    pub fn ormask(&self) -> &[u16] {
        &self.ormask
    }

    /// The same with the flux of some pixels multiplied; their errors stay.
    #[must_use]
    pub fn with_flux_times(&self, pixels: Range<usize>, factor: f32) -> Self {
        let mut changed = self.clone();
        changed.flux[pixels].iter_mut().for_each(|flux| *flux *= factor);
        changed
    }

    /// Pixels whose ivar the constructor set to zero.
    pub fn repaired(&self) -> usize {
        self.repaired
    }

    /// The name of the observation: `lamost-lrs:55862-B6212-06-003` from lmjd, planid, spid and
    /// fiberid, else `lamost-lrs:obsid-906003`; `None` if the header gives neither. A single
    /// exposure has its lmjm behind that: `lamost-mrs:58025-HIP9645901-02-051-83555772`. A row of a
    /// table is named by obsid and row, `gaia-xp:5853418002145112704-17`: a star may have several rows.
    ///
    /// Every release of an observation has the same name, so one catalogue holds it once. The name
    /// of an exposure holds lmjm, spid and fiberid, which identify it in every release; obsid does
    /// not since DR11.
    pub fn name(&self) -> Option<String> {
        let Meta { obsid, lmjd, planid, spid, fiberid, lmjm, .. } = &self.meta;
        let survey = self.survey;
        if let Some(row) = self.meta.row {
            return Some(format!("{survey}:{}-{row}", (*obsid)?));
        }
        let observation = match (lmjd, planid, spid, fiberid) {
            (Some(lmjd), Some(planid), Some(spid), Some(fiberid)) => {
                format!("{survey}:{lmjd:05}-{planid}-{spid:02}-{fiberid:03}")
            }
            _ => format!("{survey}:obsid-{}", (*obsid)?),
        };
        if !self.meta.is_exposure {
            return Some(observation);
        }
        Some(format!("{observation}-{}", (*lmjm)?))
    }

    /// Bytes on the heap, for bounded queues.
    pub fn bytes(&self) -> usize {
        let texts = self.meta.texts().into_iter().flatten().map(String::len).sum::<usize>();
        self.wave.len() * PIXEL_BYTES + texts
    }
}

impl Meta {
    /// The S/N that limits are about: that in g, else the smaller one of the arms, else the median.
    pub fn limiting_snr(&self) -> Option<f32> {
        let arms = [self.snr_b, self.snr_r].into_iter().flatten();
        self.snr[1].or_else(|| arms.reduce(f32::min)).or(self.snr_median)
    }

    fn texts(&self) -> [Option<&String>; META_TEXTS] {
        let Self { planid, date_obs, date_reduced, class, subclass, release, .. } = self;
        let Self { rv_source, extname_blue: blue, extname_red: red, designation, .. } = self;
        [
            planid,
            date_obs,
            date_reduced,
            class,
            subclass,
            release,
            rv_source,
            blue,
            red,
            designation,
        ]
        .map(Option::as_ref)
    }

    fn texts_mut(&mut self) -> [Option<&mut String>; META_TEXTS] {
        let Self { planid, date_obs, date_reduced, class, subclass, release, .. } = self;
        let Self { rv_source, extname_blue: blue, extname_red: red, designation, .. } = self;
        [
            planid,
            date_obs,
            date_reduced,
            class,
            subclass,
            release,
            rv_source,
            blue,
            red,
            designation,
        ]
        .map(Option::as_mut)
    }
}

/// Refuses more than [`MAX_PIXELS`]; for readers, before they decode anything.
///
/// # Errors
/// [`Code::TOO_LARGE`] with the number.
pub(crate) fn check_pixels(pixels: usize) -> Result<(), Reject> {
    if pixels <= MAX_PIXELS {
        return Ok(());
    }
    Err(Code::TOO_LARGE
        .because(format!("the spectrum has {pixels} pixels, the most is {MAX_PIXELS}")))
}

fn check_wavelengths(wave: &[f64]) -> Result<(), Reject> {
    let bad = |what: String| Err(Code::BAD_WAVELENGTH.because(what));
    if wave.len() < 2 {
        return bad(format!("the spectrum has {} pixels", wave.len()));
    }
    // One pass for the sound case: increasing from a positive number to a finite one is all of it.
    #[expect(clippy::needless_bitwise_bool, reason = "without branches it runs in vectors")]
    let increases = wave.windows(2).fold(true, |all, pair| all & (pair[0] < pair[1]));
    if increases && wave[0] > 0.0 && wave[wave.len() - 1].is_finite() {
        return Ok(());
    }
    if let Some(pixel) = wave.iter().position(|w| !w.is_finite() || *w <= 0.0) {
        return bad(format!("pixel {pixel} has wavelength {}", wave[pixel]));
    }
    if let Some(pixel) = wave.windows(2).position(|pair| pair[1] <= pair[0]) {
        return bad(format!(
            "wavelength does not increase from pixel {pixel} ({}) to the next ({})",
            wave[pixel],
            wave[pixel + 1]
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays(wave: &[f64]) -> Arrays {
        Arrays {
            wave: wave.to_vec(),
            flux: vec![1.0; wave.len()],
            ivar: vec![4.0; wave.len()],
            andmask: vec![0; wave.len()],
            ormask: vec![0; wave.len()],
        }
    }

    #[test]
    fn wavelengths_must_increase() {
        let check = |wave: &[f64], good| {
            assert_eq!(Spectrum::new("s", arrays(wave), Meta::default()).is_ok(), good, "{wave:?}");
        };
        check(&[4000.0, 4001.0], true);
        check(&[4000.0, 4000.0], false);
        check(&[4001.0, 4000.0], false);
        check(&[f64::NAN, 4000.0], false);
        check(&[-1.0, 4000.0], false);
        check(&[4000.0], false);
        check(&[], false);
    }

    #[test]
    fn unusable_values_lose_their_weight_and_are_counted() {
        let mut given = arrays(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        given.flux[0] = f32::NAN;
        given.ivar[1] = f32::INFINITY;
        given.ivar[2] = -1.0;
        let spectrum = Spectrum::new("s", given, Meta::default()).unwrap();
        assert_eq!(spectrum.ivar(), [0.0, 0.0, 0.0, 4.0, 4.0]);
        assert_eq!(spectrum.repaired(), 3);
    }

    #[test]
    fn the_largest_spectrum_takes_what_is_said() {
        let wave = |pixels: u32| (1..=pixels).map(f64::from).collect::<Vec<_>>();
        let long = || Some("x".repeat(2 * MAX_TEXT));
        let meta = || Meta {
            planid: long(),
            designation: long(),
            date_obs: long(),
            date_reduced: long(),
            class: long(),
            subclass: long(),
            release: long(),
            rv_source: long(),
            extname_blue: long(),
            extname_red: long(),
            ..Meta::default()
        };
        let most = MAX_PIXELS as u32;
        let spectrum = Spectrum::new("s", arrays(&wave(most)), meta()).unwrap();
        assert_eq!(spectrum.bytes(), MAX_BYTES);
        let reject = Spectrum::new("s", arrays(&wave(most + 1)), meta()).unwrap_err();
        assert_eq!(reject.code, Code::TOO_LARGE);
    }

    #[test]
    fn unequal_arrays_are_refused() {
        let mut given = arrays(&[1.0, 2.0]);
        given.ormask.pop();
        let reject = Spectrum::new("s", given, Meta::default()).unwrap_err();
        assert_eq!(reject.code, Code::CORRUPT_FITS);
    }

    #[test]
    fn the_name_is_the_observation_not_the_release() {
        let meta = Meta {
            obsid: Some(906_003),
            lmjd: Some(55862),
            planid: Some("B6212".into()),
            spid: Some(6),
            fiberid: Some(3),
            ..Meta::default()
        };
        let name = |meta| Spectrum::new("lamost-lrs", arrays(&[1.0, 2.0]), meta).unwrap().name();
        assert_eq!(name(meta.clone()).as_deref(), Some("lamost-lrs:55862-B6212-06-003"));
        let exposure = Meta { is_exposure: true, lmjm: Some(83_555_772), ..meta.clone() };
        let named = name(exposure.clone());
        assert_eq!(named.as_deref(), Some("lamost-lrs:55862-B6212-06-003-83555772"));
        assert_eq!(name(Meta { lmjm: None, ..exposure }), None);
        let without = Meta { spid: None, ..meta };
        assert_eq!(name(without.clone()).as_deref(), Some("lamost-lrs:obsid-906003"));
        assert_eq!(name(Meta { obsid: None, ..without.clone() }), None);
        let row = Meta { row: Some(17), ..without };
        assert_eq!(name(row.clone()).as_deref(), Some("lamost-lrs:906003-17"));
        assert_eq!(name(Meta { obsid: None, ..row }), None);
    }
}
