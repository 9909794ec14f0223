use std::sync::atomic::Ordering::SeqCst;

use botarmy_domain::{AgentType, BusMessage, EventType, TaskProgress};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::Subscriber;
use crate::fakes::{LogWriter, World, advance};
use crate::subscriber::{SubscribeError, Target};

const SOON: Duration = Duration::from_secs(5);
const A_MOMENT: Duration = Duration::from_millis(60);

/// Limits small enough to be reached.
fn settings() -> LiveSettings {
    LiveSettings {
        reorder_wait: Duration::from_millis(10),
        recheck: Duration::from_secs(60),
        recent_frames: 16,
        page: 8,
        ..LiveSettings::default()
    }
}

async fn start(settings: LiveSettings) -> (Arc<World>, Arc<Hub>) {
    let world = World::new();
    let (bus, logs, clock) = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
    let hub = Hub::start(bus, logs, clock, settings);
    until(|| world.subscribers() == 1).await;
    (world, hub)
}

async fn until(met: impl Fn() -> bool) {
    let waiting = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, waiting).await.expect("it should have happened by now");
}

fn project_of(log: LogId) -> Target {
    Target::Project(log.project().unwrap())
}

async fn watching(hub: &Arc<Hub>, log: LogId, after: Option<u64>) -> Subscriber {
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(project_of(log), after).await.unwrap();
    subscriber
}

async fn next(subscriber: &mut Subscriber) -> Value {
    let frame = timeout(SOON, subscriber.next()).await.expect("a frame should have come");
    serde_json::from_str(&frame.text).unwrap()
}

async fn next_seqs(subscriber: &mut Subscriber, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    for _ in 0..count {
        seqs.push(next(subscriber).await["seq"].as_u64().unwrap());
    }
    seqs
}

async fn assert_silent(subscriber: &mut Subscriber) {
    let text = timeout(A_MOMENT, subscriber.next()).await;
    assert!(text.is_err(), "nothing more should have come, but {text:?}");
}

/// Returns when the hub has received everything that was announced so far.
async fn announced(world: &Arc<World>, hub: &Arc<Hub>) {
    let log = LogWriter::project();
    let mut subscriber = watching(hub, log, None).await;
    world.commit_and_announce(log, 1);
    next(&mut subscriber).await;
}

fn range(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

#[tokio::test]
async fn news_that_come_jumbled_and_doubled_are_told_in_order_and_once() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut subscriber = watching(&hub, log, None).await;
    let reads = world.reads.load(SeqCst);
    let entries = world.commit(log, 6);
    for n in [2, 0, 0, 1, 5, 3, 2, 4, 5] {
        world.announce_entry(&entries[n]);
    }
    assert_eq!(next_seqs(&mut subscriber, 6).await, range(1, 6));
    assert_silent(&mut subscriber).await;
    assert_eq!(world.reads.load(SeqCst), reads, "nothing was lost, so nothing is read");
}

#[tokio::test]
async fn a_lost_entry_is_read_from_the_log_once_for_all_sessions() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut subscribers = Vec::new();
    for _ in 0..100 {
        subscribers.push(watching(&hub, log, None).await);
    }
    let reads = world.reads.load(SeqCst);
    let entries = world.commit(log, 5);
    for n in [0, 3, 4] {
        world.announce_entry(&entries[n]);
    }
    for subscriber in &mut subscribers {
        assert_eq!(next_seqs(subscriber, 5).await, range(1, 5));
    }
    assert_eq!(world.reads.load(SeqCst), reads + 1);
}

#[tokio::test]
async fn while_others_keep_coming_a_late_entry_is_waited_for_and_not_read() {
    let reorder_wait = Duration::from_millis(100);
    let (world, hub) = start(LiveSettings { reorder_wait, ..settings() }).await;
    let log = LogWriter::project();
    let mut subscriber = watching(&hub, log, None).await;
    let reads = world.reads.load(SeqCst);
    for n in 0..40 {
        let pair = world.commit(log, 2);
        world.announce_entry(&pair[1]);
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.announce_entry(&pair[0]);
        assert_eq!(next_seqs(&mut subscriber, 2).await, [2 * n + 1, 2 * n + 2]);
    }
    assert_eq!(world.reads.load(SeqCst), reads);
}

