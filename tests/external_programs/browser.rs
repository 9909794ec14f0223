//! The console in Chromium, on the real binary: what people do with it, what the pages may cost, and what
//! must not happen. Figures are printed. Every run has the sign-in, a review, a journey, and all pages on one
//! screen each; `tests/prove --with-model` has the rest, with all sizes of screens and full counts.

mod driver;
mod hostile;
mod journey;
mod keyboard;
mod live;
mod pages;
mod pictures;
mod release;
mod reviewer;
mod sign_in;
mod speed;
