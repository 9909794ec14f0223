//! Access control: who may do what, and on which projects.
//!
//! A [`Principal`] is a person or a program. It holds [`Grant`]s: a [`Role`](crate::vocabulary::Role),
//! which is a named set of permissions, on a target. [`Rights`] are the grants of a caller in the form
//! in which they are checked; [`Reach`] is the part of the projects that a caller sees, in the form in
//! which a store filters by it.

mod api_key;
mod grant;
mod permission;
mod principal;
mod reach;
mod rights;

pub use api_key::{ApiKey, ApiKeyText, KeyDigest, KeySecret, MalformedKey};
pub use grant::{Grant, GrantTarget, MAX_PROJECTS, check_grants};
pub use permission::PermissionSet;
pub use principal::{AccessVersion, OpenIdSubject, Principal};
pub(crate) use principal::{sound_groups, sound_name};
pub use reach::{Reach, Sight};
pub use rights::Rights;
