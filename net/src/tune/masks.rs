//! Sets of cores as hexadecimal masks, in groups of 32 bits, the highest first.

use std::collections::BTreeSet;

/// Writes a mask as wide as the one it takes the place of: "ffffffff,0000000f".
pub(super) fn show(cores: &[usize], like: &str) -> String {
    let groups = like.split(',').count();
    let highest = cores.iter().max().map_or(0, |core| core / 32 + 1);
    let digits = like.split(',').next_back().map_or(8, str::len);
    let group = |n: usize| {
        let bits = cores.iter().filter(|&&core| core / 32 == n);
        bits.fold(0u32, |mask, core| mask | 1 << (core % 32))
    };
    let shown: Vec<String> = (0..groups.max(highest))
        .rev()
        .map(|n| format!("{:0digits$x}", group(n)))
        .collect();
    shown.join(",")
}

/// The cores of a mask; none for what is not one.
pub(super) fn parse(mask: &str) -> BTreeSet<usize> {
    let bits = |(n, group): (usize, &str)| {
        let bits = u32::from_str_radix(group.trim(), 16).unwrap_or(0);
        (0..32)
            .filter(move |bit| bits >> bit & 1 == 1)
            .map(move |bit| n * 32 + bit)
    };
    mask.trim().rsplit(',').enumerate().flat_map(bits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_round_trip() {
        for (cores, like, mask) in [
            (&[0, 1][..], "f", "3"),
            (&[0, 35], "ffffffff,ffffffff", "00000008,00000001"),
            (&[0], "00000003,00000001", "00000000,00000001"),
            (&[], "3", "0"),
        ] {
            assert_eq!(show(cores, like), mask);
            assert_eq!(parse(mask), cores.iter().copied().collect());
        }
        assert!(parse("zz").is_empty());
    }
}
