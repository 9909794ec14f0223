//! The pages around projects.

use std::collections::BTreeSet;

use botarmy_domain::budget::{BudgetReport, UsageReport};
use botarmy_domain::log::HeadMark;
use botarmy_domain::ports::Member;
use botarmy_domain::project::{Counts, ProjectDetail};
use botarmy_domain::task::{TaskError, TaskState};
use botarmy_domain::{
    Activity, ActivityState, AgentType, Amount, Artifact, ArtifactType, DomainError, Entry, Error,
    EventId, EventSource, EventType, Limit, Permission, PreviewToken, Project, ProjectState, Seen,
    Task, TaskId,
};
use serde_json::{Map, Value, json};

use super::*;
use crate::view::samples::{artifact, project_at, project_id, request};

fn path(end: &str) -> String {
    format!("/console/projects/{}{end}", project_id())
}

fn detail(project: Project, requests: u32) -> ProjectDetail {
    let state = if requests > 0 { ActivityState::WaitingForPerson } else { ActivityState::Working };
    let activity = Activity { state, since: NOW, requests, agent_type: None };
    let counts = Counts { completed: 1, artifacts: 2, ..Counts::default() };
    ProjectDetail { project: Arc::new(project), counts, activity }
}

fn budget(limit: Limit) -> BudgetReport {
    BudgetReport {
        project_id: project_id(),
        limit,
        is_set: true,
        used: Amount { tokens: 10, cost_micro_usd: 500_000 },
        reserved: Amount::default(),
        left: limit,
    }
}

fn entry(seq: u64, event_type: EventType, data: Value) -> Arc<Entry> {
    let Value::Object(event_data) = data else { panic!("an object") };
    let metadata: Map<String, Value> = [("actor".to_owned(), "ada".into())].into_iter().collect();
    Arc::new(Entry {
        id: EventId::from_uuid(Uuid::from_u128(seq.into())),
        project_id: Some(project_id()),
        task_id: Some(TaskId::from_uuid(Uuid::from_u128(7))),
        hitl_request_id: None,
        event_type,
        event_source: EventSource::Agent,
        event_data,
        event_metadata: metadata,
        created_at: Timestamp::from_micros(NOW.micros() - 60_000_000),
        seq,
        hash: "ab".repeat(32),
    })
}

fn started(seq: u64) -> Arc<Entry> {
    let data = json!({
        "agent_type": "analyst", "status": "working", "attempt": 1, "worker": "w<1>",
        "step": "Project Planning",
    });
    entry(seq, EventType::TaskStarted, data)
}

fn documents() -> Vec<Arc<Artifact>> {
    let plan =
        json!({"markdown": "# Plan\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))"});
    let code = json!({"entry": "index.html", "files": [
        {"path": "index.html", "content": "<!doctype html><title>x</title>"},
        {"path": "app.js", "content": "let a = \"<b>\";"},
    ]});
    vec![
        Arc::new(artifact(1, ArtifactType::ProjectPlan, &plan)),
        Arc::new(artifact(2, ArtifactType::SourceCode, &code)),
    ]
}

/// Returns fakes with a project, seen by a person with this role.
pub(super) fn with_project(project: Project, requests: u32, role: Role) -> Fakes {
    let mut fakes = Fakes { role: Some(role), ..Fakes::idle() };
    let found = Arc::new(project.clone());
    fakes.queries.expect_project_detail().returning(move |_, id| {
        assert_eq!(id, project_id());
        Ok(detail(project.clone(), requests))
    });
    fakes.queries.expect_project().returning(move |_, _| Ok(Arc::clone(&found)));
    fakes
        .queries
        .expect_requests()
        .returning(|_, _, _, _, limit| Ok(Page::first(vec![Arc::new(request())], limit)));
    let head = HeadMark { seq: 93, hash: "ab".repeat(32) };
    fakes.logs.expect_log_head().returning(move |_, _| Ok(Some(head.clone())));
    fakes
        .logs
        .expect_log_entries()
        .returning(|_, _, _, limit| Ok(Page::first(vec![started(92)], limit)));
    fakes
        .logs
        .expect_project_entries()
        .returning(|_, _, _, limit| Ok(Page::first(vec![started(93), started(90)], limit)));
    let limit = Limit { tokens: None, cost_micro_usd: Some(2_000_000) };
    fakes.queries.expect_budget().returning(move |_, _| Ok(budget(limit)));
    fakes.queries.expect_usage().returning(|_, _| Ok(UsageReport::default()));
    fakes.queries.expect_artifacts().returning(|_, _, filter, limit| {
        let kind = filter.artifact_type;
        let found = documents().into_iter();
        let found = found.filter(|one| kind.is_none_or(|kind| one.meta.artifact_type == kind));
        Ok(Page::first(found.collect(), limit))
    });
    fakes.queries.expect_artifact_refs().returning(|_, _, filter, limit| {
        let kind = filter.artifact_type;
        let found = documents().into_iter().map(|one| one.meta.clone());
        let found = found.filter(|one| kind.is_none_or(|kind| one.artifact_type == kind));
        Ok(Page::first(found.collect(), limit))
    });
    fakes.queries.expect_artifact().returning(|_, id| {
        let found = documents().into_iter().find(|one| one.meta.id == id);
        found.ok_or_else(|| DomainError::not_found("Artifact", id).into())
    });
    fakes
}

