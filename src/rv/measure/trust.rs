//! Which measured velocities are believed.

use super::Measured;

/// Whether a measured velocity can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It can.
    Yes,
    /// The spectrum has been recognised, but something about it is odd: see the reason.
    Doubtful(Why),
    /// It cannot: noise could have given it.
    No(Why),
}

/// What is wrong with a measured velocity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Another velocity is nearly as likely.
    Ambiguous,
    /// The peak is low.
    Low,
    /// The error is large.
    Uncertain,
    /// The velocity is that of no star that was looked for.
    Fast,
    /// Blue and red contradict each other.
    Arms,
    /// A second peak is nearly as high: perhaps two stars.
    Double,
}

/// Natural logarithm of the likelihood by which a velocity must surpass any other. The highest of 150
/// spectra of noise had 9.8 (`tests/rv`), a real exposure without light had 25; stars of S/N 5 have 90
/// and more, half of them 340.
const LEAST_GAIN: f64 = 40.0;
/// The least correlation coefficient; that exposure had 0.20.
const LEAST_HEIGHT: f64 = 0.25;
/// The largest error, km/s.
const LARGEST_ERROR: f64 = 10.0;
/// The largest velocity, km/s.
const FASTEST: f64 = 600.0;
/// Zero points of the arms differ by so much, km/s, from spectrograph to spectrograph and month to
/// month.
const ZERO_POINTS: f64 = 5.0;
/// Standard errors by which the arms may differ beyond that.
const SIGMAS: f64 = 4.0;
/// A second peak of this height, as a part of the first, is another star's: the eclipsing binary KIC
/// 8098300 has one of 0.77 in one night and of 0.15 in another.
const HIGHEST_SECOND: f64 = 0.75;

/// Decides; the gravest reason counts.
pub(super) fn judge(measured: &Measured) -> Trust {
    let differ = match measured.arms {
        [Some((blue, blue_error)), Some((red, red_error))] => {
            let error = blue_error.hypot(red_error);
            error < LARGEST_ERROR && (blue - red).abs() > ZERO_POINTS + SIGMAS * error
        }
        _ => false,
    };
    if measured.gain < LEAST_GAIN {
        Trust::No(Why::Ambiguous)
    } else if measured.height < LEAST_HEIGHT {
        Trust::No(Why::Low)
    } else if measured.error > LARGEST_ERROR {
        Trust::No(Why::Uncertain)
    } else if measured.velocity.abs() > FASTEST {
        Trust::No(Why::Fast)
    } else if differ {
        Trust::Doubtful(Why::Arms)
    } else if measured.second > HIGHEST_SECOND {
        Trust::Doubtful(Why::Double)
    } else {
        Trust::Yes
    }
}
