//! Live streams: the frames that subscribers receive, and complete delivery after a reconnection.

use std::time::Duration;

use botarmy_tests::server::{TIMEOUT, TestServer};
use botarmy_tests::watcher::{Watcher, request};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// Returns all frames up to the one that announces the package.
pub(crate) async fn until_packaged(watcher: &mut Watcher) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        let frame = watcher.next().await.expect("the connection ended before the project");
        let last = frame["event_type"] == "artifact_created";
        frames.push(frame);
        if last {
            return frames;
        }
    }
}

/// Returns the positions in the project's log, in the order of their arrival.
pub(crate) fn positions(frames: &[Value], project: &str) -> Vec<u64> {
    let ours = frames.iter().filter(|frame| frame["project_id"] == project);
    ours.filter_map(|frame| frame["seq"].as_u64()).collect()
}

#[tokio::test]
async fn a_subscriber_sees_the_whole_project_in_order() {
    let server = TestServer::start().await;
    let project = server.project("Notes for a choir").await;
    let mut watcher = Watcher::on(&server.base, &format!("?project_id={project}&after=0")).await;
    let approving = async {
        server.next_gate(&project).await.unwrap();
        // A status is published when a timer polls it, every tenth of a second; a faster change is
        // skipped.
        let board = "/api/v1/agents/status/analyst";
        server.until(|s| async { s.get(board).await.1["status"] == "waiting_for_hitl" }).await;
        server.approve_all(&project).await
    };
    let (frames, status) = tokio::join!(until_packaged(&mut watcher), approving);
    assert_eq!(status, "completed");
    let seen = positions(&frames, &project);
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>(), "a gap, or something twice");

    let index = |wanted: &str, event: Option<&str>| {
        let found = frames.iter().position(|frame| {
            frame["event_type"] == wanted
                && event.is_none_or(|event| frame["data"]["event"] == event)
        });
        found.unwrap_or_else(|| panic!("no {wanted} {event:?}"))
    };
    let completed = index("workflow_event", Some("project_completed"));
    assert!(completed < index("artifact_created", None), "the package comes after the end");
    assert_eq!(frames[completed]["data"]["artifacts_generating"], true);
    for kind in [
        "task_created",
        "task_started",
        "task_completed",
        "hitl_request_created",
        "hitl_response",
        "workflow_resumed",
        "agent_status_change",
        "handoff_created",
    ] {
        index(kind, None);
    }
    let gate = &frames[index("hitl_request_created", None)]["data"];
    assert!(gate["question"].is_string() && gate["expires_at"].is_string(), "{gate}");
}

#[tokio::test]
async fn a_reconnected_subscriber_misses_nothing_and_sees_nothing_twice() {
    let server = TestServer::start().await;
    let project = server.project("Notes for a choir").await;
    let watching = async {
        let (mut seen, mut cut) = (Vec::new(), 3);
        loop {
            let after = seen.last().copied().unwrap_or(0);
            let query = format!("?project_id={project}&after={after}");
            let mut watcher = Watcher::on(&server.base, &query).await;
            for _ in 0..cut {
                let frame = watcher.next().await.unwrap();
                if frame["project_id"] == project.as_str() {
                    seen.extend(frame["seq"].as_u64());
                }
                if frame["event_type"] == "artifact_created" {
                    return seen;
                }
            }
            cut = cut % 7 + 2;
            // The connection is cut here without a close frame.
        }
    };
    let (seen, _) = tokio::join!(watching, server.approve_all(&project));
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
    let path = format!("/api/v1/audit/projects/{project}/verify");
    let (_, found) = server.get(&path).await;
    assert_eq!(found["head"]["seq"], seen.len() as u64, "the whole log was delivered");
}

