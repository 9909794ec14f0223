//! Texts of secrets: a prefix that says what they are, and 43 letters and digits for 256 random bits.

/// Defines the text of a secret, and the error of a text that is none.
macro_rules! secret_text {
    ($(#[$meta:meta])* $text:ident, $prefix:literal, $(#[$error_meta:meta])* $malformed:ident, $message:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $text($crate::secret::Secret<String>);

        impl $text {
            /// Creates the text of 256 random bits.
            #[must_use]
            pub fn new(bytes: [u8; 32]) -> Self {
                Self($crate::secret::Secret::new(format!("{}{}", $prefix, $crate::base62::base62(bytes))))
            }

            /// Returns the secret as its holder sends it.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose()
            }

            /// Returns the digest that is stored in its place. The secret cannot be found from it.
            #[must_use]
            pub fn digest(&self) -> $crate::access::KeyDigest {
                $crate::access::KeyDigest::of(self.expose())
            }
        }

        $(#[$error_meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $malformed;

        impl std::str::FromStr for $text {
            type Err = $malformed;

            fn from_str(text: &str) -> Result<Self, $malformed> {
                let digits = text.strip_prefix($prefix).ok_or($malformed)?;
                let is_sound = digits.len() == $crate::base62::LENGTH
                    && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if is_sound { Ok(Self($crate::secret::Secret::new(text.to_owned()))) } else { Err($malformed) }
            }
        }
    };
}

pub(super) use secret_text;
