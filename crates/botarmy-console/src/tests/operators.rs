//! The pages for operators and auditors.

use std::time::Duration;

use botarmy_domain::budget::DayBudget;
use botarmy_domain::log::{HeadMark, LogId, Verification};
use botarmy_domain::{
    AgentRecord, AgentStatusKind, AgentType, Amount, DomainError, Entry, EventId, EventSource,
    EventType, Lease, Limit, PastStatus, StopScope, Stopped, Task, TaskId, TaskState, WorkerId,
};
use serde_json::{Map, Value};

use super::*;
use crate::view::samples::{project_at, project_id};

/// Text that would run if it were not escaped.
const EVIL: &str = "<script>alert(1)</script>";

fn with_token(fields: &str) -> String {
    format!("form_token={}&{fields}", text().form_token().expose())
}

fn is_escaped(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.body.contains(EVIL), "{}", answer.body);
    assert!(answer.body.contains("&#60;script&#62;"), "{}", answer.body);
}

fn as_role(role: Role) -> Fakes {
    let mut fakes = Fakes { role: Some(role), ..Fakes::idle() };
    let project = Arc::new(project_at("Project Planning"));
    let listed = Arc::clone(&project);
    fakes.queries.expect_projects().returning(move |_, status, _, limit| {
        let is_wanted = status.is_none_or(|status| status == listed.status());
        let found = is_wanted.then(|| Arc::clone(&listed));
        Ok(Page::first(found.into_iter().collect(), limit))
    });
    fakes.queries.expect_project().returning(move |_, id| {
        if id == project.id {
            return Ok(Arc::clone(&project));
        }
        Err(DomainError::not_found("Project", id).into())
    });
    fakes
}

fn coder() -> AgentRecord {
    AgentRecord {
        status: AgentStatusKind::Error,
        error_message: Some(EVIL.to_owned()),
        last_activity: Some(NOW),
        active_tasks: 1,
        updated_at: Some(NOW),
        ..AgentRecord::idle(AgentType::Coder)
    }
}

fn leased() -> Task {
    let id = TaskId::from_uuid(Uuid::from_u128(7));
    let mut task = Task::new(id, project_id(), AgentType::Coder, EVIL.to_owned(), NOW, NOW);
    task.state = TaskState::Working {
        lease: Lease {
            worker: WorkerId::external(EVIL),
            fence: 2,
            started_at: NOW,
            expires_at: NOW.after(Duration::from_secs(60)),
            first_call_by: None,
        },
    };
    task
}

fn with_agents(role: Role) -> Fakes {
    let mut fakes = as_role(role);
    fakes.queries.expect_agents().returning(|_| {
        let of = |agent: &AgentType| match agent {
            AgentType::Coder => coder(),
            other => AgentRecord::idle(*other),
        };
        Ok(AgentType::ALL.iter().map(of).collect())
    });
    fakes.queries.expect_agent().returning(|_, _| Ok(coder()));
    fakes.queries.expect_agent_history().returning(|_, _, before, limit| {
        assert_eq!(limit, 50);
        let seq = before.unwrap_or(60);
        Ok(Page { items: vec![PastStatus { seq: seq - 1, record: coder() }], has_more: true })
    });
    fakes.queries.expect_day_budget().returning(|_, _| {
        Ok(DayBudget {
            limit: Limit { tokens: None, cost_micro_usd: Some(2_000_000) },
            used: Amount { tokens: 10, cost_micro_usd: 500_000 },
            reserved: Amount::default(),
            ends_at: NOW,
        })
    });
    fakes
        .queries
        .expect_leased_tasks()
        .returning(|_, _, limit| Ok(Page::first(vec![Arc::new(leased())], limit)));
    fakes
}