#[tokio::test]
async fn what_the_bus_dropped_is_read_from_the_log() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut subscriber = watching(&hub, log, None).await;
    world.commit(log, 3);
    assert_silent(&mut subscriber).await;
    world.announce(&BusMessage::Lagged);
    assert_eq!(next_seqs(&mut subscriber, 3).await, range(1, 3));
}

#[tokio::test]
async fn a_bus_that_was_away_has_lost_nothing() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut subscriber = watching(&hub, log, None).await;
    world.disconnect();
    world.commit(log, 700);
    assert_eq!(next_seqs(&mut subscriber, 700).await, range(1, 700));
    until(|| world.subscribers() == 1).await;
    world.commit_and_announce(log, 1);
    assert_eq!(next_seqs(&mut subscriber, 1).await, [701]);
}

#[tokio::test]
async fn the_last_news_of_a_quiet_log_are_missed_for_a_while_only() {
    let recheck = Duration::from_millis(20);
    let (world, hub) = start(LiveSettings { recheck, ..settings() }).await;
    let log = LogWriter::project();
    let mut subscriber = watching(&hub, log, None).await;
    world.commit(log, 2);
    assert_eq!(next_seqs(&mut subscriber, 2).await, [1, 2]);
}

#[tokio::test]
async fn stores_that_are_away_delay_and_lose_nothing() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit_and_announce(log, 20);
    let mut subscriber = watching(&hub, log, Some(0)).await;
    world.down.store(true, SeqCst);
    let entries = world.commit(log, 3);
    world.announce_entry(&entries[2]);
    assert_silent(&mut subscriber).await;
    world.down.store(false, SeqCst);
    assert_eq!(next_seqs(&mut subscriber, 23).await, range(1, 23));
}

#[tokio::test]
async fn an_announced_entry_that_does_not_exist_holds_up_nothing_for_ever() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut subscriber = watching(&hub, log, None).await;
    let mut elsewhere = LogWriter::new(log);
    let phantom = (0..3).map(|_| elsewhere.write(EventType::TaskCreated, json!({}))).last();
    world.announce_entry(&phantom.unwrap());
    assert_silent(&mut subscriber).await;
    world.commit_and_announce(log, 2);
    assert_eq!(next_seqs(&mut subscriber, 2).await, [1, 2]);
}

#[tokio::test]
async fn after_a_position_everything_since_comes_and_then_what_happens() {
    for after in [0, 1, 99, 100, 39] {
        let (world, hub) = start(settings()).await;
        let log = LogWriter::project();
        world.commit_and_announce(log, 100);
        let mut subscriber = watching(&hub, log, Some(after)).await;
        world.commit_and_announce(log, 50);
        let count = usize::try_from(150 - after).unwrap();
        assert_eq!(next_seqs(&mut subscriber, count).await, range(after + 1, 150));
        assert_silent(&mut subscriber).await;
    }
}

