//! Sound files with values that no spectrum has.

use starmill::reject::Code;
use starmill::spectrum::MAX_PIXELS;

use super::{Case, case, gzip};
use crate::support::lrs::{Layout, Lrs};

fn changed(layout: Layout, change: impl FnOnce(&mut Lrs)) -> Vec<u8> {
    let mut star = Lrs::star(1);
    change(&mut star);
    star.to_fits(layout)
}

/// Keeps the pixels of which `keep` says so.
fn kept(layout: Layout, keep: impl Fn(usize, f32) -> bool) -> Vec<u8> {
    changed(layout, |star| {
        let wave = star.wave.clone();
        for array in
            [&mut star.wave, &mut star.flux, &mut star.ivar, &mut star.andmask, &mut star.ormask]
        {
            let mut pixel = 0;
            array.retain(|_| {
                pixel += 1;
                keep(pixel - 1, wave[pixel - 1])
            });
        }
    })
}

/// More pixels than a spectrum may have.
fn long(layout: Layout) -> Vec<u8> {
    let bytes = changed(layout, |star| {
        star.wave = (0..=MAX_PIXELS).map(|pixel| 3700.0 + pixel as f32 / 32.0).collect();
        for array in [&mut star.flux, &mut star.ivar, &mut star.andmask, &mut star.ormask] {
            *array = vec![1.0; MAX_PIXELS + 1];
        }
    });
    gzip(&bytes)
}

pub fn cases() -> Vec<Case> {
    use Layout::{Image, Pilot, Table};
    let wave = |name, layout, change: fn(&mut Vec<f32>), says| {
        case(name, changed(layout, |star| change(&mut star.wave)), Code::BAD_WAVELENGTH, says)
    };
    let dispersion = |name, keyword, value, says| {
        let bytes = Lrs::star(1).with(keyword, value).to_fits(Pilot);
        case(name, bytes, Code::BAD_WAVELENGTH, says)
    };
    let unusable = |name, layout, change: fn(&mut Lrs)| {
        case(name, changed(layout, change), Code::TOO_MANY_BAD_PIXELS, "unusable")
    };
    let flat = |name, layout, value: f32| {
        let bytes = changed(layout, |star| star.flux.fill(value));
        case(name, bytes, Code::FLAT_SPECTRUM, "deviation")
    };
    vec![
        wave("wave-backwards.fits", Image, |w| w.reverse(), "increase"),
        wave("wave-nan.fits", Image, |w| w[5] = f32::NAN, "pixel 5"),
        wave("wave-infinite.fits", Table, |w| w[3908] = f32::INFINITY, "pixel 3908"),
        wave("wave-negative.fits", Table, |w| w[0] = -1.0, "pixel 0"),
        wave("wave-twice.fits", Table, |w| w[6] = w[5], "increase"),
        wave("wave-zero.fits", Table, |w| w.fill(0.0), "pixel 0"),
        wave("wave-swapped.fits", Image, |w| w.swap(1000, 1001), "increase"),
        dispersion("dispersion-text.fits", "COEFF1", "'none'", "COEFF1"),
        dispersion("dispersion-nan.fits", "COEFF0", "NaN", "COEFF0"),
        dispersion("dispersion-infinite.fits", "COEFF0", "1E999", "COEFF0"),
        dispersion("dispersion-none.fits", "COEFF1", "0.0", "increase"),
        dispersion("dispersion-backwards.fits", "COEFF1", "-0.0001", "increase"),
        dispersion("dispersion-huge.fits", "COEFF0", "400.0", "pixel 0"),
        dispersion("dispersion-steep.fits", "COEFF1", "1E300", "wavelength"),
        case(
            "dispersion-missing.fits",
            Lrs::star(1).without("COEFF0").to_fits(Pilot),
            Code::BAD_WAVELENGTH,
            "COEFF0",
        ),
        case("pixels-none.fits", kept(Image, |_, _| false), Code::BAD_WAVELENGTH, "0 pixels"),
        case("pixels-none-table.fits", kept(Table, |_, _| false), Code::UNKNOWN_LAYOUT, "no bytes"),
        case(
            "pixels-one.fits",
            kept(Image, |pixel, _| pixel == 7),
            Code::BAD_WAVELENGTH,
            "1 pixels",
        ),
        case("pixels-many-image.fits.gz", long(Image), Code::TOO_LARGE, "pixels"),
        case("pixels-many-pilot.fits.gz", long(Pilot), Code::TOO_LARGE, "pixels"),
        case("pixels-many-table.fits.gz", long(Table), Code::TOO_LARGE, "pixels"),
        case(
            "range-other.fits",
            changed(Image, |s| s.wave.iter_mut().for_each(|w| *w *= 3.0)),
            Code::WAVELENGTH_COVERAGE,
            "covers",
        ),
        case(
            "range-blue.fits",
            kept(Image, |_, wave| wave < 6000.0),
            Code::WAVELENGTH_COVERAGE,
            "covers",
        ),
        case(
            "range-hole.fits",
            kept(Table, |_, wave| !(5000.0..6000.0).contains(&wave)),
            Code::TOO_MANY_BAD_PIXELS,
            "bins",
        ),
        unusable("flux-nan.fits", Image, |s| s.flux.fill(f32::NAN)),
        unusable("flux-infinite.fits", Table, |s| s.flux.fill(f32::INFINITY)),
        unusable("ivar-nan.fits", Table, |s| s.ivar.fill(f32::NAN)),
        unusable("ivar-infinite.fits", Image, |s| s.ivar.fill(f32::INFINITY)),
        unusable("ivar-negative.fits", Image, |s| s.ivar.fill(-1.0)),
        unusable("ivar-zero.fits", Table, |s| s.ivar.fill(0.0)),
        unusable("masked.fits", Table, |s| s.andmask.fill(1.0)),
        unusable("mask-nan.fits", Image, |s| s.andmask.fill(f32::NAN)),
        unusable("mask-huge.fits", Image, |s| s.andmask.fill(1e30)),
        unusable("mask-fraction.fits", Table, |s| s.andmask.fill(0.5)),
        flat("flux-constant.fits", Image, 5.0),
        flat("flux-zero.fits", Image, 0.0),
        flat("flux-tiny.fits", Table, 1e-45),
        flat("flux-largest.fits", Table, f32::MAX),
    ]
}
