//! Lengths of time and numbers of bytes, as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time; `none` is forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Option<Duration>);

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Patience, String> {
        if text == "none" {
            return Ok(Patience(None));
        }
        duration(text).map(|time| Patience(Some(time)))
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Debug has the unit that fits, but for nothing at all.
            Some(Duration::ZERO) => f.write_str("0s"),
            Some(time) => write!(f, "{time:?}"),
            None => f.write_str("none"),
        }
    }
}

/// `500ms`, `5s`, `1m30s`, `1d`, or a number of seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
    if let Some(Ok(time)) = seconds.map(Duration::try_from_secs_f64) {
        return Ok(time);
    }
    humantime::parse_duration(text)
        .map_err(|_| format!("{text:?} is no length of time: give for example 500ms, 5s, 1m30s"))
}

/// `64`, `64k`, `1M`: bytes, in powers of 1024.
pub fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is no number of bytes: give for example 64, 64k, 1M");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: usize = digits.parse().map_err(|_| wrong())?;
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, millis) in [
            ("500ms", 500),
            ("5s", 5000),
            ("2", 2000),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("0", 0),
            ("1m30s", 90_000),
            ("1h 1m", 3_660_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "", "s", "x", "-1s", "-1", "5y5", "nans", "inf", "1e30", "1e30h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!("none".parse(), Ok(Patience(None)));
    }

    #[test]
    fn numbers_of_bytes() {
        for (text, count) in [("64", 64), ("64k", 65536), ("1MiB", 1 << 20), ("0", 0)] {
            assert_eq!(bytes(text), Ok(count), "{text}");
        }
        for text in ["", "k", "-1", "99999999999G", "1x"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