#[tokio::test]
async fn it_stays_in_order_when_much_happens_while_it_catches_up() {
    let (world, hub) = start(settings()).await;
    world.slow_ms.store(1, SeqCst);
    let log = LogWriter::project();
    world.commit_and_announce(log, 300);
    let mut subscriber = watching(&hub, log, Some(0)).await;
    let busy = Arc::clone(&world);
    let writer = tokio::spawn(async move {
        for n in 0..600 {
            busy.commit_and_announce(log, 1);
            if n % 5 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    assert_eq!(next_seqs(&mut subscriber, 900).await, range(1, 900));
    writer.await.unwrap();
    assert_silent(&mut subscriber).await;
}

#[tokio::test]
async fn a_position_beyond_the_end_is_answered_with_a_gap_and_then_live() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit_and_announce(log, 3);
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    let position = subscriber.subscribe(project_of(log), Some(5000)).await.unwrap();
    assert_eq!(position, Some(3));
    // The same through a second subscription, and for the log of the system.
    for again in [false, true] {
        if again {
            subscriber.subscribe(project_of(log), Some(4000)).await.unwrap();
        }
        let gap = next(&mut subscriber).await;
        assert_eq!(gap["event_type"], "gap");
        let after = if again { 4000 } else { 5000 };
        assert_eq!((&gap["data"]["after"], &gap["data"]["head"]), (&json!(after), &json!(3)));
        assert_eq!(gap["project_id"], json!(log.project()));
    }
    world.commit_and_announce(log, 2);
    assert_eq!(next_seqs(&mut subscriber, 2).await, [4, 5]);
    let mut system = hub.subscriber(&Caller::system(), Some(7)).await.unwrap();
    let gap = next(&mut system).await;
    assert_eq!((&gap["event_type"], &gap["data"]["head"]), (&json!("gap"), &json!(0)));
    assert_eq!(gap["project_id"], Value::Null);
}

#[tokio::test]
async fn a_position_that_was_not_announced_here_yet_is_no_gap() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit_and_announce(log, 3);
    let _watched = watching(&hub, log, None).await;
    // Another server has committed two entries and told its client of them.
    let entries = world.commit(log, 2);
    let mut subscriber = watching(&hub, log, Some(5)).await;
    for entry in &entries {
        world.announce_entry(entry);
    }
    assert_silent(&mut subscriber).await;
    world.commit_and_announce(log, 1);
    assert_eq!(next_seqs(&mut subscriber, 1).await, [6]);
}

#[tokio::test]
async fn a_position_that_is_no_longer_kept_is_answered_with_a_gap() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit_and_announce(log, 10);
    world.forget_up_to(log, 4);
    let mut subscriber = watching(&hub, log, Some(1)).await;
    let gap = next(&mut subscriber).await;
    assert_eq!(gap["event_type"], "gap");
    assert_eq!((&gap["data"]["after"], &gap["data"]["next"]), (&json!(1), &json!(5)));
    assert_eq!(gap["project_id"], json!(log.project()));
    assert_eq!(next_seqs(&mut subscriber, 6).await, range(5, 10));
}

#[tokio::test]
async fn a_slow_session_reads_the_log_and_comes_back() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut slow = watching(&hub, log, None).await;
    let mut quick = watching(&hub, log, None).await;
    let reads = world.reads.load(SeqCst);
    for n in 0..20 {
        world.commit_and_announce(log, 10);
        assert_eq!(next_seqs(&mut quick, 10).await, range(n * 10 + 1, n * 10 + 10));
    }
    assert_eq!(world.reads.load(SeqCst), reads, "who keeps up needs no log");
    assert_eq!(hub.topic_of(log).unwrap().kept().0, 16, "no more is kept for the slow one");
    assert_eq!(next_seqs(&mut slow, 200).await, range(1, 200));
    let reads = world.reads.load(SeqCst) - reads;
    assert!((20..=27).contains(&reads), "184 entries in pages of 8, but {reads} reads");
    world.commit_and_announce(log, 3);
    assert_eq!(next_seqs(&mut slow, 3).await, range(201, 203));
}

