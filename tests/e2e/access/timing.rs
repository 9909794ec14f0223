//! The time of an answer does not tell ids of foreign projects from ids that do not exist.

use std::fmt::Write;

use botarmy_tests::dice::Dice;
use botarmy_tests::pipeline::{Call, Pipeline};
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

use super::world::{NO_RUNNERS, Project, principal};

/// Pairs of requests for each route in every test run, and in the long form.
const PAIRS: (u32, u32) = (300, 10_000);
/// Pairs before the first one that counts.
const WARM_UP: u32 = 20;
/// Largest ratio of the medians, in the long form.
const RATIO: f64 = 1.05;
/// Largest distance from one half of the probability that a foreign id takes longer than an unknown one,
/// in the long form.
const DISTANCE: f64 = 0.03;

/// Returns an id that nothing has, of the time of the others.
fn unknown(like: &str, dice: &mut Dice) -> String {
    let random = dice.fork().seed();
    format!("{}8{:03x}-{:012x}", &like[..19], random & 0xfff, random >> 16)
}

/// Times of one route, in nanoseconds.
#[derive(Default)]
struct Times {
    foreign: Vec<f64>,
    unknown: Vec<f64>,
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

impl Times {
    /// Returns the probability that a foreign id takes longer than an unknown one: the area under the
    /// curve of the test that decides by the time (Mann and Whitney, 1947).
    fn area(&self) -> f64 {
        let foreign = self.foreign.iter().map(|time| (*time, true));
        let mut all: Vec<_> =
            foreign.chain(self.unknown.iter().map(|time| (*time, false))).collect();
        all.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let (mut ranks, mut n) = (0.0, 0);
        while n < all.len() {
            let same = all[n..].iter().take_while(|one| one.0 == all[n].0).count();
            // Equal times share the mean of their ranks.
            let rank = n as f64 + (same as f64 + 1.0) / 2.0;
            let of_foreign = all[n..n + same].iter().filter(|one| one.1).count();
            ranks += rank * of_foreign as f64;
            n += same;
        }
        let (foreign, unknown) = (self.foreign.len() as f64, self.unknown.len() as f64);
        (ranks - foreign * (foreign + 1.0) / 2.0) / (foreign * unknown)
    }
}

#[test]
fn the_area_of_times_that_do_not_differ_is_one_half() {
    let times = |foreign: &[f64], unknown: &[f64]| {
        Times { foreign: foreign.to_vec(), unknown: unknown.to_vec() }.area()
    };
    assert!((times(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]) - 0.5).abs() < 1e-9);
    assert!((times(&[4.0, 5.0], &[1.0, 2.0, 3.0]) - 1.0).abs() < 1e-9);
    assert!(times(&[1.0], &[2.0, 3.0]).abs() < 1e-9);
    assert!((times(&[1.0, 4.0], &[2.0, 3.0]) - 0.5).abs() < 1e-9);
}

/// A route that takes an id.
struct Route {
    method: &'static str,
    /// Path, with `ID` in place of the id.
    path: String,
    kind: Kind,
    /// Body for an id, and the id of the caller's own project.
    body: fn(&str, &str) -> Option<Value>,
}

/// Kind of an id.
#[derive(Clone, Copy)]
enum Kind {
    Project,
    Task,
    Request,
    Artifact,
    Event,
}

