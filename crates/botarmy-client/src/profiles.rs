//! The file of profiles: servers by name, each with the place of its key.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::ClientError;
use crate::files;

/// Largest file of profiles, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Variable that names another file.
const FILE: &str = "BOTARMY_PROFILES";

/// Servers by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profiles {
    /// Name of the profile that is used when none is named.
    pub default: Option<String>,
    /// Profiles by name.
    pub profiles: BTreeMap<String, Profile>,
}

/// Server, and the place of the key for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Address of the server.
    pub server: String,
    /// File with the key; a relative path starts at the folder of the file of profiles.
    pub key_file: Option<PathBuf>,
    /// Name of the variable with the key.
    pub key_env: Option<String>,
    /// PEM file with the authorities that the server's certificate is checked against.
    pub ca_file: Option<PathBuf>,
    /// Whether the key may be sent without encryption to another machine.
    #[serde(default)]
    pub allow_http: bool,
}

impl Profiles {
    /// Returns the path of the file: the one that `BOTARMY_PROFILES` names, or else
    /// `botarmy/profiles.toml` in the folder for settings of the user.
    #[must_use]
    pub fn path(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let named =
            |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(file) = named(FILE) {
            return Some(file);
        }
        // A relative path in it is to be ignored (XDG Base Directory Specification, 0.8).
        let folder = named("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let folder = folder.or_else(|| Some(named("HOME")?.join(".config")))?;
        Some(folder.join("botarmy/profiles.toml"))
    }

    /// Reads the file; without one there are no profiles.
    ///
    /// # Errors
    /// A file that cannot be read, is no TOML, or has unknown keys, and a default that does
    /// not exist.
    pub fn load(path: &Path) -> Result<Self, ClientError> {
        let text = match files::read("the file of profiles", path, MAX_FILE) {
            Err(ClientError::File { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(Self::default());
            }
            text => text?,
        };
        let wrong = |reason: &dyn std::fmt::Display| {
            ClientError::Configuration(format!("{}: {reason}", path.display()))
        };
        let mut profiles: Self = toml::from_str(&text).map_err(|error| wrong(&error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for (name, profile) in &mut profiles.profiles {
            if profile.key_file.is_some() && profile.key_env.is_some() {
                let reason = format!("profiles.{name} has key_file and key_env; keep one of them");
                return Err(wrong(&reason));
            }
            for file in [&mut profile.key_file, &mut profile.ca_file].into_iter().flatten() {
                *file = folder.join(&file);
            }
        }
        if let Some(default) = profiles.default.as_ref()
            && !profiles.profiles.contains_key(default)
        {
            return Err(wrong(&format!(
                "default names the profile {default:?}, which is not there"
            )));
        }
        Ok(profiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_profiles_with_paths_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("profiles.toml");
        assert_eq!(Profiles::load(&file).unwrap(), Profiles::default());
        std::fs::write(
            &file,
            "default = \"home\"\n[profiles.home]\nserver = \"http://127.0.0.1:1\"\n\
             key_file = \"home.key\"\n[profiles.work]\nserver = \"https://w\"\nca_file = \"/ca.pem\"\n",
        )
        .unwrap();
        let profiles = Profiles::load(&file).unwrap();
        assert_eq!(profiles.profiles["home"].key_file, Some(dir.path().join("home.key")));
        assert_eq!(profiles.profiles["work"].ca_file, Some("/ca.pem".into()));
        for wrong in [
            "default = \"none\"\n",
            "[profiles.a]\nserver = \"x\"\nkey = \"secret\"\n",
            "[profiles.a]\nserver = \"x\"\nkey_file = \"k\"\nkey_env = \"K\"\n",
            "= 1",
        ] {
            std::fs::write(&file, wrong).unwrap();
            let error = Profiles::load(&file).unwrap_err().to_string();
            assert!(error.contains("profiles.toml: "), "{error}");
        }
    }

    #[test]
    fn the_place_of_the_file_follows_the_variables() {
        let path = |pairs: &[(&str, &str)]| {
            let found = |name: &str| {
                pairs.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).into())
            };
            Profiles::path(&found)
        };
        let all = [("BOTARMY_PROFILES", "p.toml"), ("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(path(&all), Some("p.toml".into()));
        assert_eq!(path(&all[1..]), Some("/x/botarmy/profiles.toml".into()));
        assert_eq!(path(&all[2..]), Some("/h/.config/botarmy/profiles.toml".into()));
        let relative = [("XDG_CONFIG_HOME", "x"), ("HOME", "/h")];
        assert_eq!(path(&relative), Some("/h/.config/botarmy/profiles.toml".into()));
        assert_eq!(path(&[]), None);
    }
}