#[tokio::test]
async fn what_is_kept_is_bounded_in_bytes_too() {
    let recent_bytes = 10_000;
    let (world, hub) = start(LiveSettings { recent_bytes, ..settings() }).await;
    let log = LogWriter::project();
    let mut slow = watching(&hub, log, None).await;
    for _ in 0..8 {
        let data = json!({"output": "x".repeat(3000)});
        world.announce_entry(&world.commit_one(log, EventType::TaskCompleted, data));
    }
    assert_eq!(next_seqs(&mut slow, 8).await, range(1, 8));
    let (frames, bytes) = hub.topic_of(log).unwrap().kept();
    assert!(frames == 3 && bytes <= recent_bytes, "{frames} frames of {bytes} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_sessions_one_that_stalls_delays_none() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut stalled = watching(&hub, log, None).await;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..999 {
        let mut subscriber = watching(&hub, log, None).await;
        readers.spawn(async move { next_seqs(&mut subscriber, 100).await });
    }
    for _ in 0..10 {
        world.commit_and_announce(log, 10);
        tokio::task::yield_now().await;
    }
    while let Some(seqs) = readers.join_next().await {
        assert_eq!(seqs.unwrap(), range(1, 100));
    }
    assert_eq!(hub.topic_of(log).unwrap().kept().0, 16);
    assert_eq!(next_seqs(&mut stalled, 100).await, range(1, 100));
}

#[tokio::test]
async fn a_reader_that_was_given_up_frees_its_turn() {
    let (world, hub) = start(LiveSettings { log_reads: 1, ..settings() }).await;
    let log = LogWriter::project();
    world.commit_and_announce(log, 100);
    let mut first = watching(&hub, log, Some(0)).await;
    let mut second = watching(&hub, log, Some(0)).await;
    world.slow_ms.store(30_000, SeqCst);
    assert_silent(&mut first).await;
    drop(first);
    world.slow_ms.store(0, SeqCst);
    assert_eq!(next_seqs(&mut second, 100).await, range(1, 100));
}

#[tokio::test]
async fn events_of_the_system_reach_everybody_and_those_of_a_project_its_subscribers() {
    let (world, hub) = start(settings()).await;
    let (log, other) = (LogWriter::project(), LogWriter::project());
    let mut of_project = watching(&hub, log, None).await;
    let mut of_system = hub.subscriber(&Caller::system(), None).await.unwrap();
    world.commit_and_announce(other, 1);
    world.commit_and_announce(log, 1);
    let data = json!({"agent_type": "coder", "status": "working"});
    world.announce_entry(&world.commit_one(LogId::System, EventType::AgentStatusChanged, data));
    let received = [next(&mut of_project).await, next(&mut of_project).await];
    let mut types = received.each_ref().map(|frame| frame["event_type"].as_str().unwrap());
    types.sort_unstable();
    assert_eq!(types, ["agent_status_change", "task_created"]);
    assert_eq!(next(&mut of_system).await["event_type"], "agent_status_change");
    assert_silent(&mut of_system).await;
    assert_silent(&mut of_project).await;
}

#[tokio::test]
async fn without_a_project_a_position_is_one_in_the_system_log() {
    let (world, hub) = start(settings()).await;
    world.commit_and_announce(LogId::System, 5);
    let mut subscriber = hub.subscriber(&Caller::system(), Some(2)).await.unwrap();
    assert_eq!(next_seqs(&mut subscriber, 3).await, [3, 4, 5]);
}

#[tokio::test]
async fn progress_is_told_to_those_who_keep_up() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut subscriber = watching(&hub, log, None).await;
    let mut everything = hub.subscriber(&Caller::system(), None).await.unwrap();
    everything.subscribe(Target::All, None).await.unwrap();
    let entry = world.commit(log, 1).remove(0);
    let progress = TaskProgress {
        project_id: entry.project_id.unwrap(),
        task_id: entry.task_id.unwrap(),
        agent_type: AgentType::Coder,
        message: "half way".to_owned(),
        percent: Some(50),
        at: entry.created_at,
    };
    world.announce(&BusMessage::Progress(Arc::new(progress)));
    world.announce_entry(&entry);
    for subscriber in [&mut subscriber, &mut everything] {
        assert_eq!(next(subscriber).await["event_type"], "task_progress");
        assert_eq!(next(subscriber).await["seq"], 1);
    }
}

