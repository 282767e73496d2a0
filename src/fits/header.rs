//! Header cards: found by keyword when asked for, never copied into a map.

use super::{BLOCK, FitsError};

/// Bytes in a card.
const CARD: usize = 80;
/// More cards than any survey's header has, a few hundred: keywords are found by search, so what a
/// search may cost is bounded here.
const MAX_CARDS: usize = 1 << 15;

/// The cards of one header, without the END card and what follows it.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    cards: &'a [[u8; CARD]],
}

/// A card's value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A quoted string, quotes undone and trailing blanks removed.
    Text(String),
    /// T or F.
    Logical(bool),
    /// A number without a decimal point or exponent.
    Integer(i64),
    /// Any other number.
    Float(f64),
}

impl<'a> Header<'a> {
    /// Reads the header at the start of `bytes`; also returns the offset of the data behind it.
    pub(super) fn parse(bytes: &'a [u8], hdu: usize) -> Result<(Self, usize), FitsError> {
        let cards = bytes.as_chunks::<CARD>().0;
        let end =
            cards.iter().take(MAX_CARDS).position(|card| card.starts_with(b"END     ")).ok_or(
                if cards.len() < MAX_CARDS {
                    FitsError::NoEnd { hdu }
                } else {
                    let what = format!("the header has no END card within {MAX_CARDS} cards");
                    FitsError::Malformed { hdu, what }
                },
            )?;
        let offset = ((end + 1) * CARD).div_ceil(BLOCK) * BLOCK;
        Ok((Self { cards: &cards[..end] }, offset))
    }

    /// Bytes of data that the mandatory keywords declare (FITS Standard 4.0, equation 2).
    pub(super) fn data_bytes(&self, hdu: usize) -> Result<u64, FitsError> {
        let invalid = |keyword: &str| FitsError::Keyword { hdu, keyword: keyword.into() };
        let natural = |keyword: &str| {
            self.integer(keyword)
                .and_then(|n| u64::try_from(n).ok())
                .ok_or_else(|| invalid(keyword))
        };
        let bits = self.integer("BITPIX").ok_or_else(|| invalid("BITPIX"))?;
        if !matches!(bits, 8 | 16 | 32 | 64 | -32 | -64) {
            return Err(invalid("BITPIX"));
        }
        let axes = natural("NAXIS")?;
        if axes > 999 {
            return Err(invalid("NAXIS"));
        }
        if axes == 0 {
            // Recent LAMOST files keep NAXIS1 and NAXIS2 cards beside NAXIS = 0: there are no data.
            return Ok(0);
        }
        let mut elements: u64 = 1;
        // The standard fixes the order of these cards, so one pass finds all of them.
        let mut rest = self.cards;
        for axis in 1..=axes {
            let keyword = format!("NAXIS{axis}");
            let position = find(rest, &keyword).ok_or_else(|| invalid(&keyword))?;
            let here = Self { cards: &rest[position..=position] };
            let length = here.integer(&keyword).and_then(|n| u64::try_from(n).ok());
            elements = length
                .and_then(|length| elements.checked_mul(length))
                .ok_or_else(|| invalid(&keyword))?;
            rest = &rest[position + 1..];
        }
        let optional = |keyword: &str, default| {
            if self.find(keyword).is_some() { natural(keyword) } else { Ok(default) }
        };
        let groups = optional("GCOUNT", 1)?;
        elements
            .checked_add(optional("PCOUNT", 0)?)
            .and_then(|n| n.checked_mul(groups))
            .and_then(|n| n.checked_mul(bits.unsigned_abs() / 8))
            .ok_or_else(|| invalid("NAXIS1"))
    }

