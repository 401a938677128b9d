//! Random numbers whose sequence is ours to keep.
//!
//! "Same rows, same parameters, same seed: the same model bytes" must survive a crate upgrade,
//! therefore the generator lives here: xoshiro256++ 1.0 (Blackman, Vigna, 2019), seeded by
//! SplitMix64 as its authors advise. Not for secrets.

/// A xoshiro256++ generator.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The generator of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut source = SplitMix64(seed);
        Self { state: std::array::from_fn(|_| source.next()) }
    }

    /// An independent generator for one unit of work, such as a tree: what it draws depends on
    /// `seed` and `stream`, never on the thread that runs it.
    #[must_use]
    pub fn for_stream(seed: u64, stream: u64) -> Self {
        let scrambled_seed = SplitMix64(seed).next();
        Self::new(scrambled_seed ^ SplitMix64(!stream).next())
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// An unbiased integer in `0..bound`, by Lemire (2019), "Fast random integer generation in an
    /// interval".
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "an interval with at least one integer");
        loop {
            let product = (self.next_u64() >> 32) * u64::from(bound);
            let low = product as u32;
            // `2^32 mod bound` low words would be hit once too often; the first comparison saves
            // the division almost always.
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 32) as u32;
            }
        }
    }

    /// A uniform number in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
        (self.next_u64() >> 11) as f64 * SCALE
    }
}

/// SplitMix64 (Steele, Lea, Flood, 2014): turns related seeds into unrelated states.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_reference_implementations() {
        // First outputs of the authors' splitmix64.c from state 0 and xoshiro256plusplus.c from
        // state {1, 2, 3, 4}.
        let mut source = SplitMix64(0);
        assert_eq!(source.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(source.next(), 0x6e78_9e6a_a1b9_65f4);
        let mut rng = Rng { state: [1, 2, 3, 4] };
        assert_eq!(
            [rng.next_u64(), rng.next_u64(), rng.next_u64()],
            [41_943_041, 58_720_359, 3_588_806_011_781_223]
        );
    }

    #[test]
    fn bounded_integers_are_in_range_and_even() {
        let mut rng = Rng::new(7);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[rng.below(6) as usize] += 1;
        }
        // Standard deviation of a count: sqrt(60000 / 6 * 5 / 6) = 91; allow 5 of them.
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 456), "{counts:?}");
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn unit_numbers_fill_the_unit_interval() {
        let mut rng = Rng::new(8);
        let draws: Vec<f64> = (0..10_000).map(|_| rng.unit()).collect();
        assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
        assert!((draws.iter().sum::<f64>() / 10_000.0 - 0.5).abs() < 0.015);
    }

    #[test]
    fn streams_of_one_seed_differ() {
        let first = |seed, stream| Rng::for_stream(seed, stream).next_u64();
        assert_ne!(first(1, 0), first(1, 1));
        assert_ne!(first(1, 0), first(2, 0));
        assert_eq!(first(1, 5), first(1, 5));
    }
}
