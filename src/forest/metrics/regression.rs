//! Metrics of regressions. `actual` and `predicted` are equally long and not empty, in the unit of
//! the target; else these functions panic.

/// Root mean squared error, `sqrt(mean((y - f)^2))`, in the unit of the target.
#[must_use]
pub fn rmse(actual: &[f64], predicted: &[f64]) -> f64 {
    mean(actual, predicted, |y, f| (y - f).powi(2)).sqrt()
}

/// Mean absolute error, `mean(|y - f|)`, in the unit of the target.
#[must_use]
pub fn mae(actual: &[f64], predicted: &[f64]) -> f64 {
    mean(actual, predicted, |y, f| (y - f).abs())
}

/// Coefficient of determination, `1 - sum((y - f)^2) / sum((y - mean(y))^2)`, at most 1; none when
/// all actual values are the same.
#[must_use]
pub fn r2(actual: &[f64], predicted: &[f64]) -> Option<f64> {
    let average = mean(actual, actual, |y, _| y);
    let total = mean(actual, actual, |y, _| (y - average).powi(2));
    let residual = mean(actual, predicted, |y, f| (y - f).powi(2));
    (total > 0.0).then(|| 1.0 - residual / total)
}

fn mean(actual: &[f64], predicted: &[f64], of: impl Fn(f64, f64) -> f64) -> f64 {
    assert_eq!(actual.len(), predicted.len(), "a prediction for each actual value");
    assert!(!actual.is_empty(), "at least one value");
    actual.iter().zip(predicted).map(|(&y, &f)| of(y, f)).sum::<f64>() / actual.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of scikit-learn's documentation.
    const ACTUAL: [f64; 4] = [3.0, -0.5, 2.0, 7.0];
    const PREDICTED: [f64; 4] = [2.5, 0.0, 2.0, 8.0];

    #[test]
    fn errors_agree_with_hand_computed_ones() {
        assert_eq!(rmse(&ACTUAL, &PREDICTED), 0.375f64.sqrt());
        assert_eq!(mae(&ACTUAL, &PREDICTED), 0.5);
        assert!((r2(&ACTUAL, &PREDICTED).expect("variance") - (1.0 - 1.5 / 29.1875)).abs() < 1e-15);
    }

    #[test]
    fn r2_of_a_constant_target_is_undefined() {
        assert_eq!(r2(&[1.0, 1.0], &[0.0, 2.0]), None);
    }
}
