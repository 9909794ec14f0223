//! A container without an engine: the files of the image under bubblewrap, as the user of the image and
//! the first process, without capabilities, in a network of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_tests::server::TIMEOUT;
use botarmy_tests::services;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use super::image::Image;

/// Folders in which programs are looked up, as in Debian's image.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Opens a file for the reports of bubblewrap, and becomes it.
const REPORT_TO: &str = r#"exec 3>"$1"; shift; exec "$@""#;

/// Prints the arguments that can be written to: files, and folders in which a file can be made.
const WRITABLE: &str = r#"
    for path; do
        if [ -d "$path" ]; then (: >"$path/probe") else (: >>"$path") fi 2>/dev/null && echo "$path"
    done
    true
"#;

/// A network with loopback alone. Nothing outside reaches it, whatever address a server in it listens
/// on.
pub(super) struct Network {
    holder: Child,
    pid: String,
    namespace: Arc<File>,
}

impl Network {
    /// Makes one; it ends with this value.
    pub(super) fn new(bwrap: &Path) -> Self {
        // Bubblewrap turns loopback on.
        let mut holder = Command::new(bwrap)
            .args(["--unshare-net", "--dev-bind", "/", "/", "--die-with-parent", "--"])
            .args(["sh", "-c", "echo $$; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut pid).unwrap();
        let pid = pid.trim().to_owned();
        let namespace = Arc::new(File::open(format!("/proc/{pid}/ns/net")).unwrap());
        Self { holder, pid, namespace }
    }

    /// Returns a command that runs a program in this network as this user and group.
    pub(super) fn command(&self, (user, group): (u32, u32)) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid));
        command.args(["--setgid", &group.to_string(), "--setuid", &user.to_string(), "--"]);
        command
    }

    /// Passes connections to this port of the network on to a port of this machine.
    pub(super) fn reach(&self, port: u16, target: u16) {
        let namespace = Arc::clone(&self.namespace);
        let listen = move || {
            enter(&namespace);
            TcpListener::bind(("127.0.0.1", port)).unwrap()
        };
        let listener = std::thread::spawn(listen).join().unwrap();
        std::thread::spawn(move || relay(&listener, target));
    }

    /// Passes connections to a free port of this machine on to this port of the network; returns the
    /// address. This is what an engine does for a published port.
    pub(super) fn publish(&self, port: u16) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let namespace = Arc::clone(&self.namespace);
        std::thread::spawn(move || {
            enter(&namespace);
            relay(&listener, port);
        });
        base
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

/// Moves this thread into a network. Sockets stay in the network in which they were made.
fn enter(namespace: &File) {
    let kind = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(namespace.as_fd(), kind).expect("tests as root may");
}

/// Passes each connection on to this port of the network of this thread, until the process ends.
fn relay(listener: &TcpListener, target: u16) {
    for client in listener.incoming().map_while(Result::ok) {
        // A client whose target is not there is closed, as behind an engine.
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
        pump(client.try_clone().unwrap(), server.try_clone().unwrap());
        pump(server, client);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        // The end of either side ends the other.
        drop(std::io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
}

/// Parts from which a container is made.
pub(super) struct Plan<'a> {
    pub(super) bwrap: &'a Path,
    pub(super) image: &'a Image,
    /// The folder with the files of the image.
    pub(super) files: &'a Path,
    pub(super) network: &'a Network,
    /// Names of other containers, all of which are on loopback here.
    pub(super) names: &'a [&'a str],
    /// Variables beside those of the image.
    pub(super) env: BTreeMap<String, String>,
    /// The command, in place of that of the image.
    pub(super) command: Vec<String>,
    pub(super) read_only: bool,
    /// The folder that is mounted as the volume of the image.
    pub(super) volume: &'a Path,
}

impl<'a> Plan<'a> {
    /// Returns a plan with the command of the image, and files that cannot be changed.
    pub(super) fn new(
        bwrap: &'a Path,
        image: &'a Image,
        files: &'a Path,
        network: &'a Network,
        volume: &'a Path,
    ) -> Self {
        let (env, command) = (BTreeMap::new(), image.command.clone());
        Self { bwrap, image, files, network, names: &[], env, command, read_only: true, volume }
    }

    /// Returns the variables of the processes in the container.
    fn variables(&self) -> BTreeMap<String, String> {
        let mut all = self.image.env.clone();
        all.extend(
            [("PATH", PATH), ("HOME", "/")].map(|(name, value)| (name.into(), value.into())),
        );
        all.extend(self.env.clone());
        all
    }

