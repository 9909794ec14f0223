//! The image that the Dockerfile describes: its configuration, and its files, assembled in a folder by
//! the instructions of the last stage.
//!
//! Three things are replaced, because no image can be fetched here. The stage that builds is the binary
//! under test, with the shared libraries of this machine. The authorities are those of this machine. And
//! `FROM debian` is a folder with less in it than that image has: the libraries, and the programs that
//! the instructions and the guide use.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use botarmy_tests::server::binary;
use tempfile::TempDir;

use super::instructions;
use crate::documentation::root;

/// Programs of Debian's small image that the Dockerfile and the guide use; `sh` is for the tests too.
const PROGRAMS: [&str; 4] = ["sh", "install", "sleep", "cat"];

/// Libraries that Debian's small image has for a program of Rust: `libc6` and `libgcc-s1`, and the
/// loader.
const LIBRARIES: [&str; 7] =
    ["ld-linux", "libc.so", "libm.so", "libgcc_s.so", "libpthread.so", "libdl.so", "librt.so"];

/// The configuration of the image.
#[derive(Default)]
pub(super) struct Image {
    pub(super) env: BTreeMap<String, String>,
    /// Ids of user and group.
    pub(super) user: (u32, u32),
    pub(super) workdir: String,
    pub(super) volume: String,
    pub(super) port: u16,
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) health_check: Vec<String>,
}

/// Returns the instructions of the last stage, which begin with `FROM`.
fn last_stage() -> Vec<(String, String)> {
    let mut all = instructions();
    let from = all.iter().rposition(|(word, _)| word == "FROM").expect("a stage");
    all.split_off(from)
}

/// Returns the words of a command in the exec form.
fn words(command: &str) -> Vec<String> {
    serde_json::from_str(command).unwrap_or_else(|_| panic!("{command} is not in the exec form"))
}

impl Image {
    /// Reads the configuration. An instruction that is not known here is an error, so that the tests do
    /// not check another image than the one that is built.
    pub(super) fn read() -> Self {
        let mut image = Self::default();
        for (word, rest) in last_stage() {
            match word.as_str() {
                "FROM" => assert!(rest.starts_with("debian:"), "FROM {rest}"),
                "ENV" => image.env.extend(rest.split_whitespace().map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap();
                    (name.to_owned(), value.to_owned())
                })),
                "USER" => {
                    let (user, group) = rest.split_once(':').expect("a user and a group");
                    image.user = (user.parse().unwrap(), group.parse().unwrap());
                }
                "WORKDIR" => image.workdir = rest,
                "VOLUME" => image.volume = rest,
                "EXPOSE" => image.port = rest.parse().unwrap(),
                "ENTRYPOINT" => image.entrypoint = words(&rest),
                "CMD" => image.command = words(&rest),
                "HEALTHCHECK" => {
                    image.health_check = words(rest.split_once("CMD ").expect("a command").1);
                }
                "COPY" | "RUN" | "STOPSIGNAL" => {}
                _ => panic!("the Dockerfile has an instruction that the tests do not know: {word}"),
            }
        }
        image
    }

    /// Assembles the files of the image in a new folder, as root.
    pub(super) fn assemble(bwrap: &Path) -> TempDir {
        let folder = TempDir::new().unwrap();
        let top = folder.path();
        // The user of the image has to get in.
        std::fs::set_permissions(top, Permissions::from_mode(0o755)).unwrap();
        for (word, rest) in last_stage() {
            match word.as_str() {
                "FROM" => base(top),
                "COPY" => copy(top, &rest),
                "RUN" => run(bwrap, top, &rest),
                _ => {}
            }
        }
        folder
    }
}

/// Makes a folder and those above it, with the mode that a builder gives them.
fn make_folder(top: &Path, path: &str) -> PathBuf {
    let mut folder = top.to_owned();
    for part in Path::new(path.trim_matches('/')) {
        folder.push(part);
        if !folder.exists() {
            std::fs::create_dir(&folder).unwrap();
            std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        }
    }
    folder
}

