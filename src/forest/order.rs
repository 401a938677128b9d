//! Floats as integers of the same order: what can be compared, sorted and packed without NaN
//! standing in the way.

/// An integer that orders as the number does; both zeros have one key, NaN has none.
pub(super) fn order_key(x: f32) -> i32 {
    let bits = (x + 0.0).to_bits() as i32; // -0.0 + 0.0 is 0.0
    bits ^ magnitude_if_negative(bits)
}

/// The number of a key.
pub(super) fn from_order_key(key: i32) -> f32 {
    f32::from_bits((key ^ magnitude_if_negative(key)) as u32)
}

/// All bits but the sign when that is set: larger magnitudes of negative numbers come first.
fn magnitude_if_negative(bits: i32) -> i32 {
    ((bits >> 31) as u32 >> 1) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_numbers_and_lead_back() {
        let numbers = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.0,
            -1e-45,
            0.0,
            1e-45,
            f32::MIN_POSITIVE,
            1.0,
            f32::MAX,
            f32::INFINITY,
        ];
        let keys = numbers.map(order_key);
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert_eq!(keys.map(from_order_key), numbers);
        assert_eq!(order_key(-0.0), order_key(0.0));
    }
}