#[actix_web::test]
async fn agent_types_are_listed_with_runner_state_and_budget() {
    let answer = with_agents(Role::Viewer).send(get("/console/agents"), true).await;
    is_escaped(&answer);
    for text in
        ["the &#60;model&#62;", "external workers", "$0.50 of $2.00", "/console/agents/coder"]
    {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    let part = with_agents(Role::Viewer).send(get("/console/agents?part=list"), true).await;
    assert!(part.body.starts_with("<div id=\"part-list\""), "{}", part.body);
    // A part that is fetched alone knows of stops, too.
    let stops = vec![in_force(StopScope::Agent(AgentType::Tester))];
    let fakes = Fakes { stops, ..with_agents(Role::Viewer) };
    let part = fakes.send(get("/console/agents?part=list"), true).await;
    assert_eq!(part.body.matches("Stopped").count(), 1, "{}", part.body);
}

#[actix_web::test]
async fn an_agent_type_has_a_page_and_an_unknown_one_none() {
    let answer = with_agents(Role::Admin).send(get("/console/agents/coder"), true).await;
    is_escaped(&answer);
    for text in [
        "/console/agents/coder/reset",
        "/console/stop?scope=agent/coder",
        "/console/agents/coder?before=59",
        "/console/tasks/00000000-0000-0000-0000-000000000007",
    ] {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    let answer = with_agents(Role::Viewer).send(get("/console/agents/coder"), true).await;
    assert!(answer.body.contains("requires the admin role"), "{}", answer.body);
    assert!(!answer.body.contains("/reset") && !answer.body.contains("stop?scope"));
    for path in ["/console/agents/typist", "/console/agents/coder?x=1"] {
        let status = with_agents(Role::Viewer).send(get(path), true).await.status;
        assert!([404, 422].contains(&status), "{path}: {status}");
    }
}

#[actix_web::test]
async fn an_agent_type_is_reset_by_those_who_may() {
    let mut fakes = with_agents(Role::Admin);
    fakes.operations.expect_reset_agent().times(1).returning(|agent, caller| {
        assert_eq!((agent, caller.name()), (AgentType::Coder, "ada <b>"));
        Ok(AgentRecord::idle(agent))
    });
    let reset = |fields: &str| form("/console/agents/coder/reset", fields);
    let answer = fakes.send(reset(&with_token("")), true).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (303, "/console/agents/coder"));
    let answer = with_agents(Role::Operator).send(reset(&with_token("")), true).await;
    assert_eq!(answer.status, 403);
    assert_eq!(with_agents(Role::Admin).send(reset("form_token=x"), true).await.status, 403);
}

fn in_force(scope: StopScope) -> Stop {
    Stop { scope, reason: EVIL.to_owned(), by: "eve".to_owned(), at: NOW }
}

#[actix_web::test]
async fn every_page_says_that_work_is_stopped() {
    for path in ["/console/settings", "/console/more", "/console/help"] {
        let fakes = Fakes { stops: vec![in_force(StopScope::Everything)], ..Fakes::idle() };
        let answer = fakes.send(get(path), true).await;
        is_escaped(&answer);
        assert!(answer.body.contains("All work is stopped"), "{path}: {}", answer.body);
        let answer = Fakes::idle().send(get(path), true).await;
        assert!(!answer.body.contains("is stopped"), "{path}: {}", answer.body);
    }
    let fakes = Fakes { stops: vec![in_force(StopScope::Everything)], ..Fakes::default() };
    let bar = fakes.send(get("/console/stop/bar"), true).await;
    assert!(bar.body.starts_with("<div id=\"part-stops\""), "{}", bar.body);
    assert!(bar.body.contains("data-src=\"/console/stop/bar\""), "{}", bar.body);
}

#[actix_web::test]
async fn stops_are_listed_and_the_form_is_for_those_who_may() {
    let stops = vec![in_force(StopScope::Everything), in_force(StopScope::Project(project_id()))];
    let show = async |role| {
        let fakes = Fakes { stops: stops.clone(), ..as_role(role) };
        fakes.send(get("/console/stop?scope=agent/coder"), true).await
    };
    let admin = show(Role::Admin).await;
    is_escaped(&admin);
    assert!(admin.body.contains("The project “<bdi>Recipes &#60;for&#62; two</bdi>” is stopped"));
    assert_eq!(admin.body.matches("/console/stop/release").count(), 2, "{}", admin.body);
    assert!(admin.body.contains("value=\"agent/coder\" selected"), "{}", admin.body);
    let operator = show(Role::Operator).await.body;
    assert!(!operator.contains("/console/stop/release") && operator.contains("Stop now"));
    assert!(operator.contains("Releasing a stop requires the admin role"), "{operator}");
    let viewer = show(Role::Viewer).await.body;
    assert!(viewer.contains("Stopping work requires the operator role"), "{viewer}");
    assert!(!viewer.contains("Stop now"), "{viewer}");
    // A worker does not even read the list.
    assert_eq!(show(Role::Worker).await.status, 403);
}

#[actix_web::test]
async fn a_stop_needs_its_scope_typed_in() {
    let send = |fields: &str| form("/console/stop", &with_token(fields));
    let mut fakes = as_role(Role::Operator);
    fakes.operations.expect_stop().times(1).returning(|scope, reason, _| {
        assert_eq!((scope, reason.as_str()), (StopScope::Agent(AgentType::Coder), "too dear"));
        let stop = in_force(scope);
        Ok(Stopped { stop, is_new: true, interrupted: 3 })
    });
    let mark = |count: usize| {
        let seen = Seen::of_stop(&in_force(StopScope::Agent(AgentType::Coder)));
        visitor().mark(&[seen.as_str().to_owned(), count.to_string()]).unwrap()
    };
    let answer = fakes.send(send("scope=agent/coder&reason=too+dear&confirm=coder"), true).await;
    assert_eq!(
        (answer.status, answer.header(header::LOCATION)),
        (303, format!("/console/stop?stopped=agent/coder&interrupted=3&mark={}", mark(3)).as_str())
    );
    // The message is that of the stop that this session has set, as long as it is in force.
    for (count, mark, is_there, is_shown) in [
        (3, mark(3), true, true),
        (4, mark(3), true, false),
        (3, String::new(), true, false),
        (3, mark(3), false, false),
    ] {
        let scope = StopScope::Agent(AgentType::Coder);
        let stops = is_there.then(|| in_force(scope)).into_iter().collect();
        let fakes = Fakes { stops, ..as_role(Role::Operator) };
        let path = format!("/console/stop?stopped=agent/coder&interrupted={count}&mark={mark}");
        let answer = fakes.send(get(&path), true).await;
        assert_eq!(answer.body.contains("running tasks are back"), is_shown, "{}", answer.body);
    }
    let answer = as_role(Role::Operator)
        .send(send("scope=everything&reason=kept&confirm=coder"), true)
        .await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("must be “everything”") && answer.body.contains(">kept<"));
    for (role, fields, status) in [
        (Role::Viewer, "scope=everything&reason=x&confirm=everything", 403),
        (Role::Viewer, "scope=everything&reason=x&confirm=", 403),
        (Role::Operator, "scope=world&reason=x&confirm=world", 422),
        (Role::Operator, "scope=project/00000000000000000000000000000001&reason=x", 404),
        (Role::Operator, "scope=everything&reason=x&confirm=everything&y=1", 422),
    ] {
        let answer = as_role(role).send(send(fields), true).await;
        assert_eq!(answer.status, status, "{fields}: {}", answer.body);
    }
}

