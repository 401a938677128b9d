//! Means, squares and products of many pairs in one pass, without loss of digits.

/// Pairs of a block; small enough for the first cache, in which the block is read again.
const BLOCK: usize = 1024;

/// Means of pairs and their sums of squared deviations and products.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct CoMoments {
    n: f64,
    mean: [f64; 2],
    /// Sums of squared deviations.
    squares: [f64; 2],
    /// Sum of products of deviations.
    products: f64,
}

impl CoMoments {
    /// Of the rows in which `x` is not missing. Each block is centred on its own means, and blocks are
    /// merged, which keeps digits where values are large beside their spread.
    pub(super) fn of(x: &[f32], y: &[f64]) -> Self {
        let mut all = Self::default();
        let (mut xs, mut ys) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
            let mut n = 0;
            for (&x, &y) in x.iter().zip(y) {
                (xs[n], ys[n]) = (f64::from(x), y);
                n += usize::from(!x.is_nan());
            }
            all = all.merge(Self::of_block(&xs[..n], &ys[..n]));
        }
        all
    }

    fn of_block(xs: &[f64], ys: &[f64]) -> Self {
        let n = xs.len() as f64;
        let mut block = Self { n, ..Self::default() };
        if xs.is_empty() {
            return block;
        }
        block.mean = [xs.iter().sum::<f64>() / n, ys.iter().sum::<f64>() / n];
        for (x, y) in xs.iter().zip(ys) {
            let (dx, dy) = (x - block.mean[0], y - block.mean[1]);
            block.squares[0] += dx * dx;
            block.squares[1] += dy * dy;
            block.products += dx * dy;
        }
        block
    }

    /// Chan, Golub & LeVeque, "Algorithms for computing the sample variance" (1983), for pairs.
    fn merge(self, other: Self) -> Self {
        let n = self.n + other.n;
        if n == 0.0 {
            return self;
        }
        let [dx, dy] = [0, 1].map(|side| other.mean[side] - self.mean[side]);
        let (share, weight) = (other.n / n, self.n * other.n / n);
        Self {
            n,
            mean: [self.mean[0] + dx * share, self.mean[1] + dy * share],
            squares: [
                self.squares[0] + other.squares[0] + dx * dx * weight,
                self.squares[1] + other.squares[1] + dy * dy * weight,
            ],
            products: self.products + other.products + dx * dy * weight,
        }
    }

    /// Number of pairs.
    pub(super) fn n(&self) -> f64 {
        self.n
    }

    /// Pearson's correlation, -1 to 1; `None` where one side does not vary.
    pub(super) fn correlation(&self) -> Option<f64> {
        // Roots first: the product of two sums of squares may leave the range of f64.
        let spread = self.squares[0].sqrt() * self.squares[1].sqrt();
        (spread > 0.0 && spread.is_finite()).then(|| (self.products / spread).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same figure by the textbook's two passes.
    fn by_two_passes(x: &[f32], y: &[f64]) -> f64 {
        let pairs: Vec<_> =
            x.iter().zip(y).filter(|(x, _)| !x.is_nan()).map(|(&x, &y)| (f64::from(x), y)).collect();
        let n = pairs.len() as f64;
        let (mx, my) =
            (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
        let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| f(p.0 - mx, p.1 - my)).sum::<f64>();
        sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
    }

    #[test]
    fn blocks_give_the_figure_of_two_passes_also_far_from_zero() {
        for offset in [0.0, 1e6, 1.6e7] {
            let x: Vec<f32> = (0..5_000)
                .map(|i| if i % 7 == 0 { f32::NAN } else { offset + (i * 37 % 101) as f32 })
                .collect();
            let y: Vec<f64> =
                (0..5_000).map(|i| 1e9 + f64::from(i * 37 % 101) + f64::from(i * 53 % 29)).collect();
            let (ours, theirs) = (CoMoments::of(&x, &y).correlation(), by_two_passes(&x, &y));
            assert!((ours.expect("varies") - theirs).abs() < 1e-12, "{offset}: {ours:?} {theirs}");
        }
    }

    #[test]
    fn no_spread_has_no_correlation() {
        assert_eq!(CoMoments::of(&[1.0; 30], &[2.0; 30]).correlation(), None);
        assert_eq!(CoMoments::of(&[f32::NAN; 30], &[2.0; 30]).correlation(), None);
        let y: Vec<f64> = (0..30).map(f64::from).collect();
        let x: Vec<f32> = (0..30u8).map(|i| -f32::from(i)).collect();
        assert_eq!(CoMoments::of(&x, &y).correlation(), Some(-1.0));
    }
}
