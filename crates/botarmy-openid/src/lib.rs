//! Sign-in with an OpenID provider: discovery (OpenID Connect Discovery 1.0), the authorization code
//! flow (OpenID Connect Core 1.0) with PKCE (RFC 7636), and the issuer in the answer (RFC 9207).
//!
//! [`OpenId`] is the adapter for the port
//! [`IdentityProvider`](botarmy_domain::ports::IdentityProvider). It keeps the provider's description
//! and public keys for a few minutes, and nothing about persons or attempts.

mod cached;
mod callback;
mod http;
mod id_token;
mod identity_provider;
mod keys;
mod metadata;
mod settings;
mod signature;
mod token_request;

pub use identity_provider::OpenId;
pub use settings::{ClientSecret, OpenIdSettings, SetupError, check_issuer};
