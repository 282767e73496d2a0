//! Whatever a file holds, it ends as one coded reject that says what and where; the run goes on.

mod support;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use starmill::reject::{CODES, Code};
use support::lrs::{Layout, Lrs, gzip};

/// A broken file and the code that it must get.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    code: Code,
    /// A word that the detail must hold.
    says: &'static str,
}

fn case(name: &'static str, bytes: Vec<u8>, code: Code, says: &'static str) -> Case {
    Case { name, bytes, code, says }
}

fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("{from:?} is not in the file"));
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

fn changed(layout: Layout, change: impl FnOnce(&mut Lrs)) -> Vec<u8> {
    let mut star = Lrs::star(1);
    change(&mut star);
    star.to_fits(layout)
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn cases() -> Vec<Case> {
    let image = Lrs::star(1).to_fits(Layout::Image);
    let table = Lrs::star(1).to_fits(Layout::Table);
    let whole = gzip(&image);
    let frame = zstd::encode_all(&image[..], 3).unwrap();
    let flipped = {
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        bytes
    };
    let wrong_crc = {
        let mut bytes = whole.clone();
        let crc = bytes.len() - 8;
        bytes[crc] ^= 0x55;
        bytes
    };
    vec![
        case("empty.fits", vec![], Code::EMPTY_FILE, "0 bytes"),
        case("empty.fits.gz", gzip(b""), Code::NOT_FITS, "HDU 0"),
        case("text.fits", b"not a spectrum".to_vec(), Code::NOT_FITS, "SIMPLE"),
        case("zeros.fits", vec![0; 5760], Code::NOT_FITS, "SIMPLE"),
        case("cut.fits.gz", whole[..whole.len() / 2].to_vec(), Code::CORRUPT_COMPRESSION, "gzip"),
        case("magic-only.fits.gz", whole[..2].to_vec(), Code::CORRUPT_COMPRESSION, "gzip"),
        case("flipped.fits.gz", flipped, Code::CORRUPT_COMPRESSION, "gzip"),
        case("crc.fits.gz", wrong_crc, Code::CORRUPT_COMPRESSION, "gzip"),
        case(
            "two.fits.gz",
            [gzip(b"abc"), whole.clone()].concat(),
            Code::CORRUPT_COMPRESSION,
            "members",
        ),
        case("cut.fits.zst", frame[..frame.len() / 2].to_vec(), Code::CORRUPT_COMPRESSION, "zstd"),
        case("bomb.fits.gz", gzip(&vec![0; 3 << 20]), Code::TOO_LARGE, "inflates"),
        case(
            "bomb.fits.zst",
            zstd::encode_all(&vec![0u8; 3 << 20][..], 3).unwrap(),
            Code::TOO_LARGE,
            "inflates",
        ),
        case("large.fits", vec![b' '; 3 << 20], Code::TOO_LARGE, "limit"),
        case("header-only.fits", image[..2880].to_vec(), Code::CORRUPT_FITS, "HDU 0"),
        case("half-header.fits", image[..1000].to_vec(), Code::CORRUPT_FITS, "END"),
        case("cut-image.fits", image[..40_000].to_vec(), Code::CORRUPT_FITS, "HDU 0"),
        case("cut-table.fits", table[..60_000].to_vec(), Code::CORRUPT_FITS, "HDU 1"),
        case(
            "huge-axis.fits",
            edited(&image, "                3909", "99999999999999999999"),
            Code::CORRUPT_FITS,
            "NAXIS1",
        ),
        case(
            "long-axis.fits",
            edited(&image, "                3909", " 4611686018427387904"),
            Code::CORRUPT_FITS,
            "NAXIS",
        ),
        case(
            "negative-axis.fits",
            edited(&image, "                3909", "               -3909"),
            Code::CORRUPT_FITS,
            "NAXIS1",
        ),
        case(
            "text-axis.fits",
            edited(&image, "                3909", "           'NAXIS 1'"),
            Code::CORRUPT_FITS,
            "NAXIS1",
        ),
        case(
            "bitpix.fits",
            edited(&image, "                 -32", "                 -31"),
            Code::CORRUPT_FITS,
            "BITPIX",
        ),
        case(
            "no-naxis.fits",
            edited(&image, "NAXIS   =", "NAXXS   ="),
            Code::CORRUPT_FITS,
            "NAXIS",
        ),
        case(
            "doubles.fits",
            edited(&image, "                 -32", "                  32"),
            Code::UNKNOWN_LAYOUT,
            "float image",
        ),
        case(
            "four-rows.fits",
            edited(&image, "NAXIS2  =                    5", "NAXIS2  =                    4"),
            Code::UNKNOWN_LAYOUT,
            "4 rows",
        ),
        case(
            "other-telescope.fits",
            edited(&image, "'LAMOST  '", "'SDSS    '"),
            Code::UNKNOWN_LAYOUT,
            "TELESCOP",
        ),
        case(
            "no-coadd.fits",
            edited(&table, "'COADD   '", "'COADX   '"),
            Code::UNKNOWN_LAYOUT,
            "COADD",
        ),
        case(
            "column-form.fits",
            edited(&table, "TFORM3  = '3909E'", "TFORM3  = '3909D'"),
            Code::UNKNOWN_LAYOUT,
            "NAXIS1",
        ),
        case(
            "column-text.fits",
            edited(&table, "TFORM3  = '3909E'", "TFORM3  = '3909Z'"),
            Code::UNKNOWN_LAYOUT,
            "TFORM3",
        ),
        case(
            "no-flux.fits",
            edited(&table, "'FLUX    '", "'FLUXX   '"),
            Code::CORRUPT_FITS,
            "FLUX",
        ),
        case(
            "backwards.fits",
            changed(Layout::Image, |s| s.wave.reverse()),
            Code::BAD_WAVELENGTH,
            "increase",
        ),
        case(
            "wave-nan.fits",
            changed(Layout::Image, |s| s.wave[5] = f32::NAN),
            Code::BAD_WAVELENGTH,
            "pixel 5",
        ),
        case(
            "wave-flat.fits",
            changed(Layout::Table, |s| s.wave[6] = s.wave[5]),
            Code::BAD_WAVELENGTH,
            "increase",
        ),
        case(
            "wave-zero.fits",
            changed(Layout::Table, |s| s.wave.fill(0.0)),
            Code::BAD_WAVELENGTH,
            "pixel 0",
        ),
        case(
            "no-dispersion.fits",
            Lrs::star(1).without("COEFF0").to_fits(Layout::Pilot),
            Code::BAD_WAVELENGTH,
            "COEFF0",
        ),
        case(
            "text-dispersion.fits",
            Lrs::star(1).with("COEFF1", "'none'").to_fits(Layout::Pilot),
            Code::BAD_WAVELENGTH,
            "COEFF1",
        ),
        case(
            "other-range.fits",
            changed(Layout::Image, |s| s.wave.iter_mut().for_each(|w| *w *= 3.0)),
            Code::WAVELENGTH_COVERAGE,
            "covers",
        ),
        case(
            "flux-nan.fits",
            changed(Layout::Image, |s| s.flux.fill(f32::NAN)),
            Code::TOO_MANY_BAD_PIXELS,
            "unusable",
        ),
        case(
            "ivar-nan.fits",
            changed(Layout::Table, |s| s.ivar.fill(f32::NAN)),
            Code::TOO_MANY_BAD_PIXELS,
            "unusable",
        ),
        case(
            "ivar-negative.fits",
            changed(Layout::Image, |s| s.ivar.fill(-1.0)),
            Code::TOO_MANY_BAD_PIXELS,
            "unusable",
        ),
        case(
            "masked.fits",
            changed(Layout::Table, |s| s.andmask.fill(1.0)),
            Code::TOO_MANY_BAD_PIXELS,
            "unusable",
        ),
        case(
            "mask-nan.fits",
            changed(Layout::Image, |s| s.andmask.fill(f32::NAN)),
            Code::TOO_MANY_BAD_PIXELS,
            "unusable",
        ),
        case(
            "constant.fits",
            changed(Layout::Image, |s| s.flux.fill(5.0)),
            Code::FLAT_SPECTRUM,
            "deviation",
        ),
        case(
            "zero-flux.fits",
            changed(Layout::Image, |s| s.flux.fill(0.0)),
            Code::FLAT_SPECTRUM,
            "deviation",
        ),
    ]
}

/// Codes and details by file name, read from the table of rejects through a Python reader would be
/// independent, but the log is what a person sees: one JSON line a reject.
fn logged(stderr: &[u8]) -> Vec<(String, String, String)> {
    String::from_utf8_lossy(stderr)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["message"] == "spectrum rejected")
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            assert!(!text("remedy").is_empty());
            (text("file"), text("code"), text("detail"))
        })
        .collect()
}

