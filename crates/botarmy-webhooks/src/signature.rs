//! Signatures of Standard Webhooks 1.0: `v1` with HMAC-SHA256, `v1a` with Ed25519.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use botarmy_domain::WebhookKeys;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// Returns the header `webhook-signature`: two signatures for each pair of keys, with spaces between.
pub(crate) fn header(keys: &[WebhookKeys], id: &str, timestamp: i64, body: &str) -> String {
    let content = format!("{id}.{timestamp}.{body}");
    let signed = |keys: &WebhookKeys| {
        let shared = hmac::Key::new(hmac::HMAC_SHA256, keys.shared.expose());
        let v1 = STANDARD.encode(hmac::sign(&shared, content.as_bytes()));
        let v1a = STANDARD.encode(key_pair(keys.seed.expose()).sign(content.as_bytes()));
        format!("v1,{v1} v1a,{v1a}")
    };
    keys.iter().map(signed).collect::<Vec<_>>().join(" ")
}

/// Returns the public key that belongs to a seed.
pub(crate) fn public_key(seed: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    public.copy_from_slice(key_pair(seed).public_key().as_ref());
    public
}

fn key_pair(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed has 32 bytes")
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    fn keys(byte: u8) -> WebhookKeys {
        let seed = [byte + 100; 32];
        WebhookKeys::new([byte; 32], seed, public_key(&seed))
    }

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn the_public_key_of_a_known_seed() {
        let bytes = |hex: &str| botarmy_domain::log::hash_bytes(hex).unwrap();
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(public_key(&seed), public);
    }

    /// Computed with Python: `hmac.new(bytes([7]) * 32, b"msg_1.1614265330.{\"a\":1}", "sha256")`.
    #[test]
    fn the_signature_of_a_known_message() {
        let header = header(&[keys(7)], "msg_1", 1_614_265_330, "{\"a\":1}");
        let (v1, v1a) = header.split_once(' ').unwrap();
        assert_eq!(v1, "v1,msJ2Az1Qy8kMjwuvkeK90JarUwpqFGH0hHfkaJBv2gg=");
        let signature = STANDARD.decode(v1a.strip_prefix("v1a,").unwrap()).unwrap();
        let public = UnparsedPublicKey::new(&ED25519, public_key(&[107; 32]));
        public.verify(b"msg_1.1614265330.{\"a\":1}", &signature).unwrap();
    }

    #[test]
    fn while_rotating_both_pairs_of_keys_sign() {
        let both = header(&[keys(1), keys(2)], "id", 1, "{}");
        let alone = [header(&[keys(1)], "id", 1, "{}"), header(&[keys(2)], "id", 1, "{}")];
        assert_eq!(both, alone.join(" "));
        let versions: Vec<_> = both.split(' ').map(|one| one.split(',').next().unwrap()).collect();
        assert_eq!(versions, ["v1", "v1a", "v1", "v1a"]);
    }
}
