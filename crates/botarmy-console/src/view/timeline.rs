//! Times at which the steps of a project ran and waited, as bars on one line for each step.
//!
//! A long period in which nothing ran, mostly because a person was asked, is drawn short and labelled with
//! its duration: otherwise a night would leave no room for the work.

use std::collections::BTreeMap;
use std::time::Duration;

use botarmy_domain::event::{EventPayload, HitlRequestCreated};
use botarmy_domain::{Entry, HitlRequestId, HitlStatus, TaskId, Timestamp};

use super::amounts;
use super::graph::Look;

/// Most entries of a log that are read for a timeline.
pub(crate) const MAX_ENTRIES: usize = 5_000;
/// Share of the whole that an idle period may have before it is drawn short, and its share then.
const SHORT: f64 = 0.05;
/// Most periods that are drawn short.
const MAX_SHORT: usize = 10;
/// Most bars of one step.
const MAX_BARS: usize = 200;
/// Least width of a bar, in per cent.
const MIN_WIDTH: f64 = 0.4;
/// Number of times on the axis.
const TICKS: usize = 5;

/// A timeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimelineView {
    /// Times at equal distances from the left to the right.
    pub(crate) ticks: Vec<Timestamp>,
    /// Places of the periods that are drawn short.
    pub(crate) gaps: Vec<Span>,
    /// Durations of those periods.
    pub(crate) shortened: Vec<String>,
    /// Bars by name of the step.
    pub(crate) steps: BTreeMap<String, StepTimes>,
}

/// Place on the line, in per cent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) x: f64,
    pub(crate) width: f64,
}

/// Times of one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StepTimes {
    pub(crate) bars: Vec<Bar>,
    /// Number of attempts.
    pub(crate) attempts: usize,
    /// Time for which it ran, of all attempts together.
    pub(crate) worked: Duration,
}

/// Bar on the line of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bar {
    pub(crate) span: Span,
    pub(crate) look: Look,
}

/// Period of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Period {
    step: String,
    from: Timestamp,
    to: Timestamp,
    look: Look,
}

/// Returns the timeline of a project up to `now` from entries of its log, oldest first; `None` if nothing
/// has run or waited.
pub(crate) fn view<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    now: Timestamp,
) -> Option<TimelineView> {
    let periods = periods(entries, now);
    let from = periods.iter().map(|period| period.from).min()?;
    let to = periods.iter().map(|period| period.to).max()?;
    let scale = Scale::new(&periods, from, to);
    let mut steps: BTreeMap<String, StepTimes> = BTreeMap::new();
    for period in &periods {
        let times = steps.entry(period.step.clone()).or_default();
        if period.look != Look::Waiting {
            times.attempts += 1;
            times.worked += period.to.since(period.from);
        }
        if times.bars.len() < MAX_BARS {
            let (x, end) = (scale.place(period.from), scale.place(period.to));
            let width = (end - x).max(MIN_WIDTH);
            let x = x.min(100.0 - width);
            times.bars.push(Bar { span: Span { x, width }, look: period.look });
        }
    }
    Some(TimelineView {
        ticks: (0..TICKS).map(|n| scale.time(share(n, TICKS - 1) * 100.0)).collect(),
        gaps: scale
            .pieces
            .iter()
            .filter(|piece| piece.is_short)
            .map(|piece| Span { x: piece.x, width: piece.width })
            .collect(),
        shortened: scale
            .pieces
            .iter()
            .filter(|piece| piece.is_short)
            .map(|piece| amounts::duration(piece.to.since(piece.from)))
            .collect(),
        steps,
    })
}

#[expect(clippy::cast_precision_loss, reason = "both are small")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// Returns the periods in which steps ran or waited for people.
fn periods<'a>(entries: impl IntoIterator<Item = &'a Entry>, now: Timestamp) -> Vec<Period> {
    let mut found = Vec::new();
    let mut running: BTreeMap<TaskId, (String, Timestamp)> = BTreeMap::new();
    let mut waiting: BTreeMap<HitlRequestId, (String, Timestamp)> = BTreeMap::new();
    let mut push = |begun: Option<(String, Timestamp)>, to: Timestamp, look: Look| {
        if let Some((step, from)) = begun {
            found.push(Period { step, from, to: to.max(from), look });
        }
    };
    for entry in entries {
        let at = entry.created_at;
        let Ok(payload) = EventPayload::of(entry) else { continue };
        match payload {
            EventPayload::TaskStarted(started) => {
                let (Some(task), Some(step)) = (entry.task_id, started.step) else { continue };
                push(running.insert(task, (step, at)), at, Look::Failed);
            }
            EventPayload::TaskCompleted(_) => {
                push(entry.task_id.and_then(|task| running.remove(&task)), at, Look::Done);
            }
            EventPayload::TaskFailed(_)
            | EventPayload::TaskRetryScheduled(_)
            | EventPayload::TaskLeaseExpired(_)
            | EventPayload::TaskCancelled(_) => {
                push(entry.task_id.and_then(|task| running.remove(&task)), at, Look::Failed);
            }
            EventPayload::HitlRequestCreated(HitlRequestCreated::Opened(opened)) => {
                // An agent that asks ends its attempt with the question.
                push(entry.task_id.and_then(|task| running.remove(&task)), at, Look::Done);
                let Some(step) = opened.step else { continue };
                waiting.insert(opened.hitl_request_id, (step, at));
            }
            EventPayload::HitlResponse(response) => {
                push(waiting.remove(&response.hitl_request_id), at, Look::Waiting);
            }
            EventPayload::HitlTimeout(timeout) if timeout.status != HitlStatus::Pending => {
                push(waiting.remove(&timeout.hitl_request_id), at, Look::Waiting);
            }
            EventPayload::HitlCancelled(cancelled) => {
                push(waiting.remove(&cancelled.hitl_request_id), at, Look::Waiting);
            }
            _ => {}
        }
    }
    for begun in running.into_values() {
        push(Some(begun), now, Look::Running);
    }
    for begun in waiting.into_values() {
        push(Some(begun), now, Look::Waiting);
    }
    found.sort_by_key(|period| period.from);
    found
}

