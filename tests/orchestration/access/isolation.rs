//! No answer shows anything of a project that its caller does not see. Every project holds a text that
//! occurs nowhere else, and every answer is searched for the texts and ids of the others.

use std::fmt::Debug;

use botarmy_domain::artifact::ArtifactFilter;
use botarmy_domain::emergency::StopScope;
use botarmy_domain::hitl::PendingQuery;
use botarmy_domain::log::{EntryFilter, LogId};
use botarmy_domain::ports::{Gates, LogQueries, Operations, Projects, Queries, Tasks};
use botarmy_domain::task::TaskFilter;
use botarmy_domain::{
    AgentType, ArtifactType, Caller, ContextId, DomainError, Error, EventId, Grant, GrantTarget,
    HitlAction, HitlRequestId, NewArtifact, NewProject, NewRequest, NewTask, Oversight, Permission,
    Place, PrincipalId, PrincipalKind, ProjectId, Reach, Role, TaskId,
};
use botarmy_orchestrator::Engine;
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;
use botarmy_tests::test_harness::simply;
use serde_json::json;

use super::{Guarded, cli};

/// A project with one of everything.
struct Filled {
    id: ProjectId,
    creator: Option<PrincipalId>,
    task: TaskId,
    request: HitlRequestId,
    artifact: ContextId,
    entry: EventId,
    canary: String,
}

impl Filled {
    /// Returns what no answer to a caller that does not see the project may have.
    fn secrets(&self) -> Vec<String> {
        vec![
            self.canary.clone(),
            self.id.to_string(),
            self.task.to_string(),
            self.request.to_string(),
            self.artifact.to_string(),
            self.entry.to_string(),
        ]
    }
}

async fn fill(engine: &Engine, guarded: &Guarded, by: &Caller, canary: String) -> Filled {
    let new = NewProject {
        name: format!("Project {canary}"),
        description: Some(canary.clone()),
        workflow: None,
        oversight: Oversight::Standard,
    };
    let project = engine.create_project(new, by.clone()).await.unwrap();
    let id = project.id;
    let content = json!({"text": canary}).as_object().cloned().unwrap();
    let document = NewArtifact::new(ArtifactType::AgentOutput, content);
    let artifact = engine.add_artifact(id, AgentType::Coder, document, cli()).await.unwrap();
    let task = NewTask {
        project_id: id,
        agent: AgentType::Coder,
        instructions: canary.clone(),
        context_ids: vec![artifact.meta.id],
        priority: None,
        max_attempts: None,
    };
    let task = engine.submit_task(task, cli()).await.unwrap();
    let request = NewRequest {
        project_id: id,
        task_id: Some(task.id),
        question: canary.clone(),
        options: Vec::new(),
        ttl_s: None,
        artifacts: vec![artifact.meta.id],
        policy: None,
        assignees: Vec::new(),
        response_schema: None,
    };
    let request = engine.raise_request(request, cli()).await.unwrap();
    engine.generate_package(id, cli()).await.unwrap();
    let entry = guarded.harness.log(id).await[0].id;
    Filled {
        id,
        creator: project.creator,
        task: task.id,
        request: request.id,
        artifact: artifact.meta.id,
        entry,
        canary,
    }
}

/// Collects answers as texts.
#[derive(Default)]
struct Answers {
    shown: Vec<String>,
    refused: Vec<String>,
}

impl Answers {
    fn add<T: Debug>(&mut self, answer: Result<T, Error>) {
        match answer {
            Ok(answer) => self.shown.push(format!("{answer:?}")),
            Err(Error::Refused(error)) => self.refused.push(format!("{error:?}")),
            Err(Error::Store(error)) => panic!("the store does not fail: {error}"),
        }
    }
}