#[tokio::test]
async fn a_decision_is_followed_by_what_it_sets_off_live_and_from_the_log() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    let mut live = watching(&hub, log, None).await;
    let data = json!({
        "hitl_request_id": "01890a5d-ac96-774b-bcce-b302099a8057", "kind": "approval",
        "action": "approve", "status": "approved", "user_response": null,
        "response_comment": null, "amended_content": null, "workflow_resumed": true,
        "agent_type": null, "step": null, "subject_digest": "d",
    });
    world.announce_entry(&world.commit_one(log, EventType::HitlResponse, data));
    world.commit_and_announce(log, 1);
    let mut later = {
        let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
        subscriber.subscribe(project_of(log), Some(0)).await.unwrap();
        subscriber
    };
    for subscriber in [&mut live, &mut later] {
        assert_eq!(next(subscriber).await["event_type"], "hitl_response");
        assert_eq!(next(subscriber).await["event_type"], "workflow_resumed");
        assert_eq!(next(subscriber).await["seq"], 2);
    }
}

#[tokio::test]
async fn a_subscriber_of_everything_gets_every_log_in_its_order() {
    let (world, hub) = start(settings()).await;
    let logs = [LogWriter::project(), LogWriter::project(), LogId::System];
    world.commit_and_announce(logs[0], 3);
    announced(&world, &hub).await;
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    let mut entries: Vec<_> = logs.iter().flat_map(|log| world.commit(*log, 5)).collect();
    entries.swap(0, 3);
    entries.swap(7, 8);
    entries.iter().for_each(|entry| world.announce_entry(entry));
    let mut received: HashMap<String, Vec<u64>> = HashMap::new();
    for _ in 0..15 {
        let frame = next(&mut subscriber).await;
        let seqs = received.entry(frame["project_id"].to_string()).or_default();
        seqs.push(frame["seq"].as_u64().unwrap());
    }
    assert_silent(&mut subscriber).await;
    for (log, expected) in logs.iter().zip([range(4, 8), range(1, 5), range(1, 5)]) {
        assert_eq!(received[&json!(log.project()).to_string()], expected);
    }
}

#[tokio::test]
async fn a_slow_subscriber_of_everything_reads_the_logs() {
    let (world, hub) = start(settings()).await;
    let logs = [LogWriter::project(), LogWriter::project()];
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    for _ in 0..50 {
        logs.iter().for_each(|log| world.commit_and_announce(*log, 1));
    }
    until(|| hub.watched_logs() == 3).await;
    tokio::time::sleep(A_MOMENT).await;
    for n in 1..=50 {
        assert_eq!(next_seqs(&mut subscriber, 2).await, [n, n]);
    }
    assert_silent(&mut subscriber).await;
}

#[tokio::test]
async fn a_subscriber_of_everything_hears_of_a_project_whose_news_were_lost() {
    let (world, hub) = start(settings()).await;
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    let log = LogWriter::project();
    world.commit(log, 3);
    world.announce(&BusMessage::Lagged);
    assert_eq!(next_seqs(&mut subscriber, 3).await, [1, 2, 3]);
    world.commit_and_announce(log, 1);
    assert_eq!(next_seqs(&mut subscriber, 1).await, [4]);
}

/// Returns the positions of a log that arrive up to this one, and the number of gaps.
async fn received_until(subscriber: &mut Subscriber, log: LogId, seq: u64) -> (Vec<u64>, usize) {
    let (mut seqs, mut gaps) = (Vec::new(), 0);
    while seqs.last() != Some(&seq) {
        let frame = next(subscriber).await;
        if frame["event_type"] == "gap" {
            gaps += 1;
        } else if frame["project_id"] == json!(log.project()) {
            seqs.push(frame["seq"].as_u64().unwrap());
        }
    }
    (seqs, gaps)
}