    /// Returns the command that runs the container. Bubblewrap reports to the file `status` in this
    /// folder.
    fn to_command(&self, folder: &Path) -> Command {
        let hosts = folder.join("hosts");
        std::fs::write(&hosts, format!("127.0.0.1 localhost {}\n", self.names.join(" "))).unwrap();
        std::fs::set_permissions(&hosts, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
        let (user, group) = self.image.user;
        let enter = self.network.command((user, group));
        let mut command = Command::new("sh");
        command.args(["-c", REPORT_TO, "sh"]).arg(folder.join("status"));
        command.arg(enter.get_program()).args(enter.get_args()).arg(self.bwrap);
        command.args(["--unshare-user", "--uid", &user.to_string(), "--gid", &group.to_string()]);
        command.args(["--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"]);
        command.args(["--unshare-cgroup-try", "--new-session", "--die-with-parent"]);
        command.args(["--cap-drop", "ALL", "--json-status-fd", "3"]);
        command.arg(if self.read_only { "--ro-bind" } else { "--bind" }).arg(self.files).arg("/");
        command.args(["--proc", "/proc", "--dev", "/dev", "--ro-bind"]).arg(hosts);
        command.args(["/etc/hosts", "--bind"]).arg(self.volume).arg(&self.image.volume);
        command.args(["--chdir", &self.image.workdir, "--"]);
        command.args(&self.image.entrypoint).args(&self.command);
        command.env_clear().envs(self.variables()).stdin(Stdio::null());
        command
    }

    /// Runs the container to its end.
    pub(super) fn run(&self) -> Output {
        let folder = TempDir::new().unwrap();
        self.to_command(folder.path()).output().unwrap()
    }

    /// Starts the container, and waits until its health check succeeds.
    pub(super) async fn start(&self) -> Container<'_> {
        let folder = TempDir::new().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = self.to_command(folder.path());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let mut container = Container { plan: self, child, pid: String::new(), folder };
        let begun = Instant::now();
        while container.pid.is_empty() || !container.is_healthy() {
            let ended = container.child.try_wait().unwrap();
            let has_time = ended.is_none() && begun.elapsed() < TIMEOUT;
            assert!(has_time, "the container does not get ready: {}", container.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
            let status = std::fs::read_to_string(container.folder.path().join("status"));
            let status = status.unwrap_or_default();
            let pid = status.split("\"child-pid\": ").nth(1).unwrap_or_default();
            container.pid = pid.chars().take_while(char::is_ascii_digit).collect();
        }
        container
    }
}

/// A container that runs. It ends with this value.
pub(super) struct Container<'a> {
    plan: &'a Plan<'a>,
    child: Child,
    /// Process id of the server, as it is outside.
    pid: String,
    folder: TempDir,
}

impl Container<'_> {
    /// Returns the output so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Runs a command in the container, as its user and with its variables.
    pub(super) fn exec(&self, words: &[impl AsRef<str>]) -> Output {
        let (user, group) = self.plan.image.user;
        Command::new("nsenter")
            .args(["--target", &self.pid, "--mount", "--net", "--pid", "--ipc", "--uts"])
            .args(["--setgid", &group.to_string(), "--setuid", &user.to_string(), "--"])
            .args(words.iter().map(AsRef::as_ref))
            .env_clear()
            .envs(self.plan.variables())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs the health check of the image.
    pub(super) fn is_healthy(&self) -> bool {
        self.exec(&self.plan.image.health_check).status.success()
    }

    /// Returns the line of the process's status with this name.
    pub(super) fn status(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Returns the files and folders of the image that the server can write to, in order.
    pub(super) fn writable(&self) -> Vec<String> {
        let mut all = Vec::new();
        list(self.plan.files, Path::new("/"), &mut all);
        assert!(all.len() > 20, "{all:?}");
        let words = ["/bin/sh", "-c", WRITABLE, "sh"].map(str::to_owned);
        let output = self.exec(&[&words[..], &all].concat());
        assert!(output.status.success(), "{output:?}");
        let mut found: Vec<_> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        found.sort();
        found
    }

    /// Sends SIGTERM to the server and waits for its end; returns its exit code, and the time that it
    /// took.
    pub(super) async fn stop(mut self) -> (Option<i32>, Duration) {
        let pid = Pid::from_raw(self.pid.parse().unwrap()).unwrap();
        let begun = Instant::now();
        kill_process(pid, Signal::TERM).unwrap();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), begun.elapsed());
            }
            assert!(begun.elapsed() < TIMEOUT, "the server does not stop: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // The server dies with bubblewrap.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Adds the folder and everything in it, with paths as they are in the image. What an engine mounts is
/// not part of the image.
fn list(files: &Path, path: &Path, all: &mut Vec<String>) {
    if ["/dev", "/proc", "/sys"].iter().any(|mount| path == Path::new(mount)) {
        return;
    }
    all.push(path.to_str().unwrap().to_owned());
    let outside = files.join(path.strip_prefix("/").unwrap());
    if outside.symlink_metadata().unwrap().is_dir() {
        for entry in outside.read_dir().unwrap() {
            list(files, &path.join(entry.unwrap().file_name()), all);
        }
    }
}

/// Makes a folder in which a volume can be made that another user uses.
pub(super) fn volumes() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// Makes a volume as Docker does: a copy of the folder in the image, with its owner.
pub(super) fn volume_of_image(image: &Image, files: &Path, volumes: &Path) -> PathBuf {
    let volume = volumes.join("image");
    let folder = files.join(image.volume.trim_start_matches('/'));
    let copied = Command::new("cp").arg("-a").arg(folder).arg(&volume).status().unwrap();
    assert!(copied.success());
    volume
}

/// Makes a volume as Kubernetes does for a pod with `fsGroup`: it belongs to the group, which may write.
pub(super) fn volume_of_group(volumes: &Path, name: &str, group: u32, mode: u32) -> PathBuf {
    let volume = volumes.join(name);
    std::fs::create_dir(&volume).unwrap();
    chown(&volume, Some(0), Some(group)).unwrap();
    std::fs::set_permissions(&volume, PermissionsExt::from_mode(mode | 0o2770)).unwrap();
    volume
}

/// Returns bubblewrap, if the tests may use it to set up containers. They need root for the owners of
/// files and for networks.
pub(super) fn bwrap() -> Option<PathBuf> {
    let bwrap = services::bwrap()?;
    services::root().then_some(bwrap)
}
