//! The server and the key that a user means, from options, variables and profiles.
//!
//! A key belongs to the place that names the server: that of a profile is never sent to a server
//! that an option or a variable names.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::ClientError;
use crate::key::Key;
use crate::profiles::Profiles;

/// Variable with the address of the server.
const SERVER: &str = "BOTARMY_SERVER";
/// Variable with the file of the key.
const KEY_FILE: &str = "BOTARMY_KEY_FILE";
/// Variable with the key itself.
const KEY: &str = "BOTARMY_KEY";
/// Variable with the name of a profile.
const PROFILE: &str = "BOTARMY_PROFILE";

/// Options of a command that name a server.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Address of the server.
    pub server: Option<String>,
    /// Name of a profile.
    pub profile: Option<String>,
    /// File with the key, in place of that of the variables or of the profile.
    pub key_file: Option<PathBuf>,
    /// PEM file with the authorities that the server's certificate is checked against.
    pub ca_file: Option<PathBuf>,
    /// Whether the key may be sent without encryption to another machine.
    pub allow_http: bool,
}

/// Server, with the key for it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Address of the server.
    pub server: String,
    /// Key, unless the server is open.
    pub key: Option<Key>,
    /// PEM file with the authorities that the server's certificate is checked against.
    pub ca_file: Option<PathBuf>,
    /// Whether the key may be sent without encryption to another machine.
    pub allow_http: bool,
}

impl Selection {
    /// Returns whether an option names a server.
    #[must_use]
    pub const fn names_server(&self) -> bool {
        self.server.is_some() || self.profile.is_some()
    }

