//! The server is killed at random times; nothing that was acknowledged may be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use botarmy_tests::prove::repeat;
use botarmy_tests::server::TestServer;
use serde_json::json;

/// Rounds of each test under `just prove`.
const ROUNDS: u32 = 20;

#[tokio::test]
async fn a_project_completes_despite_ten_kills() {
    repeat(ROUNDS, async |mut dice| {
        let mut server = TestServer::start().await;
        let project = server.project("A recipe-sharing site for small families").await;
        let mut kills = 0;
        loop {
            if kills < 10 {
                tokio::time::sleep(Duration::from_millis(dice.below(40))).await;
                server.kill_and_restart().await;
                kills += 1;
            }
            let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
            let (_, open) = server.get(&path).await;
            // Early kills hit the first steps; the gates are answered one by one between them.
            if kills % 4 == 0
                && let Some(gate) = open.as_array().and_then(|open| open.first())
            {
                server.respond(gate, json!({"action": "approve"})).await;
            }
            let (_, now) = server.get(&format!("/api/v1/projects/{project}")).await;
            if kills == 10 {
                let status = if now["status"] == "active" {
                    server.approve_all(&project).await
                } else {
                    now["status"].as_str().unwrap().to_owned()
                };
                assert_eq!(status, "completed");
                break;
            }
        }

        let events = server.events(&project).await;
        for (n, event) in (1..).zip(&events) {
            assert_eq!(event["seq"], n, "the log has a gap");
        }
        let mut completed: BTreeMap<&str, u32> = BTreeMap::new();
        for event in events.iter().filter(|event| event["event_type"] == "task_completed") {
            *completed.entry(event["task_id"].as_str().unwrap()).or_default() += 1;
        }
        assert!(
            completed.values().all(|times| *times == 1),
            "a task was done twice: {completed:?}"
        );
        let mut steps: BTreeMap<&str, u32> = BTreeMap::new();
        for event in events.iter().filter(|event| event["event_type"] == "task_completed") {
            *steps.entry(event["event_data"]["step"].as_str().unwrap()).or_default() += 1;
        }
        // The planted defect sends the application through one repair and a second test.
        let expected = [
            ("Architectural Design", 1),
            ("Bug Fix", 1),
            ("Code Generation", 1),
            ("Code Refinement", 1),
            ("Code Testing", 2),
            ("Deployment", 1),
            ("Final Check", 1),
            ("Implementation Planning", 1),
            ("Project Planning", 1),
            ("Requirements Analysis", 1),
        ];
        assert_eq!(steps.into_iter().collect::<Vec<_>>(), expected);
        let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
        assert_eq!(found["valid"], true, "{found}");
        let (_, tasks) = server.get(&format!("/api/v1/projects/{project}/status")).await;
        for task in tasks["tasks"].as_array().unwrap() {
            assert_eq!(task["status"], "completed", "{task}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    repeat(ROUNDS, async |mut dice| {
        let mut server = TestServer::with(&[("BOTARMY_AGENTS__CODER__RUNNER", "none")]).await;
        let project = server.by_hand().await;
        let path = format!("/api/v1/projects/{project}/tasks");
        let mut acknowledged: Vec<String> = Vec::new();
        for round in 0..3 {
            let stop = std::sync::atomic::AtomicBool::new(false);
            let clients = futures_util::future::join_all((0..16).map(|client| {
                let (server, path, stop) = (&server, &path, &stop);
                async move {
                    let mut acks = Vec::new();
                    let body = json!({
                        "agent_type": "coder", "instructions": format!("round {round}, client {client}"),
                    });
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        match server.try_post(path, body.clone()).await {
                            Some((201, answer)) => {
                                acks.push(answer["task_id"].as_str().unwrap().to_owned());
                            }
                            Some(other) => panic!("refused: {other:?}"),
                            None => break,
                        }
                    }
                    acks
                }
            }));
            let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
            let delay = Duration::from_millis(100 + dice.below(200));
            let killer = async {
                tokio::time::sleep(delay).await;
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            };
            let (acks, ()) = tokio::join!(clients, killer);
            acknowledged.extend(acks.into_iter().flatten());
            server.kill_and_restart().await;
        }
        assert!(acknowledged.len() > 50, "too little was tried: {}", acknowledged.len());
        let (_, status) = server.get(&format!("/api/v1/projects/{project}/status")).await;
        let stored: std::collections::BTreeSet<_> = status["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["task_id"].as_str().unwrap().to_owned())
            .collect();
        let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains(*id)).collect();
        assert!(lost.is_empty(), "{} of {} were lost", lost.len(), acknowledged.len());
        let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
        assert_eq!(found["valid"], true, "{found}");
        println!("{} acknowledged tasks, all there after three kills", acknowledged.len());
    })
    .await;
}
