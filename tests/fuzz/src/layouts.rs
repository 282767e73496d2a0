//! Properties of the survey layouts, and of recipes of both kinds on whatever they accept.

use std::path::Path;
use std::sync::LazyLock;

use starmill::fits::Fits;
use starmill::input::Need;
use starmill::prep::Recipe;
use starmill::reject::Reject;
use starmill::spectrum::Spectrum;
use starmill::survey::{self, LAYOUTS, Layout, Take};
use starmill_onnx::Model;

use crate::budget::{self, SLACK};

/// Spectra of one file that are read; a table may have thousands.
const MOST_READ: usize = 16;

/// The shipped recipe of low resolution, one with every step for two arms, and one for a survey of one
/// grid.
static RECIPES: LazyLock<[Recipe; 3]> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = Model::open(root.join("onnx/models/fcresnet")).expect("a model").manifest;
    let low = Recipe::parse(&manifest.recipe, manifest.input.pixels, None).expect("its recipe");
    let text = std::fs::read_to_string(root.join("tests/mrs_recipe/recipe.toml"));
    // Files of two arms carry no velocity.
    let text = text.expect("a recipe").replace("missing = \"reject\"", "missing = \"zero\"");
    let table = text.parse::<toml::Table>().expect("sound TOML");
    let steps = table["recipe"].clone().try_into::<Vec<toml::Table>>().expect("steps");
    // Mean 0 and spread 1 of each pixel.
    let scale = [0.0_f32, 1.0].map(|value| [value; TWO_ARMS]).concat();
    let scale: Vec<u8> = scale.into_iter().flat_map(f32::to_le_bytes).collect();
    let medium = Recipe::parse(&steps, TWO_ARMS, Some(&scale)).expect("the recipe of two arms");
    let grid = "step = 'native_grid'\nfirst = 3360.0\nspacing = 20.0\npixels = 343\nmax_bad_fraction = 0.5";
    let grid =
        [grid, "step = 'zscore'"].map(|step| step.parse::<toml::Table>().expect("sound TOML"));
    [low, medium, Recipe::parse(&grid, 343, None).expect("the recipe of one grid")]
});

/// Pixels of the recipe for two arms.
const TWO_ARMS: usize = 600;

/// Recognises, counts, reads and prepares, twice, and compares.
pub fn check(bytes: &[u8]) {
    LazyLock::force(&RECIPES);
    // A spectrum's arrays take at most five times the bytes that they are decoded from, and two
    // sets of them are held for the comparison.
    budget::within(32 * bytes.len() + SLACK, || {
        let Ok(fits) = Fits::parse(bytes) else {
            return;
        };
        let takers = LAYOUTS.iter().filter(|layout| layout.recognise(&fits).is_ok()).count();
        assert!(takers <= 1, "{takers} layouts claim the file");
        let layout = match survey::detect(&fits) {
            Ok(layout) => layout.taking(Take::Both).unwrap_or(layout),
            Err(reject) => return check_reject(&reject),
        };
        assert_eq!(takers, 1);
        check_beginning(bytes, &fits, layout);
        let count = layout.count(&fits);
        assert!(count <= bytes.len(), "{count} spectra in {} bytes", bytes.len());
        for index in 0..count.min(MOST_READ) {
            match (layout.read(&fits, index), layout.read(&fits, index)) {
                (Ok(first), Ok(second)) => {
                    check_same(&first, &second);
                    check_spectrum(&first);
                }
                (Err(first), Err(second)) => {
                    assert_eq!(first, second);
                    check_reject(&first);
                }
                (first, second) => panic!("{first:?} is not {second:?}"),
            }
        }
    });
}

/// If a part of the file is said to be enough, it gives the sum of the whole.
fn check_beginning(bytes: &[u8], fits: &Fits, layout: &dyn Layout) {
    let Need::Enough(length) = survey::need_of_coadd(bytes) else { return };
    assert!(length <= bytes.len());
    let Some(coadd) = layout.taking(Take::Coadd) else { return };
    let beginning = Fits::parse(&bytes[..length]).expect("it holds whole HDUs");
    // Where COMBIN_B or COMBIN_R denies an arm that is there, the file contradicts itself.
    if ["COADD_B", "COADD_R"]
        .iter()
        .any(|arm| fits.named(arm).is_some() != beginning.named(arm).is_some())
    {
        return;
    }
    match (coadd.read(fits, 0), coadd.read(&beginning, 0)) {
        (Ok(whole), Ok(part)) => check_same(&whole, &part),
        (whole, part) => assert_eq!(whole.map(drop), part.map(drop)),
    }
}

fn check_reject(reject: &Reject) {
    assert!(!reject.detail.is_empty());
    assert!(reject.detail.len() <= 1024, "a detail of {} bytes", reject.detail.len());
}

fn check_same(first: &Spectrum, second: &Spectrum) {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(first.wave(), second.wave());
    assert_eq!(bits(first.flux()), bits(second.flux()));
    assert_eq!(bits(first.ivar()), bits(second.ivar()));
    assert_eq!((first.andmask(), first.ormask()), (second.andmask(), second.ormask()));
    assert_eq!(first.meta, second.meta);
}

fn check_spectrum(spectrum: &Spectrum) {
    let wave = spectrum.wave();
    assert!(wave.len() >= 2);
    assert!(wave[0] > 0.0 && wave[wave.len() - 1].is_finite());
    assert!(wave.windows(2).all(|pair| pair[0] < pair[1]));
    let lengths = [spectrum.flux().len(), spectrum.ivar().len()];
    let masks = [spectrum.andmask().len(), spectrum.ormask().len()];
    assert!(lengths.iter().chain(&masks).all(|&length| length == wave.len()));
    for (&flux, &ivar) in spectrum.flux().iter().zip(spectrum.ivar()) {
        assert!(ivar.is_finite() && ivar >= 0.0 && (flux.is_finite() || ivar == 0.0));
    }
    let meta = &spectrum.meta;
    let mut snr = meta.snr.iter().chain([&meta.snr_b, &meta.snr_r]).flatten();
    assert!(snr.all(|snr| snr.is_finite()), "{meta:?}");
    assert!([meta.ra, meta.dec, meta.z, meta.z_err].iter().flatten().all(|x| x.is_finite()));
    assert!(spectrum.name().is_none_or(|name| name.is_ascii() && name.len() <= 1024));
    for recipe in &*RECIPES {
        check_prepared(recipe, spectrum);
    }
}

fn check_prepared(recipe: &Recipe, spectrum: &Spectrum) {
    match (recipe.prepare(spectrum), recipe.prepare(spectrum)) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.input.len(), recipe.grid().bins());
            assert!(first.input.iter().all(|value| value.is_finite()), "{:?}", first.input);
            assert!(first.pixels <= spectrum.wave().len() && first.bad_pixels <= first.pixels);
            assert!(first.empty_bins < first.input.len());
            assert_eq!(first, second);
        }
        (Err(first), Err(second)) => {
            assert_eq!(first, second);
            check_reject(&first);
        }
        (first, second) => panic!("{first:?} is not {second:?}"),
    }
}
