//! Commands under bubblewrap: namespaces of their own for processes, mounts and, unless a command
//! needs it, the network. They see the folders of the system read-only, and can write to the folder
//! of their attempt.
//!
//! `bwrap` is started by a shell of its own. It dies with the *thread* that started it, and a
//! thread of the server may end earlier than the program; the shell has one. The shell also opens
//! the file to which `bwrap` reports: only that shows whether an exit code is the program's.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde::Deserialize;

use crate::folder::Folder;
use crate::processes::ProcessTable;
use crate::spec::{CommandSpec, SandboxMode, find_program};
use crate::text::printable;

/// A bubblewrap that works on this machine.
#[derive(Debug, Clone)]
pub struct Sandbox {
    bwrap: PathBuf,
    /// Folders that no command may see, whatever else it sees.
    hidden: Vec<PathBuf>,
}

/// Folders of the system that a command sees, where they exist. Folders with data of users or
/// services (`/home`, `/root`, `/srv`, `/var`) are not among them, and neither is `/run`, whose
/// sockets accept commands.
const SYSTEM: [&str; 14] = [
    "/bin",
    "/etc",
    "/gnu/store",
    "/home/linuxbrew/.linuxbrew",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/opt",
    "/run/current-system",
    "/sbin",
    "/usr",
    "/var/lib/ca-certificates",
];
/// Opens the file of the first argument for `bwrap`, and stays its parent.
const OUTER: &str = r#"set -C; exec 3>"$1"; shift; "$@"; exit $?"#;
/// Starts the program, with the exit codes of a shell if it cannot be started.
const INNER: &str = r#"exec "$@""#;
/// Time that `bwrap` has for a trial.
const TRIAL: Duration = Duration::from_secs(10);

/// A folder or file in the view of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mount {
    /// Read-only, if it exists.
    SystemFolder,
    /// An empty folder.
    Empty,
    /// Read-only.
    ReadOnly(PathBuf),
    /// Writable.
    Writable(PathBuf),
}

/// A call of `bwrap` through its shell.
#[derive(Debug)]
pub(crate) struct Wrapped {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// File in which `bwrap` reports its state.
    pub(crate) status: PathBuf,
}

impl Sandbox {
    /// Finds the sandbox for a command, and tries it. `default` is the mode of a command that names
    /// none; `hidden` are folders that no command may see.
    ///
    /// # Errors
    /// The reason why bubblewrap cannot be used, if the mode requires it.
    pub fn find(
        default: SandboxMode,
        name: &str,
        spec: &CommandSpec,
        hidden: &[PathBuf],
    ) -> Result<Option<Self>, String> {
        let mode = spec.sandbox.unwrap_or(default);
        if mode == SandboxMode::None {
            return Ok(None);
        }
        match Self::try_out(spec.has_network(), hidden) {
            Ok(sandbox) => Ok(Some(sandbox)),
            Err(reason) if mode == SandboxMode::Auto => {
                tracing::warn!(
                    command.name = name,
                    "The command runs without a sandbox: {reason}. Install bubblewrap and permit \
                     user namespaces, or accept this with sandbox = \"none\""
                );
                Ok(None)
            }
            Err(reason) => Err(format!(
                "sandbox is \"bwrap\", and {reason}. Install bubblewrap and permit user \
                 namespaces, or set sandbox = \"none\""
            )),
        }
    }