/// Asks everything about the objects with these ids.
async fn ask(engine: &Engine, caller: &Caller, about: &Filled) -> Answers {
    let (id, log) = (about.id, LogId::Project(about.id));
    let mut answers = Answers::default();
    answers.add(engine.project(caller, id).await);
    answers.add(engine.project_detail(caller, id).await);
    answers.add(engine.task_statuses(caller, id, 10).await);
    answers.add(engine.completion(caller, id).await);
    answers.add(Queries::tasks(engine, caller, id, TaskFilter::default(), 10).await);
    answers.add(Queries::task(engine, caller, about.task).await);
    answers.add(Queries::requests(engine, caller, id, None, None, 10).await);
    answers.add(Queries::request(engine, caller, about.request).await);
    answers.add(engine.review(caller, about.request).await);
    answers.add(engine.hitl_statistics(caller, Some(id), 24).await);
    let query = PendingQuery { project: Some(id), ..PendingQuery::default() };
    answers.add(engine.pending_requests(caller, query, None, 10).await);
    answers.add(Queries::artifacts(engine, caller, id, ArtifactFilter::default(), 10).await);
    answers.add(Queries::artifact(engine, caller, about.artifact).await);
    answers.add(engine.package(caller, id).await);
    answers.add(engine.package_preview(caller, id).await);
    answers.add(engine.budget(caller, id).await);
    answers.add(engine.usage(caller, id).await);
    answers.add(LogQueries::log_head(engine, caller, log).await);
    answers.add(engine.log_entries(caller, log, 0, 100).await);
    answers.add(LogQueries::entry(engine, caller, about.entry).await);
    let all = EntryFilter::default;
    answers.add(engine.project_entries(caller, id, all(), 100).await);
    answers.add(engine.task_entries(caller, about.task, all(), 100).await);
    answers.add(engine.log_lines(caller, log, 0, 100).await);
    answers.add(engine.verify_log(caller, log, None, 100).await);
    answers.add(LogQueries::verify_state(engine, caller, log, None, 100).await);
    answers
}

/// Asks for every list that is about all projects.
async fn lists(engine: &Engine, caller: &Caller, filled: &[Filled]) -> Answers {
    let mut answers = Answers::default();
    for limit in [1, 3, 100] {
        answers.add(Queries::projects(engine, caller, None, None, limit).await);
        for mine in [false, true] {
            let query = PendingQuery { mine, ..PendingQuery::default() };
            answers.add(engine.pending_requests(caller, query, None, limit).await);
        }
        answers.add(LogQueries::entries(engine, caller, EntryFilter::default(), limit).await);
    }
    for one in filled {
        answers.add(Queries::projects(engine, caller, None, Some(one.id), 10).await);
        let query = PendingQuery::default();
        answers.add(engine.pending_requests(caller, query, Some(one.request), 10).await);
        for filter in [
            EntryFilter { project: Some(one.id), ..EntryFilter::default() },
            EntryFilter { task: Some(one.task), ..EntryFilter::default() },
            EntryFilter { request: Some(one.request), ..EntryFilter::default() },
            EntryFilter { before: Some(one.entry), ..EntryFilter::default() },
            EntryFilter { offset: 3, ..EntryFilter::default() },
        ] {
            answers.add(LogQueries::entries(engine, caller, filter, 10).await);
        }
    }
    answers.add(engine.hitl_statistics(caller, None, 24).await);
    answers.add(engine.emergency_stops(caller).await);
    answers.add(engine.agents(caller).await);
    answers.add(engine.agent(caller, AgentType::Coder).await);
    answers.add(engine.agent_history(caller, AgentType::Coder, None, 10).await);
    answers.add(engine.log_entries(caller, LogId::System, 0, 100).await);
    answers
}

/// Tries to change everything about the objects with these ids.
async fn meddle(engine: &Engine, caller: &Caller, about: &Filled) -> Answers {
    let (id, by) = (about.id, || caller.clone());
    let mut answers = Answers::default();
    answers.add(engine.start_project(id, None, None, by()).await);
    answers.add(engine.pause_project(id, by()).await);
    answers.add(engine.resume_project(id, by()).await);
    answers.add(engine.reopen_project(id, "why".to_owned(), by()).await);
    answers.add(engine.check_completion(id, by()).await);
    answers.add(engine.force_complete(id, by()).await);
    answers.add(engine.cancel_task(about.task, by()).await);
    answers.add(engine.retry_task(about.task, by()).await);
    answers.add(engine.respond(about.request, simply(HitlAction::Approve), by()).await);
    answers.add(engine.generate_package(id, by()).await);
    answers.add(engine.delete_package(id, by()).await);
    answers.add(engine.set_budget(id, Default::default(), by()).await);
    answers.add(engine.stop(StopScope::Project(id), "why".to_owned(), by()).await);
    answers.add(engine.release(StopScope::Project(id), "why".to_owned(), by()).await);
    answers.add(engine.cancel_project(id, by()).await);
    answers
}

