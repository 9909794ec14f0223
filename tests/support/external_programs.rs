//! Where the programs of other people are that the test `external_programs` runs against. The command
//! `services` has got them (`./tests/run --with-model`), and says so in the environment.
//!
//! Without that, everything here answers `None` and says on standard error which test was left out.
//! With it, what is missing fails the test.

use std::path::PathBuf;

use crate::services::required;

/// Whether the external programs must be there; set to `required` by the command `services`.
pub const EXTERNAL_PROGRAMS: &str = "BOTARMY_TEST_EXTERNAL_PROGRAMS";
/// The folder with the packages of npm: a double of the model providers, and coding agents.
pub const NODE_MODULES: &str = "BOTARMY_TEST_NODE_MODULES";
/// The folder with the wheels of PyPI: a model, and a server for it.
pub const WHEELS: &str = "BOTARMY_TEST_WHEELS";

/// The folder with the packages of npm.
///
/// # Panics
/// When it should be there and is not.
#[must_use]
pub fn node_modules() -> Option<PathBuf> {
    folder("the packages of npm", NODE_MODULES)
}

/// The folder with the wheels.
///
/// # Panics
/// When it should be there and is not.
#[must_use]
pub fn wheels() -> Option<PathBuf> {
    folder("a model", WHEELS)
}

fn folder(what: &str, name: &str) -> Option<PathBuf> {
    let folder =
        PathBuf::from(required(EXTERNAL_PROGRAMS, what, name, "./tests/run --with-model")?);
    assert!(folder.is_dir(), "{name} names {}, and it is not there", folder.display());
    Some(folder)
}
