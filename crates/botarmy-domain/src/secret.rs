//! Values that only their holders may know.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A secret: text, or random bytes from which text follows. `Debug` leaves it out, and its memory is
/// overwritten when it is dropped. What was made of it, such as the body of a response, is not.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Makes a secret of this value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Returns the value.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
