//! A third-party program that serves on loopback for the duration of a test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Time limit of the start; loading a model takes long on a busy disk.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A process that ends with this value. If the test ends in another way, its standard input ends,
/// for which each of the programs waits.
pub(crate) struct Program {
    child: Child,
    _leash: Option<ChildStdin>,
    said: Arc<Mutex<String>>,
}

impl Program {
    /// Starts a program and waits for a line that contains `ready`; returns the rest of that line.
    pub(crate) async fn start(mut command: Command, ready: &'static str) -> (Self, String) {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::<Mutex<String>>::default();
        let (sender, mut receiver) = unbounded_channel();
        listen(child.stdout.take().unwrap(), ready, sender.clone(), &said);
        listen(child.stderr.take().unwrap(), ready, sender, &said);
        let _leash = child.stdin.take();
        let program = Self { child, _leash, said };
        let line = tokio::time::timeout(TIMEOUT, receiver.recv()).await.ok().flatten();
        let line = line.unwrap_or_else(|| panic!("{command:?} did not start:\n{}", program.said()));
        (program, line)
    }

    /// Returns its output so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn listen(
    pipe: impl Read + Send + 'static,
    ready: &'static str,
    sender: UnboundedSender<String>,
    said: &Arc<Mutex<String>>,
) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            said.lock().unwrap().push_str(&(line.clone() + "\n"));
            if let Some((_, rest)) = line.split_once(ready) {
                // The receiver is gone once the program has started.
                drop(sender.send(rest.trim().to_owned()));
            }
        }
    });
}