#[actix_web::test]
async fn a_stop_is_released_by_those_who_may() {
    let seen = Seen::of_stop(&in_force(StopScope::Everything));
    let fields = format!("scope=everything&reason=mended&seen={}", seen.as_str());
    let send = || form("/console/stop/release", &with_token(&fields));
    let mut fakes = as_role(Role::Admin);
    fakes.operations.expect_release().times(1).returning(|scope, reason, caller| {
        assert_eq!((scope, reason.as_str()), (StopScope::Everything, "mended"));
        caller.check_seen(|| Seen::of_stop(&in_force(scope)), "The stop")?;
        Ok(())
    });
    let released = fakes.send(send(), true).await;
    assert_eq!(released.status, 303);
    assert_eq!(as_role(Role::Operator).send(send(), true).await.status, 403);
    // The page says so to the session that has released it, and only until there is another stop.
    let path = released.header(header::LOCATION);
    let forged = format!("{}&mark=x", path.split("&mark=").next().unwrap());
    for (path, stops, is_shown) in [
        (path, vec![], true),
        (path, vec![in_force(StopScope::Everything)], false),
        (&forged, vec![], false),
        ("/console/stop?released=everything", vec![], false),
    ] {
        let shown = Fakes { stops, ..as_role(Role::Admin) }.send(get(path), true).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.body);
        assert_eq!(
            shown.body.contains("The stop is released."),
            is_shown,
            "{path}: {}",
            shown.body
        );
    }
}

