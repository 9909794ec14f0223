//! The client libraries: their checks, their tests against the server, and the packages that are made
//! of them. Their own tests start servers, because they kill them, too.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use botarmy_tests::external_programs::{client_modules, client_wheels};
use botarmy_tests::server::binary;
use tempfile::TempDir;

use crate::alone;

/// Variable from which the tests of the libraries take the server.
const SERVER: &str = "BOTARMY_TEST_SERVER";

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("clients")
}

/// Runs a program to its end, without the settings of this machine, and returns its output.
fn run(command: &mut Command) -> String {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BOTARMY_")) {
        command.env_remove(name);
    }
    let output = command.env(SERVER, binary()).env("no_proxy", "*").stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}

/// Runs modules of Python in the folder of the library.
struct Python {
    packages: PathBuf,
    cache: TempDir,
}

impl Python {
    fn run(&self, words: &[&OsStr]) -> String {
        let mut command = Command::new("python3");
        command.arg("-B").arg("-m").args(words).current_dir(clients().join("python"));
        command.env("PYTHONPATH", &self.packages).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("RUFF_CACHE_DIR", self.cache.path()).env("MYPY_CACHE_DIR", self.cache.path());
        run(&mut command)
    }
}

/// Returns the only file with this ending.
fn file(folder: &Path, ending: &str) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| path.to_str().is_some_and(|path| path.ends_with(ending)));
    let found = files.next().unwrap_or_else(|| panic!("there is no file *{ending}"));
    assert_eq!(files.next(), None);
    found
}

#[tokio::test]
async fn the_library_for_python_passes_its_checks_and_its_package_its_tests() {
    let Some(packages) = client_wheels() else { return };
    let _alone = alone().await;
    let python = Python { packages, cache: TempDir::new().unwrap() };
    let made = TempDir::new().unwrap();
    let words = |words: &'static str| words.split(' ').map(OsStr::new).collect::<Vec<_>>();
    tokio::task::spawn_blocking(move || {
        python.run(&words("ruff check ."));
        python.run(&words("ruff format --check ."));
        python.run(&words("ruff check --config pyproject.toml ../generate"));
        python.run(&words("mypy"));
        let folder = [OsStr::new("-d"), made.path().as_os_str()];
        python.run(&[&words("hatchling build -t sdist -t wheel")[..], &folder].concat());
        file(made.path(), ".tar.gz");
        let (wheel, unpacked) = (file(made.path(), ".whl"), made.path().join("unpacked"));
        python.run(&[OsStr::new("zipfile"), OsStr::new("-e"), wheel.as_ref(), unpacked.as_ref()]);
        for name in ["botarmy/py.typed", "botarmy/rest/models/project.py"] {
            assert!(unpacked.join(name).exists(), "{name} is not in the package");
        }
        // The tests run on the package, not on the folder that it was made of.
        let path = format!("pythonpath={}", unpacked.display());
        let said = python.run(&[&words("pytest -q -o")[..], &[path.as_ref()]].concat());
        println!("{}", said.lines().last().unwrap_or_default());
        assert!(said.contains(" passed") && !said.contains("skipped"), "{said}");
    })
    .await
    .unwrap();
}

/// Copies the files of a folder that the repository has.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            if !["node_modules", "build", "dist"].map(OsStr::new).contains(&name) {
                copy(&path, &to.join(name));
            }
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn the_library_for_typescript_passes_its_checks_and_tests_and_can_be_packed() {
    let Some(modules) = client_modules() else { return };
    let _alone = alone().await;
    let folder = TempDir::new().unwrap();
    let library = folder.path().join("typescript");
    copy(&clients().join("typescript"), &library);
    std::fs::copy(clients().join("generate"), folder.path().join("generate")).unwrap();
    std::os::unix::fs::symlink(modules, library.join("node_modules")).unwrap();
    tokio::task::spawn_blocking(move || {
        let npm = |words: &str| {
            let mut command = Command::new("npm");
            command.args(words.split(' ')).current_dir(&library);
            run(command.env("npm_config_update_notifier", "false"))
        };
        npm("run check");
        let said = npm("test");
        // The summary, in any of the forms that versions of node have.
        assert!(said.contains(" fail 0\n") && said.contains(" skipped 0\n"), "{said}");
        let passed = said.lines().find(|line| line.contains(" pass ")).unwrap_or_default();
        println!("{passed}");
        npm("pack --loglevel=error");
        let package = file(&library, ".tgz");
        run(Command::new("tar").arg("-xzf").arg(package).current_dir(&library));
        let packed = library.join("package");
        for name in ["dist/index.d.ts", "dist/rest/schema.d.ts", "README.md", "LICENSE"] {
            assert!(packed.join(name).exists(), "{name} is not in the package");
        }
        assert!(!packed.join("tests").exists());
        let script =
            "import('./package/dist/index.js').then((all) => console.log(Object.keys(all)))";
        let said = run(Command::new("node").args(["-e", script]).current_dir(&library));
        assert!(said.contains("Client") && said.contains("Worker"), "{said}");
    })
    .await
    .unwrap();
}
