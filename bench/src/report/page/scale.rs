//! From values to pixels, and the ticks of an axis.

/// How values are laid out between two pixels.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    kind: Kind,
    from: f64,
    to: f64,
    pixels: (f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Linear,
    Log,
}

impl Scale {
    /// Evenly.
    pub fn linear((from, to): (f64, f64), pixels: (f64, f64)) -> Scale {
        let to = if to > from { to } else { from + 1.0 };
        Scale {
            kind: Kind::Linear,
            from,
            to,
            pixels,
        }
    }

    /// By orders of magnitude; both ends are above 0.
    pub fn log((from, to): (f64, f64), pixels: (f64, f64)) -> Scale {
        let from = from.max(f64::MIN_POSITIVE);
        let to = if to > from { to } else { from * 10.0 };
        Scale {
            kind: Kind::Log,
            from,
            to,
            pixels,
        }
    }

    /// The pixel of a value, held within the axis.
    pub fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.from, self.to);
        let part = match self.kind {
            Kind::Linear => (value - self.from) / (self.to - self.from),
            Kind::Log => (value / self.from).ln() / (self.to / self.from).ln(),
        };
        self.pixels.0 + part * (self.pixels.1 - self.pixels.0)
    }

    /// Where ticks are, at most about ten: whole powers, or 1, 2 and 5 of each when there are few; or round steps.
    pub fn ticks(&self) -> Vec<f64> {
        match self.kind {
            Kind::Linear => {
                let step = round_step((self.to - self.from) / 7.0);
                let first = (self.from / step).ceil() as i64;
                let last = (self.to / step + 1e-9).floor() as i64;
                (first..=last).map(|tick| tick as f64 * step).collect()
            }
            Kind::Log => {
                let decades = (self.to / self.from).log10();
                let of_each: &[f64] = if decades <= 3.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let powers = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
                let ticks = powers.flat_map(|power| of_each.iter().map(move |part| part * 10f64.powi(power)));
                ticks
                    .filter(|tick| (self.from * 0.999..=self.to * 1.001).contains(tick))
                    .collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|part| part * power)
        .find(|&step| step >= least * 0.999)
        .unwrap_or(power * 10.0)
}

/// The whole powers of ten, or their 2 and 5, around all values; None without any above 0.
pub fn log_bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (mut least, mut greatest) = (f64::MAX, 0f64);
    for value in values.filter(|&value| value > 0.0) {
        least = least.min(value);
        greatest = greatest.max(value);
    }
    let parts = |power: f64| [1.0, 2.0, 5.0, 10.0].map(|part| part * power);
    let below = parts(10f64.powf(least.log10().floor()));
    let above = parts(10f64.powf(greatest.max(f64::MIN_POSITIVE).log10().floor()));
    let from = below.into_iter().rev().find(|&bound| bound <= least)?;
    let to = above.into_iter().find(|&bound| bound >= greatest)?;
    (greatest > 0.0).then_some((from, to))
}

/// A time at a tick, which is round.
pub fn round_duration(ns: f64) -> String {
    for (unit, size) in [("s", 1e9), ("ms", 1e6), ("µs", 1e3)] {
        if ns >= size * 0.9995 {
            return format!("{} {unit}", (ns / size * 1000.0).round() / 1000.0);
        }
    }
    format!("{ns:.0} ns")
}

/// A rate at a tick: 500, 20k, 1M.
pub fn round_rate(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{}M", value / 1e6),
        _ if value >= 1e3 => format!("{}k", value / 1e3),
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_to_pixels() {
        let scale = Scale::log((1.0, 100.0), (0.0, 200.0));
        assert_eq!(scale.at(10.0), 100.0);
        assert_eq!((scale.at(0.1), scale.at(1e9)), (0.0, 200.0));
        assert_eq!(scale.ticks(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        let scale = Scale::linear((0.0, 30.0), (100.0, 0.0));
        assert_eq!(scale.at(15.0), 50.0);
        assert_eq!(scale.ticks(), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
    }

    #[test]
    fn bounds_are_round() {
        assert_eq!(log_bounds([3.0, 700.0].into_iter()), Some((2.0, 1000.0)));
        assert_eq!(log_bounds([10.0].into_iter()), Some((10.0, 10.0)));
        assert_eq!(log_bounds([0.0].into_iter()), None);
        assert_eq!(log_bounds(std::iter::empty()), None);
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!([2e5, 1e6].map(round_duration), ["200 µs", "1 ms"]);
        assert_eq!([500.0, 20e3, 1e6].map(round_rate), ["500", "20k", "1M"]);
    }
}