#[actix_web::test]
async fn another_stop_than_the_one_that_was_shown_is_not_released() {
    let page = Fakes { stops: vec![in_force(StopScope::Everything)], ..as_role(Role::Admin) };
    let page = page.send(get("/console/stop"), true).await;
    let seen = Seen::of_stop(&in_force(StopScope::Everything));
    let field = format!("name=\"seen\" value=\"{}\"", seen.as_str());
    assert!(page.body.contains(&field), "{}", page.body);

    let later =
        Stop { at: Timestamp::from_micros(NOW.micros() + 1), ..in_force(StopScope::Everything) };
    let stops = vec![later.clone()];
    let mut fakes = Fakes { stops, ..as_role(Role::Admin) };
    fakes.operations.expect_release().times(1).returning(move |_, _, caller| {
        caller.check_seen(|| Seen::of_stop(&later), "The stop")?;
        panic!("it is another stop");
    });
    let fields = format!("scope=everything&reason=mended&seen={}", seen.as_str());
    let answer = fakes.send(form("/console/stop/release", &with_token(&fields)), true).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.contains("Nothing was released."), "{}", answer.body);
    let without = with_token("scope=everything&reason=mended");
    let answer = as_role(Role::Admin).send(form("/console/stop/release", &without), true).await;
    assert_eq!(answer.status, 422);
}