fn form_of(fields: &str) -> String {
    format!("form_token={}&{fields}", text().form_token().expose())
}

#[actix_web::test]
async fn the_overview_shows_what_waits_the_steps_the_log_usage_and_artifacts() {
    let fakes = with_project(project_at("Project Planning"), 1, Role::Reviewer);
    let answer = fakes.send(get(&path("")), true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.body;
    for part in [
        "<h1>Recipes &#60;for&#62; two</h1>",
        "<b>Project Planning is waiting for you.</b> Approve the project plan?",
        &format!("/console/requests/{}\">Review</a>", request().id),
        "id=\"part-workflow\" data-part=\"workflow\" data-live=\"project:",
        "<title>Project Planning: waiting for a person</title>",
        "<svg viewBox=\"0 0 980 ",
        "Entry 93",
        "<b>Project Planning</b></a> started, attempt 1, by <bdi>w&#60;1&#62;</bdi>",
        "aria-label=\"$0.50 spent and $0.00 reserved of $2.00\"",
        "width=\"25.0%\"",
        "version 1, 2 files",
        "Changing this project requires the operator role.",
        "Authorization: Bearer $BOTARMY_KEY",
        &format!("/console/raw/projects/{}\"", project_id()),
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(!body.contains("/pause\"") && !body.contains("style=\""), "{body}");
    assert!(!body.contains("botarmy_k_"));
}

#[actix_web::test]
async fn a_part_is_returned_alone_and_reads_only_what_it_shows() {
    let mut fakes = Fakes { role: Some(Role::Viewer), ..Fakes::default() };
    fakes
        .queries
        .expect_project_detail()
        .returning(|_, _| Ok(detail(project_at("Project Planning"), 0)));
    fakes.logs.expect_log_head().returning(|_, _| Ok(None));
    let answer = fakes.send(get(&path("?part=head")), true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.starts_with("<div id=\"part-head\""), "{}", answer.body);
    assert!(!answer.body.contains("<html"));
    let fakes = with_project(project_at("Project Planning"), 0, Role::Viewer);
    assert_eq!(fakes.send(get(&path("?part=nothing")), true).await.status, 404);
}

#[actix_web::test]
async fn a_project_that_is_not_seen_does_not_exist() {
    for end in ["", "/tasks", "/artifacts", "/log", "/usage", "/members", "/cancel"] {
        let mut fakes = Fakes::default();
        fakes
            .queries
            .expect_project_detail()
            .returning(|_, id| Err(DomainError::not_found("Project", id).into()));
        assert_eq!(fakes.send(get(&path(end)), true).await.status, 404, "{end}");
        let unknown = format!("/console/projects/nothing{end}");
        assert_eq!(Fakes::default().send(get(&unknown), true).await.status, 404, "{unknown}");
    }
    let fakes = with_project(project_at("Project Planning"), 0, Role::Admin);
    assert_eq!(fakes.send(get(&path("/nothing")), true).await.status, 404);
}

#[actix_web::test]
async fn pausing_needs_the_token_and_leads_back_to_the_project() {
    let mut fakes = Fakes { role: Some(Role::Operator), ..Fakes::default() };
    fakes.projects.expect_pause_project().times(1).returning(|id, caller| {
        assert_eq!((id, caller.name()), (project_id(), "ada <b>"));
        Ok(Arc::new(project_at("Project Planning")))
    });
    let answer = fakes.send(form(&path("/pause"), &form_of("")), true).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (303, path("").as_str()));
    for end in
        ["/pause", "/resume", "/cancel", "/complete", "/reopen", "/budget", "/members", "/tasks"]
    {
        let answer = Fakes::default().send(form(&path(end), "form_token=x"), true).await;
        assert_eq!(answer.status, 403, "{end}");
    }
    assert_eq!(Fakes::default().send(get(&path("/pause")), true).await.status, 405);
}

#[actix_web::test]
async fn what_cannot_be_undone_is_asked_about_with_the_conditions_that_are_not_met() {
    let fakes = with_project(project_at("Project Planning"), 0, Role::Admin);
    let page = fakes.send(get(&path("/complete")), true).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for part in [
        "Complete “<bdi>Recipes &#60;for&#62; two</bdi>” by force?",
        "Step &#34;Project Planning&#34; is in_review.",
        "<button class=\"btn danger big\" type=\"submit\">Complete the project by force</button>",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let fakes = with_project(project_at("Project Planning"), 0, Role::Operator);
    let page = fakes.send(get(&path("/complete")), true).await;
    assert!(page.body.contains("Completing a project by force requires the admin role."));
    assert!(!page.body.contains("Step &#34;"), "{}", page.body);
    assert!(!page.body.contains(&format!("action=\"{}\"", path("/complete"))));

    // The decision is about the conditions that were shown.
    let seen = |conditions: &[&str]| {
        let owned: Vec<_> = conditions.iter().map(|one| (*one).to_owned()).collect();
        botarmy_domain::Seen::of_unmet(&owned)
    };
    let fakes = with_project(project_at("Project Planning"), 0, Role::Admin);
    let page = fakes.send(get(&path("/complete")), true).await.body;
    let (_, shown) = page.split_once("name=\"seen\" value=\"").expect(&page);
    let shown = shown.split('"').next().unwrap().to_owned();
    for (fields, now, status) in [
        (format!("seen={shown}"), None, 303),
        (format!("seen={shown}"), Some(seen(&["Another."])), 409),
        (String::new(), None, 422),
    ] {
        let mut fakes = with_project(project_at("Project Planning"), 0, Role::Admin);
        let same = botarmy_domain::Seen::with_text(&shown);
        fakes.projects.expect_force_complete().returning(move |_, caller| {
            caller.check_seen(|| now.clone().unwrap_or_else(|| same.clone()), "The conditions")?;
            Ok(Vec::new())
        });
        let answer = fakes.send(form(&path("/complete"), &form_of(&fields)), true).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 409 {
            assert!(answer.body.contains("Nothing was changed."), "{}", answer.body);
            assert!(answer.body.contains("name=\"seen\""), "it can be decided again");
        }
    }

    let mut fakes = Fakes { role: Some(Role::Operator), ..Fakes::default() };
    fakes.projects.expect_reopen_project().times(1).returning(|_, reason, _| {
        assert_eq!(reason, "It was right");
        Ok(Arc::new(project_at("Project Planning")))
    });
    let answer = fakes.send(form(&path("/reopen"), &form_of("reason=It+was+right")), true).await;
    assert_eq!(answer.status, 303);
}

#[actix_web::test]
async fn a_new_project_shows_its_gates_and_an_error_keeps_what_was_typed() {
    let workflow = project_at("Project Planning").plan.unwrap().workflow;
    let fakes = |role| {
        let mut fakes = Fakes { role: Some(role), ..Fakes::idle() };
        let workflow = Arc::clone(&workflow);
        fakes.queries.expect_workflows().returning(move |_| Ok(vec![Arc::clone(&workflow)]));
        fakes
    };
    let page = fakes(Role::Operator).send(get("/console/projects/new"), true).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("sdlc: A person reviews the results of 2 steps"), "{}", page.body);
    assert!(!page.body.contains("name=\"dollars\""), "the budget is for administrators");
    let page = fakes(Role::Viewer).send(get("/console/projects/new"), true).await;
    assert!(page.body.contains("Creating a project requires the operator role."));
    assert!(!page.body.contains("<textarea"));

    let body = form_of("key=k&idea=&name=%3Cb%3E&workflow=sdlc&oversight=high");
    let page = fakes(Role::Operator).send(form("/console/projects/new", &body), true).await;
    assert_eq!(page.status, 422);
    assert!(page.body.contains("value=\"&#60;b&#62;\"") && page.body.contains("must not be blank"));

    let mut right = fakes(Role::Admin);
    right.projects.expect_create_project().times(1).returning(|new, _| {
        assert_eq!((new.name.as_str(), new.workflow.as_deref()), ("Recipes", Some("sdlc")));
        assert_eq!(new.description.as_deref(), Some("Recipes. Shared."));
        Ok(Arc::new(project_at("Project Planning")))
    });
    let unset = |_: &Caller, _| Ok(BudgetReport { is_set: false, ..budget(Limit::default()) });
    right.queries.expect_budget().returning(unset);
    right.operations.expect_set_budget().times(1).returning(|id, limit, _| {
        assert_eq!(id, project_id());
        assert_eq!(limit, Limit { tokens: None, cost_micro_usd: Some(2_500_000) });
        Ok(budget(limit))
    });
    let body =
        form_of("key=k&idea=Recipes.+Shared.&workflow=sdlc&oversight=low&dollars=2.5&tokens=");
    let answer = right.send(form("/console/projects/new", &body), true).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (303, path("").as_str()));
}

