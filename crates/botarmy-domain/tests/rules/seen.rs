//! Decisions about a state that a person was shown: another state is refused, and nothing changes.

use botarmy_domain::decide::{emergency, projects};
use botarmy_domain::emergency::{Stop, StopScope};
use botarmy_domain::seen::CHANGED_MEANWHILE;
use botarmy_domain::{DomainError, ProjectStatus, Scope, Seen};

use crate::world::{Outcome, World};

fn is_changed(outcome: &Outcome) -> bool {
    matches!(outcome, Err(DomainError::Conflict { code: CHANGED_MEANWHILE, .. }))
}

#[test]
fn a_project_is_completed_by_force_on_the_conditions_that_were_shown() {
    let mut world = World::new();
    world.submit().unwrap();
    let scope = Scope::project(world.project).everything_open();
    let look = |world: &mut World| {
        let snapshot = world.look_at_log(&scope);
        let project = snapshot.project.clone().unwrap();
        projects::unmet(&project, &snapshot.head.counts)
    };
    let shown = look(&mut world);
    assert!(!shown.is_empty());
    world.submit().unwrap();
    assert_ne!(look(&mut world), shown);
    let force = |world: &mut World, shown: &[String]| {
        let seen = Seen::of_unmet(shown);
        world.run(&scope, |context, snapshot| {
            let caller = context.caller.clone().with_seen(seen.clone());
            projects::force_complete(&context.by(caller), snapshot)
        })
    };
    let entries = world.entries.len();
    assert!(is_changed(&force(&mut world, &shown)));
    assert_eq!(world.entries.len(), entries);
    let shown = look(&mut world);
    let done = force(&mut world, &shown).unwrap();
    assert_eq!(done.project().unwrap().status(), ProjectStatus::Completed);
}

#[test]
fn the_stop_that_was_shown_is_released_and_no_other() {
    let mut world = World::new();
    let stop = StopScope::Project(world.project);
    let scope = Scope::project(world.project).everything_open().record::<Stop>(stop);
    let set = |world: &mut World| {
        world
            .run(&scope, |context, snapshot| emergency::stop(context, snapshot, stop, "x"))
            .unwrap();
        Stop::clone(world.look_at_log(&scope).record::<Stop>(stop).unwrap())
    };
    let release = |world: &mut World, shown: &Stop| {
        let seen = Seen::of_stop(shown);
        world.run(&scope, |context, snapshot| {
            let caller = context.caller.clone().with_seen(seen.clone());
            emergency::release(&context.by(caller), snapshot, stop, "y")
        })
    };
    let first = set(&mut world);
    release(&mut world, &first).unwrap();
    let second = set(&mut world);
    assert!(is_changed(&release(&mut world, &first)));
    assert!(world.look_at_log(&scope).record::<Stop>(stop).is_some(), "it is still in force");
    release(&mut world, &second).unwrap();
}
