//! Binary tables: columns found by name, cells decoded on request.

use super::{FitsError, Hdu, Header, apply_scaling, decode_f32};

/// A binary table, borrowed from its file.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    hdu: usize,
    /// Number of rows.
    pub rows: usize,
    row_bytes: usize,
    columns: Vec<Column>,
    header: Header<'a>,
    data: &'a [u8],
}

/// One column of a binary table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// TTYPE, in capitals.
    pub name: String,
    /// Elements in each cell.
    pub repeat: usize,
    /// The letter of TFORM: B, I, J, K, E, D, A, L, ...
    pub kind: u8,
    /// Its number in the keywords, from 1.
    number: usize,
    offset: usize,
}

impl<'a> Table<'a> {
    pub(super) fn parse(hdu: &Hdu<'a>) -> Result<Self, FitsError> {
        let layout = Self::layout(hdu.number, hdu.header)?;
        // The heap (PCOUNT) lies behind the rows and is not read.
        let main = layout.row_bytes.checked_mul(layout.rows);
        let data = main.and_then(|bytes| hdu.data.get(..bytes));
        let data = data.ok_or_else(|| layout.malformed("the rows do not fit the data".into()))?;
        Ok(Self { data, ..layout })
    }

    /// The table that a header declares, without its rows.
    pub(super) fn layout(hdu: usize, header: Header<'a>) -> Result<Self, FitsError> {
        let malformed = |what: String| FitsError::Malformed { hdu, what };
        if header.text("XTENSION").as_deref() != Some("BINTABLE") {
            return Err(malformed("a binary table was expected".into()));
        }
        let natural = |keyword: &str| {
            header
                .integer(keyword)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| FitsError::Keyword { hdu, keyword: keyword.into() })
        };
        let (row_bytes, rows, fields) =
            (natural("NAXIS1")?, natural("NAXIS2")?, natural("TFIELDS")?);
        if fields > 999 {
            return Err(malformed(format!("{fields} columns are declared, the most is 999")));
        }
        let mut columns = Vec::with_capacity(fields);
        let mut offset = 0usize;
        for field in 1..=fields {
            let form = header.text(&format!("TFORM{field}")).unwrap_or_default();
            let (repeat, kind, width) =
                parse_form(&form).ok_or_else(|| malformed(format!("TFORM{field} is {form:?}")))?;
            let name = header.text(&format!("TTYPE{field}")).unwrap_or_default().to_uppercase();
            columns.push(Column { name, repeat, kind, number: field, offset });
            offset = repeat
                .checked_mul(width)
                .map(|bits| bits.div_ceil(8))
                .and_then(|bytes| offset.checked_add(bytes))
                .ok_or_else(|| malformed(format!("TFORM{field} is {form:?}")))?;
        }
        if offset != row_bytes {
            return Err(malformed(format!(
                "the columns take {offset} bytes a row, NAXIS1 says {row_bytes}"
            )));
        }
        if row_bytes == 0 && rows > 0 {
            // No bytes would bound the number of such rows.
            return Err(malformed(format!("{rows} rows of no bytes are declared")));
        }
        Ok(Self { hdu, rows, row_bytes, columns, header, data: &[] })
    }

    /// The same columns over some of the rows.
    pub(super) fn of_rows<'b>(&self, rows: usize, data: &'b [u8]) -> Table<'b>
    where
        'a: 'b,
    {
        Table { rows, data, ..self.clone() }
    }

    pub(super) fn hdu(&self) -> usize {
        self.hdu
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// A column by name, whatever its case.
    ///
    /// # Errors
    /// [`FitsError::Malformed`] when there is none.
    pub fn column(&self, name: &str) -> Result<&Column, FitsError> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| self.malformed(format!("the table has no column {name}")))
    }

    /// The numbers of one cell as floats, from an E, D, I, J, K or B column. TSCAL and TZERO are
    /// applied; an integer that TNULL declares to be no value is NaN.
    ///
    /// # Errors
    /// [`FitsError::Malformed`] when the column is not numeric or the row does not exist,
    /// [`FitsError::Keyword`] when its scaling is no number.
    pub fn floats(&self, column: &Column, row: usize) -> Result<Vec<f32>, FitsError> {
        let cell = self.cell(column, row, self.width(column)?)?;
        self.decode(column, cell)
    }

    /// The text of one cell of an A column, without what it is padded with.
    ///
    /// # Errors
    /// [`FitsError::Malformed`] when the column is none of text, or the row does not exist.
    pub fn text(&self, column: &Column, row: usize) -> Result<String, FitsError> {
        if column.kind != b'A' {
            return Err(self.malformed(format!("column {} is not text", column.name)));
        }
        let text = String::from_utf8_lossy(self.cell(column, row, 1)?);
        Ok(text.trim_matches([' ', '\0']).to_owned())
    }

    /// TUNIT of a column, empty if there is none.
    pub fn unit(&self, column: &Column) -> String {
        self.header.text(&format!("TUNIT{}", column.number)).unwrap_or_default()
    }

    /// TUCD of a column, empty if there is none.
    pub fn ucd(&self, column: &Column) -> String {
        self.header.text(&format!("TUCD{}", column.number)).unwrap_or_default()
    }

    /// The whole number of a cell with one element of a B, I, J or K column, exact also where a float
    /// would not be; `None` for TNULL and for every other column. An offset (TZERO) is added.
    pub fn whole(&self, column: &Column, row: usize) -> Option<i64> {
        let cell = self.cell(column, row, self.width(column).ok()?).ok()?;
        let stored = match column.kind {
            b'B' => i64::from(u8::from_be_bytes(cell.try_into().ok()?)),
            b'I' => i64::from(i16::from_be_bytes(cell.try_into().ok()?)),
            b'J' => i64::from(i32::from_be_bytes(cell.try_into().ok()?)),
            b'K' => i64::from_be_bytes(cell.try_into().ok()?),
            _ => return None,
        };
        let keyword = |name: &str| self.header.integer(&format!("{name}{}", column.number));
        if keyword("TNULL") == Some(stored) || keyword("TSCAL").is_some_and(|scale| scale != 1) {
            return None;
        }
        stored.checked_add(keyword("TZERO").unwrap_or(0))
    }

    /// The value of a cell with one element of an L column; `None` where it is undefined.
    pub fn logical(&self, column: &Column, row: usize) -> Option<bool> {
        let is_logical = column.kind == b'L' && column.repeat == 1;
        match self.cell(column, row, 1).ok().filter(|_| is_logical)? {
            b"T" => Some(true),
            b"F" => Some(false),
            _ => None,
        }
    }

    /// The numbers of a column with one element a cell, row by row.
    ///
    /// # Errors
    /// Those of [`Self::floats`], and [`FitsError::Malformed`] when a cell holds other than one.
    pub fn float_column(&self, column: &Column) -> Result<Vec<f32>, FitsError> {
        if column.repeat != 1 {
            let Column { name, repeat, .. } = column;
            return Err(self.malformed(format!("a cell of {name} holds {repeat} numbers, not 1")));
        }
        let width = self.width(column)?;
        let mut cells = Vec::with_capacity(self.rows * width);
        // Where there are rows, opening the table has checked that they have bytes.
        for row in self.data.chunks_exact(self.row_bytes.max(1)) {
            cells.extend_from_slice(&row[column.offset..column.offset + width]);
        }
        self.decode(column, &cells)
    }

    /// The numbers of a column, one at a time.
    ///
    /// # Errors
    /// [`FitsError::Keyword`] when its scaling is no number.
    pub fn numbers<'t>(&'t self, column: &'t Column) -> Result<Numbers<'t, 'a>, FitsError> {
        let keyword = |name: &str| format!("{name}{}", column.number);
        let scaling = self.header.scaling(self.hdu, &keyword("TSCAL"), &keyword("TZERO"))?;
        Ok(Numbers { table: self, column, null: self.header.integer(&keyword("TNULL")), scaling })
    }

    /// Bytes of a number of the column.
    fn width(&self, column: &Column) -> Result<usize, FitsError> {
        match column.kind {
            b'E' | b'J' => Ok(4),
            b'D' | b'K' => Ok(8),
            b'I' => Ok(2),
            b'B' => Ok(1),
            _ => Err(self.malformed(format!("column {} is not numeric", column.name))),
        }
    }

    fn decode(&self, column: &Column, cells: &[u8]) -> Result<Vec<f32>, FitsError> {
        #[expect(clippy::cast_possible_truncation, reason = "spectra are single precision")]
        let mut values: Vec<f32> = match column.kind {
            b'E' => decode_f32(cells),
            b'D' => {
                cells.as_chunks::<8>().0.iter().map(|c| f64::from_be_bytes(*c) as f32).collect()
            }
            _ => self.whole_numbers(column, cells),
        };
        let keyword = |name: &str| format!("{name}{}", column.number);
        if let Some(scaling) =
            self.header.scaling(self.hdu, &keyword("TSCAL"), &keyword("TZERO"))?
        {
            apply_scaling(&mut values, scaling);
        }
        Ok(values)
    }

    #[expect(clippy::cast_precision_loss, reason = "spectra are single precision")]
    fn whole_numbers(&self, column: &Column, cell: &[u8]) -> Vec<f32> {
        let null = self.header.integer(&format!("TNULL{}", column.number));
        let value = |n: i64| if Some(n) == null { f32::NAN } else { n as f32 };
        match column.kind {
            b'B' => cell.iter().map(|&c| value(i64::from(c))).collect(),
            b'I' => {
                let numbers = cell.as_chunks::<2>().0.iter();
                numbers.map(|c| value(i64::from(i16::from_be_bytes(*c)))).collect()
            }
            b'J' => {
                let numbers = cell.as_chunks::<4>().0.iter();
                numbers.map(|c| value(i64::from(i32::from_be_bytes(*c)))).collect()
            }
            _ => cell.as_chunks::<8>().0.iter().map(|c| value(i64::from_be_bytes(*c))).collect(),
        }
    }

    /// The bytes of one cell, whose elements take `width` bytes each.
    fn cell(&self, column: &Column, row: usize, width: usize) -> Result<&'a [u8], FitsError> {
        let missing = || self.malformed(format!("row {row} of {} does not exist", column.name));
        if row >= self.rows {
            return Err(missing());
        }
        // Below the number of rows nothing overflows: all of them lie in the data.
        let start = row * self.row_bytes + column.offset;
        self.data.get(start..start + column.repeat * width).ok_or_else(missing)
    }

    fn malformed(&self, what: String) -> FitsError {
        FitsError::Malformed { hdu: self.hdu, what }
    }
}