    fn find(&self, keyword: &str) -> Option<&'a [u8; CARD]> {
        find(self.cards, keyword).map(|position| &self.cards[position])
    }

    /// The value of a keyword; `None` if it is absent, blank or cannot be read.
    pub fn value(&self, keyword: &str) -> Option<Value> {
        parse_value(&self.find(keyword)?[10..])
    }

    /// All keywords with their values, in file order; for people to read.
    pub fn entries(&self) -> impl Iterator<Item = (String, Value)> + 'a {
        self.cards.iter().filter(|card| card[8] == b'=').filter_map(|card| {
            let keyword = std::str::from_utf8(&card[..8]).ok()?.trim_end().to_owned();
            Some((keyword, parse_value(&card[10..])?))
        })
    }

    /// An integer; also one written as a whole float or inside a string.
    pub fn integer(&self, keyword: &str) -> Option<i64> {
        match self.value(keyword)? {
            Value::Integer(n) => Some(n),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(x as i64),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A finite number; also one written inside a string, as LAMOST does now and then.
    pub fn float(&self, keyword: &str) -> Option<f64> {
        let x = match self.value(keyword)? {
            Value::Integer(n) => n as f64,
            Value::Float(x) => x,
            Value::Text(text) => text.trim().parse().ok()?,
            Value::Logical(_) => return None,
        };
        x.is_finite().then_some(x)
    }

    /// The linear scaling that stored values need to become physical ones, `zero + scale * stored`;
    /// `None` where they are physical as they are.
    ///
    /// # Errors
    /// [`FitsError::Keyword`] when a scaling is declared that is no number.
    pub(super) fn scaling(
        &self,
        hdu: usize,
        scale: &str,
        zero: &str,
    ) -> Result<Option<(f64, f64)>, FitsError> {
        let number = |keyword: &str, default: f64| match self.find(keyword) {
            Some(_) => self
                .float(keyword)
                .ok_or_else(|| FitsError::Keyword { hdu, keyword: keyword.into() }),
            None => Ok(default),
        };
        let needed = |scaling: &(f64, f64)| *scaling != (1.0, 0.0);
        Ok(Some((number(scale, 1.0)?, number(zero, 0.0)?)).filter(needed))
    }

    /// A string, blanks removed at both ends; empty strings count as absent.
    pub fn text(&self, keyword: &str) -> Option<String> {
        match self.value(keyword)? {
            Value::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }
}

fn find(cards: &[[u8; CARD]], keyword: &str) -> Option<usize> {
    let mut padded = [b' '; 8];
    padded.get_mut(..keyword.len())?.copy_from_slice(keyword.as_bytes());
    cards.iter().position(|card| card[..8] == padded && card[8] == b'=')
}

fn parse_value(field: &[u8]) -> Option<Value> {
    let field = field.trim_ascii_start();
    if let Some(quoted) = field.strip_prefix(b"'") {
        return Some(Value::Text(parse_quoted(quoted)));
    }
    let end = field.iter().position(|&byte| byte == b'/').unwrap_or(field.len());
    let token = std::str::from_utf8(field[..end].trim_ascii()).ok()?;
    match token {
        "" => None,
        "T" => Some(Value::Logical(true)),
        "F" => Some(Value::Logical(false)),
        number => match number.parse() {
            Ok(integer) => Some(Value::Integer(integer)),
            // Fortran writes double precision exponents with a D.
            Err(_) => number.replace(['D', 'd'], "E").parse().ok().map(Value::Float),
        },
    }
}

fn parse_quoted(quoted: &[u8]) -> String {
    let mut text = String::new();
    let mut bytes = quoted.iter().peekable();
    while let Some(&byte) = bytes.next() {
        if byte == b'\'' && bytes.next_if_eq(&&b'\'').is_none() {
            break;
        }
        // The standard allows printable ASCII alone; anything else is shown, not trusted.
        text.push(if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '?' });
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &str, expected: impl Into<Option<Value>>) {
        assert_eq!(parse_value(format!("{field:<70}").as_bytes()), expected.into(), "{field:?}");
    }

    #[test]
    fn values_are_read_as_the_standard_writes_them() {
        check("                   T / flag", Some(Value::Logical(true)));
        check("                 -32 /", Some(Value::Integer(-32)));
        check("          -1.5D+02 / double", Some(Value::Float(-150.0)));
        check("'O''Neill  '         / name", Some(Value::Text("O'Neill".into())));
        check("'a / b'", Some(Value::Text("a / b".into())));
        check("'        '           / Reservation", Some(Value::Text(String::new())));
        check("", None);
        check("/ only a comment", None);
        check("'bell \u{7}'", Some(Value::Text("bell ?".into())));
    }

    #[test]
    fn numbers_inside_strings_and_strings_instead_of_numbers() {
        let mut bytes =
            format!("{:<80}{:<80}{:<80}", "SPID    = '7'", "Z       = 'none'", "END").into_bytes();
        bytes.resize(BLOCK, b' ');
        let (header, offset) = Header::parse(&bytes, 0).unwrap();
        assert_eq!(offset, BLOCK);
        assert_eq!(header.integer("SPID"), Some(7));
        assert_eq!(header.float("Z"), None);
        assert_eq!(header.text("MISSING"), None);
    }
}
