//! Sizes as people write them.

/// Parses "4GiB", "512MB" or "65536" (bytes). Units of 1024 have an i in them, the others are of 1000.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn parse(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("", 1),
        ("B", 1),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let text = text.trim();
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let factor = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, factor)| factor);
    let number = number.parse::<u64>().ok();
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(*factor))
        .ok_or_else(|| format!("'{text}' is not a size: write a whole number and a unit, like 4GiB or 512MB"))
}

/// A size as a person reads it, in the largest unit of 1024 that divides it.
#[must_use]
pub fn show(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units
        .iter()
        .find(|(_, bits)| bytes > 0 && bytes.trailing_zeros() >= *bits)
    {
        Some((unit, bits)) => format!("{}{unit}", bytes >> bits),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [
            ("4GiB", 4 << 30),
            ("512MB", 512_000_000),
            ("1 kib", 1024),
            ("65536", 65_536),
            ("7B", 7),
            ("2tb", 2_000_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "GiB",
            "-1",
            "1.5GiB",
            "4G",
            "4 GiBs",
            "99999999999TiB",
            "0x10",
        ] {
            assert!(parse(text).unwrap_err().contains("like 4GiB"), "{text}");
        }
    }

    #[test]
    fn shown_sizes_parse_back() {
        for bytes in [0, 1, 1023, 1024, 3 << 20, 5 << 30, (1 << 30) + 1] {
            assert_eq!(parse(&show(bytes)), Ok(bytes));
        }
        assert_eq!(show(3 << 20), "3MiB");
    }
}
