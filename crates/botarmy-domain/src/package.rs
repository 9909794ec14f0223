//! The package of a project: which files it has, made from the context store and from nothing
//! else. Same state, same files.

use serde::{Deserialize, Serialize};

use crate::ids::{ContextId, ProjectId};
use crate::timestamp::Timestamp;

/// A package that was made. Its bytes are made again from the artifacts whenever they are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The project.
    pub project_id: ProjectId,
    /// When.
    pub generated_at: Timestamp,
    /// The artifacts it is made from, oldest first.
    pub artifacts: Vec<ContextId>,
    /// What is in it, sorted by name.
    pub files: Vec<PackageFile>,
    /// SHA-256 over names and digests of the files, in lower-case hexadecimal.
    pub digest: String,
}

/// A file of a package, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFile {
    /// Its path in the package, with `/` between folders.
    pub name: String,
    /// Its ending, such as `html`.
    pub file_type: String,
    /// When what it holds was made.
    pub created_at: Timestamp,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub digest: String,
}