fn routes(mine: &str) -> Vec<Route> {
    let read = |path: &str, kind| Route {
        method: "GET",
        path: format!("/api/v1/{path}"),
        kind,
        body: |_, _| None,
    };
    let write = |path: &str, kind, body| Route {
        method: "POST",
        path: format!("/api/v1/{path}"),
        kind,
        body,
    };
    vec![
        read("projects/ID", Kind::Project),
        read("projects/ID/status", Kind::Project),
        read("artifacts/ID/download", Kind::Project),
        read("audit/projects/ID/events", Kind::Project),
        read("tasks/ID", Kind::Task),
        read("hitl/ID", Kind::Request),
        read("hitl/ID/context", Kind::Request),
        read("context/ID", Kind::Artifact),
        read("audit/events/ID", Kind::Event),
        read("audit/tasks/ID/events", Kind::Task),
        read("audit/events?task_id=ID", Kind::Task),
        write("hitl/ID/respond", Kind::Request, |_, _| Some(json!({"action": "approve"}))),
        write("hitl/bulk/respond", Kind::Request, |id, _| {
            Some(json!({"request_ids": [id], "action": "approve"}))
        }),
        write("projects/ID/pause", Kind::Project, |_, _| None),
        write("tasks/ID/cancel", Kind::Task, |_, _| None),
        write(&format!("projects/{mine}/tasks"), Kind::Artifact, |id, _| {
            Some(json!({"agent_type": "tester", "instructions": "x", "context_ids": [id]}))
        }),
        write("hitl", Kind::Project, |id, _| Some(json!({"project_id": id, "question": "x"}))),
        write("hitl", Kind::Task, |id, mine| {
            Some(json!({"project_id": mine, "question": "x", "task_id": id}))
        }),
    ]
}

#[tokio::test]
async fn a_foreign_id_takes_as_long_as_an_unknown_one_on_every_kind_of_route() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let foreign = Project::new(&server).await;
    let mine = server.by_hand().await;
    let grants = json!([
        {"role": "operator", "on": "project", "project_id": mine},
        {"role": "reviewer", "on": "project", "project_id": mine},
    ]);
    let key = principal(&server, "person", grants).await.key;
    let (mut dice, mut pipeline) = (Dice::new(), Pipeline::to(&server.base));
    let pairs = count(PAIRS.0, PAIRS.1);
    let is_long = pairs == PAIRS.1;
    // Chance alone moves the area of 300 pairs by 0.024 (standard deviation); a row that was read for one of
    // the ids moved it by 0.2 to 0.4.
    let distance = if is_long { DISTANCE } else { 0.12 };
    let (mut report, mut differ) = (String::new(), false);
    for Route { method, path, kind, body } in routes(&mine) {
        let theirs = match kind {
            Kind::Project => &foreign.id,
            Kind::Task => &foreign.task,
            Kind::Request => &foreign.request,
            Kind::Artifact => &foreign.artifact,
            Kind::Event => &foreign.event,
        };
        let mut times = Times::default();
        for n in 0..pairs + WARM_UP {
            let none = unknown(theirs, &mut dice);
            // Neither is always the first.
            let order = if n % 2 == 0 { [true, false] } else { [false, true] };
            let mut statuses = Vec::new();
            for is_foreign in order {
                let id = if is_foreign { theirs } else { &none };
                let call =
                    Call::with_key(method, &path.replace("ID", id), &key, body(id, &mine).as_ref());
                let (reply, time) = pipeline.timed(&call).await;
                assert!(
                    [200, 404, 422].contains(&reply.status),
                    "{} {}",
                    reply.status,
                    reply.text()
                );
                statuses.push(reply.status);
                if n >= WARM_UP {
                    let times = if is_foreign { &mut times.foreign } else { &mut times.unknown };
                    times.push(time.as_nanos() as f64);
                }
            }
            assert_eq!(statuses[0], statuses[1], "{method} {path}");
        }
        let (one, other) = (median(&times.foreign), median(&times.unknown));
        let (measured, area) = (one / other, times.area());
        // Beside other tests the times of a route gather around two values, and their median is now the one
        // and now the other: there the area decides alone.
        let medians_are_close = !is_long || (measured < RATIO && measured > 1.0 / RATIO);
        let is_close = medians_are_close && (area - 0.5).abs() <= distance;
        differ |= !is_close;
        let mark = if is_close { "" } else { "  DIFFERENT" };
        writeln!(
            report,
            "{method} {path}: medians {:.1} and {:.1} us, ratio {measured:.3}, area {area:.3}{mark}",
            one / 1000.0,
            other / 1000.0
        )
        .unwrap();
    }
    println!("{pairs} pairs of a foreign and an unknown id for each route:\n{report}");
    assert!(!differ, "{report}");
}