/// Relation between times and places.
struct Scale {
    pieces: Vec<Piece>,
}

/// Period with its place, in per cent.
struct Piece {
    from: Timestamp,
    to: Timestamp,
    x: f64,
    width: f64,
    is_short: bool,
}

impl Scale {
    fn new(periods: &[Period], from: Timestamp, to: Timestamp) -> Self {
        let idle = idle(periods, from, to);
        let short = short(&idle, from, to);
        let left =
            seconds(from, to) - short.iter().map(|(from, to)| seconds(*from, *to)).sum::<f64>();
        let gaps = share(short.len(), 1) * SHORT * 100.0;
        // A log whose entries have all the same time has no length.
        let scale = if left > 0.0 { (100.0 - gaps) / left } else { 0.0 };
        let mut pieces = Vec::new();
        let (mut at, mut x) = (from, 0.0);
        for (begin, end) in short.into_iter().chain([(to, to)]) {
            let width = seconds(at, begin) * scale;
            pieces.push(Piece { from: at, to: begin, x, width, is_short: false });
            x += width;
            if begin < end {
                let width = SHORT * 100.0;
                pieces.push(Piece { from: begin, to: end, x, width, is_short: true });
                x += width;
            }
            at = end;
        }
        Self { pieces }
    }

    /// Returns the place of a time.
    fn place(&self, at: Timestamp) -> f64 {
        let piece = self.pieces.iter().find(|piece| at <= piece.to).or(self.pieces.last());
        piece.map_or(0.0, |piece| {
            let whole = seconds(piece.from, piece.to);
            let part = if whole > 0.0 { seconds(piece.from, at) / whole } else { 1.0 };
            piece.x + piece.width * part.clamp(0.0, 1.0)
        })
    }

    /// Returns the time at a place.
    fn time(&self, x: f64) -> Timestamp {
        let at = self.pieces.iter().find(|piece| x <= piece.x + piece.width).or(self.pieces.last());
        at.map_or(Timestamp::from_micros(0), |piece| {
            let part = if piece.width > 0.0 { (x - piece.x) / piece.width } else { 0.0 };
            piece.from.after(piece.to.since(piece.from).mul_f64(part.clamp(0.0, 1.0)))
        })
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).as_secs_f64()
}

/// Returns the times in which no step ran.
fn idle(periods: &[Period], from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut work: Vec<_> = periods
        .iter()
        .filter(|period| period.look != Look::Waiting)
        .map(|period| (period.from, period.to))
        .collect();
    work.sort_unstable();
    let mut idle = Vec::new();
    let mut end = from;
    for (begin, until) in work {
        if begin > end {
            idle.push((end, begin));
        }
        end = end.max(until);
    }
    if to > end {
        idle.push((end, to));
    }
    idle
}

