//! The state machines, each as a table of every state and every action: the state it leads to, or
//! `-` where it is refused. A refusal leaves the state as it was and writes nothing.

use std::time::Duration;

use crate::world::{Outcome, World};
use botarmy_domain::decide::{artifacts, hitl};
use botarmy_domain::vocabulary::HitlOutcome;
use botarmy_domain::workflow::Workflow;
use botarmy_domain::{
    AgentType, ArtifactType, Caller, HitlAction, NewArtifact, OnExpiry, Response, Scope,
};

const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Runs a table: a row per state, a column per action.
fn check(
    table: &str,
    enter: impl Fn(&str) -> Scene,
    act: impl Fn(&mut Scene, &str) -> Outcome,
    status: impl Fn(&mut Scene) -> String,
) {
    let mut lines = table.trim().lines();
    let actions: Vec<_> = lines.next().unwrap().split_whitespace().skip(1).collect();
    let mut checked = 0;
    for line in lines {
        let mut cells = line.split_whitespace();
        let state = cells.next().unwrap();
        for (action, expected) in actions.iter().zip(cells) {
            let mut scene = enter(state);
            assert_eq!(status(&mut scene), state, "the scene is not set");
            let before = scene.world.entries.len();
            let done = act(&mut scene, action);
            let now = status(&mut scene);
            if expected == "-" {
                assert!(done.is_err(), "{state} × {action} should be refused, but is {now}");
                assert_eq!((now.as_str(), scene.world.entries.len()), (state, before));
            } else {
                assert!(done.is_ok(), "{state} × {action}: {:?}", done.err());
                assert_eq!(now, expected, "{state} × {action}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked % actions.len(), 0, "a row has a cell for every action");
}

struct Scene {
    world: World,
    task: Option<botarmy_domain::TaskId>,
    request: Option<botarmy_domain::HitlRequestId>,
}

impl Scene {
    fn new(world: World) -> Self {
        Self { world, task: None, request: None }
    }
}

#[test]
fn project() {
    let workflow = Workflow::from_toml(
        "name = \"one\"\n[[step]]\nname = \"A\"\nphase = \"1\"\nagent = \"coder\"\noutput = \"source_code\"",
    )
    .unwrap();
    check(
        "
        state      pause   resume  cancel     force      start   submit  reject  reopen
        active     paused  -       cancelled  completed  active  active  active  -
        paused     -       active  cancelled  completed  -       -       paused  -
        completed  -       -       -          completed  -       -       -       -
        cancelled  -       -       -          -          -       -       -       -
        ",
        |state| {
            let mut scene = Scene::new(World::new());
            let request = scene.world.raise().unwrap();
            scene.request = Some(request);
            match state {
                "active" => {}
                "paused" => drop(scene.world.pause().unwrap()),
                "completed" => drop(scene.world.force().unwrap()),
                "cancelled" => drop(scene.world.cancel().unwrap()),
                other => panic!("no scene for {other}"),
            }
            scene
        },
        |scene, action| act_on_project(scene, &workflow, action),
        project_status,
    );
    // A project that completed by itself goes on with the next task; other actions find it over.
    check(
        "
        state      pause   resume  cancel     force      start   submit  reject  reopen
        completed  -       -       -          completed  active  active  -       -
        ",
        |_| {
            let mut scene = Scene::new(World::new());
            let request = scene.world.raise().unwrap();
            scene.request = Some(request);
            let task = scene.world.submit().unwrap();
            scene.world.claim(task).unwrap();
            scene.world.complete(task, 1, serde_json::Map::new()).unwrap();
            scene.world.respond(request, HitlAction::Approve).unwrap();
            scene
        },
        |scene, action| act_on_project(scene, &workflow, action),
        project_status,
    );
    // Only a workflow can be halted.
    check(
        "
        state      pause   resume  cancel     force      start   submit  reject  reopen
        active     paused  -       cancelled  completed  -       active  halted  -
        paused     -       active  cancelled  completed  -       -       halted  -
        halted     -       -       -          completed  -       -       halted  active
        ",
        |state| {
            let mut scene = Scene::new(World::with(Some(&workflow)));
            let request = scene.world.raise().unwrap();
            scene.request = Some(request);
            match state {
                "active" => {}
                "paused" => drop(scene.world.pause().unwrap()),
                "halted" => drop(scene.world.respond(request, HitlAction::Reject).unwrap()),
                other => panic!("no scene for {other}"),
            }
            scene
        },
        |scene, action| act_on_project(scene, &workflow, action),
        project_status,
    );
}

fn act_on_project(scene: &mut Scene, workflow: &Workflow, action: &str) -> Outcome {
    match action {
        "pause" => scene.world.pause(),
        "resume" => scene.world.resume(),
        "cancel" => scene.world.cancel(),
        "force" => scene.world.force(),
        "start" => scene.world.start(workflow),
        "submit" => scene.world.submit().map(|_| botarmy_domain::Committed::default()),
        "reject" => scene.world.respond(scene.request.unwrap(), HitlAction::Reject),
        "reopen" => scene.world.reopen(scene.request.unwrap()),
        other => panic!("no action {other}"),
    }
}

fn project_status(scene: &mut Scene) -> String {
    let project = scene.world.project;
    scene.world.look(&Scope::project(project)).project.unwrap().status().to_string()
}

#[test]
fn task() {
    check(
        "
        state             claim    complete   fail     fail_for_good  ask               lapse    give_back  cancel     retry    answer
        pending           working  -          -        -              -                 -        -          cancelled  -        -
        working           -        completed  pending  failed         waiting_for_hitl  pending  pending    cancelled  -        -
        waiting_for_hitl  -        -          -        -              -                 -        -          cancelled  -        pending
        completed         -        completed  -        -              -                 -        -          -          -        -
        failed            -        -          -        -              -                 -        -          cancelled  pending  pending
        cancelled         -        -          -        -              -                 -        -          -          -        -
        ",
        |state| {
            let mut scene = Scene::new(World::new());
            // A second task keeps the project from completing under the first.
            scene.world.submit().unwrap();
            let task = scene.world.submit().unwrap();
            scene.task = Some(task);
            if !["pending", "cancelled"].contains(&state) {
                scene.world.claim(task).unwrap();
            }
            match state {
                "pending" | "working" => {}
                "waiting_for_hitl" => drop(scene.world.ask(task, 1).unwrap()),
                "completed" => drop(scene.world.complete(task, 1, Default::default()).unwrap()),
                "failed" => drop(scene.world.fail(task, 1, true).unwrap()),
                "cancelled" => drop(scene.world.cancel_task(task).unwrap()),
                other => panic!("no scene for {other}"),
            }
            scene.request = scene.world.pending_requests().first().copied();
            scene
        },
        |scene, action| {
            let task = scene.task.unwrap();
            match action {
                "claim" => scene.world.claim(task),
                "complete" => scene.world.complete(task, 1, Default::default()),
                "fail" => scene.world.fail(task, 1, false),
                "fail_for_good" => scene.world.fail(task, 1, true),
                "ask" => scene.world.ask(task, 1),
                "lapse" => {
                    scene.world.pass(FIVE_MINUTES);
                    scene.world.expire_lease(task)
                }
                "give_back" => scene.world.requeue(task, 1),
                "cancel" => scene.world.cancel_task(task),
                "retry" => scene.world.retry(task),
                "answer" => match scene.request {
                    Some(request) => scene.world.respond(request, HitlAction::Approve),
                    None => Err(botarmy_domain::DomainError::not_found("Request", "none")),
                },
                other => panic!("no action {other}"),
            }
        },
        |scene| {
            let (project, task) = (scene.world.project, scene.task.unwrap());
            let seen = scene.world.look(&Scope::project(project).task(task));
            seen.tasks[&task].status().to_string()
        },
    );
}

#[test]
fn request() {
    check(
        "
        state      approve   reject    amend    expire   cancel
        pending    approved  rejected  amended  expired  cancelled
        approved   approved  -         -        -        approved
        rejected   -         rejected  -        -        rejected
        amended    -         -         amended  -        amended
        expired    -         -         -        -        expired
        cancelled  -         -         -        -        -
        ",
        |state| {
            let mut scene = Scene::new(World::new());
            scene.world.defaults.on_expiry = OnExpiry::Reject;
            let request = scene.world.raise().unwrap();
            scene.request = Some(request);
            match state {
                "pending" => {}
                "approved" => drop(scene.world.respond(request, HitlAction::Approve).unwrap()),
                "rejected" => drop(scene.world.respond(request, HitlAction::Reject).unwrap()),
                "amended" => drop(scene.world.respond(request, HitlAction::Amend).unwrap()),
                "expired" => {
                    scene.world.pass(FIVE_MINUTES);
                    scene.world.expire(request).unwrap();
                }
                "cancelled" => drop(scene.world.cancel().unwrap()),
                other => panic!("no scene for {other}"),
            }
            scene
        },
        |scene, action| {
            let request = scene.request.unwrap();
            match action {
                "approve" => scene.world.respond(request, HitlAction::Approve),
                "reject" => scene.world.respond(request, HitlAction::Reject),
                "amend" => scene.world.respond(request, HitlAction::Amend),
                "expire" => {
                    scene.world.pass(FIVE_MINUTES);
                    scene.world.expire(request)
                }
                // With its project.
                "cancel" => scene.world.cancel(),
                other => panic!("no action {other}"),
            }
        },
        |scene| {
            let (project, request) = (scene.world.project, scene.request.unwrap());
            let seen = scene.world.look(&Scope::project(project).request(request));
            seen.requests[&request].status().to_string()
        },
    );
}

const REVIEWED: &str = "
name = \"reviewed\"
[[policy]]
name = \"p\"
digest = \"optional\"
comment = []
ttl_s = 100
on_expiry = \"reject\"
approvals = APPROVALS
remind_after_s = [10]
escalate = [{ after_s = 20, to = [\"role:admin\"] }]
[[step]]
name = \"Plan\"
phase = \"1\"
agent = \"analyst\"
output = \"project_plan\"
gate = \"standard\"
policy = \"p\"
";

/// Enters a state of a review that needs this many approvals. In `collecting` Ada has approved.
fn review(state: &str, approvals: u32) -> Scene {
    let text = REVIEWED.replace("APPROVALS", &approvals.to_string());
    let mut world = World::with(Some(&Workflow::from_toml(&text).unwrap()));
    world.caller = Caller::person("ada");
    let scope = Scope::project(world.project).everything_open();
    let task = *world.look(&scope).tasks.keys().next().unwrap();
    world.claim(task).unwrap();
    let made = serde_json::json!({"goals": []}).as_object().cloned().unwrap();
    world.complete(task, 1, made).unwrap();
    let id = world.pending_requests()[0];
    match state {
        "waiting" => {}
        "collecting" => drop(world.respond(id, HitlAction::Approve).unwrap()),
        "approved" => {
            for n in 1..approvals {
                let other = Caller::person(format!("other {n}"));
                world.answer_as(&other, id, &Response::new(HitlAction::Approve)).unwrap();
            }
            world.respond(id, HitlAction::Approve).unwrap();
        }
        "rejected" => drop(world.respond(id, HitlAction::Reject).unwrap()),
        "changes" => drop(world.respond(id, HitlAction::Amend).unwrap()),
        "expired" => {
            world.pass(FIVE_MINUTES);
            world.expire(id).unwrap();
        }
        "cancelled" => drop(world.cancel().unwrap()),
        other => panic!("no scene for {other}"),
    }
    let mut scene = Scene::new(world);
    scene.request = Some(id);
    scene
}

fn review_status(scene: &mut Scene) -> String {
    let request = scene.world.request(scene.request.unwrap());
    match request.outcome() {
        None if request.votes.is_empty() => "waiting".to_owned(),
        None => "collecting".to_owned(),
        Some(HitlOutcome::ChangesRequested) => "changes".to_owned(),
        Some(outcome) => outcome.to_string(),
    }
}

fn act_on_review(scene: &mut Scene, action: &str) -> Outcome {
    let (world, id) = (&mut scene.world, scene.request.unwrap());
    let bob = Caller::person("bob");
    let seen = Some(world.request(id).subject.digest.clone());
    let document = serde_json::json!({"goals": ["mine"]}).as_object().cloned();
    let amend = Response { amended_content: document.clone(), ..Response::new(HitlAction::Amend) };
    match action {
        // Ada says again what she has said; Bob is another person.
        "repeat" => world.respond(id, HitlAction::Approve),
        "approve" => {
            let subject_digest = seen;
            let approve = Response { subject_digest, ..Response::new(HitlAction::Approve) };
            world.answer_as(&bob, id, &approve)
        }
        "reject" => world.answer_as(&bob, id, &Response::new(HitlAction::Reject)),
        "ask" => {
            let content = Some("Shorter".to_owned());
            world.answer_as(&bob, id, &Response { content, ..Response::new(HitlAction::Amend) })
        }
        "amend" => world.answer_as(&bob, id, &amend),
        "withdraw" => world.on(id, |c, s| hitl::withdraw(c, s, id)),
        "claim" => world.on(id, |c, s| hitl::claim(c, s, id)),
        "unclaim" => world.on(id, |c, s| hitl::unclaim(c, s, id)),
        "delegate" => world.on(id, |c, s| hitl::delegate(c, s, id, "cyd", None)),
        "extend" => world.on(id, |c, s| hitl::extend(c, s, id, 60, None)),
        "comment" => world.on(id, |c, s| hitl::comment(c, s, id, "Why?", None)),
        "subject" => {
            let scope = Scope::project(world.project).everything_open();
            let new = NewArtifact::new(ArtifactType::ProjectPlan, document.unwrap());
            world.run(&scope, |c, s| artifacts::store(c, s, AgentType::Analyst, &new))
        }
        "remind_due" => {
            world.pass(Duration::from_secs(11));
            world.expire(id)
        }
        "escalate_due" => {
            world.pass(Duration::from_secs(21));
            world.expire(id)
        }
        "expire_due" => {
            world.pass(FIVE_MINUTES);
            world.expire(id)
        }
        "end" => world.cancel(),
        "pause" => {
            let paused = world.pause();
            world.pass(FIVE_MINUTES);
            assert!(world.expire(id).is_err(), "time stands still");
            paused
        }
        other => panic!("no action {other}"),
    }
}

#[test]
fn review_by_several_people() {
    check(
        "
        state       repeat      approve     reject    ask      amend       withdraw  claim  unclaim     delegate    extend      comment     subject    remind_due  escalate_due  expire_due  end        pause
        waiting     collecting  collecting  rejected  changes  collecting  -         -      waiting     waiting     waiting     waiting     waiting    waiting     waiting       expired     cancelled  waiting
        collecting  collecting  approved    rejected  changes  collecting  waiting   -      collecting  collecting  collecting  collecting  waiting    collecting  collecting    expired     cancelled  collecting
        rejected    -           -           -         -        -           -         -      -           -           -           rejected    -          -           -             -           -          -
        expired     -           -           -         -        -           -         -      -           -           -           expired     -          -           -             -           -          -
        cancelled   -           -           -         -        -           -         -      -           -           -           cancelled   -          -           -             -           -          -
        ",
        |state| review(state, 2),
        act_on_review,
        review_status,
    );
}

#[test]
fn review_by_one_person() {
    check(
        "
        state       repeat      approve     reject    ask      amend       withdraw  claim    unclaim  delegate  extend   comment   subject   remind_due  escalate_due  expire_due  end        pause
        waiting     approved    approved    rejected  changes  amended     -         waiting  waiting  waiting   waiting  waiting   waiting   waiting     waiting       expired     cancelled  waiting
        changes     -           -           -         -        -           -         -        -        -         -        changes   changes   -           -             -           changes    changes
        ",
        |state| review(state, 1),
        act_on_review,
        review_status,
    );
}

#[test]
fn only_the_holder_of_the_lease_brings_a_result() {
    let mut world = World::new();
    let task = world.submit().unwrap();
    world.claim(task).unwrap();
    world.requeue(task, 1).unwrap();
    world.claim(task).unwrap();
    assert!(world.complete(task, 1, Default::default()).is_err(), "an old fence");
    assert!(world.expire_lease(task).is_err(), "the lease is alive");
    world.complete(task, 2, Default::default()).unwrap();
}

#[test]
fn a_task_knows_when_its_latest_attempt_began_also_when_it_is_over() {
    let mut world = World::new();
    let id = world.submit().unwrap();
    let look = |world: &mut World| {
        let snapshot = world.look(&Scope::project(world.project).task(id));
        std::sync::Arc::clone(snapshot.tasks.get(&id).unwrap())
    };
    assert_eq!(look(&mut world).started_at, None);
    world.claim(id).unwrap();
    let first = look(&mut world);
    assert_eq!(first.started_at, first.lease().map(|lease| lease.started_at));
    world.pass(FIVE_MINUTES);
    world.fail(id, 1, false).unwrap();
    assert_eq!(look(&mut world).started_at, first.started_at);
    world.pass(FIVE_MINUTES);
    world.claim(id).unwrap();
    let second = world.now;
    world.pass(FIVE_MINUTES);
    world.complete(id, 2, serde_json::Map::new()).unwrap();
    assert_eq!(look(&mut world).started_at, Some(second));
}