/// Returns ids that nothing has.
fn unknown() -> Filled {
    let id = uuid::Uuid::from_u128(0x0190_a0b0_0000_7000_8000_0000_dead_beef);
    Filled {
        id: ProjectId::from_uuid(id),
        creator: None,
        task: TaskId::from_uuid(id),
        request: HitlRequestId::from_uuid(id),
        artifact: ContextId::from_uuid(id),
        entry: EventId::from_uuid(id),
        canary: String::new(),
    }
}

/// Returns refusals with the ids of the objects left out.
fn without_ids(answers: &Answers, about: &Filled) -> Vec<String> {
    let secrets = about.secrets();
    let ids = secrets.iter().filter(|secret| !secret.is_empty());
    let hide = |text: &String| ids.clone().fold(text.clone(), |text, id| text.replace(id, "ID"));
    answers.refused.iter().map(hide).collect()
}

fn may_read(caller: &Caller, filled: &Filled) -> bool {
    let place = Place::Project { id: filled.id, creator: filled.creator };
    caller.check(Permission::ProjectRead, place).is_ok()
}

fn random_grants(dice: &mut Dice, filled: &[Filled]) -> Vec<Grant> {
    let number = dice.below(4);
    let grant = |dice: &mut Dice| {
        let role = Role::ALL[dice.below(Role::ALL.len() as u64) as usize];
        let target = match dice.below(6) {
            0 => GrantTarget::All,
            1 => GrantTarget::Own,
            _ => GrantTarget::Project(filled[dice.below(filled.len() as u64) as usize].id),
        };
        Grant { role, target }
    };
    (0..number).map(|_| grant(dice)).collect()
}

#[tokio::test]
async fn no_answer_shows_a_project_that_its_caller_does_not_see() {
    let mut dice = Dice::new();
    let (mut searched, mut hidden) = (0, 0);
    for _ in 0..count(3, 100) {
        let guarded = Guarded::new().await;
        let engine = &guarded.harness.engine;
        let mut makers = Vec::new();
        for name in ["m0", "m1"] {
            let own = [Grant::on_own(Role::Operator)];
            makers.push(guarded.person(name, &own).await);
        }
        let mut filled = Vec::new();
        for n in 0..5 {
            let by = makers.get(n % 3).cloned().unwrap_or_else(cli);
            filled.push(
                fill(engine, &guarded, &by, format!("canary-{n}-{:x}", dice.fork().seed())).await,
            );
        }
        let reason = "a secret of the operators".to_owned();
        engine.stop(StopScope::Agent(AgentType::Tester), reason.clone(), cli()).await.unwrap();
        let stopped = StopScope::Project(filled[4].id);
        engine.stop(stopped, filled[4].canary.clone(), cli()).await.unwrap();
        let mut callers = makers;
        for n in 0..6 {
            let grants = random_grants(&mut dice, &filled);
            let key = guarded.key_of(&format!("p{n}"), PrincipalKind::Person, &grants).await;
            callers
                .push(botarmy_domain::ports::Access::authenticate(&guarded.access, &key).unwrap());
            if dice.below(2) == 0 {
                let narrowed = Some(random_grants(&mut dice, &filled));
                let id = super::id_of(&format!("p{n}"));
                let (_, key) = guarded.another_key(id, narrowed).await;
                callers.push(
                    botarmy_domain::ports::Access::authenticate(&guarded.access, &key).unwrap(),
                );
            }
        }
        for caller in &callers {
            let (foreign, ours): (Vec<_>, Vec<_>) =
                filled.iter().partition(|one| !may_read(caller, one));
            let mut answers = lists(engine, caller, &filled).await;
            for one in &ours {
                let more = ask(engine, caller, one).await;
                assert_eq!(more.refused, Vec::<String>::new());
                answers.shown.extend(more.shown);
            }
            let nothing = ask(engine, caller, &unknown()).await;
            let no_change = meddle(engine, caller, &unknown()).await;
            for one in &foreign {
                let more = ask(engine, caller, one).await;
                assert_eq!(more.shown, Vec::<String>::new(), "{caller:?}");
                assert_eq!(without_ids(&more, one), without_ids(&nothing, &unknown()));
                let more = meddle(engine, caller, one).await;
                assert_eq!(more.shown, Vec::<String>::new(), "{caller:?}");
                assert_eq!(without_ids(&more, one), without_ids(&no_change, &unknown()));
            }
            let is_limited =
                !caller.reach(Permission::ProjectRead).is_ok_and(|reach| reach.is_everything());
            for shown in &answers.shown {
                for secret in foreign.iter().flat_map(|one| one.secrets()) {
                    assert!(!shown.contains(&secret), "{caller:?} is shown {secret}: {shown}");
                    searched += 1;
                }
                assert!(!(is_limited && shown.contains(&reason)), "{shown}");
                if !caller.rights().has_globally(Permission::SystemRead) {
                    assert!(!shown.contains("KeyCreated"), "the system log is not theirs: {shown}");
                }
            }
            // Whoever sees a project sees all of it.
            for one in &ours {
                assert!(answers.shown.iter().any(|shown| shown.contains(&one.canary)));
            }
            hidden += foreign.len();
        }
    }
    assert!(searched > 1_000 && hidden > 10, "{searched} texts of {hidden} projects");
}

