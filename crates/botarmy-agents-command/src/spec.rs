//! The configuration of a command: `[commands.NAME]` in the settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use botarmy_domain::RunError;
use botarmy_domain::ids::TaskId;
use serde::Deserialize;

/// Configuration of a command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// Program and arguments. No shell reads them; `{workdir}` and `{task_id}` in an argument are
    /// replaced.
    pub argv: Vec<String>,
    /// Protocol of the program.
    #[serde(default)]
    pub preset: Preset,
    /// Names of the server's environment variables that the program gets, beside a few harmless
    /// ones.
    #[serde(default)]
    pub env: Vec<String>,
    /// Permanent HOME, for a program that has to be logged in. Without it, each attempt has its own.
    #[serde(default)]
    pub home: Option<PathBuf>,
    /// Isolation of the program; the server's setting if it is not given.
    #[serde(default)]
    pub sandbox: Option<SandboxMode>,
    /// Whether it has the network in a sandbox; by default the presets for coding agents have it,
    /// which call their models.
    #[serde(default)]
    pub network: Option<bool>,
    /// Files and folders that it can read in a sandbox beside those of the system.
    #[serde(default)]
    pub read_only: Vec<PathBuf>,
    /// Files and folders that it finds in its HOME, by their path there: its configuration and its
    /// login. A sandbox shows them read-only.
    #[serde(default)]
    pub home_files: BTreeMap<String, PathBuf>,
    /// Names of folders that are never collected as source code.
    #[serde(default = "ignored")]
    pub ignore: Vec<String>,
    /// Most bytes of its standard output.
    #[serde(default = "output_bytes")]
    pub output_bytes: usize,
    /// Most bytes of one line of its standard output.
    #[serde(default = "line_bytes")]
    pub line_bytes: usize,
}

/// Protocol of a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// `botarmy.command/1`: a JSON document in, JSON Lines out.
    #[default]
    Contract,
    /// Claude Code.
    Claude,
    /// Codex CLI.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Any program: the exit code is the result.
    Plain,
}

impl Preset {
    /// Returns whether its programs are coding agents, which call a model over the network.
    pub(crate) const fn calls_a_model(self) -> bool {
        match self {
            Self::Claude | Self::Codex | Self::Gemini => true,
            Self::Contract | Self::Plain => false,
        }
    }
}

/// Isolation of commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// bubblewrap where it works, otherwise no sandbox and a warning.
    #[default]
    Auto,
    /// bubblewrap, or an error at the start.
    Bwrap,
    /// No sandbox.
    None,
}

fn ignored() -> Vec<String> {
    [".git", "node_modules", "target", "__pycache__", ".venv"].map(str::to_owned).to_vec()
}

const fn output_bytes() -> usize {
    8 << 20
}

const fn line_bytes() -> usize {
    1 << 20
}

/// Environment variables that every command gets.
const HARMLESS: [&str; 5] = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"];
const PLACEHOLDERS: [&str; 2] = ["{workdir}", "{task_id}"];

impl CommandSpec {
    /// Creates a configuration with these arguments and the default of every other key.
    #[must_use]
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            preset: Preset::default(),
            env: Vec::new(),
            home: None,
            sandbox: None,
            network: None,
            read_only: Vec::new(),
            home_files: BTreeMap::new(),
            ignore: ignored(),
            output_bytes: output_bytes(),
            line_bytes: line_bytes(),
        }
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// The first problem, as a sentence that begins with the key.
    pub fn check(&self) -> Result<(), String> {
        let Some(program) = self.argv.first().filter(|program| !program.is_empty()) else {
            return Err("argv must name a program".to_owned());
        };
        if program.contains('/') && !Path::new(program).is_absolute() {
            return Err(format!(
                "argv: {program:?} must be an absolute path, or a name to look for in PATH"
            ));
        }
        if self.argv.iter().any(|argument| argument.contains('\0')) {
            return Err("argv must not contain NUL".to_owned());
        }
        for argument in &self.argv[1..] {
            if let Some(word) = placeholders(argument).find(|word| !PLACEHOLDERS.contains(word)) {
                return Err(format!(
                    "argv: there is no placeholder {word}; there are {}",
                    PLACEHOLDERS.join(" and ")
                ));
            }
        }
        for name in &self.env {
            let valid = !name.is_empty() && !name.contains(['=', '\0']);
            if !valid || name.starts_with("BOTARMY_") {
                return Err(format!("env: {name:?} cannot be passed on"));
            }
        }
        if self.home.as_ref().is_some_and(|home| !home.is_absolute()) {
            return Err("home must be absolute".to_owned());
        }
        if let Some(path) = self.read_only.iter().find(|path| !path.is_absolute()) {
            return Err(format!("read_only: {} must be absolute", path.display()));
        }
        if self.home.is_some() && !self.home_files.is_empty() {
            return Err("home_files are for a HOME of the attempt's own; put them into home, or \
                        leave home out"
                .to_owned());
        }
        for (target, source) in &self.home_files {
            if !is_plain_path(target) {
                return Err(format!("home_files: {target:?} must be a path below HOME"));
            }
            if !source.is_absolute() {
                return Err(format!("home_files: {} must be absolute", source.display()));
            }
        }
        for (key, value) in [("output_bytes", self.output_bytes), ("line_bytes", self.line_bytes)] {
            if value == 0 {
                return Err(format!("{key} must be at least 1"));
            }
        }
        Ok(())
    }

    /// Returns whether the program has the network in a sandbox.
    #[must_use]
    pub fn has_network(&self) -> bool {
        self.network.unwrap_or(self.preset.calls_a_model())
    }

    /// Returns the path of the program.
    pub(crate) fn program(&self) -> Result<PathBuf, RunError> {
        find_program(self.argv.first().map_or("", String::as_str))
    }

    /// Returns the arguments after the program, with the placeholders replaced.
    pub(crate) fn arguments(&self, workdir: &Path, task: TaskId) -> Vec<String> {
        let workdir = workdir.to_string_lossy();
        let put = |argument: &String| {
            argument.replace("{workdir}", &workdir).replace("{task_id}", &task.to_string())
        };
        self.argv.iter().skip(1).map(put).collect()
    }

    /// Returns the server's environment variables that the program gets.
    pub(crate) fn variables(&self) -> Vec<(String, OsString)> {
        let names = HARMLESS.iter().copied().chain(self.env.iter().map(String::as_str));
        names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect()
    }
}