#[tokio::test]
async fn a_position_after_the_end_of_the_log_is_answered_with_the_position_that_exists() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let task = json!({"agent_type": "coder", "instructions": "Do it"});
    let path = format!("/api/v1/projects/{project}/tasks");
    let (_, page) = server.get(&format!("/api/v1/audit/projects/{project}/events")).await;
    let head = page[0]["seq"].as_u64().unwrap();
    let mut watcher = Watcher::on(&server.base, &format!("?project_id={project}&after=5000")).await;
    let gap = watcher.next().await.unwrap();
    assert_eq!((&gap["event_type"], &gap["project_id"]), (&json!("gap"), &json!(project)));
    assert_eq!((&gap["data"]["after"], &gap["data"]["head"]), (&json!(5000), &json!(head)));
    assert_eq!(server.post(&path, task).await.0, 201);
    let mut seqs = Vec::new();
    while seqs.is_empty() {
        let frame = watcher.next().await.unwrap();
        seqs.extend(frame["seq"].as_u64().filter(|_| frame["project_id"] == project.as_str()));
    }
    assert_eq!(seqs, [head + 1], "everything after the end is live");
}

#[tokio::test]
async fn it_goes_on_after_a_kill_where_it_was() {
    let mut server = TestServer::start().await;
    let project = server.project("Notes for a choir").await;
    server.next_gate(&project).await.unwrap();
    let mut watcher = Watcher::on(&server.base, &format!("?project_id={project}&after=0")).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let frame = watcher.next().await.unwrap();
        seen.extend(frame["seq"].as_u64().filter(|_| frame["project_id"] == project.as_str()));
    }
    server.kill_and_restart().await;
    let after = seen.last().unwrap();
    let mut watcher =
        Watcher::on(&server.base, &format!("?project_id={project}&after={after}")).await;
    let (frames, _) = tokio::join!(until_packaged(&mut watcher), server.approve_all(&project));
    seen.extend(positions(&frames, &project));
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_subscriber_sees_other_projects_only_if_it_asks_for_all() {
    let server = TestServer::start().await;
    let (mine, other) = (server.by_hand().await, server.by_hand().await);
    let mut watcher = Watcher::on(&server.base, &format!("?project_id={mine}")).await;
    let mut everything = Watcher::on(&server.base, "?project_id=all").await;
    let mut nothing = Watcher::on(&server.base, "").await;
    for project in [&other, &mine] {
        let body = json!({"agent_type": "coder", "instructions": "Do it"});
        server.post(&format!("/api/v1/projects/{project}/tasks"), body).await;
    }
    let mut first = watcher.next().await.unwrap();
    while first["project_id"].is_null() {
        first = watcher.next().await.unwrap();
    }
    assert_eq!(first["project_id"], mine.as_str());
    let mut received = std::collections::BTreeSet::new();
    while received.len() < 2 {
        let frame = everything.next().await.unwrap();
        received.extend(frame["project_id"].as_str().map(str::to_owned));
    }
    assert!(received.contains(&mine) && received.contains(&other));
    server.post("/api/v1/agents/status/deployer/reset", json!({})).await;
    let frame = nothing.next().await.unwrap();
    assert_eq!(frame["event_type"], "agent_status_change", "only frames for all subscribers");
}

#[tokio::test]
async fn a_stranger_is_refused_before_the_upgrade() {
    let server = TestServer::start().await;
    for (query, status) in [
        ("?project_id=0190a0b0-0000-7000-8000-00000000000a", 404),
        ("?project_id=nonsense", 422),
        ("?project_id=all&after=3", 422),
    ] {
        let url = format!("{}/ws{query}", server.base.replace("http", "ws"));
        let error = connect_async(request(&url)).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(response) = error else {
            panic!("{query}: {error}")
        };
        assert_eq!(response.status().as_u16(), status, "{query}");
    }
}

#[tokio::test]
async fn a_stopping_server_closes_live_sessions() {
    let mut server = TestServer::start().await;
    let mut watcher = Watcher::on(&server.base, "?project_id=all").await;
    // The subscription exists when the server answers a request.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let closing = async {
        loop {
            match tokio::time::timeout(TIMEOUT, watcher.0.next()).await.unwrap() {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    };
    let (code, exit) = tokio::join!(closing, server.terminate());
    assert_eq!((code, exit), (Some(1001), Some(0)));
}
