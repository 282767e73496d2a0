//! Why a spectrum has no row: a code, a sentence and the remedy. A reject is data, not an error.

/// The reason in one word. Numbers are stable: catalogues outlive versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u8);

/// A spectrum or file that gives no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The reason in one word.
    pub code: Code,
    /// What was found, with the HDU where there is one; at most [`MAX_DETAIL`] bytes.
    pub detail: String,
}

/// The longest detail, bytes: some quote what a file says, and they wait in queues and are written.
pub const MAX_DETAIL: usize = 1024;

/// What a code means, for docs and tables.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $number:literal, $name:literal, $meaning:literal, $remedy:literal;)*) => {
        impl Code {
            $(#[doc = $meaning] pub const $constant: Self = Self($number);)*
        }
        /// Every code in order.
        pub const CODES: &[Entry] = &[
            $(Entry { code: Code($number), name: $name, meaning: $meaning, remedy: $remedy },)*
        ];
    };
}

codes! {
    UNREADABLE = 1, "unreadable", "The file could not be opened or read.", "check that it exists and that this user may read it, then run again";
    NOTHING_FOUND = 2, "nothing_found", "The path or pattern leads to no file.", "check the path; a directory is searched for .fits, .fits.gz and .fits.zst";
    EMPTY_FILE = 3, "empty_file", "The file has no bytes.", "fetch it again";
    TOO_LARGE = 4, "too_large", "The file, what it inflates to, or a spectrum in it is larger than the limit.", "if the file is sound, raise input.max_file_bytes or input.max_decompressed_bytes; the limit of pixels is fixed";
    CORRUPT_COMPRESSION = 5, "corrupt_compression", "The gzip or zstd data are damaged or cut short.", "fetch the file again; test it with gzip -t or zstd -t";
    NOT_FITS = 6, "not_fits", "The bytes are not those of a FITS file.", "remove it from the input";
    CORRUPT_FITS = 7, "corrupt_fits", "The FITS structure is damaged or cut short.", "fetch the file again; test it with fitsverify";
    UNKNOWN_LAYOUT = 8, "unknown_layout", "It is a FITS file, but no reader knows its layout.", "see what is in it with starmill inspect; a new survey needs a reader";
    WRONG_SURVEY = 9, "wrong_survey", "The model is not made for spectra of this survey.", "choose a model with starmill models list";
    BAD_WAVELENGTH = 10, "bad_wavelength", "The wavelengths are not finite, positive and increasing.", "fetch the file again or report it to the survey";
    WAVELENGTH_COVERAGE = 11, "wavelength_coverage", "The spectrum does not cover the model's window.", "choose a model for this wavelength range";
    TOO_MANY_BAD_PIXELS = 12, "too_many_bad_pixels", "More pixels of the model's window are unusable than its recipe allows.", "none: the observation does not hold the information";
    FIBER_MASK = 13, "fiber_mask", "The fibre mask is not zero and the model's recipe rejects that.", "use a recipe that flags it instead";
    OR_MASK = 14, "or_mask", "The ormask is not zero in the window and the model's recipe rejects that.", "use a recipe that flags it instead";
    FLAT_SPECTRUM = 15, "flat_spectrum", "The prepared spectrum is constant or not finite, so it cannot be scaled.", "none: the observation holds no signal";
    MODEL_OUTPUT = 16, "model_output", "The model gave a label that is not finite.", "verify the model with starmill models verify and report the spectrum";
    DUPLICATE_CONTENT = 17, "duplicate_content", "Another file with the same bytes has the row, here or in an earlier volume of the night.", "none needed; remove one copy from the input";
    DUPLICATE_SPECTRUM = 18, "duplicate_spectrum", "Another file of the same observation has the row, here or in an earlier volume of the night: the newest reduction wins, then the smaller digest.", "none needed; catalogue.reductions = \"all\" gives both a row";
    POISON = 19, "poison", "Processing this spectrum made a worker panic.", "report the file: it found a bug";
    STILL_CHANGING = 20, "still_changing", "The file changed while it was read.", "wait until it is complete, then run again";
    INFERENCE_FAILED = 21, "inference_failed", "The inference library failed on this spectrum, and on no other.", "verify the model with starmill models verify and report the spectrum";
    MISSING_ARM = 22, "missing_arm", "The spectrum has no pixel in one of the model's windows: that arm is missing.", "none: the observation lacks the arm; choose a model for the other one";
    LOW_SNR = 23, "low_snr", "The S/N is below the limit of the model's recipe, which rejects that.", "use a recipe that flags it instead";
    NO_RADIAL_VELOCITY = 24, "no_radial_velocity", "The model's recipe shifts spectra to the rest frame, and no usable radial velocity is known.", "name a catalogue of radial velocities, or use a recipe that takes zero and flags it";
    BAD_CONTINUUM = 25, "bad_continuum", "The pseudo-continuum cannot be fitted or is not positive everywhere, so the flux cannot be divided by it.", "none: the observation holds no signal, or its background was subtracted badly";
    NOT_HELD = 26, "not_held", "The file holds no spectrum of the kind that is taken: no coadd, or no single exposure.", "take the other kind with input.spectra, if it will do";
    ROW_RANGE = 27, "row_range", "The rows that a name asks for are not whole parts of the table, or the table does not have them.", "begin and end ranges at multiples of 256, the last one at the end of the table";
}

impl Code {
    /// The number as stored.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The code of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        CODES.iter().map(|entry| entry.code).find(|code| code.0 == number)
    }

    /// Name, meaning and remedy.
    ///
    /// # Panics
    /// Never: a code exists only with its entry.
    pub fn entry(self) -> &'static Entry {
        CODES.iter().find(|entry| entry.code == self).expect("every code has its entry")
    }

    /// A reject of this code. A detail that is too long loses its end.
    pub fn because(self, detail: impl Into<String>) -> Reject {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
        Reject { code: self, detail }
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entry = self.code.entry();
        write!(f, "{}: {}; {}", entry.name, self.detail, entry.remedy)
    }
}

impl From<crate::fits::FitsError> for Reject {
    fn from(error: crate::fits::FitsError) -> Self {
        let code = match error {
            crate::fits::FitsError::NotFits => Code::NOT_FITS,
            _ => Code::CORRUPT_FITS,
        };
        code.because(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let reject = Code::POISON.because("\u{e9}".repeat(MAX_DETAIL));
        assert_eq!(reject.detail.len(), MAX_DETAIL);
        let reject = Code::POISON.because(format!("a{}", "\u{e9}".repeat(MAX_DETAIL)));
        assert_eq!(reject.detail.len(), MAX_DETAIL - 1);
        assert_eq!(Code::POISON.because("short").detail, "short");
    }

    #[test]
    fn codes_are_unique_numbered_in_order_and_survive_storage() {
        for (position, entry) in CODES.iter().enumerate() {
            assert_eq!(usize::from(entry.code.number()), position + 1);
            assert_eq!(Code::from_number(entry.code.number()), Some(entry.code));
            assert!(CODES[..position].iter().all(|other| other.name != entry.name));
        }
        assert_eq!(Code::from_number(0), None);
    }
}
