//! The distributions of the sample data.

use crate::forest::rng::Rng;

/// A seeded source of random numbers; the same seed gives the same sample for ever.
pub(in crate::dev) struct Random(Rng);

impl Random {
    /// The stream `stream` of `seed`.
    pub(in crate::dev) fn new(seed: u64, stream: u64) -> Self {
        Self(Rng::for_stream(seed, stream))
    }

    /// Uniform in `[0, 1)`.
    pub(in crate::dev) fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// Uniform in `[low, high)`.
    pub(in crate::dev) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..n`.
    pub(in crate::dev) fn below(&mut self, n: u32) -> u32 {
        self.0.below(n)
    }

    /// Normal (Box-Muller).
    pub(in crate::dev) fn normal(&mut self, mean: f64, sd: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        mean + sd * radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal with the given median; `sigma` is the standard deviation of the logarithm.
    pub(in crate::dev) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * self.normal(0.0, sigma).exp()
    }

    /// True with the given probability.
    pub(in crate::dev) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `items` by `weights`, which need not sum to one.
    pub(in crate::dev) fn pick<T: Copy, const N: usize>(&mut self, items: [T; N], weights: [f64; N]) -> T {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (item, weight) in items.into_iter().zip(weights) {
            if left < weight {
                return item;
            }
            left -= weight;
        }
        items[N - 1]
    }

    /// `value`, or `None` with the given probability.
    pub(in crate::dev) fn maybe_missing<T>(&mut self, value: T, probability: f64) -> Option<T> {
        (!self.chance(probability)).then_some(value)
    }
}
