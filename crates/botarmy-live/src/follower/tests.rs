use std::collections::HashMap;
use std::time::Duration;

use botarmy_domain::{EventType, Grant, Principal, PrincipalKind, Role};
use serde_json::Value;
use tokio::time::timeout;

use super::*;
use crate::LiveSettings;
use crate::fakes::{LogWriter, World, advance};

const SOON: Duration = Duration::from_secs(5);
const A_MOMENT: Duration = Duration::from_millis(60);

/// A hub that scans the logs when the bus subscribes, and otherwise never.
async fn start(settings: LiveSettings) -> (Arc<World>, Arc<Hub>) {
    let world = World::new();
    let (bus, logs, clock) = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
    let hub = Hub::start(bus, logs, clock, settings);
    while world.subscribers() == 0 {
        tokio::task::yield_now().await;
    }
    (world, hub)
}

fn settings() -> LiveSettings {
    LiveSettings {
        reorder_wait: Duration::from_millis(10),
        recheck: Duration::from_secs(60),
        page: 8,
        ..LiveSettings::default()
    }
}

async fn follow(hub: &Arc<Hub>, target: Target, after: Option<&str>) -> Follower {
    let after = after.map(|text| match target {
        Target::Project(_) => Place::Log(text.parse().unwrap()),
        Target::All => Place::All(text.parse().unwrap()),
    });
    hub.follow(&Caller::system(), target, after).await.unwrap()
}

/// An event as a client gets it: type, log, position in it, and the id after which it goes on.
async fn next(follower: &mut Follower) -> (String, Option<String>, Option<u64>, Option<String>) {
    let followed = timeout(SOON, follower.next()).await.expect("a frame should have come");
    let frame: Value = serde_json::from_str(&followed.text).unwrap();
    assert_eq!(frame["event_type"], followed.event_type);
    let project = frame["project_id"].as_str().map(str::to_owned);
    (followed.event_type.to_owned(), project, frame["seq"].as_u64(), followed.position)
}

async fn assert_silent(follower: &mut Follower) {
    let frame = timeout(A_MOMENT, follower.next()).await;
    assert!(frame.is_err(), "nothing more should have come, but {frame:?}");
}

/// Takes this many events of projects, each of which must be the next one of its log. Returns the
/// position after the last one.
async fn take(
    follower: &mut Follower,
    seen: &mut HashMap<String, u64>,
    count: usize,
) -> Option<String> {
    let mut last = None;
    for _ in 0..count {
        let (event_type, project, seq, position) = next(follower).await;
        let seen = seen.entry(project.unwrap_or(event_type)).or_default();
        assert_eq!(seq, Some(*seen + 1), "the next one of its log, and once");
        *seen += 1;
        last = position;
    }
    last
}

#[tokio::test]
async fn a_project_is_followed_from_any_position() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit(log, 20);
    let target = Target::Project(log.project().unwrap());
    let mut follower = follow(&hub, target, Some("15")).await;
    assert_eq!(follower.position(), "15");
    for seq in 16..=20 {
        assert_eq!(next(&mut follower).await.3, Some(seq.to_string()));
    }
    world.commit_and_announce(log, 1);
    assert_eq!(next(&mut follower).await.3.as_deref(), Some("21"));
    // Events of the system have positions in another log.
    world.commit_and_announce(LogId::System, 1);
    assert_silent(&mut follower).await;
    let mut live = follow(&hub, target, None).await;
    assert_eq!(live.position(), "21");
    assert_silent(&mut live).await;
}

#[tokio::test]
async fn a_log_that_ends_before_the_position_is_a_gap_with_its_end() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit(log, 3);
    let target = Target::Project(log.project().unwrap());
    let mut follower = follow(&hub, target, Some("9")).await;
    let (event_type, .., position) = next(&mut follower).await;
    assert_eq!((event_type.as_str(), position.as_deref()), ("gap", Some("3")));
}

#[tokio::test]
async fn a_position_of_another_stream_is_refused() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit(log, 1);
    let project = Target::Project(log.project().unwrap());
    let point = Place::All("5.0".parse().unwrap());
    for (target, after) in [(project, point), (Target::All, Place::Log(5))] {
        let refused = hub.follow(&Caller::system(), target, Some(after)).await.unwrap_err();
        assert!(matches!(refused, SubscribeError::OtherStream), "{refused:?}");
    }
}

#[tokio::test]
async fn a_follower_of_all_that_comes_back_gets_what_it_missed_and_nothing_twice() {
    let (world, hub) = start(settings()).await;
    let logs: Vec<_> = (0..5).map(|_| LogWriter::project()).collect();
    world.commit(logs[0], 7);
    world.commit(LogId::System, 4);
    let mut follower = follow(&hub, Target::All, None).await;
    let mut position = follower.position();
    let mut seen = HashMap::from([
        (logs[0].project().unwrap().to_string(), 7),
        (EventType::TaskCreated.as_str().to_owned(), 4),
    ]);
    for round in 0..30_usize {
        // Some while it is connected, in two logs and the system's; of these it takes a part.
        for log in [logs[round % 5], logs[(round + 2) % 5], LogId::System] {
            world.commit_and_announce(log, 3);
        }
        if let Some(after) = take(&mut follower, &mut seen, round % 9 + 1).await {
            position = after;
        }
        drop(follower);
        // Some while it is away, which the bus loses.
        world.commit(logs[(round + 1) % 5], 2);
        world.commit(LogId::System, 1);
        follower = follow(&hub, Target::All, Some(&position)).await;
        let missed: usize = 2 + 1 + 9 - (round % 9 + 1);
        position = take(&mut follower, &mut seen, missed).await.unwrap();
        assert_silent(&mut follower).await;
    }
}