    /// Returns the server: that of the option `server`, of the option `profile`, of
    /// `BOTARMY_SERVER`, of `BOTARMY_PROFILE`, or of the default profile, in this order. Returns
    /// `None` if none of them is given.
    ///
    /// The key is in the file of the option, or else, beside an address, in that of
    /// `BOTARMY_KEY_FILE` or in `BOTARMY_KEY`, and beside a profile where the profile says.
    ///
    /// # Errors
    /// A profile that does not exist, and files that are not acceptable.
    pub fn resolve(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Connection>, ClientError> {
        let text = |name: &str| text_of(variable, name);
        if let Some(server) = &self.server {
            return self.beside_address(server, variable).map(Some);
        }
        if let Some(profile) = &self.profile {
            return self.of_profile(profile, variable).map(Some);
        }
        if let Some(server) = text(SERVER)? {
            return self.beside_address(&server, variable).map(Some);
        }
        let profile = match text(PROFILE)? {
            Some(profile) => Some(profile),
            None => self.profiles(variable)?.default,
        };
        profile.map(|profile| self.of_profile(&profile, variable)).transpose()
    }

    fn beside_address(
        &self,
        server: &str,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Connection, ClientError> {
        let file = variable(KEY_FILE).filter(|value| !value.is_empty()).map(PathBuf::from);
        let key = match self.key_file.as_ref().or(file.as_ref()) {
            Some(file) => Some(Key::read(file)?),
            None => key_in(variable, KEY)?,
        };
        let (ca_file, allow_http) = (self.ca_file.clone(), self.allow_http);
        Ok(Connection { server: server.to_owned(), key, ca_file, allow_http })
    }

    fn of_profile(
        &self,
        name: &str,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Connection, ClientError> {
        let mut all = self.profiles(variable)?.profiles;
        let Some(profile) = all.remove(name) else {
            let place = Profiles::path(variable).map_or_else(
                || "the file of profiles".to_owned(),
                |path| path.display().to_string(),
            );
            let names: Vec<_> = all.into_keys().collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let reason = format!("there is no profile {name:?} in {place}; it has: {names}");
            return Err(ClientError::Configuration(reason));
        };
        let key = match (&self.key_file, &profile.key_file, &profile.key_env) {
            (Some(file), _, _) | (None, Some(file), _) => Some(Key::read(file)?),
            (None, None, Some(name)) => match key_in(variable, name)? {
                Some(key) => Some(key),
                None => {
                    let reason = format!("the variable {name} for the key is not set");
                    return Err(ClientError::Configuration(reason));
                }
            },
            (None, None, None) => None,
        };
        Ok(Connection {
            server: profile.server,
            key,
            ca_file: self.ca_file.clone().or(profile.ca_file),
            allow_http: self.allow_http || profile.allow_http,
        })
    }

    fn profiles(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Profiles, ClientError> {
        Profiles::path(variable)
            .map_or_else(|| Ok(Profiles::default()), |path| Profiles::load(&path))
    }
}

/// Returns the text of a variable; an empty one counts as none.
fn text_of(
    variable: &dyn Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<String>, ClientError> {
    let value = variable(name).filter(|value| !value.is_empty());
    let text = value.map(OsString::into_string).transpose();
    text.map_err(|_| ClientError::Configuration(format!("the variable {name} is not UTF-8")))
}

fn key_in(
    variable: &dyn Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<Key>, ClientError> {
    let Some(text) = text_of(variable, name)? else { return Ok(None) };
    Key::parse(&text).map(Some).map_err(|reason| {
        ClientError::Configuration(format!("the variable {name} holds no key: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PROFILES: &str = "default = \"a\"\n[profiles.a]\nserver = \"http://a\"\n\
        key_file = \"a.key\"\n[profiles.b]\nserver = \"http://b\"\nkey_env = \"B_KEY\"\n";

    /// Returns the server and the key, as `SERVER KEY`.
    fn resolved(selection: &Selection, pairs: &[(&str, &str)]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            path
        };
        let profiles = write("profiles.toml", PROFILES);
        write("a.key", "of_a");
        let other = write("other.key", "other");
        let mut selection = selection.clone();
        if selection.key_file.is_some() {
            selection.key_file = Some(other);
        }
        let variable = |name: &str| match name {
            "BOTARMY_PROFILES" => Some(profiles.clone().into_os_string()),
            name => pairs.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).into()),
        };
        let connection = selection.resolve(&variable).map_err(|error| error.to_string())?;
        let connection = connection.expect("the file has a default");
        let key = connection.key.map_or_else(|| "-".to_owned(), |key| key.header().to_string());
        Ok(format!("{} {}", connection.server, key.trim_start_matches("Bearer ")))
    }

    #[test]
    fn options_come_before_variables_and_these_before_the_default() {
        let none = Selection::default();
        let server = Selection { server: Some("http://s".to_owned()), ..none.clone() };
        let profile = Selection { profile: Some("b".to_owned()), ..none.clone() };
        let key = Selection { key_file: Some("k".into()), ..none.clone() };
        let address = [("BOTARMY_SERVER", "http://v"), ("BOTARMY_KEY", "of_v")];
        let named = [("BOTARMY_PROFILE", "b"), ("B_KEY", "of_b")];
        let all = [address, named].concat();
        for (selection, variables, expected) in [
            (&none, &[][..], "http://a of_a"),
            (&none, &named, "http://b of_b"),
            (&none, &all, "http://v of_v"),
            (&profile, &all, "http://b of_b"),
            (&server, &all, "http://s of_v"),
            // The key of a profile stays with its server.
            (&server, &named, "http://s -"),
            (&key, &[], "http://a other"),
            (&key, &all, "http://v other"),
        ] {
            assert_eq!(resolved(selection, variables).as_deref(), Ok(expected), "{selection:?}");
        }
        let unknown = Selection { profile: Some("c".to_owned()), ..none };
        let error = resolved(&unknown, &[]).unwrap_err();
        assert!(error.contains("no profile \"c\"") && error.ends_with("it has: a, b"), "{error}");
        let error = resolved(&profile, &[]).unwrap_err();
        assert_eq!(error, "the variable B_KEY for the key is not set");
    }
}