#[actix_web::test]
async fn the_list_of_projects_leads_on_and_is_empty_with_a_way_out() {
    let mut fakes = Fakes { role: Some(Role::Operator), ..Fakes::idle() };
    fakes.queries.expect_projects().returning(|_, status, _, limit| {
        assert_eq!(status, Some(botarmy_domain::ProjectStatus::Active));
        let all = (0..=limit).map(|_| Arc::new(project_at("Project Planning")));
        Ok(Page::first(all.collect(), limit))
    });
    fakes.queries.expect_activities().returning(|_, projects| {
        Ok(projects.iter().map(|_| detail(project_at("Project Planning"), 2).activity).collect())
    });
    let page = fakes.send(get("/console/projects?status=active"), true).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.body.matches("<tr id=\"p-").count(), 100);
    let next = format!("?status=active&#38;before={}\">Older", project_id());
    assert!(page.body.contains(&next), "{}", page.body);
    assert!(!page.body.contains(">Newest<"), "{}", page.body);
    let mut later = Fakes { role: Some(Role::Operator), ..Fakes::idle() };
    later.queries.expect_projects().returning(|_, _, before, limit| {
        assert_eq!(before, Some(project_id()));
        Ok(Page::first(vec![Arc::new(project_at("Project Planning"))], limit))
    });
    later
        .queries
        .expect_activities()
        .returning(|_, _| Ok(vec![detail(project_at("Project Planning"), 2).activity]));
    later.queries.expect_budget().returning(|_, _| Ok(budget(Limit::default())));
    let url = format!("/console/projects?status=active&before={}", project_id());
    let page = later.send(get(&url), true).await;
    assert!(page.body.contains("/console/projects?status=active\">Newest<"), "{}", page.body);
    let mut empty = Fakes { role: Some(Role::Viewer), ..Fakes::idle() };
    empty.queries.expect_projects().returning(|_, _, _, _| Ok(Page::default()));
    empty.queries.expect_activities().returning(|_, _| Ok(Vec::new()));
    let page = empty.send(get("/console/projects"), true).await;
    assert!(page.body.contains("There is no project yet"), "{}", page.body);
    assert!(!page.body.contains("/projects/new\""), "{}", page.body);
    let wrong = Fakes::default().send(get("/console/projects?status=lost"), true).await;
    assert_eq!(wrong.status, 422);
}