#[actix_web::test]
async fn leases_are_listed_and_the_way_to_connect_shows_no_key() {
    let mut fakes = as_role(Role::Viewer);
    fakes.queries.expect_leased_tasks().returning(|_, after, limit| {
        assert_eq!((after, limit), (None, 100));
        Ok(Page { items: vec![Arc::new(leased())], has_more: true })
    });
    let answer = fakes.send(get("/console/workers"), true).await;
    is_escaped(&answer);
    for text in [
        "Recipes &#60;for&#62; two",
        "http://localhost:8080/api/v1/worker/leases",
        "$BOTARMY_KEY",
        "Ask an administrator",
        "?after=00000000-0000-0000-0000-000000000007",
    ] {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    assert!(!answer.body.contains("botarmy_k_"));
    let mut fakes = as_role(Role::Admin);
    fakes.queries.expect_leased_tasks().returning(|_, _, _| Ok(Page::default()));
    let answer = fakes.send(get("/console/workers"), true).await;
    assert!(answer.body.contains("No worker holds a task"), "{}", answer.body);
}

fn entry(seq: u64, actor: &str, project: bool) -> Arc<Entry> {
    let metadata: Map<String, Value> = [("actor".to_owned(), actor.into())].into_iter().collect();
    Arc::new(Entry {
        id: EventId::from_uuid(Uuid::from_u128(seq.into())),
        project_id: project.then(project_id),
        task_id: None,
        hitl_request_id: None,
        event_type: EventType::ProjectPaused,
        event_source: EventSource::User,
        event_data: Map::new(),
        event_metadata: metadata,
        created_at: NOW,
        seq,
        hash: "ab".repeat(32),
    })
}

#[actix_web::test]
async fn entries_of_all_logs_are_shown_with_position_and_hash() {
    let mut fakes = as_role(Role::Admin);
    fakes.logs.expect_entries().times(1).returning(|_, filter, limit| {
        assert_eq!((filter.event_type, limit), (Some(EventType::ProjectPaused), 100));
        Ok(Page { items: vec![entry(9, EVIL, true), entry(8, "ada", false)], has_more: true })
    });
    let answer = fakes.send(get("/console/audit?type=project_paused&project="), true).await;
    is_escaped(&answer);
    for text in [
        "Recipes &#60;for&#62; two",
        "/console/entries/00000000-0000-0000-0000-000000000009",
        "abababab…abab",
        "type=project_paused&#38;before=00000000-0000-0000-0000-000000000008",
        "The log of the system",
    ] {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    let mut fakes = as_role(Role::Viewer);
    fakes.logs.expect_entries().returning(|_, _, _| Ok(Page::default()));
    let answer = fakes.send(get("/console/audit"), true).await;
    assert!(!answer.body.contains("The log of the system"), "{}", answer.body);
    assert!(!answer.body.contains("value=\"key_created\""), "{}", answer.body);
    let other = "/console/audit?project=00000000000000000000000000000001";
    assert_eq!(as_role(Role::Viewer).send(get(other), true).await.status, 404);
    for query in ["type=tea", "from=soon", "project=x", "before=x", "x=1"] {
        let path = format!("/console/audit?{query}");
        assert_eq!(as_role(Role::Viewer).send(get(&path), true).await.status, 422, "{query}");
    }
}

#[actix_web::test]
async fn entries_of_one_party_are_searched_for_in_limited_parts() {
    let mut fakes = as_role(Role::Viewer);
    fakes.logs.expect_entries().times(10).returning(|_, filter, limit| {
        assert_eq!(limit, 1000);
        let last = filter.before.map_or(1000, |id| u64::try_from(id.uuid().as_u128()).unwrap());
        let items = vec![entry(last - 1, "eve", true), entry(last - 2, "ada", true)];
        Ok(Page { items, has_more: true })
    });
    let answer = fakes.send(get("/console/audit?actor=ada"), true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("20 entries were looked through"), "{}", answer.body);
    assert_eq!(answer.body.matches("<li id=\"e-").count(), 10, "{}", answer.body);
    let next = format!("actor=ada&#38;before={}", EventId::from_uuid(Uuid::from_u128(980)));
    assert!(answer.body.contains(&next), "{}", answer.body);
}

#[actix_web::test]
async fn a_log_is_checked_and_exported_by_those_who_may_read_it() {
    let broken = || Verification {
        valid: false,
        entries: 12,
        head: HeadMark { seq: 12, hash: "ab".repeat(32) },
        first_bad_seq: Some(7),
        reason: Some(EVIL.to_owned()),
        rounded_entries: 0,
    };
    let mut fakes = as_role(Role::Viewer);
    fakes.logs.expect_verify_log().times(1).returning(move |_, log, head, _| {
        assert_eq!(log, LogId::Project(project_id()));
        assert_eq!(head.unwrap().seq, 3);
        Ok(broken())
    });
    let head = format!("3:{}", "0".repeat(64));
    let path = format!("/console/audit/verify?log={}&head={head}", project_id());
    let answer = fakes.send(get(&path), true).await;
    is_escaped(&answer);
    for text in ["Not valid", "position 7", "12 entries", &format!("12:{}", "ab".repeat(32))] {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    let export = format!("/console/audit/verify?log={}&head=&export=1", project_id());
    let answer = as_role(Role::Viewer).send(get(&export), true).await;
    let raw = format!("/console/raw/audit/projects/{}/export", project_id());
    assert_eq!((answer.status, answer.header(header::LOCATION)), (303, raw.as_str()));
    for (query, status) in [
        ("log=system", 403),
        ("log=x", 422),
        ("log=00000000000000000000000000000001", 404),
        ("", 422),
    ] {
        let path = format!("/console/audit/verify?{query}");
        assert_eq!(as_role(Role::Viewer).send(get(&path), true).await.status, status, "{query}");
    }
}

#[actix_web::test]
async fn the_navigation_has_what_the_person_may_see() {
    let entries = async |role| {
        let fakes = Fakes { role: Some(role), ..Fakes::idle() };
        let body = fakes.send(get("/console/more"), true).await.body;
        let paths = ["agents", "workers", "audit", "stop", "settings", "projects"];
        paths.map(|path| body.contains(&format!("href=\"/console/{path}\">")))
    };
    assert_eq!(entries(Role::Viewer).await, [true; 6]);
    assert_eq!(entries(Role::Worker).await, [false, false, false, false, true, true]);
    let tabs = async |role| {
        let fakes = Fakes { role: Some(role), ..Fakes::idle() };
        let body = fakes.send(get("/console/settings"), true).await.body;
        body.contains("/console/settings/keys")
    };
    assert!(tabs(Role::Admin).await && !tabs(Role::Operator).await);
}

#[actix_web::test]
async fn a_page_without_parts_refuses_to_show_one() {
    // With a part, it would leave out the emergency stops.
    for page in ["/console/stop", "/console/audit", "/console/help", "/console/settings"] {
        for query in ["part", "part=", "part=x", "p%61rt=list"] {
            let answer = Fakes::idle().send(get(&format!("{page}?{query}")), true).await;
            assert_eq!(answer.status, 422, "{page}?{query}: {}", answer.body);
        }
    }
}
