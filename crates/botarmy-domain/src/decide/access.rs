//! Principals, their grants and their keys, as decisions on the system log. A principal passes on only
//! what it holds, and every change counts the version by which other servers notice it.

mod denials;
mod first_admin;
mod keys;
mod principals;
mod rules;

pub use denials::note_denials;
pub use first_admin::{FIRST_ADMIN, first_admin, first_admin_scope};
pub use keys::{NewApiKey, create_key, revoke_key, rotate_key};
pub use principals::{change_principal, create_principal, id_of};
pub use rules::scope;
