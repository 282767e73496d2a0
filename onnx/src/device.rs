//! Where a network runs.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A processor that runs networks, written `cpu`, `cuda` (the first GPU) or `cuda:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The cores of this machine.
    #[default]
    Cpu,
    /// An NVIDIA GPU.
    Cuda {
        /// Its number, from 0.
        index: u32,
    },
}

/// A text that names no device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a device; use \"cpu\", \"cuda\" or \"cuda:N\" with N from 0")]
pub struct ParseDeviceError {
    /// The text as given.
    pub text: String,
}

impl FromStr for Device {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ParseDeviceError { text: text.to_owned() };
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda { index: 0 }),
            Some(("cuda", digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                // The library counts devices in a signed 32-bit number.
                let index = digits.parse::<i32>().map_err(|_| unknown())?;
                Ok(Self::Cuda { index: index.unsigned_abs() })
            }
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn devices_are_read_as_written() {
        let check =
            |text: &str, expected| assert_eq!(text.parse::<Device>().ok(), expected, "{text}");
        check("cpu", Some(Device::Cpu));
        check("cuda", Some(Device::Cuda { index: 0 }));
        check("cuda:3", Some(Device::Cuda { index: 3 }));
        for text in [
            "",
            "CPU",
            "gpu",
            "cpu:0",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:2147483648",
            "cuda:1:2",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn an_unknown_device_is_refused_with_the_remedy() {
        let error = "tpu".parse::<Device>().unwrap_err().to_string();
        assert_eq!(
            error,
            "\"tpu\" is not a device; use \"cpu\", \"cuda\" or \"cuda:N\" with N from 0"
        );
    }

    proptest! {
        #[test]
        fn a_printed_device_reads_back(index in 0..i32::MAX.unsigned_abs()) {
            let device = Device::Cuda { index };
            prop_assert_eq!(device.to_string().parse(), Ok(device));
        }
    }
}