    /// Finds `bwrap` and starts a shell in it, with the same namespaces as a command.
    fn try_out(network: bool, hidden: &[PathBuf]) -> Result<Self, String> {
        let bwrap = find_program("bwrap").map_err(|_| "bwrap is not in PATH".to_owned())?;
        let sandbox = Self { bwrap, hidden: hidden.to_vec() };
        let mut trial = Command::new(&sandbox.bwrap);
        trial.args(sandbox.options(network, Vec::new(), Path::new("/")));
        trial.args(["--", "/bin/sh", "-c", ":"]);
        trial.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let failed = |error: std::io::Error| format!("{}: {error}", sandbox.bwrap.display());
        let mut child = trial.spawn().map_err(failed)?;
        let begun = Instant::now();
        loop {
            if child.try_wait().map_err(failed)?.is_some() {
                break;
            }
            if begun.elapsed() > TRIAL {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("{} does not end", sandbox.bwrap.display()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(sandbox);
        }
        let said = printable(&String::from_utf8_lossy(&output.stderr));
        let said = said.lines().next().unwrap_or("it failed without a message");
        Err(format!("{} does not work here: {said}", sandbox.bwrap.display()))
    }

    /// Returns the call that starts a program of a command in the sandbox.
    pub(crate) fn wrap(
        &self,
        spec: &CommandSpec,
        folder: &Folder,
        program: &Path,
        arguments: Vec<String>,
    ) -> Wrapped {
        let status = folder.sandbox_status();
        // The one of an attempt that asked a question; the shell creates a new one only.
        drop(std::fs::remove_file(&status));
        let mut all: Vec<OsString> = vec!["-c".into(), OUTER.into(), "sh".into()];
        all.extend([status.clone().into(), self.bwrap.clone().into()]);
        all.extend(["--json-status-fd".into(), "3".into()]);
        let mounts = mounts(spec, folder, program);
        all.extend(self.options(spec.has_network(), mounts, &folder.project()));
        all.extend(["--", "/bin/sh", "-c", INNER, "sh"].map(Into::into));
        all.push(program.into());
        all.extend(arguments.into_iter().map(Into::into));
        Wrapped { program: "/bin/sh".into(), arguments: all, status }
    }

    /// Returns the options of `bwrap`. Without a new session, so that it stays in the process group
    /// of the attempt.
    fn options(
        &self,
        network: bool,
        mut mounts: Vec<(PathBuf, Mount)>,
        folder: &Path,
    ) -> Vec<OsString> {
        let mut options: Vec<OsString> = [
            "--unshare-user-try",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
            "--die-with-parent",
            "--cap-drop",
            "ALL",
        ]
        .map(Into::into)
        .into();
        if !network {
            options.push("--unshare-net".into());
        }
        mounts.extend(SYSTEM.map(|path| (path.into(), Mount::SystemFolder)));
        if network && let Some(resolver) = resolver() {
            mounts.push((resolver.clone(), Mount::ReadOnly(resolver)));
        }
        mounts.push(("/tmp".into(), Mount::Empty));
        let hidden: Vec<_> =
            self.hidden.iter().filter_map(|path| path.canonicalize().ok()).collect();
        mounts.extend(hidden.iter().map(|path| (path.clone(), Mount::Empty)));
        // A folder first, then what is mounted within it.
        mounts.sort_by_key(|(path, _)| path.components().count());
        for (path, mount) in mounts {
            let (option, source) = match mount {
                Mount::SystemFolder => ("--ro-bind-try", Some(path.clone())),
                Mount::ReadOnly(source) => ("--ro-bind", Some(source)),
                Mount::Writable(source) => ("--bind", Some(source)),
                Mount::Empty => ("--tmpfs", None),
            };
            options.push(option.into());
            options.extend(source.map(Into::into));
            options.push(path.into());
        }
        options.extend(["--proc", "/proc", "--dev", "/dev"].map(Into::into));
        for path in hidden.into_iter().chain(["/".into()]) {
            options.extend(["--remount-ro".into(), path.into()]);
        }
        options.extend(["--chdir".into(), folder.into()]);
        options
    }
}

/// Returns what a command sees beside the system.
fn mounts(spec: &CommandSpec, folder: &Folder, program: &Path) -> Vec<(PathBuf, Mount)> {
    let read_only = |path: PathBuf| (path.clone(), Mount::ReadOnly(path));
    let writable = |path: PathBuf| (path.clone(), Mount::Writable(path));
    let mut mounts: Vec<_> = program_files(program).into_iter().map(read_only).collect();
    mounts.extend(spec.read_only.iter().cloned().map(read_only));
    let home = spec.home.clone().unwrap_or_else(|| folder.home());
    for (target, source) in &spec.home_files {
        mounts.push((home.join(target), Mount::ReadOnly(source.clone())));
    }
    mounts.extend([writable(home), writable(folder.scratch()), writable(folder.project())]);
    mounts
}

/// Returns what a program needs that is not in a folder of the system: its file, and the one to
/// which a link leads; of a folder `bin` and of a tree of npm, the whole folder.
fn program_files(program: &Path) -> Vec<PathBuf> {
    let needed = |path: PathBuf| {
        let is_tree = |part: &&Path| part.file_name() == Some(OsStr::new("node_modules"));
        let is_bin = |part: &&Path| part.file_name() == Some(OsStr::new("bin"));
        let tree = path.ancestors().filter(is_tree).last();
        let folder = tree.or_else(|| path.parent().filter(is_bin));
        folder.map(Path::to_owned).unwrap_or(path)
    };
    let is_known = |path: &PathBuf| SYSTEM.iter().any(|system| path.starts_with(system));
    let found = [Some(program.to_owned()), program.canonicalize().ok()];
    let mut files: Vec<_> = found.into_iter().flatten().map(needed).collect();
    files.retain(|path| !is_known(path));
    files.dedup();
    files
}

/// Returns the file that names the resolvers, if `/etc/resolv.conf` is a link to another place.
fn resolver() -> Option<PathBuf> {
    let file = Path::new("/etc/resolv.conf").canonicalize().ok()?;
    let is_known = SYSTEM.iter().any(|system| file.starts_with(system));
    (!is_known).then_some(file)
}

/// Reports of `bwrap` about a program: an object for each.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Status {
    /// First process in the sandbox, by its id outside.
    child_pid: Option<i32>,
    /// Exit code of the program; only if it was started.
    exit_code: Option<i32>,
}

impl Status {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut status = Self::default();
        for next in serde_json::Deserializer::from_str(&text).into_iter::<Self>() {
            let Ok(next) = next else { break };
            status.child_pid = next.child_pid.or(status.child_pid);
            status.exit_code = next.exit_code.or(status.exit_code);
        }
        status
    }
}

