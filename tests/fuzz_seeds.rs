//! The seeds of the fuzz targets (`ops/fuzz.sh`): small files of every layout, and headers of real
//! files over a few made pixels. Written anew by
//! `cargo test --test fuzz_seeds -- --ignored write_the_seeds`.

mod support;

use std::fs;
use std::path::PathBuf;

use starmill::fits::Fits;
use starmill::input::{Limits, Reader};
use starmill::survey;
use support::lrs::{Layout, Lrs, gzip_well as gzip};
use support::mrs::{self, Mrs};
use support::xp;

/// Every how many pixels one is kept.
const KEPT: usize = 24;
/// Bytes in a block of header or data.
const BLOCK: usize = 2880;
/// What the seeds may take in the repository, bytes.
const MOST: u64 = 200_000;
/// Real files whose headers are taken, one of each layout.
const REAL: [&str; 3] =
    ["spec-55862-B6212_sp06-003", "spec-57287-KP193637N444141V03_sp10-161", "3709013"];

fn seeds() -> PathBuf {
    support::root().join("tests/fuzz/seeds")
}

#[test]
fn the_seeds_are_small_and_their_spectra_are_read() {
    let mut total = 0;
    let mut layouts = std::collections::BTreeSet::new();
    for entry in walkdir::WalkDir::new(seeds()) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() {
            continue;
        }
        total += entry.metadata().unwrap().len();
        if entry.path().extension().is_some_and(|ending| ending == "fits") {
            let bytes = fs::read(entry.path()).unwrap();
            let fits = Fits::parse(&bytes).unwrap();
            let layout = survey::detect(&fits).unwrap();
            let spectrum = layout.read(&fits, 0).unwrap();
            assert!(spectrum.wave().len() > 100, "{}", entry.path().display());
            layouts.insert(layout.name());
        }
    }
    assert!(total <= MOST, "the seeds take {total} bytes");
    assert_eq!(layouts.len(), 6, "{layouts:?}");
}

#[test]
#[ignore = "writes files of the repository"]
fn write_the_seeds() {
    let star = small_star();
    for (name, layout) in
        [("pilot", Layout::Pilot), ("image", Layout::Image), ("table", Layout::Table)]
    {
        let fits = star.to_fits(layout);
        write("fits", &format!("{name}.fits"), &fits);
        write("inflate", &format!("{name}.fits.gz"), &gzip(&fits));
        write("inflate", &format!("{name}.fits.zst"), &zstd::encode_all(&fits[..], 9).unwrap());
    }
    for (name, layout) in [("rows", mrs::Layout::Rows), ("cells", mrs::Layout::Cells)] {
        let fits = small_medium_star().to_fits(layout);
        write("fits", &format!("medium-{name}.fits"), &fits);
        write("inflate", &format!("medium-{name}.fits.gz"), &gzip(&fits));
    }
    write("fits", "xp.fits", &xp::to_fits(&xp::stars(2)));
    for stem in REAL {
        for path in support::real_files("writing seeds", stem).iter().take(1) {
            let limits = Limits { file_bytes: 1 << 24, inflated_bytes: 1 << 24 };
            let mut reader = Reader::new(limits);
            reader.read(path, &mut std::thread::sleep).unwrap();
            let seed = with_few_pixels(reader.inflate(&mut std::thread::sleep).unwrap());
            write("fits", &format!("real-header-{stem}.fits"), &seed);
        }
    }
    write("names", "list", b"a.fits\nb[1].fits\r\n\n%c.fits\n../d e.fits\n");
    let manifest = support::root().join("onnx/models/fcresnet/manifest.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    write("settings", "manifest", format!("m{manifest}").as_bytes());
    let two_arms = fs::read_to_string(support::root().join("tests/mrs_recipe/recipe.toml"));
    let two_arms = with_recipe(&manifest, &two_arms.unwrap());
    write("settings", "two-armed-manifest", format!("m{two_arms}").as_bytes());
    let config = b"c[input]\nmax_file_bytes = 1_000\n[infer]\nbatch = 32\nmax_delay = 0.5\n";
    write("settings", "config", config);
}

/// A manifest with another recipe, and as many pixels as that gives.
fn with_recipe(manifest: &str, recipe: &str) -> String {
    let (before, rest) = manifest.split_once("[[recipe]]").unwrap();
    let (_, behind) = rest.split_once("[[label]]").unwrap();
    // Without scale, whose file no fuzzer makes.
    let (recipe, _) = recipe.split_once("[[recipe]]\nstep = \"scale\"").unwrap();
    format!("{before}{recipe}[[label]]{behind}").replace("pixels = 143", "pixels = 600")
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = seeds().join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn small_star() -> Lrs {
    let star = Lrs::star(1);
    let few = |values: &[f32]| values.iter().copied().step_by(KEPT).collect();
    Lrs {
        wave: few(&star.wave),
        flux: few(&star.flux),
        ivar: few(&star.ivar),
        andmask: few(&star.andmask),
        ormask: few(&star.ormask),
        ..star.with("COEFF1", &format!("{}", 1e-4 * KEPT as f64))
    }
}

fn few<T: Copy>(values: &[T]) -> Vec<T> {
    values.iter().copied().step_by(KEPT).collect()
}

/// A file with both sums and one exposure.
fn small_medium_star() -> Mrs {
    let mut star = Mrs::star(1);
    star.arms.retain(|(name, _)| name.starts_with("COADD") || name.ends_with("772"));
    for (_, arm) in &mut star.arms {
        arm.loglam = few(&arm.loglam);
        arm.flux = few(&arm.flux);
        arm.ivar = few(&arm.ivar);
        arm.mask = few(&arm.mask);
        arm.ormask = few(&arm.ormask);
    }
    star
}

/// The headers of a real file, with the sizes and pixels of [`small_star`].
fn with_few_pixels(real: &[u8]) -> Vec<u8> {
    let is_table = Fits::parse(real).unwrap().primary().data.is_empty();
    let made = small_star().to_fits(if is_table { Layout::Table } else { Layout::Image });
    let (real, made) = (hdus(real), hdus(&made));
    let mut seed = Vec::new();
    for ((header, _), (sizes, data)) in real.into_iter().zip(made) {
        for card in header.chunks_exact(80) {
            let is_size = card.starts_with(b"NAXIS1  =") || card.starts_with(b"TFORM");
            let size = sizes.chunks_exact(80).find(|size| is_size && size[..9] == card[..9]);
            seed.extend(size.unwrap_or(card));
        }
        seed.extend(data);
        seed.resize(seed.len().next_multiple_of(BLOCK), 0);
    }
    seed
}

/// Headers with their padding, and data.
fn hdus(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut offset = 0;
    let mut hdus = Vec::new();
    for hdu in &Fits::parse(bytes).unwrap().hdus {
        let cards = bytes[offset..].chunks_exact(80);
        let end = cards.take_while(|card| !card.starts_with(b"END     ")).count() + 1;
        let length = (80 * end).next_multiple_of(BLOCK);
        hdus.push((&bytes[offset..offset + length], hdu.data));
        offset += length + hdu.data.len().next_multiple_of(BLOCK);
    }
    hdus
}
