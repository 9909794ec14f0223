//! The command line as a person uses it.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use botarmy_tests::server::{TestServer, command};
use botarmy_tests::unzip;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn run_takes_an_idea_to_a_package() {
    let mut applications = Vec::new();
    for _ in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("p.zip");
        let output = command(dir.path())
            .args(["run", "A recipe-sharing site for small families", "--yes", "--out"])
            .arg(&out)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        for line in ["▸ Project Planning (analyst)", "✓ Final Check", "Completed."] {
            assert!(said.contains(line), "{line} is not in:\n{said}");
        }
        let mut files = unzip(std::fs::File::open(&out).unwrap());
        files.retain(|(name, _)| name.starts_with("source/"));
        assert!(files.iter().any(|(name, _)| name == "source/index.html"));
        applications.push(files);
    }
    assert!(applications[0] == applications[1], "two runs made different applications");
}

#[test]
fn gates_are_answered_in_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = command(dir.path())
        .args(["run", "Notes for a choir", "--out", "choir.zip"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A rejection needs a reason and a confirmation.
    let second_thoughts = "reject\n\nr\nToo loud\nn\n";
    let lines = format!("m\nSing louder on Sundays\nshow\na\n{second_thoughts}r\nToo late\nyes\n");
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "a rejected project is no success:\n{said}");
    assert!(said.contains("Sing louder on Sundays"), "{said}");
    assert!(said.contains("halted") && said.contains("/reopen"), "{said}");
    assert_eq!(said.matches("Why?").count(), 3, "{said}");
    assert_eq!(said.matches("Reject and halt the project?").count(), 2, "{said}");
    assert!(said.contains("it keeps waiting after that."), "the deadline is shown:\n{said}");
    assert!(!dir.path().join("choir.zip").exists());
}

#[test]
fn leaving_at_a_gate_leaves_the_project_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = command(dir.path())
        .args(["run", "Notes for a choir", "--out", "choir.zip"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut said, mut output) = (Vec::new(), child.stdout.take().unwrap());
    while !said.ends_with(b"[s]how > ") {
        let mut byte = [0];
        assert_eq!(output.read(&mut byte).unwrap(), 1, "it ended before it asked");
        said.extend(byte);
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let asked_at = Instant::now();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{rest}");
    assert!(asked_at.elapsed() < Duration::from_secs(10), "it took {:?}", asked_at.elapsed());
    assert!(rest.contains("The project waits"), "{rest}");
}

#[test]
fn without_an_answer_the_project_waits() {
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path())
        .args(["run", "Notes for a choir", "--out", "choir.zip"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stdout).unwrap();
    let hint =
        format!("To go on with it: botarmy-server serve --data-dir {}", dir.path().display());
    assert!(said.contains(&hint), "{said}");
}

#[test]
fn run_with_yes_does_not_retry_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    // A tester that does nothing never passes the test.
    let output = command(dir.path())
        .env("BOTARMY_AGENTS__TESTER__RUNNER", "noop")
        .args(["run", "Notes for a choir", "--yes", "--out", "choir.zip"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stdout).unwrap().contains("This needs a person"));
}

#[test]
fn migrate_goes_up_down_and_says_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let migrate = |arguments: &[&str]| {
        let output = command(dir.path()).arg("migrate").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(migrate(&["--status"]).contains("pending"));
    assert!(migrate(&["--dry-run"]).contains("Would apply"));
    assert!(migrate(&[]).contains("Applied"));
    assert!(migrate(&[]).contains("up to date"));
    assert!(migrate(&["--status"]).contains("applied"));
    assert!(migrate(&["--down"]).contains("Took back"));
    assert!(migrate(&["--status"]).contains("pending"));
}

#[test]
fn openapi_prints_the_document() {
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path()).arg("openapi").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[tokio::test]
async fn an_export_is_verified_offline_and_tampering_is_found() {
    let server = TestServer::start().await;
    let project = server.project("Notes for a choir").await;
    server.next_gate(&project).await.unwrap();
    let path = format!("/api/v1/audit/projects/{project}/export");
    let export = server.raw(Method::GET, &path, None).await.unwrap().text().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let file = dir.path().join("log.jsonl");
        std::fs::write(&file, text).unwrap();
        let output = command(dir.path()).args(["audit", "verify"]).arg(&file).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (valid, said) = check(&export);
    assert!(valid, "{said}");
    let tampered = export.replacen("Notes for a choir", "Notes for a quire", 1);
    let (valid, said) = check(&tampered);
    assert!(!valid && said.contains("\"first_bad_seq\": 1"), "{said}");
    let cut: String = export.lines().take(3).map(|line| format!("{line}\n")).collect();
    let (valid, said) = check(&cut);
    assert!(!valid && said.contains("cut off"), "{said}");
}
