//! Numbers to the base of 62: the digits of keys and tokens.

/// Digits, in the order of their values.
pub(crate) const DIGITS: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Number of digits that hold 256 bits.
pub(crate) const LENGTH: usize = 43;

/// Writes 256 bits with [`LENGTH`] digits to the base of 62.
pub(crate) fn base62(mut number: [u8; 32]) -> String {
    let mut digits = [0_u8; LENGTH];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let part = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(part / 62).expect("a remainder is less than the divisor");
            rest = part % 62;
        }
        *digit = DIGITS[rest as usize];
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bits_are_in_the_digits() {
        assert_eq!(base62([0; 32]), "0".repeat(LENGTH));
        let mut one = [0; 32];
        one[31] = 61;
        assert!(base62(one).ends_with("0z"));
        one[31] = 62;
        assert!(base62(one).ends_with("10"));
        let mut high = [0; 32];
        high[0] = 128;
        assert_ne!(base62(high), "0".repeat(LENGTH));
    }
}
