//! What is observed: stars with labels that belong together, galaxies, quasars.

use starmill_onnx::ForwardLabel;

use super::dice::Dice;
use super::{Request, Survey, labels};

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Star,
    /// At this redshift.
    Galaxy(f64),
    /// At this redshift.
    Quasar(f64),
}

impl Kind {
    /// As CLASS and the truth table name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Star => "STAR",
            Self::Galaxy(_) => "GALAXY",
            Self::Quasar(_) => "QSO",
        }
    }
}

/// A target with what is true of it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// From 0, in its survey.
    pub(super) number: u32,
    pub(super) survey: Survey,
    pub(super) kind: Kind,
    /// In the order of the model; of no meaning for what is no star.
    pub(super) labels: Vec<f64>,
    pub(super) teff: f64,
    /// Heliocentric, km/s.
    pub(super) velocity: f64,
    /// What the survey's pipeline measures, km/s.
    pub(super) measured: f64,
    pub(super) ra: f64,
    pub(super) dec: f64,
    /// Times it is observed.
    pub(super) visits: u8,
    /// Whether its file is broken.
    pub(super) is_broken: bool,
}

impl Target {
    /// Draws the target of this number.
    pub(super) fn draw(
        request: &Request,
        survey: Survey,
        number: u32,
        model: &[ForwardLabel],
    ) -> Self {
        let mut dice = Dice::new(request.seed, stream(survey, number, 0));
        let is_galaxy = dice.happens(request.galaxies);
        let kind = match (is_galaxy, dice.happens(0.5)) {
            (false, _) => Kind::Star,
            (true, true) => Kind::Galaxy(dice.uniform(0.02, 0.3)),
            (true, false) => Kind::Quasar(dice.uniform(0.8, 2.5)),
        };
        let labels = labels::draw(request.labels, survey, &mut dice, model);
        let teff =
            model.iter().position(|label| label.name == "teff").map_or(5000.0, |at| labels[at]);
        // The thin disc, and one in ten of the thick disc and the halo.
        let spread = if dice.happens(0.1) { 110.0 } else { 30.0 };
        let velocity = dice.normal(-5.0, spread).clamp(-400.0, 400.0);
        let measured = dice.normal(velocity, RV_ERROR);
        // A plate of LAMOST is five degrees wide.
        let plate = f64::from(plate(number));
        let ra = (60.0 + 11.0 * plate + dice.uniform(-2.4, 2.4)).rem_euclid(360.0);
        let dec = 20.0 + 1.5 * (plate % 20.0) + dice.uniform(-1.7, 1.7);
        let is_broken = dice.happens(request.broken);
        // A broken file is not observed again, so that what is expected of a target is one thing.
        let visits = if dice.happens(request.repeats) && !is_broken { 2 } else { 1 };
        Self { number, survey, kind, labels, teff, velocity, measured, ra, dec, visits, is_broken }
    }
}

/// Error of a velocity that the survey measures at low resolution, km/s.
pub(super) const RV_ERROR: f64 = 4.5;

/// Targets of a plate: 16 spectrographs of 250 fibres.
const PLATE: u32 = 4000;

/// The plate of a target, from 0.
pub(super) fn plate(number: u32) -> u32 {
    number / PLATE
}

/// Its spectrograph, from 1, and its fibre there, from 1.
pub(super) fn fibre(number: u32) -> (u32, u32) {
    let place = number % PLATE;
    (place / 250 + 1, place % 250 + 1)
}

/// The random numbers of a target (visit 0) or of one of its visits.
pub(super) fn stream(survey: Survey, number: u32, visit: u8) -> u64 {
    u64::from(number) << 16 | u64::from(survey as u8) << 8 | u64::from(visit)
}