#[tokio::test]
async fn without_news_of_others_what_they_did_is_found_among_much_that_was_done_here() {
    let (world, hub) = start(LiveSettings { bus_carries_all: false, ..settings() }).await;
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    let (here, there) = (LogWriter::project(), LogWriter::project());
    world.commit(there, 2);
    world.commit_and_announce(here, 1200);
    hub.discover().await;
    assert_eq!(received_until(&mut subscriber, there, 2).await, (range(1, 2), 0));
    hub.discover().await;
    world.commit_and_announce(there, 1);
    assert_eq!(received_until(&mut subscriber, there, 3).await, (vec![3], 0));
}

#[tokio::test]
async fn what_a_bus_lost_is_found_among_much_that_it_carried() {
    let (world, hub) = start(settings()).await;
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    let (here, there) = (LogWriter::project(), LogWriter::project());
    // The bus is away for a while.
    world.commit(there, 2);
    world.commit_and_announce(here, 600);
    announced(&world, &hub).await;
    hub.discover().await;
    advance(Duration::from_secs(60));
    world.commit_and_announce(here, 600);
    world.announce(&BusMessage::Lagged);
    assert_eq!(received_until(&mut subscriber, there, 2).await, (range(1, 2), 0));
    let reads = world.reads.load(SeqCst);
    hub.discover().await;
    assert_eq!(world.reads.load(SeqCst), reads + 1, "while nothing is lost a glance is enough");
}

#[tokio::test]
async fn a_scan_reads_pages_as_long_as_the_store_gives_them() {
    let (world, hub) = start(LiveSettings { bus_carries_all: false, ..settings() }).await;
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    let log = LogWriter::project();
    world.commit(log, 600);
    let reads = world.reads.load(SeqCst);
    hub.discover().await;
    assert_eq!(world.reads.load(SeqCst) - reads, 3, "600 entries in pages of 200");
    assert_eq!(received_until(&mut subscriber, log, 600).await, (range(1, 600), 0));
}

#[tokio::test]
async fn a_log_that_is_younger_than_the_last_look_is_told_from_its_beginning() {
    let (world, hub) = start(settings()).await;
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    hub.discover().await;
    advance(Duration::from_secs(60));
    let log = LogWriter::project();
    world.commit(log, 3);
    world.commit_and_announce(log, 1);
    assert_eq!(received_until(&mut subscriber, log, 4).await, (range(1, 4), 0));
}

#[tokio::test]
async fn when_more_was_done_than_is_looked_through_that_is_told() {
    let limits = LiveSettings { bus_carries_all: false, scan_limit: 1000, ..settings() };
    let (world, hub) = start(limits).await;
    let (old, other) = (LogWriter::project(), LogWriter::project());
    advance(Duration::from_secs(60));
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    world.commit(other, 1);
    world.commit(old, 1300);
    hub.discover().await;
    let (seqs, gaps) = received_until(&mut subscriber, old, 1300).await;
    assert!(seqs == range(301, 1300) && gaps == 1, "from {} on, {gaps} gaps", seqs[0]);
    world.commit_and_announce(other, 1);
    assert_eq!(received_until(&mut subscriber, other, 2).await.0, [2]);
}

#[tokio::test]
async fn everything_and_a_project_of_its_own_are_not_told_twice() {
    let (world, hub) = start(settings()).await;
    let (log, other) = (LogWriter::project(), LogWriter::project());
    world.commit_and_announce(log, 2);
    let mut subscriber = watching(&hub, log, Some(0)).await;
    subscriber.subscribe(Target::All, None).await.unwrap();
    world.commit_and_announce(log, 2);
    world.commit_and_announce(other, 1);
    let mut received = Vec::new();
    for _ in 0..5 {
        let frame = next(&mut subscriber).await;
        received
            .push((frame["project_id"] == json!(log.project()), frame["seq"].as_u64().unwrap()));
    }
    received.sort_unstable();
    assert_eq!(received, [(false, 1), (true, 1), (true, 2), (true, 3), (true, 4)]);
    assert_silent(&mut subscriber).await;
}

