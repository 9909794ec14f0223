//! Access control: who may do what, and on which projects.
//!
//! A [`Principal`] is a person or a program. It holds [`Grant`]s: a [`Role`](crate::vocabulary::Role),
//! which is a named set of permissions, on a target. [`Rights`] are the grants of a caller in the form
//! in which they are checked; [`Reach`] is the part of the projects that a caller sees, in the form in
//! which a store filters by it. A person who uses a browser signs in and has a [`Session`].

mod api_key;
mod grant;
mod object;
mod openid;
mod openid_person;
mod permission;
mod preview;
mod principal;
mod reach;
mod rights;
mod secret_text;
mod session;
mod ticket;

pub use api_key::{ApiKey, ApiKeyText, KeyDigest, KeySecret, MalformedKey};
pub use grant::{Grant, GrantTarget, MAX_PROJECTS, check_grants};
pub use object::ObjectId;
pub use openid::{LoginAttempt, MalformedAttempt, OpenIdIdentity};
pub(crate) use openid_person::{kept_groups, shown_name};
pub use permission::PermissionSet;
pub use preview::{MalformedPreview, PreviewCheck, PreviewToken};
pub use principal::{AccessVersion, OpenIdSubject, Principal};
pub(crate) use principal::{new_name, sound_groups, sound_name};
pub use reach::{Reach, Sight};
pub use rights::Rights;
pub use session::{
    Browser, BrowserBinding, EndedSession, FormToken, LINK_LIFETIME, MAX_LINKS, MAX_SESSIONS,
    MalformedLink, MalformedSession, Narrowing, PersonSessions, Session, SessionText, SignInLink,
    SignInLinkText,
};
pub use ticket::{MAX_TICKETS, MalformedTicket, TICKET_LIFETIME, Ticket, TicketHolder, TicketText};
