//! A program of somebody else that serves on loopback for as long as a test runs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A model is loaded in this time also where others use the disk.
const PATIENCE: Duration = Duration::from_secs(90);

/// A process that ends with this value, and with the test however that ends: its standard input
/// ends then, for which each of them waits.
pub(crate) struct Program {
    child: Child,
    _leash: Option<ChildStdin>,
    said: Arc<Mutex<String>>,
}

impl Program {
    /// Starts one and waits for the line that has this in it; answers the rest of that line.
    pub(crate) async fn start(mut command: Command, ready: &'static str) -> (Self, String) {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::<Mutex<String>>::default();
        let (tell, mut told) = unbounded_channel();
        listen(child.stdout.take().unwrap(), ready, tell.clone(), &said);
        listen(child.stderr.take().unwrap(), ready, tell, &said);
        let _leash = child.stdin.take();
        let program = Self { child, _leash, said };
        let line = tokio::time::timeout(PATIENCE, told.recv()).await.ok().flatten();
        let line = line.unwrap_or_else(|| panic!("{command:?} did not start:\n{}", program.said()));
        (program, line)
    }

    /// All that it printed so far.
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
    tell: UnboundedSender<String>,
    said: &Arc<Mutex<String>>,
) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            said.lock().unwrap().push_str(&(line.clone() + "\n"));
            if let Some((_, rest)) = line.split_once(ready) {
                // Nobody listens any more once it has started.
                drop(tell.send(rest.trim().to_owned()));
            }
        }
    });
}
