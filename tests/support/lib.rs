//! What the tests share.

pub mod rig;