/// A column as numbers in double precision.
pub struct Numbers<'t, 'a> {
    table: &'t Table<'a>,
    column: &'t Column,
    null: Option<i64>,
    scaling: Option<(f64, f64)>,
}

impl Numbers<'_, '_> {
    /// The number of a row, also one that is written as text; `None` where there is none: TNULL, NaN,
    /// text that is no number, a cell of other than one number.
    pub fn at(&self, row: usize) -> Option<f64> {
        let Self { table, column, .. } = self;
        if column.kind == b'A' {
            let text = std::str::from_utf8(table.cell(column, row, 1).ok()?).ok()?;
            return finite(text.trim_matches([' ', '\0']).parse().ok()?);
        }
        let cell = table.cell(column, row, table.width(column).ok()?).ok()?;
        let whole = match column.kind {
            b'E' => return self.scaled(f32::from_be_bytes(cell.try_into().ok()?).into()),
            b'D' => return self.scaled(f64::from_be_bytes(cell.try_into().ok()?)),
            b'B' => i64::from(u8::from_be_bytes(cell.try_into().ok()?)),
            b'I' => i64::from(i16::from_be_bytes(cell.try_into().ok()?)),
            b'J' => i64::from(i32::from_be_bytes(cell.try_into().ok()?)),
            _ => i64::from_be_bytes(cell.try_into().ok()?),
        };
        #[expect(clippy::cast_precision_loss, reason = "identifiers have less than 53 bits")]
        if Some(whole) == self.null { None } else { self.scaled(whole as f64) }
    }