fn task(state: TaskState) -> Task {
    let id = TaskId::from_uuid(Uuid::from_u128(7));
    let mut task =
        Task::new(id, project_id(), AgentType::Coder, "Do <b>it</b>".to_owned(), NOW, NOW);
    task.state = state;
    task
}

#[actix_web::test]
async fn a_task_shows_its_error_in_full_first_and_is_tried_again() {
    let failed = || {
        let message = "line 1\n<script>".to_owned();
        task(TaskState::Failed { at: NOW, error: TaskError { code: "c".to_owned(), message } })
    };
    let fakes = |role| {
        let mut fakes = with_project(project_at("Project Planning"), 0, role);
        fakes.queries.expect_task().returning(move |_, _| Ok(Arc::new(failed())));
        fakes
            .logs
            .expect_task_entries()
            .returning(|_, _, _, limit| Ok(Page::first(vec![started(3)], limit)));
        fakes
    };
    let url = format!("/console/tasks/{}", failed().id);
    let page = fakes(Role::Operator).send(get(&url), true).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let error = page.body.find("line 1\n&#60;script&#62;").unwrap();
    assert!(error < page.body.find("Instructions").unwrap());
    assert!(page.body.contains("<p>Do &lt;b&gt;it&lt;/b&gt;</p>"), "{}", page.body);
    assert!(page.body.contains("/retry\"") && !page.body.contains("/cancel\""));
    let page = fakes(Role::Viewer).send(get(&url), true).await;
    assert!(page.body.contains("Changing a task requires the operator role."));
    assert!(!page.body.contains("/retry\""));
    let mut again = Fakes { role: Some(Role::Operator), ..Fakes::default() };
    again.tasks.expect_retry_task().times(1).returning(move |_, _| Ok(Arc::new(failed())));
    let answer = again.send(form(&format!("{url}/retry"), &form_of("")), true).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (303, url.as_str()));
}

