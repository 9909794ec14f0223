//! Policies, votes and everything that people do with a request beside a simple answer.

use botarmy_domain::hitl::{
    Delegate, Delegation, GateAct, GateClaim, GateComment, PendingQuery, PinnedPolicy,
    PlannedAction, Policy, Selector, Vote,
};
use botarmy_domain::vocabulary::{AnswerAuth, Exclusion, Verdict};
use botarmy_domain::{
    Actor, ArtifactType, DomainError, Error, EventId, HitlAction, HitlKind, HitlRequest,
    InvalidPart, Subject,
};
use serde_json::{Value, json};

use super::requests::{contains, path, post, responded, reviewer, with};
use super::*;
use crate::view::samples::{plan_document, request as pending, request_id};

fn eve() -> Actor {
    Actor { name: "eve <i>".to_owned(), principal: Some(Principal::local_id("eve")) }
}

fn me() -> Actor {
    Actor { name: ada().name, principal: Some(ada().id) }
}

fn under(policy: Policy) -> HitlRequest {
    HitlRequest { policy: Some(Arc::new(PinnedPolicy::new(policy))), ..pending() }
}

fn two() -> Policy {
    let groups = [("security".to_owned(), 1)].into();
    Policy { approvals: Some(2), groups, ..Policy::named("release") }
}

fn vote(voter: Actor, action: HitlAction) -> Vote {
    let subject_digest = pending().subject.digest;
    Vote {
        entry: EventId::from_uuid(Uuid::from_u128(7)),
        voter,
        on_behalf_of: None,
        action,
        groups: std::collections::BTreeSet::new(),
        auth: Authentication::Session,
        via: None,
        subject_digest,
        policy_digest: PinnedPolicy::new(two()).digest,
        content: None,
        comment: Some("Fine <b>".to_owned()),
        at: NOW,
    }
}

fn remark(n: u128, reply_to: Option<u128>, text: &str) -> GateComment {
    let id = |n| EventId::from_uuid(Uuid::from_u128(n));
    GateComment { id: id(n), by: eve(), at: NOW, text: text.to_owned(), reply_to: reply_to.map(id) }
}

fn act_fields(rest: &str) -> String {
    format!("form_token={}&key=k1&{rest}", text().form_token().expose())
}

async fn act(fakes: Fakes, rest: &str) -> Answer {
    fakes.send_as(super::form(&path("/act"), &act_fields(rest)), reviewer()).await
}

