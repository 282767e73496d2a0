//! Binary tables: columns that lie about their form, and rows that are not there.

use starmill::reject::Code;

use super::{Case, case, edited, hdu};
use crate::support::lrs::{Layout, Lrs};
use crate::support::xp;

pub fn cases() -> Vec<Case> {
    let table = Lrs::star(1).to_fits(Layout::Table);
    let form = |to| edited(&table, "TFORM3  = '3909E'", to);
    let fields = |to| edited(&table, "TFIELDS =                    6", to);
    // GCOUNT is 1 without its card, which may carry something else.
    let more = |to| edited(&table, "GCOUNT  =                    1", to);
    let unknown = |name, bytes, says| case(name, bytes, Code::UNKNOWN_LAYOUT, says);
    let corrupt = |name, bytes, says| case(name, bytes, Code::CORRUPT_FITS, says);
    let unequal = {
        let bytes = form("TFORM3  = '3908E'");
        edited(&bytes, "TFORM6  = '3909E'", "TFORM6  = '3910E'")
    };
    let two_rows = {
        let bytes =
            edited(&table, "NAXIS2  =                    1", "NAXIS2  =                    2");
        [bytes, vec![0; 93_600]].concat()
    };
    let gaia = xp::to_fits(&xp::stars(2));
    vec![
        unknown(
            "gaia-source.fits",
            edited(&gaia, "TFORM7  = 'K       '", "TFORM7  = '8A      '"),
            "no 64-bit integer",
        ),
        corrupt(
            "gaia-rows-beyond.fits",
            edited(&gaia, "NAXIS2  =                    2", "NAXIS2  =                   99"),
            "HDU 1",
        ),
        unknown("form-double.fits", form("TFORM3  = '3909D'"), "NAXIS1"),
        unknown("form-unknown.fits", form("TFORM3  = '3909Z'"), "TFORM3"),
        unknown("form-huge.fits", form("TFORM3  = '1000000000D'"), "NAXIS1"),
        unknown("form-overflow.fits", form("TFORM3  = '9223372036854775807M'"), "TFORM3"),
        unknown("form-beyond.fits", form("TFORM3  = '99999999999999999999E'"), "TFORM3"),
        unknown("form-negative.fits", form("TFORM3  = '-3909E'"), "TFORM3"),
        unknown("form-zero.fits", form("TFORM3  = '0E'"), "NAXIS1"),
        unknown("form-empty.fits", form("TFORM3  = ''"), "TFORM3"),
        unknown("form-number.fits", form("TFORM3  = 3909"), "TFORM3"),
        unknown("form-pointer.fits", form("TFORM3  = '1PE(3909)'"), "NAXIS1"),
        corrupt("form-text.fits", form("TFORM3  = '15636A'"), "not numeric"),
        corrupt("form-bits.fits", form("TFORM3  = '125088X'"), "not numeric"),
        corrupt("pointers.fits", pointers(), "not numeric"),
        corrupt("unequal-columns.fits", unequal, "3908"),
        corrupt("no-flux.fits", edited(&table, "'FLUX    '", "'FLUXX   '"), "FLUX"),
        corrupt("flux-twice.fits", edited(&table, "'IVAR    '", "'FLUX    '"), "IVAR"),
        corrupt("table-scale.fits", more("TSCAL1  =               'none'"), "TSCAL1"),
        unknown("fields-many.fits", fields("TFIELDS =                 1000"), "1000 columns"),
        unknown("fields-negative.fits", fields("TFIELDS =                   -1"), "TFIELDS"),
        unknown("fields-missing.fits", fields("TFIELDS =                    7"), "TFORM7"),
        unknown("fields-few.fits", fields("TFIELDS =                    5"), "NAXIS1"),
        unknown("fields-none.fits", fields("TFIELDS =                    0"), "NAXIS1"),
        corrupt(
            "rows-none.fits",
            edited(&table, "NAXIS2  =                    1", "NAXIS2  =                    0"),
            "0 rows",
        ),
        corrupt("rows-two.fits", two_rows, "2 rows"),
        corrupt(
            "rows-beyond.fits",
            edited(&table, "NAXIS2  =                    1", "NAXIS2  =                   99"),
            "HDU 1",
        ),
        unknown("rows-of-nothing.fits", rows_of_nothing(), "no bytes"),
        case(
            "scale-beyond.fits",
            more("TZERO3  =                1E300"),
            Code::BAD_WAVELENGTH,
            "pixel 0",
        ),
    ]
}

fn primary() -> Vec<u8> {
    hdu(
        &[
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    0",
            "TELESCOP= 'LAMOST  '",
        ],
        b"",
    )
}

/// Columns of variable length whose pointers lead outside the heap.
fn pointers() -> Vec<u8> {
    let mut cards: Vec<String> = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                   40",
        "NAXIS2  =                    1",
        "PCOUNT  =                    8",
        "GCOUNT  =                    1",
        "THEAP   =  9223372036854775807",
        "TFIELDS =                    5",
        "EXTNAME = 'COADD   '",
    ]
    .map(String::from)
    .to_vec();
    for (field, name) in (1..).zip(["FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK"]) {
        cards.push(format!("TTYPE{field}  = '{name}'"));
        cards.push(format!("TFORM{field}  = '1PE(3909)'"));
    }
    let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
    [primary(), hdu(&cards, &[0x7f; 48])].concat()
}

/// More rows than any memory has, none of which takes a byte.
fn rows_of_nothing() -> Vec<u8> {
    let cards = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                    0",
        "NAXIS2  =  9223372036854775807",
        "TFIELDS =                    1",
        "TTYPE1  = 'FLUX    '",
        "TFORM1  = '0E      '",
        "EXTNAME = 'COADD   '",
    ];
    [primary(), hdu(&cards, b"")].concat()
}
