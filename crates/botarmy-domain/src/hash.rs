//! SHA-256 hashes as text and as the bytes that a store keeps.

use crate::artifact::hex;

/// Decodes a hexadecimal hash into the bytes that a store keeps.
#[must_use]
pub fn hash_bytes(hash: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[n * 2..n * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Encodes a stored hash as hexadecimal.
#[must_use]
pub fn hash_text(bytes: &[u8]) -> String {
    hex(bytes)
}
