//! Money as people write it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use smol_str::SmolStr;

/// The most digits of a price, point included: EC2 takes five decimals, and no instance costs a million an hour.
const DIGITS_MAX: usize = 12;

/// A price in USD per hour, greater than zero: kept as it was written, which is what EC2 is told, and as a number, by which
/// it is compared. EC2 API Reference, "FleetLaunchTemplateOverridesRequest", `MaxPrice`: a string.
#[derive(Clone, Debug, PartialEq)]
pub struct UsdPerHour {
    text: SmolStr,
    value: f64,
}

/// Equal texts are equal numbers, and none is NaN.
impl Eq for UsdPerHour {}

impl UsdPerHour {
    /// As it was written: decimal digits and at most one point.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In USD per hour.
    pub fn value(&self) -> f64 {
        self.value
    }
}

impl FromStr for UsdPerHour {
    type Err = NoPrice;

    fn from_str(text: &str) -> Result<Self, NoPrice> {
        let plain = text.len() <= DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let value = text.parse().ok().filter(|value: &f64| plain && *value > 0.0).ok_or(NoPrice)?;
        Ok(Self { text: text.into(), value })
    }
}

impl fmt::Display for UsdPerHour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for UsdPerHour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value)
    }
}

/// The text is no price in USD per hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPrice;

impl fmt::Display for NoPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no price in USD per hour; write one like 0.05")
    }
}

impl std::error::Error for NoPrice {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_kept_as_it_was_written() {
        let price: UsdPerHour = "0.050".parse().unwrap();
        assert_eq!((price.as_str(), price.value()), ("0.050", 0.05));
        for bad in ["", "0", "0.0", "-1", "1e3", "NaN", "inf", "0.05 USD", "0..5", "1234567890.123"] {
            assert_eq!(bad.parse::<UsdPerHour>(), Err(NoPrice), "{bad}");
        }
    }
}
