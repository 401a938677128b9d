//! A small seeded source of random numbers; a crate's streams may change with its version, and the
//! sample data must not.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(in crate::dev) struct Random(u64);

impl Random {
    /// The stream `stream` of `seed`.
    pub(in crate::dev) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(in crate::dev) fn unit(&mut self) -> f64 {
        // 53 bits are what a f64 holds.
        #[expect(clippy::cast_precision_loss, reason = "the shifted value has 53 bits")]
        let bits = (self.next() >> 11) as f64;
        bits / (1u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub(in crate::dev) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..n`; the bias of the modulo is below 1e-15 for the small `n` used here.
    pub(in crate::dev) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
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
