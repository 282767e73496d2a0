//! Properties of the FITS reader alone.

use starmill::fits::{Fits, FitsError, Hdu, Value};

use crate::budget::{self, SLACK};

/// Reads everything that the FITS reader offers.
pub fn check(bytes: &[u8]) {
    // A cell of bytes becomes floats, four times as large; nothing else grows.
    budget::within(8 * bytes.len() + SLACK, || {
        let Ok(fits) = Fits::parse(bytes) else {
            return;
        };
        let data: usize = fits.hdus.iter().map(|hdu| hdu.data.len()).sum();
        assert!(data <= bytes.len(), "HDUs overlap");
        for (number, hdu) in fits.hdus.iter().enumerate() {
            assert_eq!(hdu.number, number);
            check_cards(hdu);
            check_image(hdu);
            check_table(hdu);
        }
    });
}

fn check_cards(hdu: &Hdu) {
    for (keyword, value) in hdu.header.entries() {
        assert!(keyword.len() <= 8);
        if let Value::Text(text) = value {
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
        }
        assert!(hdu.header.float(&keyword).is_none_or(f64::is_finite), "{keyword}");
        let _ = (hdu.header.integer(&keyword), hdu.header.text(&keyword));
    }
}

fn check_image(hdu: &Hdu) {
    let Some((width, height)) = hdu.float_image_shape() else {
        assert!(hdu.image_row(0).is_err());
        return;
    };
    for row in [0, height / 2, height.saturating_sub(1)] {
        match hdu.image_row(row) {
            Ok(values) => assert_eq!(values.len(), width),
            // A row that is there is read, unless its scaling is no number.
            Err(FitsError::Keyword { .. }) => {}
            Err(error) => assert_eq!(height, 0, "{error}"),
        }
    }
    assert!(hdu.image_row(height).is_err() && hdu.image_row(usize::MAX).is_err());
}

fn check_table(hdu: &Hdu) {
    let Ok(table) = hdu.table() else {
        return;
    };
    for column in table.columns() {
        assert!(table.column(&column.name).is_ok());
        for row in [0, table.rows / 2, table.rows.saturating_sub(1)] {
            if let Ok(values) = table.floats(column, row) {
                assert!(row < table.rows);
                assert_eq!(values.len(), column.repeat);
            }
        }
        assert!(table.floats(column, table.rows).is_err());
        assert!(table.floats(column, usize::MAX).is_err());
    }
}
