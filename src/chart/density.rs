//! Points so many that only their density can be shown.

/// Cells of a picture by width and height.
pub const CELLS: (usize, usize) = (64, 40);

use super::Scale;

/// Points by cell, row by row from the lower left, over both axes.
#[must_use]
pub fn density(points: &[(f64, f64)], x: Scale, y: Scale) -> Vec<u32> {
    let mut counts = vec![0; CELLS.0 * CELLS.1];
    let cell = |place: f64, cells: usize| ((place * cells as f64) as usize).min(cells - 1);
    for &(px, py) in points {
        if let (Some(px), Some(py)) = (x.place(px), y.place(py)) {
            counts[cell(py, CELLS.1) * CELLS.0 + cell(px, CELLS.0)] += 1;
        }
    }
    counts
}

/// At most `most` of the positions `0..n`, evenly apart, the first and the last among them.
pub fn evenly(n: usize, most: usize) -> impl ExactSizeIterator<Item = usize> {
    let taken = n.min(most);
    (0..taken).map(move |i| if taken < 2 { i } else { i * (n - 1) / (taken - 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_in_one_cell() {
        let (x, y) = (Scale::new(0.0, 1.0), Scale::new(0.0, 1.0));
        let counts = density(&[(0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (f64::NAN, 0.0)], x, y);
        assert_eq!((counts[0], counts[CELLS.0 * CELLS.1 - 1], counts.iter().sum::<u32>()), (1, 2, 3));
    }

    #[test]
    fn a_sample_has_both_ends() {
        assert_eq!(evenly(3, 5).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(evenly(101, 3).collect::<Vec<_>>(), [0, 50, 100]);
        assert_eq!((evenly(0, 3).len(), evenly(9, 1).collect::<Vec<_>>()), (0, vec![0]));
    }
}
