//! From values to places on an axis.

/// Beyond it values are drawn at the edge: the width of a range must not overflow.
const LIMIT: f64 = 1e300;

/// A linear axis over a range that is never empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    min: f64,
    max: f64,
}

impl Scale {
    /// From `min` to `max`. An empty range is widened around its value; a range that is no range is 0 to 1.
    #[must_use]
    pub fn new(min: f64, max: f64) -> Self {
        let (min, max) = (min.clamp(-LIMIT, LIMIT), max.clamp(-LIMIT, LIMIT));
        if min.is_nan() || max.is_nan() || min > max {
            return Self { min: 0.0, max: 1.0 };
        }
        // Ticks closer together than the digits of a number would be one tick.
        let resolution = 1e-9 * min.abs().max(max.abs());
        if max - min > resolution.max(f64::MIN_POSITIVE) {
            return Self { min, max };
        }
        let half = if min == 0.0 { 0.5 } else { 0.05 * min.abs().max(1e-290) };
        Self { min: min - half, max: max + half }
    }

    /// Over all finite values, with a margin of 3 % at both ends.
    #[must_use]
    pub fn around(values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (min, max) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (value.min(min), value.max(max)));
        if min > max {
            return Self::new(0.0, 1.0);
        }
        let Self { min, max } = Self::new(min, max);
        let margin = 0.03 * (max - min);
        Self { min: min - margin, max: max + margin }
    }

    /// The ends.
    #[must_use]
    pub fn ends(self) -> (f64, f64) {
        (self.min, self.max)
    }

    /// Where the value stands: 0 at the lower end, 1 at the upper; none for NaN. What lies beyond the ends
    /// stands at them.
    #[must_use]
    pub fn place(self, value: f64) -> Option<f64> {
        let place = (value.clamp(self.min, self.max) - self.min) / (self.max - self.min);
        (!place.is_nan()).then_some(place)
    }

    /// Round numbers on the axis, about `wanted` of them, and their distance: 1, 2 or 5 times a power of ten.
    #[must_use]
    pub fn ticks(self, wanted: usize) -> (Vec<f64>, f64) {
        let rough = (self.max - self.min) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let factor =
            [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * 0.75).unwrap_or(10.0);
        let step = factor * power;
        let first = (self.min / step).ceil();
        let ticks = (0..=2 * wanted.max(1)).map(|i| (first + i as f64) * step);
        // Plus zero: no tick is called -0.
        let ticks = ticks.take_while(|tick| *tick <= self.max + step * 1e-9).map(|tick| tick + 0.0);
        (ticks.collect(), step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let (ticks, step) = Scale::new(0.0, 1.0).ticks(5);
        assert_eq!((ticks.len(), step), (6, 0.2));
        let (ticks, step) = Scale::new(-13.0, 87.0).ticks(5);
        assert_eq!((ticks, step), (vec![0.0, 20.0, 40.0, 60.0, 80.0], 20.0));
    }

    #[test]
    fn a_range_is_never_empty() {
        for (min, max) in [(5.0, 5.0), (0.0, 0.0), (f64::NAN, 1.0), (2.0, 1.0), (1e16, 1e16 + 2.0)] {
            let scale = Scale::new(min, max);
            let (low, high) = scale.ends();
            assert!(low < high, "{min} {max}");
            assert!(scale.ticks(5).0.len() >= 2, "{min} {max}: {scale:?}");
        }
        assert_eq!(Scale::around([f64::NAN].into_iter()).ends(), (0.0, 1.0));
        assert_eq!(Scale::new(0.0, 2.0).place(1.0), Some(0.5));
        assert_eq!(
            (Scale::new(0.0, 2.0).place(9.0), Scale::new(0.0, 2.0).place(f64::NAN)),
            (Some(1.0), None)
        );
    }
}
