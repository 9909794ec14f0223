//! The inbox, the page of a request, and its answers.

use std::sync::Mutex;

use botarmy_domain::decide::eligibility::{Eligibility, GateView};
use botarmy_domain::hitl::{GateSettings, Review};
use botarmy_domain::idempotency::ALREADY_REPLIED;
use botarmy_domain::{
    Artifact, ArtifactType, CallKey, CallReply, DomainError, Error, HitlKind, HitlRequest,
    HitlState, KeptReply, OnExpiry, Project, ProjectStatus, Reply, RequestDigest, Responded,
    Response, StoreError, Subject,
};
use serde_json::{Value, json};

use super::*;
use crate::view::samples::{
    artifact, plan_document, project_at, project_id, request as pending, request_id,
};

/// Returns a person who may answer requests.
pub(super) fn reviewer() -> Option<Caller> {
    let principal = ada();
    let rights = Rights::of(&principal.grants, None);
    Some(Caller::proven(&principal, Authentication::Session, session(2).id, rights))
}

/// Returns a console with one request, which waits unless its state is another.
pub(super) fn with(request: &HitlRequest, artifacts: &[Artifact]) -> Fakes {
    let mut fakes = Fakes::default();
    let one = Arc::new(request.clone());
    let subject: Vec<_> = artifacts.last().cloned().map(Arc::new).into_iter().collect();
    let all: Vec<_> = artifacts.iter().cloned().map(Arc::new).collect();
    let is_pending = request.state == HitlState::Pending;
    let queries = &mut fakes.queries;
    let known = Arc::clone(&one);
    queries.expect_pending_requests().returning(move |_, _, _, _| {
        Ok(is_pending.then(|| Arc::clone(&known)).into_iter().collect())
    });
    let known = Arc::clone(&one);
    queries.expect_review().returning(move |_, _| {
        Ok(Review { request: Arc::clone(&known), artifacts: subject.clone() })
    });
    let known = Arc::clone(&one);
    queries
        .expect_gate()
        .returning(move |caller, _| Ok(gate_view(&known, &project_at("Project Planning"), caller)));
    let known = Arc::clone(&one);
    queries
        .expect_requests()
        .returning(move |_, _, _, _, _| Ok(Page::first(vec![Arc::clone(&known)], 100)));
    queries.expect_request().returning(move |_, _| Ok(Arc::clone(&one)));
    queries.expect_subject_sizes().returning(|_, requests| Ok(vec![12_345; requests.len()]));
    queries.expect_project().returning(|_, _| Ok(project_at("Project Planning").into()));
    queries.expect_artifact().returning(move |_, id| {
        let found = all.iter().find(|artifact| artifact.meta.id == id);
        found.cloned().ok_or_else(|| DomainError::not_found("Artifact", id).into())
    });
    fakes
}

/// Returns a request with what a caller may do with it on a server without further rules.
pub(super) fn gate_view(
    request: &Arc<HitlRequest>,
    project: &Project,
    caller: &Caller,
) -> GateView {
    let settings = GateSettings::default();
    let eligibility = Eligibility { request, project, settings: &settings, roster: None };
    let allowed = eligibility.allowed(caller, NOW);
    GateView { request: Arc::clone(request), allowed }
}

pub(super) fn path(rest: &str) -> String {
    format!("/console/requests/{}{rest}", request_id(1))
}

fn fields(request: &HitlRequest, rest: &str) -> String {
    let token = text().form_token();
    let digest = &request.subject.digest;
    format!("form_token={}&key=k1&subject_digest={digest}&{rest}", token.expose())
}

pub(super) async fn post(fakes: Fakes, request: &HitlRequest, rest: &str) -> Answer {
    fakes.send_as(form(&path("/answer"), &fields(request, rest)), reviewer()).await
}

fn reply(by: &str) -> Reply {
    Reply {
        by: by.to_owned(),
        at: Timestamp::from_micros(NOW.micros() - 120_000_000),
        content: None,
        comment: Some("Good".to_owned()),
        amended_content: None,
        principal: None,
        entry: None,
        response: None,
    }
}

pub(super) fn responded(request: &HitlRequest) -> Responded {
    let request = HitlRequest { state: HitlState::Approved(reply("ada")), ..request.clone() };
    let request = Arc::new(request);
    Responded {
        request,
        workflow_resumed: true,
        project_halted: false,
        replayed: false,
        entry: None,
        needs: botarmy_domain::hitl::Needs::default(),
        is_decided: true,
    }
}