/// Makes what stands for the image of Debian.
fn base(top: &Path) {
    for folder in ["dev", "etc", "proc", "root", "run", "sys", "usr/local/bin"] {
        make_folder(top, folder);
    }
    for folder in ["bin", "lib", "lib64", "sbin"] {
        make_folder(top, &format!("usr/{folder}"));
        symlink(format!("usr/{folder}"), top.join(folder)).unwrap();
    }
    let tmp = make_folder(top, "tmp");
    std::fs::set_permissions(tmp, Permissions::from_mode(0o1777)).unwrap();
    for (file, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/nsswitch.conf", "hosts: files dns\n"),
        ("etc/hosts", ""),
    ] {
        std::fs::write(top.join(file), text).unwrap();
        std::fs::set_permissions(top.join(file), Permissions::from_mode(0o644)).unwrap();
    }
    for program in PROGRAMS {
        let path = std::env::var_os("PATH").unwrap();
        let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
        let found = found.find(|path| path.exists());
        let found = found.unwrap_or_else(|| panic!("{program} is not on this machine"));
        put_program(top, &found, &format!("/usr/bin/{program}"));
    }
    for library in libraries(&binary()) {
        let name = library.file_name().unwrap().to_str().unwrap();
        let is_there = LIBRARIES.iter().any(|known| name.starts_with(known));
        assert!(is_there, "the server needs {name}, which is not in Debian's small image");
    }
}

/// Returns the shared libraries that a program needs.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("not found"), "{said}");
    said.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// Puts a program into the image, with the libraries that it needs.
fn put_program(top: &Path, program: &Path, path: &str) {
    let inside = |path: &Path| top.join(path.strip_prefix("/").unwrap());
    for library in libraries(program) {
        if !inside(&library).exists() {
            make_folder(top, library.parent().unwrap().to_str().unwrap());
            std::fs::copy(&library, inside(&library)).unwrap();
        }
    }
    std::fs::copy(program, inside(Path::new(path))).unwrap();
}

/// Carries out `COPY`.
fn copy(top: &Path, rest: &str) {
    let mut words: Vec<_> = rest.split_whitespace().collect();
    let stage = words.first().and_then(|word| word.strip_prefix("--from="));
    if stage.is_some() {
        words.remove(0);
    }
    let [source, target] = words[..] else { panic!("COPY {rest} is not known to the tests") };
    let name = Path::new(source).file_name().unwrap().to_str().unwrap();
    let into = if target.ends_with('/') { format!("{target}{name}") } else { target.to_owned() };
    match (stage, source) {
        (Some("build"), "/src/target/release/botarmy-server") => {
            put_program(top, &binary(), &into);
        }
        (Some("build"), "/etc/ssl/certs/ca-certificates.crt") => {
            make_folder(top, Path::new(&into).parent().unwrap().to_str().unwrap());
            let target = top.join(into.trim_start_matches('/'));
            std::fs::copy(source, target).expect("the authorities of this machine");
        }
        (None, source) if root().join(source).is_dir() => {
            let target = make_folder(top, &into);
            let copied = Command::new("cp")
                .args(["-R", "--preserve=mode"])
                .arg(root().join(source).join("."))
                .arg(target)
                .status();
            assert!(copied.unwrap().success(), "COPY {rest}");
        }
        _ => panic!("COPY {rest} is not known to the tests"),
    }
}

/// Carries out `RUN`, as root and without a network.
fn run(bwrap: &Path, top: &Path, script: &str) {
    let output = Command::new(bwrap)
        .arg("--bind")
        .arg(top)
        .args(["/", "--proc", "/proc", "--dev", "/dev", "--unshare-pid", "--unshare-net"])
        .args(["--cap-drop", "ALL", "--cap-add", "CAP_CHOWN", "--cap-add", "CAP_FOWNER"])
        .args(["--cap-add", "CAP_DAC_OVERRIDE", "--die-with-parent"])
        .args(["--", "/bin/sh", "-ec", script])
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "RUN {script}: {}", String::from_utf8_lossy(&output.stderr));
}