/// Returns whether the program in the sandbox was started and has exited.
pub(crate) fn has_exited(status: &Path) -> bool {
    Status::read(status).exit_code.is_some()
}

/// Returns the first process of the sandbox, whose end is the end of all others in it, if it still
/// exists. It is `bwrap`, in the given process group.
pub(crate) fn first_process(status: &Path, group: Pid) -> Option<Pid> {
    let first = Status::read(status).child_pid.and_then(Pid::from_raw)?;
    ProcessTable::read().is_in_group(first, group).then_some(first)
}

/// Returns the processes of the sandbox except its first one.
pub(crate) fn processes(status: &Path, group: Pid) -> Vec<Pid> {
    let first = first_process(status, group);
    first.map(|first| ProcessTable::read().below(first)).unwrap_or_default()
}

/// Links the files that a command sees in its HOME, where there is no sandbox to show them.
pub(crate) fn link_home_files(spec: &CommandSpec, home: &Path) -> std::io::Result<()> {
    for (target, source) in &spec.home_files {
        let target = home.join(target);
        if target.symlink_metadata().is_ok() {
            // The folder was kept for the answer to a question.
            continue;
        }
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::os::unix::fs::symlink(source, target)?;
    }
    Ok(())
}

/// Returns `true` for an exit code by which a shell says that it could not start a program.
pub(crate) const fn is_not_started(code: i32) -> bool {
    matches!(code, 126 | 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(options: &[OsString]) -> String {
        options.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn a_folder_is_mounted_before_what_is_within_it_and_the_data_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().canonicalize().unwrap();
        let sandbox = Sandbox { bwrap: "/bwrap".into(), hidden: vec![data.clone()] };
        let inner = data.join("work/1/project");
        let mounts = vec![(inner.clone(), Mount::Writable(inner.clone()))];
        let options = words(&sandbox.options(false, mounts, &inner));
        let at = |words: &str| options.find(words).unwrap_or_else(|| panic!("{words}: {options}"));
        let (data, inner) = (data.display(), inner.display());
        let system = at("--ro-bind-try /opt /opt");
        let hidden = at(&format!("--tmpfs {data}"));
        let own = at(&format!("--bind {inner} {inner}"));
        assert!(system < hidden && hidden < own && own < at(&format!("--remount-ro {data}")));
        at("--unshare-net");
        for secret in ["/home ", "/root", "/run ", "/var/lib "] {
            assert!(!options.contains(&format!("bind {secret}")), "{options}");
        }
    }

    #[test]
    fn a_program_outside_of_the_system_brings_its_files_and_not_the_folder_of_its_user() {
        assert_eq!(program_files(Path::new("/usr/bin/env")), Vec::<PathBuf>::new());
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().canonicalize().unwrap();
        let (bin, script) = (place.join("bin"), place.join("lib/node_modules/a/bin/a.js"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(script.parent().unwrap()).unwrap();
        std::fs::write(&script, "").unwrap();
        std::os::unix::fs::symlink(&script, bin.join("a")).unwrap();
        let expected = [bin.clone(), place.join("lib/node_modules")];
        assert_eq!(program_files(&bin.join("a")), expected);
        assert_eq!(program_files(&place.join("run.sh")), [place.join("run.sh")]);
    }

    #[test]
    fn a_report_counts_only_if_the_program_was_started() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, pid, exited) in [
            ("", None, false),
            ("{ \"child-pid\": 12, \"mnt-namespace\": 4 }\n", Some(12), false),
            ("{ \"child-pid\": 12 }\n{ \"exit-code\": 3 }\n", Some(12), true),
            ("{ \"child-pid\": 12 }\n{ \"exit", Some(12), false),
        ] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(Status::read(file.path()).child_pid, pid, "{text}");
            assert_eq!(has_exited(file.path()), exited, "{text}");
        }
    }
}
