//! Figures as a person reads them.

/// A time: 850 ns, 12.3 µs, 4.56 ms, 1.20 s.
pub fn duration(ns: f64) -> String {
    for (unit, size) in [("s", 1e9), ("ms", 1e6), ("µs", 1e3)] {
        if ns >= size * 0.9995 {
            return format!("{} {unit}", figures(ns / size));
        }
    }
    format!("{ns:.0} ns")
}

/// Three figures.
pub fn figures(value: f64) -> String {
    match value {
        _ if value >= 99.95 => format!("{value:.0}"),
        _ if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A count or a rate with blanks between thousands.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_mean_something() {
        let written = [850.0, 12_345.0, 999_990.0, 4_560_000.0, 1.2e9].map(duration);
        assert_eq!(written, ["850 ns", "12.3 µs", "1.00 ms", "4.56 ms", "1.20 s"]);
        assert_eq!(thousands(1234567.0), "1\u{202f}234\u{202f}567");
    }
}
