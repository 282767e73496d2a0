//! Inflating only as far as the sums reach: the same spectra, and no half file for a whole one.

use std::path::Path;

use starmill::input::{Limits, Reader};
use starmill::reject::{Code, Reject};
use starmill::spectrum::Spectrum;
use starmill::stage::Reading;
use starmill::survey::Take;

use crate::support::lrs::{self, Lrs, gzip, gzip_well};
use crate::support::mrs::{Layout, Mrs};

const LIMITS: Limits = Limits { file_bytes: 1 << 24, inflated_bytes: 1 << 24 };

fn rest(_: std::time::Duration) {
    unreachable!("nothing waits here");
}

/// Reads the sum of a file; also tells how many HDUs were there to be seen.
fn read(path: &Path, whole_file: bool, take: Take) -> Result<(usize, Spectrum), Reject> {
    let mut reader = Reader::new(LIMITS);
    reader.read(path, &mut rest).unwrap();
    let reading = Reading { take, whole_file, velocities: Vec::new() };
    let (layout, fits) = reading.open(&mut reader, &mut rest)?;
    Ok((fits.hdus.len(), layout.read(&fits, 0)?))
}

/// Reads bytes as if they were the file of a survey.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn read(&self, bytes: &[u8], whole_file: bool) -> Result<(usize, Spectrum), Reject> {
        let path = self.0.path().join("med.fits.gz");
        std::fs::write(&path, bytes).unwrap();
        read(&path, whole_file, Take::Coadd)
    }
}

fn assert_same(one: &Spectrum, other: &Spectrum) {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(one.wave(), other.wave());
    assert_eq!(bits(one.flux()), bits(other.flux()));
    assert_eq!(bits(one.ivar()), bits(other.ivar()));
    assert_eq!((one.andmask(), one.ormask()), (other.andmask(), other.ormask()));
    assert_eq!(one.meta, other.meta);
}

#[test]
fn the_beginning_gives_the_spectrum_of_the_whole() {
    let desk = Desk::new();
    for layout in [Layout::Rows, Layout::Cells] {
        for (without, seen, of) in [(&[][..], 3, 9), (&["COADD_B"], 2, 8), (&["COADD_R"], 2, 8)] {
            let bytes = gzip(&Mrs::star(1).without(without).to_fits(layout));
            let (all, whole) = desk.read(&bytes, true).unwrap();
            let (some, early) = desk.read(&bytes, false).unwrap();
            assert_eq!((some, all), (seen, of), "{layout:?} without {without:?}");
            assert_same(&early, &whole);
        }
        // An arm that COMBIN_R promises may stand anywhere.
        let mut late = Mrs::star(1);
        late.arms.swap(1, 5);
        let late = gzip(&late.to_fits(layout));
        assert_eq!(desk.read(&late, false).unwrap().0, 9);
        assert_same(&desk.read(&late, false).unwrap().1, &desk.read(&late, true).unwrap().1);
        let none = gzip(&Mrs::star(1).without(&["COADD_B", "COADD_R"]).to_fits(layout));
        assert_eq!(desk.read(&none, false).unwrap_err().code, Code::NOT_HELD);
    }
}

#[test]
fn what_is_no_gzip_file_of_the_survey_is_read_as_a_whole() {
    let desk = Desk::new();
    let medium = Mrs::star(1).to_fits(Layout::Rows);
    assert_eq!(desk.read(&medium, false).unwrap().0, 9);
    let zstd = zstd::encode_all(&medium[..], 1).unwrap();
    assert_eq!(desk.read(&zstd, false).unwrap().0, 9);
    for layout in [lrs::Layout::Pilot, lrs::Layout::Image, lrs::Layout::Table] {
        let bytes = Lrs::star(1).to_gzip(layout);
        let (early, whole) = (desk.read(&bytes, false).unwrap(), desk.read(&bytes, true).unwrap());
        assert_same(&early.1, &whole.1);
    }
    let path = desk.0.path().join("med.fits.gz");
    std::fs::write(&path, gzip(&medium)).unwrap();
    assert_eq!(read(&path, false, Take::Both).unwrap().0, 9, "exposures need the checksum");
}

#[test]
fn a_file_that_is_cut_short_is_never_taken() {
    let desk = Desk::new();
    let bytes = gzip_well(&Mrs::star(1).to_fits(Layout::Rows));
    assert!(desk.read(&bytes, false).is_ok());
    for part in 0..300 {
        let cut = bytes.len() * part / 300;
        let reject = desk.read(&bytes[..cut.max(1)], false).unwrap_err();
        assert!(
            [Code::CORRUPT_COMPRESSION, Code::TOO_LARGE, Code::NOT_FITS].contains(&reject.code),
            "{cut}: {reject}"
        );
    }
    // A trailer that passes for one, of a size that the sums do not fit.
    let mut lies = bytes.clone();
    let end = lies.len();
    lies[end - 4..].copy_from_slice(&(10_u32 * 2880).to_le_bytes());
    assert_eq!(desk.read(&lies, false).unwrap_err().code, Code::CORRUPT_COMPRESSION);
}

#[test]
fn what_is_not_looked_at_may_be_damaged() {
    let desk = Desk::new();
    let mut bytes = gzip_well(&Mrs::star(1).to_fits(Layout::Rows));
    let whole = desk.read(&bytes, true).unwrap().1;
    let at = bytes.len() * 9 / 10;
    bytes[at..at + 200].fill(0x55);
    assert_eq!(desk.read(&bytes, true).unwrap_err().code, Code::CORRUPT_COMPRESSION);
    assert_same(&desk.read(&bytes, false).unwrap().1, &whole);
}