    fn scaled(&self, stored: f64) -> Option<f64> {
        finite(self.scaling.map_or(stored, |(scale, zero)| zero + scale * stored))
    }
}

fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

/// Repeat count, letter and bits an element of a TFORM (FITS Standard 4.0, table 18).
fn parse_form(form: &str) -> Option<(usize, u8, usize)> {
    let digits = form.bytes().take_while(u8::is_ascii_digit).count();
    let repeat = if digits == 0 { 1 } else { form[..digits].parse().ok()? };
    let kind = *form.as_bytes().get(digits)?;
    let bits = match kind {
        b'X' => 1,
        b'L' | b'B' | b'A' => 8,
        b'I' => 16,
        b'J' | b'E' => 32,
        b'K' | b'D' | b'C' | b'P' => 64,
        b'M' | b'Q' => 128,
        _ => return None,
    };
    Some((repeat, kind, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of an identifier (K), a truth value (L) and an unsigned number (I).
    fn identifiers() -> Vec<u8> {
        let card =
            |keyword: &str, value: &str| format!("{:<80}", format!("{keyword:<8}= {value:>20}"));
        let header = |cards: &[(&str, &str)]| {
            let cards: String = cards.iter().map(|(keyword, value)| card(keyword, value)).collect();
            let text = format!("{cards}{:<80}", "END");
            format!("{text:<width$}", width = text.len().div_ceil(2880) * 2880).into_bytes()
        };
        let mut bytes = header(&[("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0")]);
        bytes.extend(header(&[
            ("XTENSION", "'BINTABLE'"),
            ("BITPIX", "8"),
            ("NAXIS", "2"),
            ("NAXIS1", "11"),
            ("NAXIS2", "2"),
            ("PCOUNT", "0"),
            ("GCOUNT", "1"),
            ("TFIELDS", "3"),
            ("TTYPE1", "'source_id'"),
            ("TFORM1", "'K'"),
            ("TNULL1", "-1"),
            ("TTYPE2", "'good'"),
            ("TFORM2", "'L'"),
            ("TTYPE3", "'plate'"),
            ("TFORM3", "'I'"),
            ("TZERO3", "32768"),
            ("TUNIT1", "'none'"),
        ]));
        for (id, good, plate) in [(4_295_806_720_123_456_789_i64, b'T', -1_i16), (-1, 0, 7)] {
            bytes.extend(id.to_be_bytes());
            bytes.push(good);
            bytes.extend(plate.to_be_bytes());
        }
        bytes.resize(bytes.len().div_ceil(2880) * 2880, 0);
        bytes
    }

    #[test]
    fn identifiers_of_nineteen_digits_and_truth_values_come_back_exactly() {
        let bytes = identifiers();
        let fits = crate::fits::Fits::parse(&bytes).unwrap();
        let table = fits.extensions().next().unwrap().1.table().unwrap();
        let column = |name: &str| table.column(name).unwrap();
        let whole = |name: &str, row: usize| table.whole(column(name), row);
        assert_eq!(whole("source_id", 0), Some(4_295_806_720_123_456_789));
        assert_eq!((whole("source_id", 1), whole("source_id", 2)), (None, None));
        assert_eq!((whole("plate", 0), whole("plate", 1)), (Some(32767), Some(32775)));
        assert_eq!(whole("good", 0), None);
        let good = |row: usize| table.logical(column("good"), row);
        assert_eq!((good(0), good(1), good(2)), (Some(true), None, None));
        assert_eq!(table.logical(column("plate"), 0), None);
        assert_eq!(
            (table.unit(column("source_id")), table.unit(column("good"))),
            ("none".into(), String::new())
        );
    }

    #[test]
    fn forms_give_repeat_kind_and_width() {
        let check = |form, expected| assert_eq!(parse_form(form), expected, "{form}");
        check("3909E", Some((3909, b'E', 32)));
        check("K", Some((1, b'K', 64)));
        check("12X", Some((12, b'X', 1)));
        check("0A", Some((0, b'A', 8)));
        check("", None);
        check("5", None);
        check("99999999999999999999E", None);
        check("3Z", None);
    }
}