fn small_limits(folder: &Path) -> PathBuf {
    let path = folder.join("limits.toml");
    let text = "[input]\nmax_file_bytes = 2_097_152\nmax_decompressed_bytes = 2_097_152\n";
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn each_broken_file_gets_its_code_and_the_good_one_its_row() {
    if !support::has_library("broken files") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    let cases = cases();
    for case in &cases {
        fs::write(input.join(case.name), &case.bytes).unwrap();
    }
    fs::write(input.join("good.fits"), Lrs::star(2).to_fits(Layout::Image)).unwrap();
    let config = small_limits(folder.path());
    let more = ["--log-format", "json", "--config", config.to_str().unwrap()];
    let output = support::run_with(&folder.path().join("out"), &[&input], &more);
    let (total, rejects) = (cases.len() + 1, cases.len());
    support::assert_ended(&output, 1, &format!("rows=1 rejects={rejects} files={total}"));

    let logged = logged(&output.stderr);
    let mut wrong = Vec::new();
    for Case { name, code, says, .. } in &cases {
        let found = logged.iter().find(|(file, ..)| file.ends_with(&format!("/{name}")));
        let expected = CODES.iter().find(|entry| entry.code == *code).unwrap().name;
        match found {
            Some((_, code, detail)) if code == expected && detail.contains(says) => {}
            other => {
                wrong.push(format!("{name}: expected {expected} with {says:?}, found {other:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn defects_that_can_be_lived_with_still_give_rows() {
    if !support::has_library("lesser defects") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir(&input).unwrap();
    let image = |star: Lrs| star.to_fits(Layout::Image);
    let bare = ["OBSID", "LMJD", "PLANID", "SPID", "FIBERID", "RA", "DEC", "CLASS", "SNRG", "DATE"];
    let bare = bare.iter().fold(Lrs::star(1), |star, keyword| star.without(keyword));
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("bare.fits", image(bare)),
        (
            "text-numbers.fits",
            image(Lrs::star(2).with("SPID", "'7'").with("Z", "'none'").with("SNRG", "'bright'")),
        ),
        ("some-nan.fits", {
            let mut star = Lrs::star(3);
            star.flux[1000] = f32::NAN;
            star.ivar[1001] = f32::NEG_INFINITY;
            star.to_fits(Layout::Table)
        }),
        ("odd-card.fits", edited(&image(Lrs::star(4)), "SUBCLASS= 'K3", "SUBCLASS= K3'")),
        ("trailing.fits", [image(Lrs::star(5)), vec![0; 2880]].concat()),
    ];
    for (name, bytes) in &files {
        fs::write(input.join(name), bytes).unwrap();
    }
    let output = support::run(&folder.path().join("out"), &[&input]);
    support::assert_ended(&output, 0, "rows=5 rejects=0 files=5");
}

#[test]
fn names_are_only_names() {
    if !support::has_library("odd names") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir_all(input.join("x.fits")).unwrap();
    let names: [&[u8]; 6] = [
        b"a.fits[1]",
        b"!b.fits",
        b"c\nd.fits",
        b"e;rm -rf.fits",
        b"f\xff.fits",
        b"x.fits/in[0].fits",
    ];
    let mut paths = Vec::new();
    for (seed, name) in (10..).zip(names) {
        let path = input.join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, Lrs::star(seed).to_fits(Layout::Table)).unwrap();
        paths.push(path);
    }
    // Named one by one and found by walking: the same files, so nothing is done twice.
    let mut all: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    all.push(&input);
    let output = support::run(&folder.path().join("out"), &all);
    support::assert_ended(&output, 0, "rows=6 rejects=0 files=6");
}

#[test]
fn what_cannot_be_opened_is_one_reject_each() {
    if !support::has_library("unreadable files") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("locked.fits"), Lrs::star(1).to_fits(Layout::Image)).unwrap();
    fs::set_permissions(path("locked.fits"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read anything, so that there the file is no defect.
    let root_reads = fs::read(path("locked.fits")).is_ok();
    fs::create_dir(path("empty.fits")).unwrap();
    std::os::unix::fs::symlink(path("nowhere"), path("dangling.fits")).unwrap();
    std::os::unix::fs::symlink(path("loop.fits"), path("loop.fits")).unwrap();
    let names =
        ["locked.fits", "empty.fits", "dangling.fits", "loop.fits", "absent.fits", "none*.fits"];
    let paths: Vec<PathBuf> = names.iter().map(|name| path(name)).collect();
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let output = support::run(&path("out"), &paths);
    let rows = i32::from(root_reads);
    support::assert_ended(&output, 1, &format!("rows={rows} rejects={} files=6", 6 - rows));
}

#[test]
fn the_newest_reduction_of_an_observation_gives_its_row() {
    if !support::has_library("duplicates") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let old = Lrs::star(1).with("DATE", "'2015-01-01T00:00:00'");
    fs::write(path("old.fits"), old.to_fits(Layout::Image)).unwrap();
    let new = Lrs::star(1).with("DATE", "'2022-01-01T00:00:00'").to_fits(Layout::Table);
    fs::write(path("new.fits"), &new).unwrap();
    fs::write(path("same.fits"), &new).unwrap();
    let files = [path("old.fits"), path("same.fits"), path("new.fits")];
    let mut lines = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let paths: Vec<&Path> = order.iter().map(|&index| files[index].as_path()).collect();
        let out = path(&format!("out{order:?}"));
        support::assert_ended(&support::run(&out, &paths), 1, "rows=1 rejects=2 files=3");
        lines.push(fs::read(out.join("catalogue.fits")).unwrap());
        lines.push(fs::read(out.join("rejects.fits")).unwrap());
    }
    assert!(lines[0] == lines[2] && lines[0] == lines[4], "the row depends on the order");
    assert!(lines[1] == lines[3] && lines[1] == lines[5], "the rejects depend on the order");
    let text = String::from_utf8_lossy(&lines[0]).into_owned();
    assert!(text.contains("new.fits") && !text.contains("same.fits") && !text.contains("old.fits"));
    let rejects = String::from_utf8_lossy(&lines[1]).into_owned();
    assert!(rejects.contains("duplicate_content") && rejects.contains("duplicate_spectrum"));
}