/// Returns the idle times that are drawn short, in their order. With each of them the others take more of
/// what is left.
fn short(
    idle: &[(Timestamp, Timestamp)],
    from: Timestamp,
    to: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    let mut longest: Vec<_> = idle.to_vec();
    longest.sort_by_key(|(from, to)| std::cmp::Reverse(to.since(*from)));
    let mut left = seconds(from, to);
    let mut chosen = Vec::new();
    for period in longest.into_iter().take(MAX_SHORT) {
        let length = seconds(period.0, period.1);
        // The whole as it is drawn with those that are short already.
        let drawn = left / (1.0 - SHORT * share(chosen.len(), 1));
        if length <= SHORT * drawn {
            break;
        }
        left -= length;
        chosen.push(period);
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use botarmy_domain::EventType;
    use botarmy_domain::{EventId, EventSource};
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    use super::*;

    const BEGIN: i64 = 1_800_000_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros((BEGIN + minutes * 60) * 1_000_000)
    }

    fn entry(minutes: i64, event_type: EventType, task: u128, data: Value) -> Entry {
        let Value::Object(event_data) = data else { panic!("an object") };
        Entry {
            id: EventId::from_uuid(Uuid::nil()),
            project_id: None,
            task_id: Some(TaskId::from_uuid(Uuid::from_u128(task))),
            hitl_request_id: None,
            event_type,
            event_source: EventSource::System,
            event_data,
            event_metadata: Map::new(),
            created_at: at(minutes),
            seq: 1,
            hash: String::new(),
        }
    }

    fn started(minutes: i64, task: u128, step: &str) -> Entry {
        let data = json!({
            "agent_type": "coder", "status": "working", "attempt": 1, "worker": "w", "step": step,
        });
        entry(minutes, EventType::TaskStarted, task, data)
    }

    fn completed(minutes: i64, task: u128) -> Entry {
        let data = json!({
            "agent_type": "coder", "status": "completed", "attempt": 1, "output": {},
            "artifacts": [], "confidence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0}, "step": null,
        });
        entry(minutes, EventType::TaskCompleted, task, data)
    }

    fn failed(minutes: i64, task: u128) -> Entry {
        let data = json!({
            "agent_type": "coder", "status": "failed", "attempt": 1, "failures": 1, "error": "e",
            "code": "c", "usage": {}, "step": null,
        });
        entry(minutes, EventType::TaskFailed, task, data)
    }

    fn asked(minutes: i64, task: u128, step: &str) -> Entry {
        let data = json!({
            "hitl_request_id": Uuid::from_u128(9), "kind": "approval", "question": "q",
            "options": [], "subject": {"artifacts": [], "digest": ""}, "step": step,
            "agent_type": null, "expires_at": at(10_000),
        });
        entry(minutes, EventType::HitlRequestCreated, task, data)
    }

    fn answered(minutes: i64) -> Entry {
        let data = json!({
            "hitl_request_id": Uuid::from_u128(9), "kind": "approval", "action": "approve",
            "status": "approved", "user_response": "approved", "response_comment": null,
            "amended_content": null, "workflow_resumed": true, "agent_type": null, "step": null,
            "subject_digest": "",
        });
        entry(minutes, EventType::HitlResponse, 1, data)
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 0.01
    }

    #[test]
    fn waiting_is_drawn_short_and_labelled_with_its_duration() {
        let entries = [
            started(0, 1, "Plan"),
            completed(10, 1),
            asked(10, 1, "Plan"),
            answered(970),
            started(970, 2, "Build"),
            failed(980, 2),
            started(980, 2, "Build"),
        ];
        let timeline = view(&entries, at(990)).unwrap();
        assert_eq!(timeline.shortened, ["16 h"]);
        assert!(near(timeline.gaps[0].x, 31.67) && near(timeline.gaps[0].width, 5.0));
        let plan = &timeline.steps["Plan"];
        assert_eq!(
            plan.bars.iter().map(|bar| bar.look).collect::<Vec<_>>(),
            [Look::Done, Look::Waiting]
        );
        assert!(near(plan.bars[0].span.width, 31.67) && near(plan.bars[1].span.width, 5.0));
        assert_eq!((plan.attempts, plan.worked), (1, Duration::from_secs(600)));
        let build = &timeline.steps["Build"];
        let looks: Vec<_> = build.bars.iter().map(|bar| bar.look).collect();
        assert_eq!(looks, [Look::Failed, Look::Running]);
        assert!(near(build.bars[0].span.x, 36.67) && near(build.bars[1].span.x, 68.33));
        assert_eq!((build.attempts, build.worked), (2, Duration::from_secs(1_200)));
        assert_eq!((timeline.ticks[0], timeline.ticks[4]), (at(0), at(990)));
        assert!(timeline.ticks.is_sorted() && timeline.ticks.len() == TICKS);
    }

    #[test]
    fn short_pauses_keep_their_length_and_many_long_ones_leave_room_for_the_work() {
        let entries =
            [started(0, 1, "a"), completed(50, 1), started(52, 2, "b"), completed(100, 2)];
        assert_eq!(view(&entries, at(100)).unwrap().shortened, [""; 0]);
        let many: Vec<Entry> = (0..12)
            .flat_map(|n| [started(n * 1_000, 1, "a"), completed(n * 1_000 + 1, 1)])
            .collect();
        let timeline = view(&many, at(11_001)).unwrap();
        assert_eq!(timeline.gaps.len(), MAX_SHORT);
        let bars = &timeline.steps["a"].bars;
        assert_eq!(bars.len(), 12);
        let ends = bars.iter().map(|bar| bar.span.x + bar.span.width);
        assert!(ends.clone().all(|end| end <= 100.01), "{:?}", ends.collect::<Vec<_>>());
    }

    #[test]
    fn without_entries_there_is_no_timeline_and_without_length_it_is_still_drawn() {
        assert_eq!(view(&[], at(0)), None);
        let timeline = view(&[started(0, 1, "a"), completed(0, 1)], at(5)).unwrap();
        assert!(timeline.steps["a"].bars[0].span.width >= MIN_WIDTH);
        let broken = entry(0, EventType::TaskStarted, 1, json!({"step": 1}));
        assert_eq!(view(&[broken], at(0)), None);
    }
}