#[actix_web::test]
async fn tasks_are_listed_in_windows_and_added_by_hand() {
    let fakes = |role| {
        let mut project = project_at("Project Planning");
        project.plan = None;
        let mut fakes = with_project(project, 0, role);
        fakes.queries.expect_tasks().returning(|_, _, _, limit| {
            let one = || Arc::new(task(TaskState::Pending { last_error: None }));
            Ok(Page::first((0..=limit).map(|_| one()).collect(), limit))
        });
        fakes
    };
    let page = fakes(Role::Operator).send(get(&path("/tasks?status=pending")), true).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.body.matches("<tr id=\"t-").count(), 100);
    assert!(page.body.contains("?status=pending&#38;after="), "{}", page.body);
    let viewer = fakes(Role::Viewer).send(get(&path("/tasks")), true).await;
    assert!(viewer.body.contains("Adding a task requires the operator role."));
    assert!(!viewer.body.contains("name=\"instructions\""));
    let body = form_of("key=k&agent=coder&instructions=+&context=&priority=");
    let wrong = fakes(Role::Operator).send(form(&path("/tasks"), &body), true).await;
    assert!(wrong.status == 422 && wrong.body.contains("must not be blank"), "{}", wrong.body);
    let mut right = fakes(Role::Operator);
    right.tasks.expect_submit_task().times(1).returning(|new, _| {
        assert_eq!((new.agent, new.priority), (AgentType::Tester, Some(9)));
        assert_eq!((new.instructions.as_str(), new.context_ids.len()), ("Do it", 2));
        Ok(Arc::new(task(TaskState::Pending { last_error: None })))
    });
    let ids = format!("{}%2C+{}", Uuid::from_u128(1), Uuid::from_u128(2));
    let body = form_of(&format!("key=k&agent=tester&instructions=Do+it&context={ids}&priority=9"));
    let answer = right.send(form(&path("/tasks"), &body), true).await;
    assert!(answer.header(header::LOCATION).starts_with("/console/tasks/"), "{}", answer.body);
}

#[actix_web::test]
async fn large_texts_do_not_hold_the_thread_that_serves() {
    let text = "**a** _b_ `c` [d](https://e.example) ".repeat(6_000);
    let plan = Arc::new(artifact(7, ArtifactType::ProjectPlan, &json!({"markdown": text})));
    let mut long = task(TaskState::Pending { last_error: None });
    long.instructions = text;
    let long = Arc::new(long);
    let id = Uuid::from_u128(7);
    for url in [format!("/console/tasks/{id}"), format!("/console/artifacts/{id}")] {
        let mut fakes = Fakes { role: Some(Role::Viewer), ..Fakes::idle() };
        fakes.queries.expect_project().returning(|_, _| Ok(project_at("Project Planning").into()));
        let (one, meta, long) = (Arc::clone(&plan), plan.meta.clone(), Arc::clone(&long));
        fakes.queries.expect_artifact().returning(move |_, _| Ok(Arc::clone(&one)));
        fakes
            .queries
            .expect_artifact_refs()
            .returning(move |_, _, _, limit| Ok(Page::first(vec![meta.clone()], limit)));
        fakes.queries.expect_task().returning(move |_, _| Ok(Arc::clone(&long)));
        fakes
            .logs
            .expect_task_entries()
            .returning(|_, _, _, limit| Ok(Page::first(vec![started(3)], limit)));
        let (answer, longest, all) = held(fakes.send(get(&url), true)).await;
        assert_eq!(answer.status, 200, "{url}: {}", answer.body);
        assert!(longest < all / 2, "{url}: {longest:?} of {all:?}");
    }
}