/// Returns what a person reads on a page of a request.
pub(super) fn contains(answer: &Answer, parts: &[&str]) {
    for part in parts {
        assert!(answer.body.contains(part), "{part}: {}", answer.body);
    }
}

#[actix_web::test]
async fn the_inbox_lists_requests_and_escapes_what_others_wrote() {
    let mut request = pending();
    request.kind = HitlKind::Question;
    request.question = "<img src=x onerror=alert(1)> Which?".to_owned();
    request.on_expiry = OnExpiry::Reject;
    request.expires_at = Timestamp::from_micros(NOW.micros() + 21 * 60 * 1_000_000);
    let answer = with(&request, &[]).send_as(get("/console/inbox"), reviewer()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(
        &answer,
        &[
            "<title>Inbox (1) · BotArmy</title>",
            "&#60;img src=x onerror=alert(1)&#62; Which?",
            "Recipes &#60;for&#62; two",
            "Expires in 21 min",
            "<li>12 KiB</li>",
            "Expiring soon",
            "3 suggested answers",
            "waiting 14 min",
            "aria-current=\"page\"",
        ],
    );
    assert!(!answer.body.contains("<img") && !answer.body.contains("style="), "{}", answer.body);
    let part = with(&request, &[]).send_as(get("/console/inbox?part=list"), reviewer()).await;
    assert!(part.body.starts_with("<div id=\"part-list\" data-part=\"list\""), "{}", part.body);
    assert!(!part.body.contains("<title>"));
    let row = part.body.split("data-v=\"").nth(2).unwrap();
    assert!(row.starts_with(|c: char| c.is_ascii_hexdigit()), "{}", part.body);
    let unknown = with(&request, &[]).send_as(get("/console/inbox?part=x"), reviewer()).await;
    assert_eq!(unknown.status, 404);
}

#[actix_web::test]
async fn filters_narrow_the_inbox_and_a_wrong_one_is_refused() {
    let project = format!("project={}", project_id());
    for (query, is_shown) in [
        ("kind=approval", true),
        ("kind=question", false),
        ("agent=analyst&kind=", true),
        ("agent=coder", false),
        (project.as_str(), true),
    ] {
        let path = format!("/console/inbox?{query}");
        let answer = with(&pending(), &[]).send_as(get(&path), reviewer()).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let title = answer.body.contains("Approve the project plan?");
        assert_eq!(title, is_shown, "{query}: {}", answer.body);
        assert_eq!(answer.body.contains("No request matches"), !is_shown, "{query}");
    }
    for query in ["kind=x", "agent=x", "project=x", "tab=x", "x=1"] {
        let path = format!("/console/inbox?{query}");
        let answer = with(&pending(), &[]).send_as(get(&path), reviewer()).await;
        assert_eq!(answer.status, 422, "{query}");
    }
}

#[actix_web::test]
async fn an_empty_inbox_shows_running_projects_or_how_to_begin() {
    let empty = |projects: usize| {
        let mut fakes = Fakes::idle();
        fakes.queries.expect_projects().returning(move |_, status, _, _| {
            assert!(matches!(status, None | Some(ProjectStatus::Active)));
            Ok((0..projects).map(|_| Arc::new(project_at("Project Planning"))).collect())
        });
        fakes
    };
    let answer = empty(1).send_as(get("/console/inbox"), reviewer()).await;
    contains(
        &answer,
        &["No requests are waiting for you", "Recipes &#60;for&#62; two", "· Project Planning"],
    );
    assert!(answer.body.contains("<title>Inbox · BotArmy</title>"), "{}", answer.body);
    let answer = empty(0).send_as(get("/console/inbox"), reviewer()).await;
    contains(&answer, &["in three steps", "/console/projects/new"]);
}

#[actix_web::test]
async fn a_request_is_shown_with_its_document_and_the_consequence_of_each_answer() {
    let request = pending();
    let answer = with(&request, &[plan_document()]).send_as(get(&path("")), reviewer()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(
        &answer,
        &[
            "Approve the project plan?",
            "Waiting for you",
            "No deadline",
            "The analyst starts immediately.",
            "Reject and halt the project",
            "Approve version 1",
            "For &lt;two&gt;.",
            "1 of 1",
            "href=\"#decide\"",
            &format!("name=\"subject_digest\" value=\"{}\"", request.subject.digest),
            &format!("data-follows=\"{}\"", project_id()),
        ],
    );
    for view in ["history", "raw", "context", "changes"] {
        let path = path(&format!("?view={view}"));
        let answer = with(&request, &[plan_document()]).send_as(get(&path), reviewer()).await;
        assert_eq!(answer.status, 200, "{view}: {}", answer.body);
    }
    let wrong = with(&request, &[plan_document()]).send_as(get(&path("?view=x")), reviewer()).await;
    assert_eq!(wrong.status, 422);
    let none = with(&request, &[]).send_as(get("/console/requests/x"), reviewer()).await;
    assert_eq!(none.status, 404);
}

#[actix_web::test]
async fn without_the_permission_there_is_the_page_and_no_form() {
    let request = pending();
    let answer = with(&request, &[plan_document()]).send(get(&path("")), true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(&answer, &["but not answer it", "reviewer", "For &lt;two&gt;."]);
    assert!(!answer.body.contains("name=\"action\""), "{}", answer.body);
}

#[actix_web::test]
async fn the_first_form_asks_and_the_second_commits() {
    let request = pending();
    let fakes = with(&request, &[plan_document()]);
    let answer = post(fakes, &request, "action=approve&comment=Good+%3Cwork%3E").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(
        &answer,
        &[
            "Approve version 1 of the project plan?",
            "The analyst starts immediately.",
            "Good &#60;work&#62;",
            "name=\"confirmed\" value=\"yes\" autofocus",
        ],
    );
    let answer = post(with(&request, &[plan_document()]), &request, "action=reject").await;
    contains(&answer, &["data-cancel autofocus", "The project will halt."]);

    let mut fakes = with(&request, &[plan_document()]);
    let (digest, given) = (request.subject.digest.clone(), responded(&request));
    fakes.gates.expect_respond().times(1).returning(move |id, response, caller| {
        assert_eq!(id, request_id(1));
        let expected = Response {
            action: botarmy_domain::HitlAction::Approve,
            content: None,
            comment: Some("Good\nwork".to_owned()),
            amended_content: None,
            subject_digest: Some(digest.clone()),
            response: None,
            in_bulk: false,
            link: None,
        };
        assert_eq!(response, expected);
        let call = caller.keyed_call().expect("the call has the key of the form");
        assert_eq!(call.reply(&given).status, 303);
        Ok(given.clone())
    });
    let rest = "action=approve&comment=Good%0D%0Awork&confirmed=yes";
    let answer = post(fakes, &request, rest).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.header(header::LOCATION), path("?answered=1"));
    // Back from the question, with the text.
    let rest = "action=amend&content=Shorter&confirmed=no";
    let answer = post(with(&request, &[plan_document()]), &request, rest).await;
    assert_eq!(answer.status, 200);
    contains(&answer, &["value=\"amend\" checked", ">Shorter</textarea>"]);
}

#[actix_web::test]
async fn an_answer_that_would_drop_what_was_written_is_refused_and_keeps_it() {
    let request = pending();
    for (rest, kept) in [
        ("action=approve&content=left+over", ">left over</textarea>"),
        ("action=reject&content=left+over&confirmed=yes", ">left over</textarea>"),
        ("action=approve&document=Mine&edited=markdown", "Mine</textarea>"),
    ] {
        let answer = post(with(&request, &[plan_document()]), &request, rest).await;
        assert_eq!(answer.status, 422, "{rest}: {}", answer.body);
        contains(&answer, &["takes neither feedback nor an edited document", kept]);
    }
}

#[actix_web::test]
async fn a_text_is_limited_as_over_the_api_and_a_document_by_the_body() {
    let request = pending();
    let long = "x".repeat(600 * 1024);
    for rest in [format!("action=amend&content={long}"), format!("action=approve&comment={long}")] {
        let answer = post(with(&request, &[plan_document()]), &request, &rest).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        contains(&answer, &["has 614400 bytes; at most 524288 are possible"]);
    }
    let rest = format!("action=amend&document={long}&edited=markdown");
    let answer = post(with(&request, &[plan_document()]), &request, &rest).await;
    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn without_the_token_of_the_session_nothing_is_answered() {
    let body = format!("key=k&subject_digest={}&action=approve&confirmed=yes", "0".repeat(64));
    for token in ["", "form_token=x&"] {
        let request = form(&path("/answer"), &format!("{token}{body}"));
        let answer = Fakes::default().send_as(request, reviewer()).await;
        assert_eq!(answer.status, 403, "{token}");
    }
    let missing = form(&path("/answer"), &format!("form_token={}", text().form_token().expose()));
    assert_eq!(Fakes::default().send_as(missing, reviewer()).await.status, 422);
}

#[actix_web::test]
async fn a_decided_request_says_who_and_when_and_keeps_what_was_typed() {
    let request = pending();
    let mut decided = request.clone();
    decided.state = HitlState::Approved(reply("ops-key"));
    let rest = "action=amend&content=Print+it&comment=Please";
    for confirmed in ["", "&confirmed=yes"] {
        let mut fakes = with(&decided, &[plan_document()]);
        fakes.gates.expect_respond().returning(|_, _, _| {
            Err(DomainError::conflict("not_pending", "Request 1 was approved.").into())
        });
        let answer = post(fakes, &request, &format!("{rest}{confirmed}")).await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        contains(
            &answer,
            &[
                "already decided. Your answer was not recorded.",
                "Approved by <bdi>ops-key</bdi>",
                "2 min ago",
                "<q>Good</q>",
                ">Print it</textarea>",
                ">Please</textarea>",
                "readonly",
            ],
        );
        assert!(!answer.body.contains("name=\"action\""), "{}", answer.body);
    }
}

#[actix_web::test]
async fn a_document_that_changed_meanwhile_is_named_with_its_changes() {
    let before = plan_document();
    let mut after =
        artifact(2, ArtifactType::ProjectPlan, &json!({"markdown": "# Plan\n\nFor three."}));
    after.meta.previous = Some(before.meta.id);
    let seen = pending();
    let mut request = pending();
    request.subject = Subject::of([&after.meta]);
    let documents = [before, after];
    let answer = post(with(&request, &documents), &seen, "action=approve&comment=Yes").await;
    assert_eq!(answer.status, 409);
    contains(
        &answer,
        &[
            "Version 2 was created while you were reading version 1.",
            "Read what changed",
            ">Yes</textarea>",
            &format!("name=\"subject_digest\" value=\"{}\"", request.subject.digest),
        ],
    );
    let changes = with(&request, &documents).send_as(get(&path("?view=changes")), reviewer()).await;
    contains(&changes, &["<ins>three</ins>", "version 1 → version 2", "removed: "]);
    let part = path(&format!("?part=state&seen={}", seen.subject.digest));
    let part = with(&request, &documents).send_as(get(&part), reviewer()).await;
    contains(&part, &["has changed while you were reading it"]);
}

#[actix_web::test]
async fn an_amendment_needs_words_or_a_document_that_can_be_read() {
    let request = pending();
    for (rest, part) in [
        ("action=amend", "Write what should change"),
        ("action=amend&content=+%0A", "Write what should change"),
        ("action=amend&document=%23+Plan%0A%0AFor+%3Ctwo%3E.", "is the same as the document"),
        ("action=shrug", "must be approve, amend or reject"),
    ] {
        let answer = post(with(&request, &[plan_document()]), &request, rest).await;
        assert_eq!(answer.status, 422, "{rest}");
        contains(&answer, &[part]);
    }
    // JSON that is none; the typed text is there again.
    let document = artifact(1, ArtifactType::ProjectPlan, &json!({"summary": "x"}));
    let mut structured = pending();
    structured.subject = Subject::of([&document.meta]);
    let rest = "action=amend&document=%7B%22summary%22&edited=json";
    let answer = post(with(&structured, std::slice::from_ref(&document)), &structured, rest).await;
    assert_eq!(answer.status, 422);
    contains(&answer, &["not a JSON object", "{&#34;summary&#34;</textarea>"]);

    let edit = with(&request, &[plan_document()]).send_as(get(&path("?edit=1")), reviewer()).await;
    contains(
        &edit,
        &["form=\"decide-form\"", "For &#60;two&#62;.</textarea>", "Submit my version"],
    );
    let mut fakes = with(&request, &[plan_document()]);
    let given = responded(&request);
    fakes.gates.expect_respond().returning(move |_, response, _| {
        let document = response.amended_content.unwrap();
        assert_eq!(Value::Object(document), json!({"markdown": "# Mine\n"}));
        Ok(given.clone())
    });
    let rest = "action=amend&document=%23+Mine%0D%0A&edited=markdown&confirmed=yes";
    assert_eq!(post(fakes, &request, rest).await.status, 303);
    // All of the document as JSON.
    let path = path("?edit=json");
    let edit = with(&request, &[plan_document()]).send_as(get(&path), reviewer()).await;
    contains(&edit, &["&#34;markdown&#34;: ", "value=\"json\" form=\"decide-form\""]);
}

#[actix_web::test]
async fn a_refusal_of_the_domain_is_shown_with_the_typed_text() {
    let request = pending();
    for (error, status) in [
        (
            DomainError::Forbidden {
                code: "four_eyes",
                detail: "Another person has to.".to_owned(),
            },
            403,
        ),
        (DomainError::BadRequest("Another person has to.".to_owned()), 400),
    ] {
        let mut fakes = with(&request, &[plan_document()]);
        fakes.gates.expect_respond().returning(move |_, _, _| Err(error.clone().into()));
        let answer = post(fakes, &request, "action=approve&comment=Mine&confirmed=yes").await;
        assert_eq!(answer.status, status);
        contains(&answer, &["Another person has to.", ">Mine</textarea>", "name=\"action\""]);
    }
}

#[actix_web::test]
async fn the_same_key_shows_the_first_result_and_for_another_answer_says_so() {
    let request = pending();
    for (is_same, status) in [(true, 303), (false, 409)] {
        let mut fakes = with(&request, &[plan_document()]);
        let sent: Arc<Mutex<Option<(CallKey, RequestDigest)>>> = Arc::default();
        let known = Arc::clone(&sent);
        fakes.gates.expect_respond().returning(move |_, _, caller| {
            let call = caller.keyed_call().unwrap();
            *known.lock().unwrap() = Some((call.key(), call.request().clone()));
            Err(DomainError::conflict(ALREADY_REPLIED, "It was replied to.").into())
        });
        fakes.queries.expect_kept_reply().returning(move |_, key| {
            let (sent_key, digest) = sent.lock().unwrap().clone().unwrap();
            assert_eq!(key, sent_key);
            let other = RequestDigest::of("POST", "/x", "", "");
            let reply =
                CallReply { status: 303, location: None, etag: None, body: "{}".to_owned() };
            let kept = KeptReply {
                key,
                request: if is_same { digest } else { other },
                reply: Some(reply),
                expires_at: NOW,
            };
            Ok(Some(kept.into()))
        });
        let answer = post(fakes, &request, "action=approve&confirmed=yes").await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[actix_web::test]
async fn a_question_is_answered_with_an_option_or_with_words() {
    let mut request = pending();
    request.kind = HitlKind::Question;
    request.question = "Which format?".to_owned();
    request.options = vec!["Long".to_owned(), "Short".to_owned()];
    request.subject = Subject::of([]);
    let page = with(&request, &[]).send_as(get(&path("")), reviewer()).await;
    contains(&page, &["Which format?", "name=\"choice\" value=\"1\"", "Or in your own words"]);
    assert!(!page.body.contains("value=\"amend\""), "{}", page.body);
    for (rest, expected) in
        [("choice=1", "Short"), ("choice=1&content=None+of+them", "None of them")]
    {
        let mut fakes = with(&request, &[]);
        let given = responded(&request);
        fakes.gates.expect_respond().returning(move |_, response, _| {
            assert_eq!(response.content.as_deref(), Some(expected));
            Ok(given.clone())
        });
        let rest = format!("action=approve&confirmed=yes&{rest}");
        assert_eq!(post(fakes, &request, &rest).await.status, 303);
    }
    let answer = post(with(&request, &[]), &request, "action=approve&choice=7").await;
    assert_eq!(answer.status, 422);
    contains(&answer, &["Choose an answer or write one."]);
}

#[actix_web::test]
async fn several_requests_are_listed_with_digests_and_decided_one_by_one() {
    let request = pending();
    let field = format!("r.{}={}", request.id, request.subject.digest);
    let list = get(&format!("/console/inbox/answer?{field}"));
    let answer = with(&request, &[]).send_as(list, reviewer()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(
        &answer,
        &["Answer 1 request together", &request.subject.digest, "The analyst starts"],
    );
    let stale = get(&format!("/console/inbox/answer?r.{}=0", request.id));
    let answer = with(&request, &[]).send_as(stale, reviewer()).await;
    contains(&answer, &["has changed since the list was shown"]);
    assert!(!answer.body.contains("name=\"action\""));
    for query in ["r.x=1", "x=1"] {
        let list = get(&format!("/console/inbox/answer?{query}"));
        assert_eq!(with(&request, &[]).send_as(list, reviewer()).await.status, 422, "{query}");
    }
    let token = text().form_token();
    let body = |rest: &str| format!("form_token={}&{field}&{rest}", token.expose());
    let undecided = form("/console/inbox/answer", &body("comment=x"));
    assert_eq!(with(&request, &[]).send_as(undecided, reviewer()).await.status, 422);
    for (result, parts) in [
        (Ok(()), ["1 of 1 answers is recorded", "Waiting for you"]),
        (
            Err(DomainError::conflict("not_pending", "It was decided.")),
            ["0 of 1 answers are recorded", "It was decided. Your answer was not recorded."],
        ),
    ] {
        let mut fakes = with(&request, &[]);
        let (digest, given) = (request.subject.digest.clone(), responded(&request));
        fakes.gates.expect_respond().times(1).returning(move |_, response, _| {
            assert_eq!(response.subject_digest.as_deref(), Some(digest.as_str()));
            assert_eq!(response.comment.as_deref(), Some("x"));
            result.clone().map(|()| given.clone()).map_err(Error::from)
        });
        let sent = form("/console/inbox/answer", &body("comment=x&action=approve"));
        let answer = fakes.send_as(sent, reviewer()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        contains(&answer, &parts);
    }
}

#[actix_web::test]
async fn an_id_leads_to_what_it_names_and_a_text_to_projects() {
    let id = request_id(1);
    let fakes = |is_there: bool| {
        let mut fakes = Fakes::idle();
        let missing = |id: String| Error::from(DomainError::not_found("Object", id));
        fakes.queries.expect_project().returning(move |_, id| Err(missing(id.to_string())));
        fakes.queries.expect_task().returning(move |_, id| Err(missing(id.to_string())));
        fakes.queries.expect_artifact().returning(move |_, id| Err(missing(id.to_string())));
        fakes.queries.expect_request().returning(move |_, id| {
            if is_there { Ok(pending().into()) } else { Err(missing(id.to_string())) }
        });
        fakes.queries.expect_projects().returning(|_, _, _, _| {
            Ok(std::iter::once(Arc::new(project_at("Project Planning"))).collect())
        });
        fakes
    };
    let find = |q: &str| get(&format!("/console/find?q={q}"));
    let answer = fakes(true).send_as(find(&format!("+{id}+")), reviewer()).await;
    assert_eq!(answer.header(header::LOCATION), path(""));
    let answer = fakes(false).send_as(find(&id.to_string()), reviewer()).await;
    contains(&answer, &["Nothing was found"]);
    let answer = fakes(true).send_as(find("RECIPES"), reviewer()).await;
    contains(&answer, &["Recipes &#60;for&#62; two"]);
    let answer = fakes(true).send_as(find("chess"), reviewer()).await;
    contains(&answer, &["Nothing was found"]);
    let answer = fakes(true).send_as(get("/console/find"), reviewer()).await;
    assert!(!answer.body.contains("Nothing was found"), "{}", answer.body);
}

/// Document that takes long to be shown.
fn large(n: usize) -> Artifact {
    let line = |row: usize| format!("**a** _b_ `c` [d](https://e.example) {}\n", row * n % 977);
    let text: String = (0..5_500).map(line).collect();
    artifact(n as u128, ArtifactType::ProjectPlan, &json!({"markdown": text}))
}

#[actix_web::test]
async fn a_large_document_does_not_hold_the_thread_that_serves() {
    let (before, mut after) = (large(31), large(57));
    after.meta.previous = Some(before.meta.id);
    let mut request = pending();
    request.subject = Subject::of([&after.meta]);
    let documents = [before, after];
    let shown = with(&request, &documents).send_as(get(&path("")), reviewer());
    let (answer, longest, all) = held(shown).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(longest < all / 2, "{longest:?} of {all:?}");
}

#[actix_web::test]
async fn a_confirmation_shows_the_amounts_and_the_changes_that_are_committed() {
    let mut budget = pending();
    budget.subject = Subject::of([]);
    budget.budget = Some(botarmy_domain::budget::BudgetQuestion {
        account: botarmy_domain::BudgetKey::Project(project_id()),
        limit: botarmy_domain::Limit { tokens: None, cost_micro_usd: Some(2_000_000) },
        needs: botarmy_domain::Amount::default(),
    });
    let answer = post(with(&budget, &[]), &budget, "action=amend&dollars=2.509999&tokens=").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(
        &answer,
        &["New limit in US dollars", ">$2.509999<", "New limit in tokens", ">as before<"],
    );
    let answer = post(with(&budget, &[]), &budget, "action=amend&dollars=&tokens=12,000").await;
    contains(&answer, &[">12,000<", ">as before<"]);
    for wrong in ["dollars=2,50&tokens=", "dollars=&tokens=1,5"] {
        let answer = post(with(&budget, &[]), &budget, &format!("action=amend&{wrong}")).await;
        assert_eq!(answer.status, 422, "{wrong}");
    }

    let request = pending();
    let rest =
        "action=amend&document=%23+Plan%0D%0A%0D%0AFor+three.%0D%0AAnd+more.&edited=markdown";
    let answer = post(with(&request, &[plan_document()]), &request, rest).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let Value::Object(mine) = json!({"markdown": "# Plan\n\nFor three.\nAnd more."}) else {
        panic!()
    };
    let digest = botarmy_domain::artifact::digest(&mine);
    contains(&answer, &["2 lines added, 1 line removed; 28 bytes", &digest]);
}

#[actix_web::test]
async fn only_the_person_who_has_answered_is_told_so() {
    let answered = |name: &str, principal| {
        let mut request = pending();
        request.state = HitlState::Approved(reply(name));
        request.history.push(botarmy_domain::hitl::HistoryEntry {
            timestamp: NOW,
            action: "approve".to_owned(),
            user_id: name.to_owned(),
            principal,
            content: None,
            comment: None,
        });
        request
    };
    let other = botarmy_domain::Principal::local_id("eve");
    for (request, is_told) in [
        (answered("ada <b>", Some(ada().id)), true),
        (answered("ada <b>", Some(other)), false),
        (answered("eve", Some(other)), false),
        (pending(), false),
    ] {
        let fakes = with(&request, &[plan_document()]);
        let answer = fakes.send_as(get(&path("?answered=1")), reviewer()).await;
        assert_eq!(answer.body.contains("Your answer is recorded."), is_told, "{}", answer.body);
    }
}

#[actix_web::test]
async fn a_long_document_is_shown_in_part_as_json_with_a_link_to_all_of_it() {
    let text = "x ".repeat(200_000);
    let document = artifact(7, ArtifactType::ProjectPlan, &json!({"markdown": text}));
    let mut request = pending();
    request.subject = Subject::of([&document.meta]);
    let fakes = with(&request, std::slice::from_ref(&document));
    let answer = fakes.send_as(get(&path("?view=raw")), reviewer()).await;
    let all = format!("href=\"/console/raw/context/{}\"", document.meta.id);
    contains(&answer, &["These are the first 256 KiB of", &all]);
    assert!(answer.body.len() < 600_000, "{}", answer.body.len());
    let short = with(&pending(), &[plan_document()]);
    let answer = short.send_as(get(&path("?view=raw")), reviewer()).await;
    assert!(!answer.body.contains("These are the first"), "{}", answer.body);
}

#[actix_web::test]
async fn a_person_with_a_part_in_the_document_learns_it_before_answering() {
    let mut project = project_at("Project Planning");
    let mut workflow = botarmy_domain::Workflow::clone(&project.plan.as_ref().unwrap().workflow);
    let step = workflow.steps.iter_mut().find(|step| step.name == "Project Planning").unwrap();
    step.exclude = vec![botarmy_domain::Exclusion::Starter];
    let plan = project.plan.as_mut().unwrap();
    plan.workflow = workflow.into();
    plan.starter =
        Some(botarmy_domain::Actor { name: "ada <b>".into(), principal: Some(ada().id) });
    let mut fakes = Fakes::default();
    let project = Arc::new(project);
    let known = Arc::clone(&project);
    fakes
        .queries
        .expect_gate()
        .returning(move |caller, _| Ok(gate_view(&pending().into(), &known, caller)));
    fakes.queries.expect_project().returning(move |_, _| Ok(Arc::clone(&project)));
    let given = with(&pending(), &[plan_document()]);
    // The expectations that come first count.
    fakes.queries.expect_review().returning(|_, _| {
        Ok(Review { request: pending().into(), artifacts: vec![plan_document().into()] })
    });
    fakes.queries.expect_pending_requests().returning(|_, _, _, _| Ok(Page::default()));
    fakes.queries.expect_requests().returning(|_, _, _, _, _| Ok(Page::default()));
    let answer = fakes.send_as(get(&path("")), reviewer()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(&answer, &["Another person must approve.", "because you started the project"]);
    assert!(!answer.body.contains("value=\"approve\""), "{}", answer.body);
    assert!(answer.body.contains("value=\"amend\" checked"), "{}", answer.body);
    let answer = given.send_as(get(&path("")), reviewer()).await;
    assert!(!answer.body.contains("Another person must approve."), "{}", answer.body);
}

#[actix_web::test]
async fn when_the_store_fails_on_the_way_each_answer_is_accounted_for() {
    let fail = || StoreError::Unavailable { detail: "gone".to_owned(), source: None };
    let ids: Vec<_> = (1..=4).map(request_id).collect();
    let of = |n: usize| HitlRequest { id: request_id(n as u128), ..pending() };
    let mut fakes = Fakes::default();
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    fakes.queries.expect_request().returning(move |_, id| {
        let n = (1..=4).find(|n| request_id(*n as u128) == id).unwrap();
        let mut count = count.lock().unwrap();
        *count += 1;
        // Read before the decisions, and after the first one; then the store is gone.
        if *count > 5 { Err(fail().into()) } else { Ok(of(n).into()) }
    });
    fakes.queries.expect_project().returning(|_, _| Ok(project_at("Project Planning").into()));
    fakes.queries.expect_pending_requests().returning(move |_, _, _, _| Err(fail().into()));
    let given = responded(&pending());
    let times = Arc::new(Mutex::new(0));
    fakes.gates.expect_respond().times(2).returning(move |_, _, _| {
        let mut times = times.lock().unwrap();
        *times += 1;
        if *times == 1 { Ok(given.clone()) } else { Err(fail().into()) }
    });
    let digest = pending().subject.digest;
    let fields: Vec<_> = ids.iter().map(|id| format!("r.{id}={digest}")).collect();
    let body = format!(
        "form_token={}&{}&action=approve&comment=%3Cx%3E",
        text().form_token().expose(),
        fields.join("&")
    );
    let answer = fakes.send_as(form("/console/inbox/answer", &body), reviewer()).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    contains(
        &answer,
        &[
            "1 of 4 answers is recorded",
            "cannot tell whether it did",
            "Send 3 again",
            "&#60;x&#62;",
        ],
    );
    assert_eq!(answer.body.matches("did not come to it").count(), 2, "{}", answer.body);
    for (n, is_there) in [(1, false), (2, true), (3, true), (4, true)] {
        let field = format!("name=\"r.{}\"", request_id(n));
        assert_eq!(answer.body.contains(&field), is_there, "{n}: {}", answer.body);
    }
}

#[actix_web::test]
async fn a_name_that_is_written_from_right_to_left_stays_in_its_place() {
    let name = "\u{5d0}\u{5d1} 5";
    let mut request = pending();
    request.state = HitlState::Approved(reply(name));
    let answer = with(&request, &[plan_document()]).send_as(get(&path("")), reviewer()).await;
    assert_eq!(
        answer.body.matches(name).count(),
        answer.body.matches(&format!("<bdi>{name}</bdi>")).count()
    );
    contains(
        &answer,
        &[&format!("Approved by <bdi>{name}</bdi>"), "<bdi>Recipes &#60;for&#62; two</bdi></a>"],
    );
    let answer = with(&pending(), &[]).send_as(get("/console/inbox"), reviewer()).await;
    contains(&answer, &["<b><bdi>Recipes &#60;for&#62; two</bdi></b>"]);
}