/// Returns whether a path below a HOME stays below it.
fn is_plain_path(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty()
        && !path.contains('\0')
        && !path.ends_with('/')
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Returns the path of a program, which is looked for in PATH if it is a plain name.
pub(crate) fn find_program(name: &str) -> Result<PathBuf, RunError> {
    let mut found = None;
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<_> = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        let folders = std::env::split_paths(&paths).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(name)).collect()
    };
    for candidate in candidates {
        match candidate.metadata() {
            Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => {
                return Ok(candidate);
            }
            Ok(_) => found = Some(candidate),
            Err(_) => {}
        }
    }
    Err(match found {
        Some(file) => RunError::terminal(
            "command_not_executable",
            format!("{} is not an executable file.", file.display()),
        ),
        None => {
            RunError::terminal("command_not_found", format!("The program {name:?} does not exist."))
        }
    })
}

/// Returns every `{word}` in an argument.
fn placeholders(argument: &str) -> impl Iterator<Item = &str> {
    argument.match_indices('{').filter_map(|(at, _)| {
        let word = &argument[at..=at + argument[at..].find('}')?];
        let inner = &word[1..word.len() - 1];
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        (!inner.is_empty() && inner.chars().all(plain)).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_home_file(target: &str, source: &str) -> CommandSpec {
        let home_files = [(target.to_owned(), source.into())].into();
        CommandSpec { home_files, ..CommandSpec::new(["a"]) }
    }

    #[test]
    fn only_the_presets_that_call_models_have_the_network_by_default() {
        let with = |preset, network| CommandSpec { preset, network, ..CommandSpec::new(["a"]) };
        for preset in [Preset::Claude, Preset::Codex, Preset::Gemini] {
            assert!(with(preset, None).has_network());
            assert!(!with(preset, Some(false)).has_network());
        }
        for preset in [Preset::Contract, Preset::Plain] {
            assert!(!with(preset, None).has_network());
            assert!(with(preset, Some(true)).has_network());
        }
    }

    #[test]
    fn an_invalid_command_is_refused_by_key() {
        let spec = |argv: &[&str]| CommandSpec::new(argv.iter().copied());
        for (spec, word) in [
            (spec(&[]), "argv"),
            (spec(&["./here"]), "absolute"),
            (spec(&["a", "{instructions}"]), "{instructions}"),
            (spec(&["a", "b\0"]), "NUL"),
            (CommandSpec { env: vec!["BOTARMY_STORE__URL".into()], ..spec(&["a"]) }, "env"),
            (CommandSpec { home: Some("here".into()), ..spec(&["a"]) }, "home"),
            (CommandSpec { read_only: vec!["tools".into()], ..spec(&["a"]) }, "read_only"),
            (with_home_file("../x", "/x"), "home_files"),
            (with_home_file("/x", "/x"), "home_files"),
            (with_home_file("", "/x"), "home_files"),
            (with_home_file("x", "x"), "home_files"),
            (CommandSpec { home: Some("/h".into()), ..with_home_file("x", "/x") }, "home_files"),
            (CommandSpec { output_bytes: 0, ..spec(&["a"]) }, "output_bytes"),
        ] {
            let error = spec.check().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(with_home_file(".codex/auth.json", "/secrets/auth.json").check(), Ok(()));
        let valid = spec(&["a", "{workdir}/x", "{\"json\": {}}", "a b; rm -rf $HOME"]);
        assert_eq!(valid.check(), Ok(()));
    }

    #[test]
    fn only_placeholders_are_replaced_in_arguments() {
        let spec = CommandSpec::new(["{workdir}", "--in={workdir}/a", "{task_id}", "$HOME `x`"]);
        let task: TaskId = "0190a0b0-0000-7000-8000-00000000000b".parse().unwrap();
        let arguments = spec.arguments(Path::new("/w"), task);
        assert_eq!(arguments, ["--in=/w/a", &task.to_string(), "$HOME `x`"]);
    }
}