#[actix_web::test]
async fn the_page_says_who_approves_who_has_and_who_is_missing() {
    let mut request = under(two());
    request.votes = vec![Vote { on_behalf_of: Some(me()), ..vote(eve(), HitlAction::Approve) }];
    request.delegates = vec![Delegate { of: me(), to: eve(), at: NOW }];
    request.round = 2;
    request.unsatisfiable = true;
    let answer = with(&request, &[plan_document()]).send_as(get(&path("")), reviewer()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(
        &answer,
        &[
            "Two people approve, one of them of <bdi>security</bdi>.",
            "policy <bdi>release</bdi>",
            "<bdi>eve &#60;i&#62;</bdi> approved",
            "for <bdi>ada &#60;b&#62;</bdi>",
            "Fine &#60;b&#62;",
            "One more person has to approve, of <bdi>security</bdi>.",
            "1 of 2 approved",
            "This is round 2 of at most 5.",
            "Too few people are left who may approve.",
            "One rejection ends it.",
            "(required to reject)",
            "You can take your vote back",
        ],
    );
    assert!(!answer.body.contains("value=\"claim\""), "several approve: no claim");
    let part = with(&request, &[plan_document()]);
    let part = part.send_as(get(&path("?part=gate")), reviewer()).await;
    contains(&part, &["data-part=\"gate\"", "One more person has to approve"]);
    assert!(!part.body.contains("<form"), "a part that changes by itself has no form");
}

#[actix_web::test]
async fn a_person_who_may_not_answer_learns_why_and_has_no_form() {
    let named = Policy { candidates: vec![Selector::Group("leads".to_owned())], ..two() };
    let keys = Policy { auth: AnswerAuth::Interactive, ..Policy::named("signed") };
    let mut claimed = pending();
    claimed.claim = Some(GateClaim { by: eve(), until: NOW.after(Duration::from_secs(60)) });
    for (request, reason) in [
        (under(named), "does not ask you; it asks group:leads"),
        (claimed, "eve &#60;i&#62; has claimed the request"),
    ] {
        let answer = with(&request, &[plan_document()]).send_as(get(&path("")), reviewer()).await;
        contains(&answer, &["but not answer it", reason, "Waiting for others"]);
        assert!(!answer.body.contains("id=\"decide-form\""), "{}", answer.body);
        // A form that was shown before is refused before anything is confirmed.
        let rest = "action=approve&comment=Kept+text";
        let answer = post(with(&request, &[plan_document()]), &request, rest).await;
        assert!([403, 409].contains(&answer.status), "{}", answer.body);
        contains(&answer, &[reason, ">Kept text</textarea>"]);
    }
    let answer = with(&under(keys), &[]).send_as(get(&path("")), reviewer()).await;
    contains(&answer, &["Answers with a key are not accepted.", "id=\"decide-form\""]);
}

#[actix_web::test]
async fn an_excluded_person_may_ask_for_changes_and_not_edit() {
    let mut request = under(Policy { exclude: vec![Exclusion::Author], ..two() });
    request.history.push(botarmy_domain::hitl::HistoryEntry {
        timestamp: NOW,
        action: "created".to_owned(),
        user_id: ada().name,
        principal: Some(ada().id),
        content: None,
        comment: None,
    });
    let answer = with(&request, &[plan_document()]).send_as(get(&path("")), reviewer()).await;
    contains(
        &answer,
        &[
            "Another person must approve.",
            "because you made it",
            "Not by those who made or changed what is reviewed.",
            "<b>Ask for changes</b>",
        ],
    );
    assert!(!answer.body.contains("value=\"approve\""), "{}", answer.body);
    assert!(!answer.body.contains("edit the document"), "{}", answer.body);
    let edit = with(&request, &[plan_document()]);
    let edit = edit.send_as(get(&path("?edit=1")), reviewer()).await;
    assert!(!edit.body.contains("id=\"document\""), "{}", edit.body);
}

#[actix_web::test]
async fn a_policy_that_wants_a_reason_is_met_before_the_confirmation() {
    let request = under(two());
    let answer = post(with(&request, &[plan_document()]), &request, "action=reject").await;
    assert_eq!(answer.status, 422);
    contains(&answer, &["The policy “release” wants a reason for this answer"]);
    let with_words = "action=reject&comment=No";
    let answer = post(with(&request, &[plan_document()]), &request, with_words).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let approve = post(with(&request, &[plan_document()]), &request, "action=approve").await;
    assert_eq!(approve.status, 200, "{}", approve.body);
    contains(&approve, &["It counts. One more person has to approve after you.", "take it back"]);
}

#[actix_web::test]
async fn a_vote_that_does_not_decide_is_confirmed_and_can_be_taken_back() {
    let mut request = under(two());
    request.votes = vec![vote(me(), HitlAction::Approve)];
    let page = get(&path("?answered=1"));
    let answer = with(&request, &[plan_document()]).send_as(page, reviewer()).await;
    contains(
        &answer,
        &["Your approval is recorded.", "You approved it just now.", "value=\"withdraw\""],
    );
    let mut fakes = with(&request, &[plan_document()]);
    let known = Arc::new(request.clone());
    fakes.gates.expect_act().times(1).returning(move |id, act, caller| {
        assert_eq!((id, act), (request_id(1), GateAct::Withdraw));
        assert!(caller.keyed_call().is_some(), "once for the key of the form");
        Ok(Arc::clone(&known))
    });
    let answer = act(fakes, "act=withdraw").await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let location = answer.header(header::LOCATION).to_owned();
    assert!(location.starts_with(&path("?done=withdraw&mark=")), "{location}");
    let page = with(&request, &[plan_document()]).send_as(get(&location), reviewer()).await;
    contains(&page, &["Your answer is taken back."]);
    let forged = get(&path("?done=withdraw&mark=0"));
    let page = with(&request, &[plan_document()]).send_as(forged, reviewer()).await;
    assert!(!page.body.contains("Your answer is taken back."));
}

#[actix_web::test]
async fn each_act_reaches_the_port_with_what_was_typed() {
    let remark_id = EventId::from_uuid(Uuid::from_u128(9));
    let reply = format!("act=comment&comment=Why%0D%0Anow%3F&reply_to={remark_id}");
    for (rest, expected) in [
        ("act=claim", GateAct::Claim),
        ("act=unclaim", GateAct::Unclaim),
        ("act=remind", GateAct::Remind),
        ("act=escalate", GateAct::Escalate),
        ("act=delegate&to=eve&comment=", GateAct::Delegate { to: "eve".to_owned(), comment: None }),
        (
            "act=extend&by_s=3600&comment=Away",
            GateAct::Extend { by_s: 3_600, comment: Some("Away".to_owned()) },
        ),
        (
            reply.as_str(),
            GateAct::Comment { text: "Why\nnow?".to_owned(), reply_to: Some(remark_id) },
        ),
    ] {
        let mut fakes = with(&pending(), &[plan_document()]);
        fakes.gates.expect_act().times(1).returning(move |_, act, _| {
            assert_eq!(act, expected);
            Ok(pending().into())
        });
        let answer = act(fakes, rest).await;
        assert_eq!(answer.status, 303, "{rest}: {}", answer.body);
    }
    for rest in ["act=x", "act=extend&by_s=soon", "act=comment&reply_to=x", "act=claim&x=1"] {
        let answer = act(with(&pending(), &[plan_document()]), rest).await;
        assert_eq!(answer.status, 422, "{rest}: {}", answer.body);
    }
    let foreign = super::form(&path("/act"), "form_token=x&key=k&act=claim");
    assert_eq!(Fakes::default().send_as(foreign, reviewer()).await.status, 403);
}

#[actix_web::test]
async fn a_refused_act_says_why_in_place_and_keeps_the_text() {
    let forbidden = DomainError::Forbidden { code: "not_eligible", detail: "Not you.".to_owned() };
    for (error, status, text) in [
        (
            DomainError::conflict("delegated_in_a_circle", "It would come back."),
            409,
            "It would come back.",
        ),
        (DomainError::invalid("to", "must be a person"), 422, "The other person must be a person."),
        (forbidden, 403, "Not you."),
    ] {
        let mut fakes = with(&pending(), &[plan_document()]);
        fakes.gates.expect_act().returning(move |_, _, _| Err(error.clone().into()));
        let answer = act(fakes, "act=delegate&to=no+one&comment=Please").await;
        assert_eq!(answer.status, status, "{}", answer.body);
        contains(
            &answer,
            &[
                text,
                "name=\"to\" autocomplete=\"off\" value=\"no one\"",
                ">Please</textarea>",
                "<details class=\"act\" open>",
            ],
        );
    }
}

#[actix_web::test]
async fn the_discussion_is_one_level_deep_and_its_text_is_no_html() {
    let mut request = pending();
    request.comments = vec![
        remark(1, None, "Is **this** <script>alert(1)</script> right?"),
        remark(2, Some(1), "# Yes"),
        remark(3, Some(2), "Sure"),
    ];
    let page = get(&path(&format!("?reply={}", request.comments[0].id)));
    let answer = with(&request, &[plan_document()]).send_as(page, reviewer()).await;
    contains(
        &answer,
        &[
            "<strong>this</strong> &lt;script&gt;",
            "<p><strong>Yes</strong></p>",
            "Answer to <bdi>eve &#60;i&#62;</bdi>",
            &format!("name=\"reply_to\" value=\"{}\"", request.comments[0].id),
        ],
    );
    assert!(!answer.body.contains("<script>alert"), "{}", answer.body);
    assert_eq!(answer.body.matches("class=\"plain talk\"").count(), 2, "{}", answer.body);
    // A viewer reads it, and has no form.
    let answer = with(&request, &[plan_document()]).send(get(&path("")), true).await;
    assert!(answer.body.contains("<strong>this</strong>") && !answer.body.contains("id=\"say\""));
}

#[actix_web::test]
async fn an_amendment_by_another_person_says_that_votes_are_void() {
    let mut request = under(two());
    request.history.push(botarmy_domain::hitl::HistoryEntry {
        timestamp: NOW,
        action: "subject_changed".to_owned(),
        user_id: eve().name,
        principal: eve().principal,
        content: None,
        comment: None,
    });
    let mut fakes = with(&request, &[plan_document()]);
    let digest = request.subject.digest.clone();
    fakes.logs.expect_project_entries().returning(move |_, _, filter, _| {
        assert_eq!(filter.request, Some(request_id(1)));
        let Value::Object(event_data) = json!({
            "hitl_request_id": request_id(1), "question": "?", "previous_digest": "0",
            "subject": {"artifacts": [], "digest": digest}, "voided": 2,
            "expires_at": NOW, "agent_type": null,
        }) else {
            panic!()
        };
        let Value::Object(event_metadata) = json!({"actor": "eve <i>"}) else { panic!() };
        let entry = botarmy_domain::Entry {
            id: EventId::from_uuid(Uuid::from_u128(1)),
            project_id: None,
            task_id: None,
            hitl_request_id: Some(request_id(1)),
            event_type: botarmy_domain::EventType::HitlSubjectChanged,
            event_source: botarmy_domain::EventSource::User,
            event_data,
            event_metadata,
            created_at: NOW,
            seq: 1,
            hash: String::new(),
        };
        Ok(Page::first(vec![entry.into()], 1))
    });
    let answer = fakes.send_as(get(&path("")), reviewer()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(
        &answer,
        &["<bdi>eve &#60;i&#62;</bdi> changed what is reviewed", "2 votes are void."],
    );
}

#[actix_web::test]
async fn a_step_that_has_not_run_is_shown_with_its_plan_and_its_inputs() {
    let mut request = pending();
    request.planned = Some(PlannedAction {
        agent: AgentType::Architect,
        instructions: "Design <it>".to_owned(),
        output: ArtifactType::SystemArchitecture,
        feedback: Vec::new(),
    });
    let answer = with(&request, &[plan_document()]).send_as(get(&path("")), reviewer()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    contains(
        &answer,
        &[
            "Run the step “Project Planning”?",
            "The step has not run yet",
            "Design &#60;it&#62;",
            "makes: system architecture",
            "For &lt;two&gt;.",
            "<b>Ask for changes</b>",
            "Approve and let it run",
            "Applies to what is shown",
        ],
    );
    assert!(!answer.body.contains("edit the document"), "{}", answer.body);
    assert!(!answer.body.contains("Approve version"), "{}", answer.body);
}

fn asked() -> HitlRequest {
    let Value::Object(schema) = json!({
        "type": "object",
        "properties": {
            "count": {"type": "integer", "title": "Number of <pages>", "minimum": 1},
            "kind": {"enum": ["book", "leaflet"]},
        },
        "required": ["count"],
    }) else {
        panic!()
    };
    HitlRequest {
        kind: HitlKind::Question,
        question: "How long?".to_owned(),
        options: Vec::new(),
        subject: Subject::of([]),
        response_schema: Some(schema),
        ..pending()
    }
}

#[actix_web::test]
async fn a_question_with_a_schema_is_a_form_and_errors_stand_at_their_fields() {
    let request = asked();
    let page = with(&request, &[]).send_as(get(&path("")), reviewer()).await;
    contains(
        &page,
        &[
            "Number of &#60;pages&#62; <span class=\"final\">(required)</span>",
            "name=\"f.0\" inputmode=\"numeric\"",
            "At least 1",
            "<option value=\"1\">leaflet</option>",
        ],
    );
    let wrong = post(with(&request, &[]), &request, "action=approve&f.0=many&f.1=1").await;
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    contains(
        &wrong,
        &[
            "must be a whole number",
            "value=\"many\" aria-invalid=\"true\" aria-describedby=\"e-f.0\"",
            "<option value=\"1\" selected>",
        ],
    );
    let asks = post(with(&request, &[]), &request, "action=approve&f.0=12&f.1=1").await;
    assert_eq!(asks.status, 200, "{}", asks.body);
    contains(
        &asks,
        &["Number of &#60;pages&#62;</dt><dd class=\"words\">12", "name=\"f.0\" hidden"],
    );
    let mut fakes = with(&request, &[]);
    let given = responded(&request);
    fakes.gates.expect_respond().times(1).returning(move |_, response, _| {
        assert_eq!(response.response, Some(json!({"count": 12, "kind": "leaflet"})));
        assert_eq!(response.content, None);
        Ok(given.clone())
    });
    let rest = "action=approve&f.0=12&f.1=1&confirmed=yes";
    assert_eq!(post(fakes, &request, rest).await.status, 303);
    // What the server finds stands at the field, too.
    let mut fakes = with(&request, &[]);
    fakes.gates.expect_respond().returning(|_, _, _| {
        let part = |pointer: &str, message: &str| InvalidPart {
            pointer: pointer.to_owned(),
            message: message.to_owned(),
        };
        let parts = vec![part("/response/count", "0 is less than 1"), part("/response", "odd")];
        Err(Error::from(DomainError::InvalidDocument(parts)))
    });
    let answer = post(fakes, &request, "action=approve&f.0=0&confirmed=yes").await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    contains(&answer, &["0 is less than 1", "aria-describedby=\"e-f.0\"", "It: odd."]);
    let unknown = post(with(&request, &[]), &request, "action=approve&g.0=1").await;
    assert_eq!(unknown.status, 422);
}

#[actix_web::test]
async fn any_other_schema_is_answered_as_json() {
    let mut request = asked();
    let Value::Object(schema) = json!({"type": "array", "items": {"type": "string"}}) else {
        panic!()
    };
    request.response_schema = Some(schema);
    let page = with(&request, &[]).send_as(get(&path("")), reviewer()).await;
    contains(&page, &["id=\"response\" name=\"response\""]);
    let wrong = post(with(&request, &[]), &request, "action=approve&response=%5B1").await;
    assert_eq!(wrong.status, 422);
    contains(&wrong, &["Your answer is not JSON", "[1</textarea>"]);
    let mut fakes = with(&request, &[]);
    let given = responded(&request);
    fakes.gates.expect_respond().times(1).returning(move |_, response, _| {
        assert_eq!(response.response, Some(json!(["a"])));
        Ok(given.clone())
    });
    let rest = "action=approve&response=%5B%22a%22%5D&confirmed=yes";
    assert_eq!(post(fakes, &request, rest).await.status, 303);
}

#[actix_web::test]
async fn a_document_that_does_not_match_its_schema_says_where() {
    let request = pending();
    let mut fakes = with(&request, &[plan_document()]);
    fakes.gates.expect_respond().returning(|_, _, _| {
        let part = |n| InvalidPart {
            pointer: format!("/amended_content/goals/{n}"),
            message: "is no text".to_owned(),
        };
        Err(Error::from(DomainError::InvalidDocument((0..7).map(part).collect())))
    });
    let rest = "action=amend&document=%7B%22goals%22%3A1%7D&edited=json&confirmed=yes";
    let answer = post(fakes, &request, rest).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    contains(
        &answer,
        &[
            "does not match the schema",
            "`/goals/0`: is no text.",
            "2 more errors",
            "&#34;goals&#34;",
        ],
    );
}

#[actix_web::test]
async fn a_policy_without_bulk_is_left_out_with_the_reason() {
    let alone = under(Policy { bulk: false, ..two() });
    let list = |request: &HitlRequest| {
        get(&format!("/console/inbox/answer?r.{}={}", request.id, request.subject.digest))
    };
    let answer = with(&alone, &[]).send_as(list(&alone), reviewer()).await;
    contains(&answer, &["wants each request to be answered by itself", "Answer 0 requests"]);
    let both = under(two());
    let answer = with(&both, &[]).send_as(list(&both), reviewer()).await;
    contains(&answer, &["Answer 1 request together", &both.subject.digest]);
    let mut fakes = with(&both, &[]);
    let given = responded(&both);
    fakes.gates.expect_respond().times(1).returning(move |_, response, _| {
        assert!(response.in_bulk);
        assert_eq!(response.verdict(), Verdict::Approve);
        Ok(given.clone())
    });
    let body = format!(
        "form_token={}&r.{}={}&action=approve&comment=",
        text().form_token().expose(),
        both.id,
        both.subject.digest
    );
    let answer = fakes.send_as(super::form("/console/inbox/answer", &body), reviewer()).await;
    contains(&answer, &["1 of 1 answers is recorded"]);
}

#[actix_web::test]
async fn the_inbox_is_that_of_the_person_unless_all_are_asked_for() {
    for (query, expected) in [
        ("", PendingQuery { mine: true, ..PendingQuery::default() }),
        ("?who=all", PendingQuery::default()),
        (
            "?policy=release&overdue=1&group=security",
            PendingQuery {
                mine: true,
                overdue: true,
                policy: Some("release".to_owned()),
                group: Some("security".to_owned()),
                project: None,
            },
        ),
    ] {
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let mut fakes = Fakes::default();
        fakes.queries.expect_pending_requests().returning(move |_, query, _, _| {
            seen.lock().unwrap().push(query);
            let mut request = under(two());
            request.schedule.answer_by = Some(NOW);
            Ok(std::iter::once(Arc::new(request)).collect())
        });
        let project = || crate::view::samples::project_at("Project Planning");
        fakes.queries.expect_project().returning(move |_, _| Ok(project().into()));
        fakes.queries.expect_subject_sizes().returning(|_, all| Ok(vec![1; all.len()]));
        let answer = fakes.send_as(get(&format!("/console/inbox{query}")), reviewer()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        contains(&answer, &["Overdue", "policy <bdi>release</bdi>", "0 of 2 approved", "For me 1"]);
        assert_eq!(asked.lock().unwrap().last(), Some(&expected), "{query}");
        // The number in the navigation is that of the person.
        assert!(asked.lock().unwrap()[0].mine);
    }
    for query in ["who=x", "overdue=yes"] {
        let answer =
            Fakes::idle().send_as(get(&format!("/console/inbox?{query}")), reviewer()).await;
        assert_eq!(answer.status, 422, "{query}");
    }
}

#[actix_web::test]
async fn a_person_sets_and_ends_a_standing_delegation() {
    let until = NOW.after(Duration::from_secs(86_400));
    let delegation = Delegation { to: Principal::local_id("eve"), from: NOW, until };
    let away = Principal { delegation: Some(delegation), ..ada() };
    let fakes = |person: &Principal| {
        let mut fakes = Fakes::idle();
        fakes.access = MockAccess::new();
        fakes.access.expect_is_required().return_const(true);
        let person = Arc::new(person.clone());
        fakes.access.expect_principal_of().returning(move |_| Some(Arc::clone(&person)));
        fakes
            .access
            .expect_principal()
            .returning(|_, id| Err(DomainError::not_found("Principal", id).into()));
        fakes.sessions.expect_sessions().returning(|_, _, _, _| Ok(Page::default()));
        fakes
    };
    let page = fakes(&away).send(get("/console/account"), true).await;
    let id = Principal::local_id("eve").to_string();
    contains(&page, &[&id, "answers for you from", "End it", "Replace the delegation"]);
    let token = text().form_token();
    let send = |rest: &str| {
        super::form("/console/account/delegation", &format!("form_token={}&{rest}", token.expose()))
    };
    let mut set = fakes(&ada());
    let changed = away.clone();
    set.access.expect_set_delegation().times(1).returning(move |asked, _| {
        let asked = asked.unwrap();
        assert_eq!((asked.to.as_str(), asked.from), ("eve", None));
        assert_eq!(asked.until, Timestamp::parse("2027-02-01T08:30:00Z").unwrap());
        Ok(changed.clone().into())
    });
    let answer = set.send(send("to=+eve&from=&until=2027-02-01T08:30"), true).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let saved = answer.header(header::LOCATION).to_owned();
    let page = fakes(&away).send(get(&saved), true).await;
    contains(&page, &["The change is in force."]);
    let mut end = fakes(&away);
    end.access.expect_set_delegation().times(1).returning(|asked, _| {
        assert_eq!(asked, None);
        Ok(ada().into())
    });
    assert_eq!(end.send(send("end=1"), true).await.status, 303);
    let wrong = fakes(&ada()).send(send("to=eve&until=soon"), true).await;
    assert_eq!(wrong.status, 422);
    contains(&wrong, &["<code>until</code> must be a date and a time", "value=\"eve\""]);
    let mut refused = fakes(&ada());
    refused
        .access
        .expect_set_delegation()
        .returning(|_, _| Err(DomainError::invalid("to", "must be another person").into()));
    let answer = refused.send(send("to=ada&until=2027-02-01T08:30"), true).await;
    assert_eq!(answer.status, 422);
    contains(&answer, &["must be another person"]);
}