#[actix_web::test]
async fn nothing_of_a_document_runs_or_leads_elsewhere() {
    let send = async |index: usize, query: &str| {
        let fakes = with_project(project_at("Project Planning"), 0, Role::Viewer);
        let url = format!("/console/artifacts/{}{query}", documents()[index].meta.id);
        let page = fakes.send(get(&url), true).await;
        assert_eq!(page.status, 200, "{url} {}", page.body);
        page.body
    };
    let plan = send(0, "").await;
    assert!(plan.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{plan}");
    assert!(plan.contains("x <code>javascript:alert(1)</code>"), "{plan}");
    assert_eq!(plan.matches("<script").count(), 1, "that of the console");
    assert!(send(0, "?view=changes").await.contains("This is the first version"));
    assert!(send(0, "?view=raw").await.contains("&lt;script&gt;"));
    let code = send(1, "?file=app.js").await;
    assert!(code.contains("<span class=\"k\">let</span>"), "{code}");
    let preview = send(1, "?view=preview").await;
    let token = PreviewToken::new(&text(), session(1).id, documents()[1].meta.id, NOW);
    let frame = format!(
        "sandbox=\"allow-scripts allow-forms allow-modals\" \
         src=\"/console/preview/{}/index.html\"",
        token.expose()
    );
    assert!(preview.contains(&frame), "{preview}");
}

#[actix_web::test]
async fn the_log_has_positions_and_hashes_and_marks_what_is_missing() {
    let fakes = with_project(project_at("Project Planning"), 0, Role::Viewer);
    let page = fakes.send(get(&path("/log")), true).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for part in ["id=\"e-93\"", "abababab…abab", "2 entries are missing here", "Head 93"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let fakes = with_project(project_at("Project Planning"), 0, Role::Viewer);
    let page = fakes.send(get(&path("/log?type=task_started")), true).await;
    assert!(!page.body.contains("missing here"), "a filter leaves entries out");
    assert_eq!(Fakes::default().send(get(&path("/log?type=x")), true).await.status, 422);
    for (query, count, text) in [
        ("?actor=ada", 2, "2 entries were looked through for those by <b><bdi>ada</bdi></b>."),
        ("?actor=+eve+&type=task_started", 0, "No entry matches these filters"),
    ] {
        let fakes = with_project(project_at("Project Planning"), 0, Role::Viewer);
        let page = fakes.send(get(&path(&format!("/log{query}"))), true).await;
        assert_eq!(page.body.matches("<li id=\"e-").count(), count, "{query}: {}", page.body);
        assert!(page.body.contains(text), "{query}: {}", page.body);
    }
    let mut fakes = with_project(project_at("Project Planning"), 0, Role::Viewer);
    fakes.logs.expect_entry().returning(|_, _| Ok(started(93)));
    let page = fakes.send(get(&format!("/console/entries/{}", Uuid::from_u128(93))), true).await;
    assert!(page.body.contains("w&lt;1&gt;") && page.body.contains("Entry 93"), "{}", page.body);
}

#[actix_web::test]
async fn the_budget_is_changed_by_those_who_may() {
    let tasks = |mut fakes: Fakes| {
        fakes.queries.expect_tasks().returning(|_, _, _, _| Ok(Page::default()));
        fakes
    };
    let admin = || tasks(with_project(project_at("Project Planning"), 0, Role::Admin));
    let page = admin().send(get(&path("/usage")), true).await;
    assert!(
        page.body.contains(
            "name=\"dollars\" inputmode=\"decimal\" placeholder=\"no limit\" value=\"2.00\""
        ),
        "{}",
        page.body
    );
    assert!(page.body.contains("The offline drafter costs nothing."));
    let viewer = tasks(with_project(project_at("Project Planning"), 0, Role::Viewer));
    let page = viewer.send(get(&path("/usage")), true).await;
    assert!(page.body.contains("Changing the budget requires the admin role."), "{}", page.body);
    assert!(!page.body.contains("name=\"dollars\""));
    let wrong = admin().send(form(&path("/budget"), &form_of("dollars=x&tokens=")), true).await;
    assert!(wrong.status == 422 && wrong.body.contains("value=\"x\""), "{}", wrong.body);
    let unseen = admin().send(form(&path("/budget"), &form_of("tokens=1")), true).await;
    assert_eq!(unseen.status, 422, "{}", unseen.body);
    let shown = Seen::of_limit(Some(Limit { tokens: None, cost_micro_usd: Some(2_000_000) }));
    assert!(page_of(admin()).await.contains(shown.as_str()));
    for (now, expected) in [(Some(2_000_000), 303), (Some(1_000_000), 409)] {
        let mut right = admin();
        right.operations.expect_set_budget().times(1).returning(move |_, limit, caller| {
            assert_eq!(limit, Limit { tokens: Some(1_000), cost_micro_usd: None });
            let set = Limit { tokens: None, cost_micro_usd: now };
            caller.check_seen(|| Seen::of_limit(Some(set)), "The budget")?;
            Ok(budget(limit))
        });
        let fields = form_of(&format!("dollars=&tokens=1,000&seen={}", shown.as_str()));
        let answer = right.send(form(&path("/budget"), &fields), true).await;
        assert_eq!(answer.status, expected, "{}", answer.body);
        if expected == 303 {
            assert_eq!(answer.header(header::LOCATION), path("/usage").as_str());
        } else {
            assert!(answer.body.contains("is another one since the page was shown"));
            assert!(answer.body.contains("value=\"1,000\""), "{}", answer.body);
        }
    }
}

async fn page_of(fakes: Fakes) -> String {
    fakes.send(get(&path("/usage")), true).await.body
}

fn member(name: &str, roles: &[Role]) -> Member {
    Member {
        principal: Principal::local_id(name),
        name: name.to_owned(),
        kind: PrincipalKind::Person,
        roles: roles.iter().copied().collect(),
    }
}

#[actix_web::test]
async fn members_are_shown_to_those_who_manage_the_project_and_set_by_name_or_id() {
    let bob = "<img src=x onerror=alert(1)>";
    let manager = || {
        let mut fakes = with_project(project_at("Project Planning"), 0, Role::Admin);
        fakes.access.expect_members().returning(move |_, id, _, limit| {
            assert_eq!(id, project_id());
            Ok(Page::first(vec![member(bob, &[Role::Viewer, Role::Worker])], limit))
        });
        fakes
    };
    let page = manager().send(get(&path("/members")), true).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("<bdi>&lt;img") || page.body.contains("<bdi>&#60;img"));
    assert!(!page.body.contains(bob), "{}", page.body);
    for (role, is_ticked) in [("viewer", true), ("worker", true), ("admin", false)] {
        let ticked = format!("name=\"role.{role}\" value=\"1\" checked");
        assert_eq!(page.body.contains(&ticked), is_ticked, "{role}");
    }
    assert!(page.body.contains("aria-current=\"page\">Members"), "{}", page.body);

    // Others have no such tab, and no such page.
    let mut viewer = with_project(project_at("Project Planning"), 0, Role::Viewer);
    viewer.access.expect_members().returning(|_, _, _, _| {
        let permission = Permission::ProjectManage;
        Err(DomainError::NotPermitted { permission, elsewhere: false }.into())
    });
    assert_eq!(viewer.send(get(&path("/members")), true).await.status, 403);

    // Without the version of the roles that were shown, nothing is decided.
    let blind = form_of("principal=dave&role.admin=1");
    assert_eq!(manager().send(form(&path("/members"), &blind), true).await.status, 422);
    let form_of = |fields: &str| {
        let seen = Seen::of_roles(&BTreeSet::new());
        form_of(&format!("{fields}&seen={}", seen.as_str()))
    };

    // A name is the id of a local principal; an id is one.
    let other = Principal::local_id("x").to_string();
    for named in ["Carol", other.as_str()] {
        let mut fakes = manager();
        let id = named.parse().unwrap_or_else(|_| Principal::local_id(named));
        fakes.access.expect_set_member_roles().times(1).returning(
            move |_, found, roles, caller| {
                assert_eq!((found, caller.name()), (id, "ada <b>"));
                assert_eq!(roles, [Role::Viewer, Role::Reviewer].into());
                Ok(member("Carol", &[]))
            },
        );
        let fields = format!("principal={named}&role.viewer=1&role.reviewer=1");
        let answer = fakes.send(form(&path("/members"), &form_of(&fields)), true).await;
        assert_eq!(
            (answer.status, answer.header(header::LOCATION)),
            (303, path("/members").as_str())
        );
    }

    // What was refused keeps what was filled in.
    type Refuse = fn() -> Error;
    let mut stale = manager();
    stale.access.expect_set_member_roles().returning(|_, _, _, caller| {
        caller.check_seen(|| Seen::of_roles(&[Role::Admin].into()), "The roles")?;
        unreachable!("the form was shown without a role")
    });
    let answer = stale.send(form(&path("/members"), &form_of("principal=dave")), true).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.contains("They are shown as they are now."), "{}", answer.body);
    let refusals: [(Refuse, u16, &str); 2] = [
        (|| DomainError::not_found("Principal", "x").into(), 422, "is no person and no program"),
        (
            || {
                let detail = "The role admin can be granted there only by a principal.".to_owned();
                DomainError::Forbidden { code: "grant_not_held", detail }.into()
            },
            409,
            "can be granted there only",
        ),
    ];
    for (refuse, status, text) in refusals {
        let mut fakes = manager();
        fakes.access.expect_set_member_roles().returning(move |_, _, _, _| Err(refuse()));
        let fields = form_of("principal=dave&role.admin=1");
        let page = fakes.send(form(&path("/members"), &fields), true).await;
        assert_eq!(page.status, status, "{}", page.body);
        assert!(page.body.contains(text) && page.body.contains("value=\"dave\""), "{}", page.body);
        assert!(page.body.contains("name=\"role.admin\" value=\"1\" checked"), "{}", page.body);
    }
    let unknown = form_of("principal=dave&role.king=1");
    assert_eq!(manager().send(form(&path("/members"), &unknown), true).await.status, 422);
}

