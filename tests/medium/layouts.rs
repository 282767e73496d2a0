//! Both layouts give what was written, whatever of it is missing, and hostile ones a reject.

use starmill::fits::Fits;
use starmill::reject::{Code, Reject};
use starmill::spectrum::Spectrum;
use starmill::survey::{self, Take};

use crate::support::lrs;
use crate::support::mrs::{Layout, MINUTES, Mrs};

const BOTH: [Layout; 2] = [Layout::Rows, Layout::Cells];

fn read(bytes: &[u8], take: Take) -> Result<Vec<Spectrum>, Reject> {
    let fits = Fits::parse(bytes)?;
    let layout = survey::detect_taking(&fits, take)?;
    assert_eq!(layout.survey(), "lamost-mrs");
    (0..layout.count(&fits)).map(|index| layout.read(&fits, index)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn both_layouts_give_what_was_written() {
    let mut star = Mrs::star(50);
    star.arm("COADD_B").mask[7] = 1;
    star.arm("COADD_B").ormask[7] = 5;
    // As at the edges of real exposures.
    let edge = star.arm("R-83555772");
    (edge.flux[0], edge.mask[0], edge.ivar[1]) = (-1e7, 4, 0.0);
    for (layout, name) in [(Layout::Rows, "lamost-mrs-rows"), (Layout::Cells, "lamost-mrs-cells")] {
        let bytes = star.to_fits(layout);
        assert_eq!(survey::detect(&Fits::parse(&bytes).unwrap()).unwrap().name(), name);
        let spectra = read(&bytes, Take::Both).unwrap();
        assert_eq!(spectra.len(), 4);
        for (spectrum, minute) in spectra.iter().zip([None, Some(0), Some(1), Some(2)]) {
            let lmjm = MINUTES[minute.unwrap_or(0)];
            let names = match minute {
                None => ["COADD_B".to_owned(), "COADD_R".to_owned()],
                Some(_) => ["B", "R"].map(|arm| format!("{arm}-{lmjm}")),
            };
            let [blue, red] = names.each_ref().map(|name| star.clone().arm(name).clone());
            let mut red = red;
            if minute.is_some() {
                red.reverse();
            }
            assert_eq!(bits(spectrum.flux()), bits(&[blue.flux, red.flux].concat()));
            assert_eq!(bits(spectrum.ivar()), bits(&[blue.ivar, red.ivar].concat()));
            let written = [blue.loglam, red.loglam].concat();
            for (wave, loglam) in spectrum.wave().iter().zip(written) {
                // The newer layout stores the wavelength itself in single precision.
                assert!((wave / 10f64.powf(f64::from(loglam)) - 1.0).abs() < 6e-8);
            }
            assert!(spectrum.wave().windows(2).all(|pair| pair[0] < pair[1]));
            assert_eq!(spectrum.meta.lmjm, Some(lmjm));
            assert_eq!(spectrum.meta.is_exposure, minute.is_some());
            let [blue, red] = [&spectrum.meta.extname_blue, &spectrum.meta.extname_red];
            assert_eq!([blue.as_deref().unwrap(), red.as_deref().unwrap()], names);
        }
        let [coadd, first, second, _] = &spectra[..] else { unreachable!() };
        assert_eq!((coadd.andmask()[7], coadd.ormask()[7]), (1, 5));
        assert_eq!((coadd.meta.snr_b, coadd.meta.snr_r), (Some(52.25), Some(80.37)));
        assert_eq!(coadd.name().unwrap(), "lamost-mrs:58025-HIP9645901-02-051");
        assert_eq!(coadd.meta.date_obs.as_deref(), Some("2017-09-28T12:23:00"));
        assert_eq!(first.name().unwrap(), "lamost-mrs:58025-HIP9645901-02-051-83555758");
        assert_eq!(first.meta.date_obs.as_deref(), Some("2017-09-28T12:03:00"));
        assert_eq!((first.meta.snr_b, first.meta.snr_r), (Some(10.5), Some(10.5)));
        // The first pixel of the file is the last of the spectrum, kept with its mask.
        let last = second.wave().len() - 1;
        assert_eq!((second.flux()[last], second.ormask()[last]), (-1e7, 4));
        assert!(second.ivar()[last] > 0.0 && second.ivar()[last - 1] == 0.0);
        for (take, count) in [(Take::Coadd, 1), (Take::Exposures, 3)] {
            assert_eq!(read(&bytes, take).unwrap().len(), count);
        }
    }
}

#[test]
fn an_arm_may_be_missing() {
    for layout in BOTH {
        let red = Mrs::star(1).without(&["COADD_B", "R-83555772"]).to_fits(layout);
        let spectra = read(&red, Take::Both).unwrap();
        assert_eq!(spectra.len(), 4);
        assert!(spectra[0].wave()[0] > 6200.0);
        assert_eq!((spectra[0].meta.snr_b, spectra[0].meta.snr_r), (None, Some(80.37)));
        assert_eq!(spectra[0].meta.extname_blue, None);
        assert_eq!(spectra[0].meta.extname_red.as_deref(), Some("COADD_R"));
        let blue = &spectra[2];
        assert!(blue.wave()[blue.wave().len() - 1] < 5400.0);
        assert_eq!((blue.meta.snr_b, blue.meta.snr_r), (Some(21.0), None));

        let none = Mrs::star(1).without(&["COADD_B", "COADD_R"]).to_fits(layout);
        assert_eq!(read(&none, Take::Coadd).unwrap_err().code, Code::NOT_HELD);
        assert_eq!(read(&none, Take::Both).unwrap().len(), 3);
        let mut sums = Mrs::star(1);
        sums.arms.truncate(2);
        let sums = sums.to_fits(layout);
        assert_eq!(read(&sums, Take::Exposures).unwrap_err().code, Code::NOT_HELD);
        assert_eq!(read(&sums, Take::Both).unwrap().len(), 1);
    }
}

#[test]
fn neighbours_that_share_a_wavelength_become_one() {
    let mut star = Mrs::star(1);
    let arm = star.arm("COADD_R");
    arm.loglam[100] = arm.loglam[99];
    arm.ivar[99] = 0.0;
    let flux = arm.flux[100];
    let before = read(&Mrs::star(1).to_fits(Layout::Rows), Take::Coadd).unwrap()[0].wave().len();
    let spectrum = &read(&star.to_fits(Layout::Rows), Take::Coadd).unwrap()[0];
    assert_eq!(spectrum.wave().len(), before - 1);
    assert_eq!(spectrum.flux()[3771 + 99].to_bits(), flux.to_bits());
}

#[test]
fn what_is_hostile_is_a_reject() {
    let check = |star: Mrs, code: Code, says: &str| {
        let reject = read(&star.to_fits(Layout::Rows), Take::Coadd).map(drop).unwrap_err();
        assert_eq!(reject.code, code, "{reject}");
        assert!(reject.detail.contains(says), "{reject} should say {says}");
    };
    let with = |change: &dyn Fn(&mut crate::support::mrs::Arm)| {
        let mut star = Mrs::star(1);
        change(star.arm("COADD_B"));
        star
    };
    let unordered = with(&|arm| arm.loglam.swap(10, 20));
    check(unordered, Code::BAD_WAVELENGTH, "does not increase");
    check(with(&|arm| arm.loglam[5] = f32::NAN), Code::BAD_WAVELENGTH, "wavelength");
    check(with(&|arm| arm.loglam.fill(400.0)), Code::BAD_WAVELENGTH, "");
    // A blue arm that reaches into the red one.
    let overlap = with(&|arm| arm.loglam.iter_mut().for_each(|loglam| *loglam += 0.1));
    check(overlap, Code::BAD_WAVELENGTH, "does not increase");
    check(Mrs::star(1).with("TELESCOP", "'SDSS'"), Code::UNKNOWN_LAYOUT, "TELESCOP is SDSS");
    let mut other = Mrs::star(1);
    other.arms.iter_mut().for_each(|(name, _)| *name = name.replace(['B', 'R'], "X"));
    check(other, Code::UNKNOWN_LAYOUT, "no extension COADD_B");
    let bytes = Mrs::star(1).to_fits(Layout::Rows);
    let text = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        read(&bytes, Take::Coadd).map(drop).unwrap_err()
    };
    assert_eq!(text("'FLUX    '", "'FLUY    '").code, Code::CORRUPT_FITS);
    assert_eq!(text("'LOGLAM  '", "'LOGLAN  '").code, Code::UNKNOWN_LAYOUT);
    let many = text("TFIELDS =                    5", "TFIELDS =                  900");
    assert!(many.detail.contains("an arm has 900 columns"), "{many}");
    let cut = read(&bytes[..30_000], Take::Coadd).map(drop).unwrap_err();
    assert_eq!(cut.code, Code::CORRUPT_FITS);
}

#[test]
fn a_file_that_is_cut_between_two_extensions_lacks_exposures() {
    let mut star = Mrs::star(1);
    let extensions = star.arms.len();
    star.arms.truncate(5);
    let bytes = star.with("N_EXTEN", &(1 + extensions).to_string()).to_fits(Layout::Rows);
    let reject = read(&bytes, Take::Both).map(drop).unwrap_err();
    assert_eq!(reject.code, Code::CORRUPT_FITS, "{reject}");
    assert!(reject.detail.contains("N_EXTEN says 9"), "{reject}");
    // The sum is whole.
    assert_eq!(read(&bytes, Take::Coadd).unwrap().len(), 1);
}

#[test]
fn a_file_is_taken_by_one_layout() {
    let image = lrs::Lrs::star(1).to_fits(lrs::Layout::Image);
    let table = lrs::Lrs::star(1).to_fits(lrs::Layout::Table);
    for layout in BOTH {
        let medium = Mrs::star(1).to_fits(layout);
        let start = medium.windows(8).position(|part| part == b"XTENSION").unwrap();
        for (other, takes) in [(&image, "lamost-lrs-image"), (&table, "lamost-lrs-table")] {
            let both = [&other[..], &medium[start..]].concat();
            let fits = Fits::parse(&both).unwrap();
            let takers = survey::LAYOUTS.iter().filter(|layout| layout.recognise(&fits).is_ok());
            assert_eq!(takers.map(|layout| layout.name()).collect::<Vec<_>>(), [takes]);
        }
    }
}
