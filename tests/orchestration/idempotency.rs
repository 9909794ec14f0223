//! Calls with an idempotency key: decided once, and remembered for a day.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::idempotency::{ALREADY_REPLIED, KEPT_FOR};
use botarmy_domain::ports::{Gates, Projects, Queries, Records, Tasks};
use botarmy_domain::{
    AgentType, CallKey, CallReply, Caller, DomainError, Error, HitlAction, KeptReply, KeyedCall,
    Listed, NewRequest, NewTask, Oversight, ProjectId, RequestDigest, Responded, Response, Task,
};
use botarmy_tests::test_harness::{TestHarness, owner, simply};

use super::projects::content;

const KEY: &str = "k";

fn key() -> CallKey {
    owner().call_key(KEY)
}

fn keyed() -> Caller {
    let shape = |task: &Arc<Task>| CallReply {
        status: 201,
        location: None,
        etag: None,
        body: task.id.to_string(),
    };
    let request = RequestDigest::of("POST", "/tasks", "", "");
    owner().with_keyed_call(KeyedCall::new(key(), request, shape))
}

async fn submit(harness: &TestHarness, project_id: ProjectId) -> Result<Arc<Task>, Error> {
    let new = NewTask {
        project_id,
        agent: AgentType::Coder,
        instructions: "Write something".to_owned(),
        context_ids: vec![],
        priority: None,
        max_attempts: None,
    };
    harness.engine.submit_task(new, keyed()).await
}

#[tokio::test]
async fn a_reply_is_kept_for_a_day_and_then_removed() {
    let harness = TestHarness::new(content());
    let id = harness.by_hand().await;
    let first = submit(&harness, id).await.unwrap();
    let kept = async || harness.engine.kept_reply(&owner(), key()).await.unwrap();
    assert_eq!(kept().await.unwrap().reply.as_ref().unwrap().body, first.id.to_string());
    let almost = KEPT_FOR - Duration::from_secs(1);
    harness.pass(almost).await;
    let again = submit(&harness, id).await;
    let Err(Error::Refused(DomainError::Conflict { code, .. })) = again else {
        panic!("{again:?}")
    };
    assert_eq!(code, ALREADY_REPLIED);
    assert_eq!(harness.tasks(id).await.len(), 1);
    harness.clock.advance(Duration::from_secs(1));
    assert_eq!(kept().await, None, "it is over, although nothing has removed it yet");
    let stored = async || harness.store.find(KeptReply::any_key(key())).await.unwrap();
    assert!(stored().await.is_some());
    harness.pass(Duration::from_secs(60)).await;
    assert_eq!(stored().await, None);
    submit(&harness, id).await.unwrap();
    assert_eq!(harness.tasks(id).await.len(), 2);
    harness.check().await;
}

async fn respond(
    harness: &TestHarness,
    id: botarmy_domain::HitlRequestId,
    response: &Response,
    name: &str,
) -> Result<Responded, Error> {
    harness.engine.respond(id, response.clone(), Caller::person(name)).await
}

/// Returns the result without the request.
fn told(responded: &Responded) -> (botarmy_domain::HitlStatus, bool, bool) {
    (responded.request.status(), responded.workflow_resumed, responded.project_halted)
}

#[tokio::test]
async fn the_same_answer_by_the_same_person_gets_the_first_result_and_any_other_a_conflict() {
    for action in [HitlAction::Approve, HitlAction::Reject, HitlAction::Amend] {
        let harness = TestHarness::new(content());
        let id = harness.start("sdlc", Oversight::High).await;
        harness.work().await;
        let gate = harness.gate(id).await;
        let answer = Response {
            comment: Some(" Thanks. ".to_owned()),
            content: (action == HitlAction::Amend).then(|| "Shorter.".to_owned()),
            ..simply(action)
        };
        let first = respond(&harness, gate.id, &answer, "ada").await.unwrap();
        assert!(!first.replayed);
        assert_eq!(first.project_halted, action == HitlAction::Reject);
        // What happens afterwards does not change the result.
        if action == HitlAction::Reject {
            harness.engine.reopen_project(id, "A mistake".to_owned(), owner()).await.unwrap();
        }
        harness.work().await;
        let length = harness.log(id).await.len();
        let digest = Some(gate.subject.digest.clone());
        let trimmed = Some("Thanks.".to_owned());
        for same in [
            answer.clone(),
            Response { subject_digest: digest, ..answer.clone() },
            Response { comment: trimmed, ..answer.clone() },
        ] {
            let again = respond(&harness, gate.id, &same, "ada").await.unwrap();
            assert!(again.replayed, "{action:?}");
            assert_eq!(told(&again), told(&first), "{action:?}");
        }
        let other = |action| {
            if action == HitlAction::Reject { HitlAction::Approve } else { HitlAction::Reject }
        };
        for (other, name) in [
            (answer.clone(), "bob"),
            (Response { comment: None, ..answer.clone() }, "ada"),
            (Response { comment: Some("Thanks!".to_owned()), ..answer.clone() }, "ada"),
            (Response { content: Some("Longer.".to_owned()), ..answer.clone() }, "ada"),
            (Response { subject_digest: Some("0".to_owned()), ..answer.clone() }, "ada"),
            (Response { action: other(action), ..answer.clone() }, "ada"),
        ] {
            let refused = respond(&harness, gate.id, &other, name).await;
            let Err(Error::Refused(DomainError::Conflict { code, detail })) = refused else {
                panic!("{action:?} {other:?} by {name}: {refused:?}")
            };
            assert_eq!(code, "not_pending");
            assert!(detail.contains("by ada"), "{detail}");
        }
        assert_eq!(harness.log(id).await.len(), length, "nothing was written");
    }
}

#[tokio::test]
async fn a_rejection_that_halted_nothing_says_so_again() {
    let harness = TestHarness::new(content());
    let project_id = harness.by_hand().await;
    let new = NewRequest {
        project_id,
        task_id: None,
        question: "Which?".to_owned(),
        options: vec![],
        ttl_s: None,
        artifacts: vec![],
        policy: None,
        assignees: Vec::new(),
        response_schema: None,
    };
    let request = harness.engine.raise_request(new, owner()).await.unwrap();
    let answer = simply(HitlAction::Reject);
    let first = respond(&harness, request.id, &answer, "ada").await.unwrap();
    assert!(!first.project_halted);
    // The project gets a workflow only now, and is halted later.
    harness.engine.start_project(project_id, None, None, owner()).await.unwrap();
    harness.work().await;
    harness.answer(project_id, simply(HitlAction::Reject)).await;
    let again = respond(&harness, request.id, &answer, "ada").await.unwrap();
    assert!(again.replayed);
    assert_eq!(told(&again), told(&first));
}