#[tokio::test]
async fn ids_of_other_projects_in_a_body_are_unknown() {
    let guarded = Guarded::new().await;
    let engine = &guarded.harness.engine;
    let theirs = fill(engine, &guarded, &cli(), "theirs".to_owned()).await;
    let ada = guarded.person("ada", &[Grant::on_own(Role::Operator)]).await;
    let ours = fill(engine, &guarded, &ada, "ours".to_owned()).await;
    let refusals = async |context: ContextId, task: TaskId| {
        let new = NewTask {
            project_id: ours.id,
            agent: AgentType::Coder,
            instructions: "x".to_owned(),
            context_ids: vec![context],
            priority: None,
            max_attempts: None,
        };
        let submitted = engine.submit_task(new, ada.clone()).await.unwrap_err();
        let new = |task_id, artifacts| NewRequest {
            project_id: ours.id,
            task_id,
            question: "x".to_owned(),
            options: Vec::new(),
            ttl_s: None,
            artifacts,
            policy: None,
            assignees: Vec::new(),
            response_schema: None,
        };
        let about = engine.raise_request(new(Some(task), vec![]), ada.clone()).await.unwrap_err();
        let with = engine.raise_request(new(None, vec![context]), ada.clone()).await.unwrap_err();
        [submitted, about, with].map(|error| {
            assert!(matches!(error, Error::Refused(DomainError::Invalid { .. })));
            error.to_string().replace(&context.to_string(), "ID").replace(&task.to_string(), "ID")
        })
    };
    let nothing = unknown();
    let expected = refusals(nothing.artifact, nothing.task).await;
    assert_eq!(refusals(theirs.artifact, theirs.task).await, expected);
}

#[tokio::test]
async fn readers_of_everything_page_through_the_log_without_the_system_log() {
    let guarded = Guarded::new().await;
    let engine = &guarded.harness.engine;
    let mut expected = Vec::new();
    for n in 0..4 {
        let filled = fill(engine, &guarded, &cli(), format!("c{n}")).await;
        expected.extend(guarded.harness.log(filled.id).await.iter().map(|entry| entry.id));
        for m in 0..7 {
            guarded.key_of(&format!("p{n}-{m}"), PrincipalKind::Service, &[]).await;
        }
    }
    expected.sort_unstable();
    expected.reverse();
    let viewer = guarded.person("viewer", &[Grant::on_all(Role::Viewer)]).await;
    assert_eq!(viewer.reach(Permission::ProjectRead), Ok(Reach::everything()));
    for limit in [1, 2, 7, 100] {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let filter = EntryFilter { before, ..EntryFilter::default() };
            let page = LogQueries::entries(engine, &viewer, filter, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            found.extend(page.iter().map(|entry| entry.id));
            before = page.last_before_next().map(|entry| entry.id);
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "limit {limit}");
        let filter = EntryFilter { offset: 5, ..EntryFilter::default() };
        let page = LogQueries::entries(engine, &viewer, filter, limit).await.unwrap();
        assert_eq!(page.first().map(|entry| entry.id), Some(expected[5]));
    }
    let admin = guarded.person("root", &[Grant::on_all(Role::Admin)]).await;
    let all = LogQueries::entries(engine, &admin, EntryFilter::default(), 1000).await.unwrap();
    assert!(all.iter().any(|entry| entry.project_id.is_none()));
}