#[tokio::test]
async fn nothing_is_kept_of_a_log_that_nobody_watches() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit_and_announce(log, 5);
    assert_eq!(hub.watched_logs(), 0);
    let mut subscriber = watching(&hub, log, None).await;
    let mut everything = hub.subscriber(&Caller::system(), None).await.unwrap();
    everything.subscribe(Target::All, None).await.unwrap();
    world.commit_and_announce(LogWriter::project(), 1);
    next(&mut everything).await;
    assert_eq!(hub.watched_logs(), 3, "the system, the project, and the other project");
    drop(everything);
    assert_eq!(hub.watched_logs(), 2);
    subscriber.unsubscribe(project_of(log));
    assert_eq!(hub.watched_logs(), 1);
    drop(subscriber);
    assert_eq!(hub.watched_logs(), 0);
}

#[tokio::test]
async fn logs_kept_for_subscribers_of_everything_are_bounded() {
    let recheck = Duration::from_millis(10);
    let limits = LiveSettings { recheck, scan_limit: 1000, feed_logs: 1000, ..settings() };
    let (world, hub) = start(limits).await;
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    subscriber.subscribe(Target::All, None).await.unwrap();
    for _ in 0..1100 {
        world.commit_and_announce(LogWriter::project(), 1);
        next(&mut subscriber).await;
    }
    until(|| hub.watched_logs() <= 1001).await;
    assert_silent(&mut subscriber).await;
}

#[tokio::test]
async fn subscribing_again_moves_only_if_it_says_where_to() {
    let (world, hub) = start(settings()).await;
    let log = LogWriter::project();
    world.commit_and_announce(log, 5);
    let mut subscriber = watching(&hub, log, Some(3)).await;
    assert_eq!(next_seqs(&mut subscriber, 1).await, [4]);
    let again = subscriber.subscribe(project_of(log), None).await.unwrap();
    assert!(again.is_some());
    assert_eq!(next_seqs(&mut subscriber, 1).await, [5]);
    assert_eq!(subscriber.subscribe(project_of(log), Some(1)).await.unwrap(), Some(1));
    assert_eq!(next_seqs(&mut subscriber, 4).await, [2, 3, 4, 5]);
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_changes_nothing() {
    let (world, hub) = start(LiveSettings { max_subscriptions: 1, ..settings() }).await;
    let (log, other, missing) = (LogWriter::project(), LogWriter::project(), LogWriter::project());
    world.hide(missing.project().unwrap());
    let mut subscriber = hub.subscriber(&Caller::system(), None).await.unwrap();
    let refused = subscriber.subscribe(project_of(missing), None).await;
    assert!(matches!(refused, Err(SubscribeError::NoSuchProject(_))));
    let refused = subscriber.subscribe(Target::All, Some(1)).await;
    assert!(matches!(refused, Err(SubscribeError::AfterAll)));
    world.down.store(true, SeqCst);
    let refused = subscriber.subscribe(project_of(log), None).await;
    assert!(matches!(refused, Err(SubscribeError::Store(_))));
    world.down.store(false, SeqCst);
    subscriber.subscribe(project_of(log), None).await.unwrap();
    let refused = subscriber.subscribe(project_of(other), None).await;
    assert!(matches!(refused, Err(SubscribeError::TooMany(1))));
    assert_eq!(hub.watched_logs(), 2);
    world.commit_and_announce(log, 1);
    assert_eq!(next_seqs(&mut subscriber, 1).await, [1]);
}

#[tokio::test]
async fn there_is_room_for_so_many_connections() {
    let (_world, hub) = start(LiveSettings { max_connections: 2, ..settings() }).await;
    let first = hub.admit().unwrap();
    let _second = hub.admit().unwrap();
    assert!(hub.admit().is_none());
    drop(first);
    assert!(hub.admit().is_some());
    hub.stop.send_replace(true);
    assert!(hub.admit().is_none());
}