#[tokio::test]
async fn a_follower_of_all_that_falls_behind_reads_the_logs_without_a_gap() {
    let small = LiveSettings { recent_frames: 4, feed_backlog: 16, ..settings() };
    let (world, hub) = start(small).await;
    let logs: Vec<_> = (0..4).map(|_| LogWriter::project()).collect();
    let mut follower = follow(&hub, Target::All, None).await;
    for round in 0..25 {
        world.commit_and_announce(logs[round % 4], 8);
        if round % 6 == 0 {
            advance(Duration::from_millis(1));
        }
    }
    tokio::time::sleep(A_MOMENT).await;
    let mut seen = HashMap::new();
    take(&mut follower, &mut seen, 200).await;
    assert_eq!(seen.values().sum::<u64>(), 200);
    assert_silent(&mut follower).await;
    world.commit_and_announce(logs[0], 1);
    take(&mut follower, &mut seen, 1).await;
}

#[tokio::test]
async fn more_than_can_be_caught_up_with_is_a_gap_and_then_it_goes_on() {
    let (world, hub) = start(LiveSettings { resume_limit: 50, ..settings() }).await;
    let log = LogWriter::project();
    let position = follow(&hub, Target::All, None).await.position();
    world.commit(log, 51);
    let mut follower = follow(&hub, Target::All, Some(&position)).await;
    let (event_type, _, _, position) = next(&mut follower).await;
    assert_eq!(event_type, "gap");
    assert!(position.unwrap().parse::<ResumePoint>().is_ok());
    world.commit_and_announce(log, 1);
    assert_eq!(next(&mut follower).await.2, Some(52));
}

#[tokio::test]
async fn the_position_in_all_logs_forgets_those_that_are_silent() {
    let recheck = Duration::from_millis(50);
    let (world, hub) = start(LiveSettings { recheck, ..settings() }).await;
    let mut follower = follow(&hub, Target::All, None).await;
    let mut seen = HashMap::new();
    for _ in 0..20 {
        world.commit_and_announce(LogWriter::project(), 1);
    }
    let position = take(&mut follower, &mut seen, 20).await.unwrap();
    assert_eq!(position.matches('.').count(), 21);
    advance(Duration::from_secs(60));
    let forgotten = async {
        while follower.position().matches('.').count() > 1 {
            let _ = timeout(recheck, follower.next()).await;
        }
    };
    timeout(SOON, forgotten).await.expect("the logs should have been forgotten");
    // What it says is still the position after everything.
    let position = follower.position();
    drop(follower);
    assert_silent(&mut follow(&hub, Target::All, Some(&position)).await).await;
}

#[tokio::test]
async fn a_follower_of_all_waits_for_logs_that_cannot_be_read() {
    let (world, hub) = start(settings()).await;
    let position = follow(&hub, Target::All, None).await.position();
    let log = LogWriter::project();
    world.commit(log, 3);
    let mut follower = follow(&hub, Target::All, Some(&position)).await;
    world.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_silent(&mut follower).await;
    world.down.store(false, std::sync::atomic::Ordering::SeqCst);
    take(&mut follower, &mut HashMap::new(), 3).await;
}

#[tokio::test]
async fn a_search_that_takes_long_is_not_begun_again_by_one_who_looks_up_meanwhile() {
    let (world, hub) = start(settings()).await;
    let position = follow(&hub, Target::All, None).await.position();
    let log = LogWriter::project();
    world.commit(log, 3);
    let mut follower = follow(&hub, Target::All, Some(&position)).await;
    world.slow_ms.store(300, std::sync::atomic::Ordering::SeqCst);
    let reads = world.reads.load(std::sync::atomic::Ordering::SeqCst);
    let first = async {
        loop {
            if let Ok(followed) = timeout(Duration::from_millis(50), follower.next()).await {
                return followed;
            }
        }
    };
    let first = timeout(SOON, first).await.expect("it should have caught up");
    assert!(first.text.contains("\"seq\":1,"), "{}", first.text);
    // The spans, the end of the system log, and a page.
    let reads = world.reads.load(std::sync::atomic::Ordering::SeqCst) - reads;
    assert!(reads <= 4, "{reads} reads");
}

#[tokio::test]
async fn the_position_of_a_caller_names_no_log_that_it_does_not_see() {
    let (world, hub) = start(settings()).await;
    let (seen, hidden) = (LogWriter::project(), LogWriter::project());
    for log in [seen, hidden, LogId::System] {
        world.commit(log, 5);
    }
    let at = Timestamp::from_micros(0);
    let principal = Principal {
        id: Principal::local_id("ada"),
        kind: PrincipalKind::Person,
        name: "ada".to_owned(),
        openid: None,
        groups: [].into(),
        grants: vec![Grant::on_project(Role::Viewer, seen.project().unwrap())],
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: at,
        updated_at: at,
    };
    let caller = Caller::on_behalf_of(&principal);
    let mut follower = hub.follow(&caller, Target::All, None).await.unwrap();
    let position = follower.position();
    assert_eq!(position.matches('.').count(), 2, "{position}");
    assert_eq!(position.split('.').nth(1), Some("0"), "{position}");
}
