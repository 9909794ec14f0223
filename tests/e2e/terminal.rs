//! `run` at a terminal: what it shows, what it refuses before it begins, and how it stops.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use botarmy_tests::server::{TIMEOUT, bare, command};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

/// Returns a standard output whose reader has gone away.
fn without_reader() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Runs a command whose output nobody reads; returns its exit code and its errors.
fn unread(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).stdout(without_reader()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until a server answers on this port, and ends it.
fn serves(mut child: Child, port: u16) {
    let started = Instant::now();
    let address = format!("127.0.0.1:{port}");
    let is_ready = || {
        let mut stream = std::net::TcpStream::connect(&address).ok()?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    };
    while is_ready().is_none() {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("it ended with {status}");
        }
        assert!(started.elapsed() < TIMEOUT, "it does not serve");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn no_command_panics_when_its_reader_goes_away() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("log.jsonl");
    std::fs::write(&file, "{}\n").unwrap();
    let backup = dir.path().join("backup.db");
    let in_dir = |arguments: &[&str]| {
        let mut command = command(dir.path());
        command.args(arguments);
        command
    };
    let other = TempDir::new().unwrap();
    let (from, to) =
        (format!("sqlite:{}", dir.path().display()), format!("sqlite:{}", other.path().display()));
    for (mut command, expected) in [
        (in_dir(&["openapi"]), Some(0)),
        (in_dir(&["--help"]), Some(0)),
        (in_dir(&["migrate", "--status"]), Some(0)),
        (in_dir(&["migrate"]), Some(0)),
        (in_dir(&["audit", "verify", file.to_str().unwrap()]), Some(1)),
        (in_dir(&["store", "backup", "--to", backup.to_str().unwrap()]), Some(0)),
        (in_dir(&["store", "copy", "--from", &from, "--to", &to]), Some(0)),
        (in_dir(&["health-check", "--url", "http://127.0.0.1:1/livez"]), Some(1)),
        (in_dir(&["run", "A to-do list", "--yes", "--out", "p.zip"]), Some(2)),
    ] {
        let (code, errors) = unread(&mut command);
        assert!(!errors.contains("panicked"), "{command:?}: {errors}");
        assert_eq!(code, expected, "{command:?}: {errors}");
    }
}

#[test]
fn a_run_whose_reader_leaves_early_stops_and_says_how_to_go_on() {
    let dir = TempDir::new().unwrap();
    let mut child = command(dir.path())
        .args(["run", "A to-do list", "--yes", "--out", "p.zip"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 8];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(errors.contains("--data-dir"), "{errors}");
}

#[test]
fn a_server_goes_on_when_nobody_reads_what_it_prints() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    let child = command(dir.path())
        .args(["serve", "--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(without_reader())
        .stderr(without_reader())
        .spawn()
        .unwrap();
    serves(child, port);
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let dir = TempDir::new().unwrap();
    let output = command(dir.path())
        .arg("openapi")
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("the output cannot be written"), "{errors}");
}

#[test]
fn a_package_that_could_not_be_written_is_found_before_the_first_step() {
    let dir = TempDir::new().unwrap();
    for out in ["gone/p.zip", "."] {
        let (code, said) =
            crate::say(command(dir.path()).args(["run", "A to-do list", "--yes", "--out", out]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("does not exist") || said.contains("is a folder"), "{said}");
        assert!(!said.contains('▸') && !said.contains("Project"), "{said}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was begun");
}

#[test]
fn options_of_serve_need_no_subcommand_and_localhost_is_a_host() {
    let dir = TempDir::new().unwrap();
    for arguments in [&[][..], &["serve"]] {
        let port = free_port();
        let child = command(dir.path())
            .args(arguments)
            .args(["--host", "localhost", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        serves(child, port);
    }
    let port = free_port();
    let child = command(dir.path())
        .env("BOTARMY_HTTP__HOST", "localhost")
        .args(["--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    serves(child, port);
    let (code, said) = crate::say(bare().args(["--port", "1", "run", "A to-do list"]));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--port is an option of `serve`"), "{said}");
}

/// Writes settings in which a program is the coder.
fn coder(folder: &Path, script: &str) -> String {
    let file = folder.join("botarmy.toml");
    let text = format!(
        "[agents.coder]\nrunner = \"command:fake\"\n\n[orchestrator]\nretry_backoff_ms = 1\n\n\
         [commands.fake]\nargv = [\"/bin/sh\", \"-c\", '''\n{script}\n''']\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Runs a project with these lines of input; returns the exit code and the output.
fn answered(command: &mut Command, input: &str) -> (Option<i32>, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn show_is_readable_at_a_gate_for_source_code() {
    let dir = TempDir::new().unwrap();
    let (_, said) = answered(
        command(dir.path()).args(["run", "A to-do list", "--oversight", "high", "--out", "p.zip"]),
        "a\na\na\na\ns\ns index.html\ns gone.txt\n",
    );
    for expected in ["Files (", "bytes  index.html", "<!doctype html>", "There is no file gone.txt"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let longest = said.lines().map(|line| line.chars().count()).max();
    assert!(longest < Some(1_000), "a line has {longest:?} characters");
}

#[test]
fn show_is_readable_at_a_gate_for_a_failure() {
    let dir = TempDir::new().unwrap();
    let config = coder(dir.path(), "echo 'the disk of the coder is full' >&2; exit 3");
    let (code, said) = answered(
        command(dir.path()).args(["--config", &config, "run", "A to-do list", "--out", "p.zip"]),
        "a\na\ns\n",
    );
    assert_eq!(code, Some(2), "{said}");
    let view = said.rsplit("[s]how > ").nth(1).unwrap();
    for expected in ["Task: Code Generation (coder)", "Error (", "Instructions:\n  Write the"] {
        assert!(view.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn the_options_and_the_events_of_an_agent_are_shown() {
    let dir = TempDir::new().unwrap();
    let config = coder(
        dir.path(),
        r#"case $(cat) in
*'"resume":{'*) echo '{"type":"result","output":{"summary":"Painted."},"usage":{"input_tokens":1200,"output_tokens":34}}' ;;
*) echo '{"type":"event","level":"info","message":"mixing colours"}'
   echo '{"type":"ask","question_id":"colour","question":"Which colour?","options":["Red","Blue"]}' ;;
esac
echo "<!doctype html><html lang=\"en\"><title>x</title><p>x</p></html>" > index.html"#,
    );
    let (_, said) = answered(
        command(dir.path()).args(["--config", &config, "run", "A to-do list", "--out", "p.zip"]),
        "a\na\n2\n",
    );
    for expected in [
        "· mixing colours",
        "Which colour?\n  1) Red\n  2) Blue\nThe deadline is ",
        "[1-2]  [a]pprove",
        "● amended by terminal",
        "1,200 tokens in, 34 out",
        "coder: the program [commands.fake]",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_test_that_fails_is_shown_as_failed_with_its_time() {
    let dir = TempDir::new().unwrap();
    let (code, said) =
        crate::say(command(dir.path()).args(["run", "A to-do list", "--yes", "--out", "p.zip"]));
    assert_eq!(code, Some(0), "{said}");
    let of_tests: Vec<_> =
        said.lines().filter(|line| line.contains("Code Testing") && !line.contains('▸')).collect();
    assert_eq!(of_tests.len(), 2, "{said}");
    assert!(of_tests[0].starts_with("  ✗ Code Testing: 1 of 10 checks failed ("), "{said}");
    assert!(
        of_tests[1].starts_with("  ✓ Code Testing (") && of_tests[1].ends_with(" s)"),
        "{said}"
    );
    assert!(said.contains("It took "), "{said}");
}

/// Reads the output of a running command until a text appears.
fn read_until(output: &mut impl Read, text: &str) -> String {
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(text) {
        let mut byte = [0];
        assert_eq!(output.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn ctrl_c_is_answered_at_once_and_says_how_to_go_on() {
    let dir = TempDir::new().unwrap();
    let config = coder(dir.path(), "sleep 60");
    for second in [false, true] {
        let mut child = command(dir.path())
            .args(["--config", &config, "run", "A to-do list", "--yes", "--out", "p.zip"])
            .env("BOTARMY_HTTP__SHUTDOWN_TIMEOUT_S", if second { "60" } else { "1" })
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        read_until(&mut output, "▸ Code Generation");
        let interrupt = || kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let asked_at = Instant::now();
        interrupt();
        read_until(&mut output, "Stopping");
        assert!(asked_at.elapsed() < Duration::from_secs(2), "it took {:?}", asked_at.elapsed());
        if second {
            interrupt();
        }
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        let code = child.wait().unwrap().code();
        assert!(asked_at.elapsed() < Duration::from_secs(20), "it took {:?}", asked_at.elapsed());
        if second {
            assert_eq!(code, Some(130), "{rest}");
        } else {
            assert_eq!(code, Some(2), "{rest}");
            let hint = format!("serve --config {config} --data-dir {}", dir.path().display());
            assert!(rest.contains(&hint), "{hint}: {rest}");
        }
    }
}

#[test]
fn other_unfinished_projects_of_the_folder_are_named() {
    let dir = TempDir::new().unwrap();
    let run = |idea: &str| crate::say(command(dir.path()).args(["run", idea, "--out", "p.zip"])).1;
    let first = run("Notes for a choir");
    assert!(!first.contains("Other unfinished projects"), "{first}");
    let second = run("A to-do list");
    let expected = "Other unfinished projects here:\n  “Notes for a choir” waits for a person and is left alone\n";
    assert!(second.contains(expected), "{second}");
}

#[test]
fn a_task_without_a_runner_is_said_to_wait_for_an_external_worker() {
    let dir = TempDir::new().unwrap();
    let (code, said) =
        crate::say(command(dir.path()).env("BOTARMY_AGENTS__CODER__RUNNER", "none").args([
            "run",
            "A to-do list",
            "--yes",
            "--out",
            "p.zip",
        ]));
    assert_eq!(code, Some(2), "{said}");
    for expected in [
        "coder: external workers",
        "Code Generation waits for an external worker: agents.coder.runner is \"none\"",
        "The project waits in",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_gate_is_shown_after_the_step_that_led_to_it() {
    for round in 0..10 {
        let dir = TempDir::new().unwrap();
        let arguments = ["run", "A to-do list", "--out", "p.zip"];
        let (_, said) = answered(command(dir.path()).args(arguments), "a\na\n");
        let mut last = "";
        let mut gates = 0;
        for line in said.lines() {
            if line.starts_with("The deadline") {
                assert!(last.starts_with("  ✓"), "round {round}, after {last:?}: {said}");
                gates += 1;
            } else if line.starts_with("  ▸") || line.starts_with("  ✓") {
                last = line;
            }
        }
        assert!(gates >= 2, "{said}");
    }
}

#[test]
fn a_run_breaks_its_lines_between_words() {
    let dir = TempDir::new().unwrap();
    let run = || {
        let mut command = command(dir.path());
        command.args(["run", "An idea"]).current_dir(dir.path());
        command
    };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let agents = crate::say(&mut run()).1;
    let agents = words(agents.lines().next().unwrap());
    assert!(agents.len() > 10, "{agents:?}");
    for columns in [60, 120] {
        let (mut terminal, slave) = terminal(columns);
        let mut command = run();
        let mut child = command.stdin(Stdio::null()).stdout(slave).spawn().unwrap();
        command.stdout(Stdio::null());
        let mut said = Vec::new();
        // When no process has the terminal any more, reading ends with an error.
        drop(terminal.read_to_end(&mut said));
        child.wait().unwrap();
        let said = String::from_utf8(said).unwrap();
        let long = said.lines().find(|line| line.chars().count() > usize::from(columns));
        // The command to go on is one word for a shell, so it stays in one line.
        assert!(long.is_none_or(|line| line.contains("serve --data-dir")), "{long:?}: {said}");
        assert_eq!(words(&said)[..agents.len()], agents, "{said}");
        assert!(words(&said).ends_with(&agents), "{said}");
    }
}

/// Returns a terminal of this width, and the end of it for a program.
pub(crate) fn terminal(columns: u16) -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&slave, size).unwrap();
    (File::from(master), slave)
}

/// Runs a command whose standard error is a terminal; returns what it wrote there.
fn at_a_terminal(command: &mut Command) -> String {
    let (mut master, slave) = terminal(80);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(slave).spawn().unwrap();
    // The copy of the terminal in the command keeps it open in this process.
    command.stderr(Stdio::null());
    let mut said = Vec::new();
    let mut part = [0; 4096];
    // When no process has the terminal any more, reading ends with an error.
    while let Ok(count @ 1..) = master.read(&mut part) {
        said.extend(&part[..count]);
        if String::from_utf8_lossy(&said).contains("Serving on") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn no_color_takes_the_colours_out_of_the_log() {
    let dir = TempDir::new().unwrap();
    let serve = || {
        let mut command = command(dir.path());
        command.args(["serve", "--port", "0"]).env_remove("NO_COLOR");
        command
    };
    assert!(at_a_terminal(&mut serve()).contains('\u{1b}'), "a terminal gets colours");
    assert!(at_a_terminal(serve().env("NO_COLOR", "")).contains('\u{1b}'), "empty is not set");
    let plain = at_a_terminal(serve().env("NO_COLOR", "1"));
    assert!(plain.contains("Serving on") && !plain.contains('\u{1b}'), "{plain}");
}
