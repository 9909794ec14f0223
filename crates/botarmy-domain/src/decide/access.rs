//! Principals, their grants, keys and sessions, as decisions on the system log. A principal passes on only
//! what it holds, and every change counts the version by which other servers notice it.

mod denials;
mod first_admin;
mod keys;
mod members;
mod principals;
mod rules;
mod sessions;

pub use denials::note_denials;
pub use first_admin::{FIRST_ADMIN, first_admin, first_admin_scope, restore_first_admin};
pub use keys::{NewApiKey, create_key, revoke_key, rotate_key};
pub use members::set_member_roles;
pub use principals::{change_delegation, change_principal, create_principal, id_of};
pub use rules::scope;
pub use sessions::{
    NOT_A_PERSON, NewLink, NewSession, PERSON_DISABLED, SIGN_IN_EXPIRED, SIGN_IN_INVALID,
    SignInProof, create_link, end_reused, end_session, sessions_scope, sign_out, start_session,
};
