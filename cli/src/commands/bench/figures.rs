//! Figures for people: percentiles, times, sizes. `cargo xtask bench` has this file too, so that both print alike.

/// The value that this share of all values does not exceed.
pub fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// `850ns`, `12.3us`, `1.45ms`: three digits that count.
pub fn time(nanos: u64) -> String {
    let nanos = nanos as f64;
    let (value, unit) = match nanos {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "us"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    format!("{}{unit}", three_digits(value))
}

pub fn bytes(count: f64) -> String {
    let (value, unit) = match count {
        c if c < 1024.0 => return format!("{c:.0} B"),
        c if c < 1024.0 * 1024.0 => (c / 1024.0, "KiB"),
        c if c < 1024.0 * 1024.0 * 1024.0 => (c / 1024.0 / 1024.0, "MiB"),
        c => (c / 1024.0 / 1024.0 / 1024.0, "GiB"),
    };
    format!("{} {unit}", three_digits(value))
}

fn three_digits(value: f64) -> String {
    match value {
        v if v.fract() == 0.0 && v < 1000.0 => format!("{v:.0}"),
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// Text as an SVG has it.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!(
            [850, 12_345, 1_450_000, 2_000_000_000].map(time),
            ["850ns", "12.3us", "1.45ms", "2s"]
        );
        assert_eq!(
            [64.0, 65536.0, 3.2e9].map(bytes),
            ["64 B", "64 KiB", "2.98 GiB"]
        );
    }
}
