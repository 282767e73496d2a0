//! Headers and sizes: what is missing, lies or never ends.

use starmill::reject::Code;

use super::{Case, FILE_LIMIT, case, edited, gzip, hdu};
use crate::support::lrs::{Layout, Lrs};

const WIDTH: &str = "                3909";

pub fn cases() -> Vec<Case> {
    bytes_cases().into_iter().chain(size_cases()).chain(layout_cases()).collect()
}

fn bytes_cases() -> Vec<Case> {
    let image = Lrs::star(1).to_fits(Layout::Image);
    let table = Lrs::star(1).to_fits(Layout::Table);
    let endless: Vec<u8> = [&image[..10 * 80], &b"COMMENT ".repeat(400_000)].concat();
    let sound = ["SIMPLE  =                    T", "BITPIX  =                    8"];
    let chain = {
        let first = hdu(&[sound[0], sound[1], "NAXIS   =                    0"], b"");
        let next = ["XTENSION= 'IMAGE   '", sound[1], "NAXIS   =                    0"];
        [first, hdu(&next, b"").repeat(5_000)].concat()
    };
    // Sent as text: each card on a line of its own.
    let lines: Vec<u8> =
        image[..2880].chunks(80).flat_map(|card| [card, b"\r\n"].concat()).collect();
    let lower = image[..2880].to_ascii_lowercase();
    let corrupt = |name, bytes, says| case(name, bytes, Code::CORRUPT_FITS, says);
    let not_fits = |name, bytes| case(name, bytes, Code::NOT_FITS, "SIMPLE");
    vec![
        case("empty.fits", vec![], Code::EMPTY_FILE, "0 bytes"),
        case("large.fits", vec![b' '; FILE_LIMIT + 1], Code::TOO_LARGE, "limit"),
        not_fits("text.fits", b"not a spectrum".to_vec()),
        not_fits("zeros.fits", vec![0; 5760]),
        not_fits("lower-case.fits", lower),
        not_fits("byte-order-mark.fits", [b"\xef\xbb\xbf", &image[..]].concat()),
        not_fits("one-byte-late.fits", [b" ", &image[..]].concat()),
        corrupt("sent-as-text.fits", lines, "HDU 0"),
        corrupt("first-word.fits", b"SIMPLE  =".to_vec(), "END"),
        corrupt("half-header.fits", image[..1000].to_vec(), "END"),
        corrupt("header-only.fits", image[..2880].to_vec(), "HDU 0"),
        corrupt("cut-image.fits", image[..40_000].to_vec(), "HDU 0"),
        corrupt("cut-table.fits", table[..60_000].to_vec(), "HDU 1"),
        corrupt("no-end.fits", edited(&image[..2880], "END     ", "ENDE    "), "END"),
        corrupt("endless-header.fits.gz", gzip(&endless), "cards"),
        corrupt("long-chain.fits.gz", gzip(&chain), "more HDUs"),
    ]
}

fn size_cases() -> Vec<Case> {
    let image = Lrs::star(1).to_fits(Layout::Image);
    let width = |to: &str| edited(&image, WIDTH, to);
    let axes = |to| edited(&image, "NAXIS   =                    2", to);
    let bits = |to| edited(&image, "                 -32", to);
    // EXTEND is of no use to a reader, so its card may carry something else.
    let extend = |to| edited(&image, "EXTEND  =                    T", to);
    let corrupt = |name, bytes, says| case(name, bytes, Code::CORRUPT_FITS, says);
    let both = |axis: &str| {
        let wide = width(axis);
        edited(&wide, "NAXIS2  =                    5", &format!("NAXIS2  ={axis:>21}"))
    };
    vec![
        corrupt("huge-axis.fits", width("99999999999999999999"), "NAXIS1"),
        corrupt("long-axis.fits", width(" 4611686018427387904"), "NAXIS"),
        corrupt("overflowing-axes.fits", both("          4294967296"), "NAXIS2"),
        corrupt("negative-axis.fits", width("               -3909"), "NAXIS1"),
        corrupt("text-axis.fits", width("           'NAXIS 1'"), "NAXIS1"),
        corrupt("nan-axis.fits", width("                 NaN"), "NAXIS1"),
        corrupt("fraction-axis.fits", width("              3909.5"), "NAXIS1"),
        corrupt("blank-axis.fits", width("                    "), "NAXIS1"),
        corrupt("no-naxis.fits", edited(&image, "NAXIS   =", "NAXXS   ="), "NAXIS"),
        corrupt("many-axes.fits", axes("NAXIS   =                 1000"), "NAXIS"),
        corrupt("negative-axes.fits", axes("NAXIS   =                   -2"), "NAXIS"),
        corrupt("third-axis.fits", axes("NAXIS   =                    3"), "NAXIS3"),
        corrupt("bitpix.fits", bits("                 -31"), "BITPIX"),
        corrupt("text-bitpix.fits", bits("             'float'"), "BITPIX"),
        corrupt("huge-bitpix.fits", bits("-9223372036854775808"), "BITPIX"),
        corrupt("huge-pcount.fits", extend("PCOUNT  =  9223372036854775807"), "NAXIS1"),
        corrupt("negative-pcount.fits", extend("PCOUNT  =                -1000"), "PCOUNT"),
        corrupt("huge-gcount.fits", extend("GCOUNT  =  9223372036854775807"), "NAXIS1"),
        corrupt("many-groups.fits", extend("GCOUNT  =                  999"), "HDU 0"),
        corrupt("text-scale.fits", extend("BSCALE  =               'none'"), "BSCALE"),
    ]
}

