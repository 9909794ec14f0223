//! From an idea to a package over REST, with approval, rejection and amendment.

use std::io::Cursor;

use botarmy_tests::server::TestServer;
use botarmy_tests::unzip;
use reqwest::Method;
use serde_json::{Value, json};

const IDEA: &str = "A recipe-sharing site for small families";

/// Returns every file of a project's package, by name.
async fn package(server: &TestServer, project: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!("/api/v1/artifacts/{project}/download");
    let response = server.raw(Method::GET, &path, None).await.unwrap();
    assert_eq!(response.status(), 200);
    let bytes = response.bytes().await.unwrap();
    unzip(Cursor::new(bytes))
}

/// Returns the document under review at a gate.
async fn under_review(server: &TestServer, gate: &Value) -> Value {
    let id = gate["request_id"].as_str().unwrap();
    let (status, artifacts) = server.get(&format!("/api/v1/hitl/{id}/context")).await;
    assert_eq!(status, 200, "{artifacts}");
    artifacts
}

#[tokio::test]
async fn an_idea_becomes_a_package_and_every_step_is_in_the_log() {
    let server = TestServer::start().await;
    let project = server.project(IDEA).await;
    assert_eq!(server.approve_all(&project).await, "completed");

    let (_, completion) = server.get(&format!("/api/v1/projects/{project}/completion")).await;
    assert_eq!(completion["is_complete"], true);
    assert_eq!(completion["completion_percentage"], 100.0);
    let files = package(&server, &project).await;
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["README.md", "project_summary.md", "manifest.json", "source/index.html"] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(found["valid"], true, "{found}");
    let (_, events) =
        server.get(&format!("/api/v1/audit/projects/{project}/events?limit=1000")).await;
    let count = |kind: &str| {
        events.as_array().unwrap().iter().filter(|event| event["event_type"] == kind).count()
    };
    assert_eq!(count("hitl_response"), 2, "two gates");
    assert_eq!(count("task_completed"), 11, "nine steps, one repair and its test");
    assert_eq!(count("handoff_created"), 11);
    let deployed = server.data_dir().join("deployments").join(&project).join("index.html");
    assert!(deployed.is_file(), "{} was not deployed", deployed.display());
}

#[tokio::test]
async fn the_same_idea_gives_the_same_application() {
    let server = TestServer::start().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let project = server.project(IDEA).await;
        server.approve_all(&project).await;
        let mut files = package(&server, &project).await;
        files.retain(|(name, _)| name.starts_with("source/"));
        seen.push(files);
    }
    assert!(!seen[0].is_empty());
    assert!(seen[0] == seen[1], "two runs made different files");
}

#[tokio::test]
async fn a_rejection_halts_the_project() {
    let server = TestServer::start().await;
    let project = server.project(IDEA).await;
    let gate = server.next_gate(&project).await.unwrap();
    let body = json!({"action": "reject", "comment": "Not this year"});
    let (status, answer) = server.respond(&gate, body).await;
    assert_eq!((status, &answer["workflow_resumed"]), (200, &json!(false)), "{answer}");
    let (_, now) = server.get(&format!("/api/v1/projects/{project}")).await;
    assert_eq!(now["status"], "halted");
    assert!(server.next_gate(&project).await.is_none());
}

#[tokio::test]
async fn an_amendment_in_words_is_in_the_result() {
    let server = TestServer::start().await;
    let project = server.project(IDEA).await;
    let gate = server.next_gate(&project).await.unwrap();
    let body = json!({"action": "amend", "content": "Grandparents must be able to print a recipe"});
    let (status, answer) = server.respond(&gate, body).await;
    assert_eq!((status, &answer["workflow_resumed"]), (200, &json!(true)), "{answer}");
    let second = server.next_gate(&project).await.unwrap();
    assert_ne!(second["request_id"], gate["request_id"]);
    assert_ne!(second["task_id"], gate["task_id"], "the step ran again");
    let plan = under_review(&server, &second).await.to_string();
    assert!(plan.contains("Grandparents must be able to print a recipe"), "{plan}");
    assert_eq!(server.approve_all(&project).await, "completed");
}

#[tokio::test]
async fn a_replacement_is_what_the_next_step_works_with() {
    let server = TestServer::start().await;
    let project = server.project(IDEA).await;
    let gate = server.next_gate(&project).await.unwrap();
    let mut plan = under_review(&server, &gate).await;
    let mut document = plan["artifacts"][0]["content"].take();
    assert!(document.is_object(), "the plan under review is shown: {plan}");
    document["title"] = json!("The plan of the house");
    let body = json!({"action": "amend", "amended_content": document});
    let (status, answer) = server.respond(&gate, body).await;
    assert_eq!(status, 200, "{answer}");
    let next = server.next_gate(&project).await.unwrap();
    let question = next["question"].as_str().unwrap();
    assert!(question.contains("Requirements Analysis"), "{question}");
    let path = format!("/api/v1/context/project/{project}?artifact_type=project_plan&content=true");
    let (_, plans) = server.get(&path).await;
    let titles: Vec<_> =
        plans["items"].as_array().unwrap().iter().map(|plan| &plan["content"]["title"]).collect();
    assert!(titles.contains(&&json!("The plan of the house")), "{titles:?}");
    assert_eq!(server.approve_all(&project).await, "completed");
}

#[tokio::test]
async fn of_two_people_who_answer_at_once_exactly_one_wins() {
    let server = TestServer::start().await;
    let project = server.project(IDEA).await;
    let gate = server.next_gate(&project).await.unwrap();
    let answers = futures_util::future::join_all((0..8).map(|n| {
        let action = if n % 2 == 0 { "approve" } else { "reject" };
        server.respond(&gate, json!({ "action": action, "comment": format!("Person {n}") }))
    }))
    .await;
    let won = answers.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(won, 1, "{answers:?}");
    for (status, answer) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!(*status, 409);
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains("approved by") || detail.contains("rejected by"), "{detail}");
    }
}
