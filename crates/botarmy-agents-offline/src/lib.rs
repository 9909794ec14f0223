//! The offline runner: does every step of the built-in workflow from templates. No model, no
//! network, no clock, no randomness: the same assignment always gives the same bytes.
//!
//! It is a template engine, and everything it writes says so ([`STATEMENT`]). Its results are real:
//! the documents build on each other and on the reviewers' answers, the application works, the
//! tests read the files and can fail, and the deployment is a folder whose digests are compared.
//!
//! [`draft`] is the engine, a pure function of a [`Brief`]; [`OfflineRunner`] implements the
//! runner's port with it and deploys to a folder.

mod application;
mod brief;
mod checks;
mod deploy;
mod deployed_files;
mod documents;
mod domain;
mod draft;
mod english;
mod error;
mod extras;
mod field;
mod idea;
mod kind;
mod language;
mod not_built;
mod places;
mod product;
mod refinement;
mod repair;
mod resource;
mod runner;
mod statement;
mod step;
mod stories;
mod template;

pub use brief::Brief;
pub use draft::draft;
pub use error::DraftError;
pub use runner::OfflineRunner;
pub use statement::STATEMENT;
pub use step::Step;