fn layout_cases() -> Vec<Case> {
    let image = Lrs::star(1).to_fits(Layout::Image);
    let table = Lrs::star(1).to_fits(Layout::Table);
    let extend = |to| edited(&image, "EXTEND  =                    T", to);
    let telescope = |to| edited(&image, "TELESCOP= 'LAMOST  '", to);
    let unknown = |name, bytes, says| case(name, bytes, Code::UNKNOWN_LAYOUT, says);
    let groups = {
        let cards = [
            "SIMPLE  =                    T",
            "BITPIX  =                  -32",
            "NAXIS   =                    3",
            "NAXIS1  =                    0",
            "NAXIS2  =                   10",
            "NAXIS3  =                    5",
            "GROUPS  =                    T",
            "PCOUNT  =                    2",
            "GCOUNT  =                    3",
            "TELESCOP= 'LAMOST  '",
        ];
        hdu(&cards, &[0; 4 * 3 * 52])
    };
    let compressed = {
        let primary = hdu(
            &[
                "SIMPLE  =                    T",
                "BITPIX  =                    8",
                "NAXIS   =                    0",
                "TELESCOP= 'LAMOST  '",
            ],
            b"",
        );
        let tiles = hdu(
            &[
                "XTENSION= 'BINTABLE'",
                "BITPIX  =                    8",
                "NAXIS   =                    2",
                "NAXIS1  =                    8",
                "NAXIS2  =                    5",
                "PCOUNT  =                  100",
                "GCOUNT  =                    1",
                "TFIELDS =                    1",
                "TTYPE1  = 'COMPRESSED_DATA'",
                "TFORM1  = '1PB(20)'",
                "ZIMAGE  =                    T",
                "ZBITPIX =                  -32",
                "ZNAXIS  =                    2",
                "ZNAXIS1 =                 3909",
                "ZNAXIS2 =                    5",
                "ZCMPTYPE= 'RICE_1  '",
            ],
            &[0; 140],
        );
        [primary, tiles].concat()
    };
    vec![
        unknown("integers.fits", edited(&image, "  -32", "   32"), "float image"),
        unknown(
            "one-axis.fits",
            edited(&image, "NAXIS   =                    2", "NAXIS   =                    1"),
            "float image",
        ),
        unknown(
            "four-rows.fits",
            edited(&image, "NAXIS2  =                    5", "NAXIS2  =                    4"),
            "4 rows",
        ),
        unknown("no-groups.fits", extend("GCOUNT  =                    0"), "float image"),
        unknown("random-groups.fits", groups, "float image"),
        unknown("tiles.fits", compressed, "COADD"),
        unknown("other-telescope.fits", telescope("TELESCOP= 'SDSS    '"), "SDSS"),
        unknown("numeric-telescope.fits", telescope("TELESCOP=          5  "), "no TELESCOP"),
        unknown("card-without-equals.fits", telescope("TELESCOP  'LAMOST  '"), "no TELESCOP"),
        unknown("continued.fits", telescope("TELESCOP= 'LAM&'    "), "LAM&"),
        case(
            "not-ascii.fits",
            {
                let mut bytes = image.clone();
                let at = bytes.windows(6).position(|window| window == b"LAMOST").unwrap();
                bytes[at + 3] = 0xd6;
                bytes
            },
            Code::UNKNOWN_LAYOUT,
            "LAM?ST",
        ),
        unknown("no-coadd.fits", edited(&table, "'COADD   '", "'COADX   '"), "COADD"),
        unknown("ascii-table.fits", edited(&table, "'BINTABLE'", "'TABLE   '"), "binary table"),
        unknown("image-coadd.fits", edited(&table, "'BINTABLE'", "'IMAGE   '"), "binary table"),
    ]
}
