//! Several callers together, with every key that one of them receives, never do more than one of them
//! could at the beginning, whatever they ask for: measured by what the server then does for their keys.

use std::collections::BTreeSet;

use botarmy_tests::dice::Dice;
use botarmy_tests::pipeline::{Call, Pipeline};
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

use super::world::{Keyed, LONG_LEASES, NO_RUNNERS, Project, new_name, principal};

/// Sequences in every test run, and in the long form.
const SEQUENCES: (u32, u32) = (6, 300);
/// Calls of a sequence.
const CALLS: u32 = 40;

/// Everything that a sequence works with.
struct Game<'a> {
    pipeline: Pipeline,
    projects: &'a [Project],
    /// Keys that the callers have.
    keys: Vec<String>,
    principals: Vec<String>,
    key_ids: Vec<String>,
}

fn one<'a, T>(dice: &mut Dice, of: &'a [T]) -> &'a T {
    &of[dice.below(of.len() as u64) as usize]
}

/// Returns random grants, administrators often, because they can do the most.
fn any_grants(projects: &[Project], dice: &mut Dice, may_be_global: bool) -> Vec<Value> {
    let grant = |dice: &mut Dice| {
        let roles = ["admin", "admin", "viewer", "operator", "reviewer", "worker"];
        let role = one(dice, &roles);
        match dice.below(6) {
            0 if may_be_global => json!({"role": role, "on": "all"}),
            0 | 1 => json!({"role": role, "on": "own"}),
            _ => json!({"role": role, "on": "project", "project_id": one(dice, projects).id}),
        }
    };
    (0..dice.below(4)).map(|_| grant(dice)).collect()
}

impl<'a> Game<'a> {
    async fn new(
        server: &TestServer,
        projects: &'a [Project],
        victims: &[Keyed],
        dice: &mut Dice,
    ) -> Self {
        let pipeline = Pipeline::to(&server.base);
        let principals = victims.iter().map(|victim| victim.principal.clone()).collect();
        let key_ids = victims.iter().map(|victim| victim.key_id.clone()).collect();
        let mut game = Self { pipeline, projects, keys: Vec::new(), principals, key_ids };
        // Every second sequence has no administrator of everything.
        let may_be_global = dice.below(2) == 0;
        for _ in 0..2 + dice.below(3) {
            let grants = any_grants(projects, dice, may_be_global);
            let keyed = principal(server, "person", grants.into()).await;
            let body = json!({
                "principal_id": keyed.principal, "name": "narrowed",
                "grants": any_grants(projects, dice, may_be_global),
            });
            game.principals.push(keyed.principal);
            game.key_ids.push(keyed.key_id);
            if dice.below(2) == 0 {
                game.keys.push(keyed.key);
                continue;
            }
            let (status, narrowed) = server.post("/api/v1/access/keys", body).await;
            assert_eq!(status, 201, "{narrowed}");
            game.keys.push(narrowed["key"].as_str().unwrap().to_owned());
        }
        game
    }

    /// Sends a request with a key; returns its status and its answer.
    async fn send(&mut self, key: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = Some(&body).filter(|body| !body.is_null());
        let reply = self.pipeline.send(&Call::with_key(method, path, key, body)).await;
        assert!(reply.status < 500, "{method} {path}: {}", reply.text());
        (reply.status, reply.json())
    }

    /// Returns what the server does for these keys: each is tried on everything.
    async fn can(&mut self) -> BTreeSet<String> {
        let mut tries = vec![
            ("GET", "/api/v1/agents/status".to_owned(), Value::Null),
            ("POST", "/api/v1/agents/status/deployer/reset".to_owned(), Value::Null),
            ("POST", "/api/v1/artifacts/cleanup-old?max_age_hours=8760".to_owned(), Value::Null),
            ("GET", "/health/detailed".to_owned(), Value::Null),
            ("GET", "/api/v1/access/principals".to_owned(), Value::Null),
            ("GET", "/api/v1/audit/system/export".to_owned(), Value::Null),
        ];
        for project in self.projects {
            let id = &project.id;
            let decided = format!("/api/v1/hitl/{}/respond", project.request);
            tries.extend([
                ("GET", format!("/api/v1/projects/{id}"), Value::Null),
                ("GET", format!("/api/v1/audit/projects/{id}/export"), Value::Null),
                ("POST", format!("/api/v1/projects/{id}/check-completion"), Value::Null),
                ("PUT", format!("/api/v1/projects/{id}/budget"), json!({})),
                ("POST", decided, json!({"action": "approve"})),
            ]);
        }
        let mut can = BTreeSet::new();
        for key in self.keys.clone() {
            for (method, path, body) in &tries {
                let (status, _) = self.send(&key, method, path, body.clone()).await;
                if ![401, 403, 404].contains(&status) {
                    can.insert(format!("{method} {path}"));
                }
            }
        }
        can
    }