#[actix_web::test]
async fn a_refused_change_is_a_page_with_the_reason() {
    let mut fakes = Fakes { role: Some(Role::Viewer), ..Fakes::default() };
    fakes.projects.expect_pause_project().returning(|_, _| {
        let permission = Permission::ProjectRun;
        Err(Error::from(DomainError::NotPermitted { permission, elsewhere: false }))
    });
    let answer = fakes.send(form(&path("/pause"), &form_of("")), true).await;
    assert_eq!(answer.status, 403);
    let mut halted = project_at("Project Planning");
    let (by, reason) = ("ada".to_owned(), "Too <large>".to_owned());
    halted.state = ProjectState::Halted { at: NOW, by, reason, request_id: None };
    let page = with_project(halted, 0, Role::Operator).send(get(&path("")), true).await;
    assert!(page.body.contains("Halted by <bdi>ada</bdi>: Too &#60;large&#62;"), "{}", page.body);
    assert!(page.body.contains("/reopen\">"), "{}", page.body);
}

#[actix_web::test]
async fn a_preview_serves_the_files_of_its_artifact_to_frames_only() {
    let send = async |file: &str, dest: &str| {
        let mut fakes = Fakes::default();
        fakes.queries.expect_artifact().returning(|_, id| {
            assert_eq!(id, documents()[1].meta.id);
            Ok(Arc::clone(&documents()[1]))
        });
        let console = fakes.console();
        let service = init_service(App::new().configure(|config| routes(config, &console))).await;
        let url = format!("/console/preview/token/{file}");
        let request = get(&url).insert_header(("sec-fetch-dest", dest)).to_request();
        request.extensions_mut().insert(botarmy_web::Caller(caller()));
        request.extensions_mut().insert(botarmy_web::Preview(documents()[1].meta.id));
        let response = match try_call_service(&service, request).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.map_err(|_| "the body ended").unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status, headers, body, refused: None }
    };
    let page = send("index.html", "iframe").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.starts_with("<!doctype html><script>"), "{}", page.body);
    let policy = page.header(header::CONTENT_SECURITY_POLICY);
    for part in
        ["sandbox allow-scripts", "connect-src 'none'", "frame-ancestors 'self'", "webrtc 'block'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(send("app.js", "script").await.body, "let a = \"<b>\";");
    for file in ["", "nothing.js", "../index.html", "%2e%2e/index.html", "app.js%00"] {
        let status = send(file, "iframe").await.status;
        assert!([400, 404].contains(&status), "{file}: {status}");
    }
    let alone = send("index.html", "document").await;
    assert_eq!(alone.status, 303, "a preview is not a page of its own");
    assert!(alone.header(header::LOCATION).ends_with("?view=preview"));
}