    /// Makes a random call with a random key, and keeps what it returns; returns whether it succeeded.
    async fn call(&mut self, dice: &mut Dice) -> bool {
        let key = one(dice, &self.keys).clone();
        let grants = any_grants(self.projects, dice, true);
        let of_principal = one(dice, &self.principals).clone();
        let key_id = one(dice, &self.key_ids).clone();
        let project = one(dice, self.projects).id.clone();
        let (method, path, body) = match dice.below(12) {
            0 | 1 => (
                "POST",
                "/api/v1/access/principals".to_owned(),
                json!({"name": new_name("made"), "kind": "person", "grants": grants}),
            ),
            2 | 3 => (
                "PUT",
                format!("/api/v1/access/principals/{of_principal}/grants"),
                json!({"grants": grants}),
            ),
            4 => {
                let body = json!({"principal_id": of_principal, "name": "x", "grants": grants});
                ("POST", "/api/v1/access/keys".to_owned(), body)
            }
            5 => {
                let body = json!({"principal_id": of_principal, "name": "x"});
                ("POST", "/api/v1/access/keys".to_owned(), body)
            }
            6 => {
                let body = json!({"overlap_s": 3600});
                ("POST", format!("/api/v1/access/keys/{key_id}/rotate"), body)
            }
            7 => (
                "PUT",
                format!("/api/v1/access/principals/{of_principal}/groups"),
                json!({"groups": ["admins"]}),
            ),
            8 | 9 => {
                let roles: Vec<_> = grants.iter().map(|grant| grant["role"].clone()).collect();
                let path = format!("/api/v1/projects/{project}/members/{of_principal}");
                ("PUT", path, json!({"roles": roles}))
            }
            10 => ("POST", "/api/v1/projects".to_owned(), json!({"name": "Made by a caller"})),
            _ => (
                "POST",
                format!("/api/v1/projects/{project}/tasks"),
                json!({"agent_type": "tester", "instructions": "x"}),
            ),
        };
        let (status, answer) = self.send(&key, method, &path, body).await;
        if status >= 300 {
            return false;
        }
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        if path.contains("/keys") {
            self.keys.extend(text("key"));
            self.key_ids.extend(text("id"));
        } else if path.ends_with("/principals") {
            self.principals.extend(text("id"));
        }
        true
    }
}

#[tokio::test]
async fn callers_who_work_together_never_do_more_than_one_of_them_could() {
    let server = TestServer::with(&[&NO_RUNNERS[..], &LONG_LEASES].concat()).await;
    let mut projects = Vec::new();
    for _ in 0..3 {
        let project = Project::new(&server).await;
        let path = format!("/api/v1/hitl/{}/respond", project.request);
        assert_eq!(server.post(&path, json!({"action": "approve"})).await.0, 200);
        projects.push(project);
    }
    let admin = json!([{"role": "admin", "on": "all"}]);
    let victims = [
        principal(&server, "person", admin).await,
        principal(&server, "service", json!([{"role": "viewer", "on": "all"}])).await,
    ];
    let mut dice = Dice::new();
    let (mut permitted, mut refused, mut partial) = (0_u32, 0_u32, 0_u32);
    for _ in 0..count(SEQUENCES.0, SEQUENCES.1) {
        let mut dice = dice.fork();
        let seed = dice.seed();
        let mut game = Game::new(&server, &projects, &victims, &mut dice).await;
        let before = game.can().await;
        partial += u32::from(!before.contains("GET /api/v1/access/principals"));
        for _ in 0..CALLS {
            *(if game.call(&mut dice).await { &mut permitted } else { &mut refused }) += 1;
        }
        let after = game.can().await;
        let gained: Vec<_> = after.difference(&before).collect();
        assert!(gained.is_empty(), "the sequence of seed {seed} gains {gained:?}");
    }
    println!(
        "calls: {permitted} permitted, {refused} refused; {partial} sequences without an admin"
    );
    assert!(refused > 50 && partial > 0, "{permitted} {refused} {partial}");
}
