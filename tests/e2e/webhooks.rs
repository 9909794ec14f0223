//! Webhooks through the real server, to a real receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use botarmy_tests::access::{self, client_of};
use botarmy_tests::prove::count;
use botarmy_tests::receiver::{Answer, Received, Receiver};
use botarmy_tests::server::TestServer;
use botarmy_tests::services;
use reqwest::Method;
use serde_json::{Value, json};

const WEBHOOKS: &str = "/api/v1/webhooks";

/// Settings that let a server send to the receivers of these tests, and that do not wait for long.
const TO_LOOPBACK: [(&str, &str); 5] = [
    ("BOTARMY_AGENTS__CODER__RUNNER", "none"),
    ("BOTARMY_WEBHOOKS__ALLOW_HTTP", "true"),
    ("BOTARMY_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8"),
    ("BOTARMY_WEBHOOKS__RETRY_BASE_MS", "20"),
    ("BOTARMY_WEBHOOKS__MAX_ATTEMPTS", "4"),
];

/// Starts a server that sends to loopback.
async fn server(more: &[(&str, &str)]) -> TestServer {
    let variables: Vec<_> = TO_LOOPBACK.iter().chain(more).copied().collect();
    TestServer::with(&variables).await
}

/// Creates a subscription, and returns it with its secret.
async fn subscribe(server: &TestServer, body: Value) -> Value {
    let (status, created) = server.post(WEBHOOKS, body).await;
    assert_eq!(status, 201, "{created}");
    created
}

fn path_of(webhook: &Value) -> String {
    format!("{WEBHOOKS}/{}", webhook["id"].as_str().unwrap())
}

async fn patch(server: &TestServer, webhook: &Value, body: Value) -> (u16, Value) {
    let path = path_of(webhook);
    let response = server.raw(Method::PATCH, &path, Some(body.to_string())).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Returns the attempts of a subscription, oldest first.
async fn deliveries(server: &TestServer, webhook: &Value) -> Vec<Value> {
    let (status, page) = server.get(&format!("{}/deliveries?limit=1000", path_of(webhook))).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().iter().rev().cloned().collect()
}

/// Waits until as many messages have arrived.
async fn until(server: &TestServer, receiver: &Receiver, arrived: usize) -> Vec<Received> {
    server.until(|_| async { receiver.received().len() >= arrived }).await;
    receiver.received()
}

async fn system_events(server: &TestServer, kind: &str) -> Vec<Value> {
    let (status, page) = server.get(&format!("/api/v1/audit/events?event_type={kind}")).await;
    assert_eq!(status, 200, "{page}");
    page.as_array().or_else(|| page["items"].as_array()).unwrap().clone()
}

/// Checks that of each log every entry from the first one on has arrived, in order, if repetitions are
/// left out. Returns the entries by project.
fn in_order(received: &[Received]) -> BTreeMap<Option<String>, Vec<u64>> {
    let mut logs: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for message in received {
        let (project, seq) = message.place();
        let seen = logs.entry(project.clone()).or_default();
        match seen.last() {
            Some(last) if seq <= *last => assert!(seen.contains(&seq)),
            Some(last) => assert_eq!(seq, last + 1, "{project:?}: an entry was passed over"),
            None => {}
        }
        if !seen.contains(&seq) {
            seen.push(seq);
        }
    }
    logs
}

#[tokio::test]
async fn every_entry_is_sent_in_the_order_of_its_log_and_signed() {
    let (server, receiver) = (server(&[]).await, Receiver::start().await);
    let earlier = server.by_hand().await;
    server.submit(&earlier, "coder", "Before the subscription").await;
    let webhook = subscribe(&server, json!({"url": receiver.url("/hook?a=b")})).await;
    let mut projects = vec![earlier.clone()];
    for _ in 0..3 {
        projects.push(server.by_hand().await);
    }
    for n in 0..4 {
        for project in &projects {
            server.submit(project, "coder", &format!("s3cr3t {n}")).await;
        }
    }
    let mut wanted = BTreeMap::new();
    for project in &projects {
        let events = server.events(project).await;
        // Of the earlier project only what came after the subscription.
        let is_new =
            |event: &&Value| event["created_at"].as_str() >= webhook["created_at"].as_str();
        let new: Vec<_> = events.into_iter().filter(|event| is_new(&event)).collect();
        assert!(new.len() >= 4, "{new:?}");
        wanted.insert(project.clone(), new);
    }
    let is_of_projects = |message: &Received| message.place().0.is_some();
    let total: usize = wanted.values().map(Vec::len).sum();
    let arrived = || receiver.received().into_iter().filter(is_of_projects).collect::<Vec<_>>();
    server.until(|_| async { arrived().len() >= total }).await;
    let received = arrived();
    assert_eq!(received.len(), total, "each entry once");
    for (project, events) in &wanted {
        let of = received.iter().filter(|one| one.place().0.as_ref() == Some(project));
        for (message, event) in of.zip(events) {
            let body = message.json();
            assert_eq!(message.header("webhook-id"), event["id"].as_str().unwrap());
            assert_eq!(body["type"], event["event_type"]);
            assert_eq!(body["timestamp"], event["created_at"]);
            assert_eq!(body["data"]["seq"], event["seq"]);
            assert_eq!(body["data"]["task_id"], event["task_id"]);
            assert_eq!(body["data"]["hash"], event["hash"]);
        }
    }
    for message in &received {
        assert_eq!(message.target, "/hook?a=b");
        assert_eq!(message.header("content-type"), "application/json");
        assert!(message.is_signed_with(webhook["secret"].as_str().unwrap()));
        assert!(message.is_signed_with(webhook["public_key"].as_str().unwrap()));
        assert!(!message.body.contains("s3cr3t"), "{}", message.body);
        let at: u64 = message.header("webhook-timestamp").parse().unwrap();
        assert!(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().abs_diff(at) < 60);
    }
    // A secret is shown once, and is nowhere else.
    let secret = webhook["secret"].as_str().unwrap();
    let (_, shown) = server.get(&path_of(&webhook)).await;
    let (_, listed) = server.get(WEBHOOKS).await;
    assert_eq!(listed["items"][0], shown);
    let created = system_events(&server, "webhook_created").await;
    for text in [shown.to_string(), json!(created).to_string()] {
        assert!(!text.contains(secret) && !text.contains(&secret[6..]), "{text}");
    }
    assert!(!json!(created).to_string().contains("/hook"), "an address may have a secret");
    assert!(!server.said(secret) && !server.said("/hook"));
    let (_, state) = server.get("/api/v1/audit/system/verify?state=true").await;
    assert_eq!(state["valid"], true, "{state}");
}

#[tokio::test]
async fn types_and_a_project_limit_what_is_sent() {
    let (server, receiver) = (server(&[]).await, Receiver::start().await);
    let (one, other) = (server.by_hand().await, server.by_hand().await);
    let url = receiver.url("/");
    let of_type = subscribe(&server, json!({"url": url, "events": ["task_created"]})).await;
    let of_project =
        subscribe(&server, json!({"url": receiver.url("/one"), "project_id": one})).await;
    assert_eq!((&of_type["project_id"], &of_project["project_id"]), (&Value::Null, &json!(one)));
    for project in [&one, &other] {
        server.submit(project, "coder", "Do it").await;
        server.post(&format!("/api/v1/projects/{project}/pause"), json!({})).await;
    }
    let received = until(&server, &receiver, 4).await;
    let told: BTreeSet<_> = received
        .iter()
        .map(|one| (one.target.clone(), one.place().0.unwrap(), one.json()["type"].to_string()))
        .collect();
    let of = |path: &str, project: &str, kind: &str| {
        (path.to_owned(), project.to_owned(), format!("\"{kind}\""))
    };
    let wanted = [
        of("/", &one, "task_created"),
        of("/", &other, "task_created"),
        of("/one", &one, "task_created"),
        of("/one", &one, "project_paused"),
    ];
    assert_eq!(told, wanted.into());
    // A filter that is widened holds for what comes later.
    let (status, _) = patch(&server, &of_type, json!({"events": ["project_resumed"]})).await;
    assert_eq!(status, 200);
    server.post(&format!("/api/v1/projects/{other}/resume"), json!({})).await;
    let received = until(&server, &receiver, 5).await;
    assert_eq!(received[4].json()["type"], "project_resumed");
    assert_eq!(received.len(), 5);
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_and_later_entries_wait() {
    let (server, receiver) = (server(&[]).await, Receiver::start().await);
    let busy = Answer { headers: vec![("retry-after", "1".to_owned())], ..Answer::status(503) };
    let redirect =
        Answer { headers: vec![("location", receiver.url("/elsewhere"))], ..Answer::status(307) };
    receiver.then([Answer::status(500), busy, redirect]);
    let project = server.by_hand().await;
    let webhook =
        subscribe(&server, json!({"url": receiver.url("/"), "project_id": project})).await;
    server.submit(&project, "coder", "One").await;
    server.submit(&project, "coder", "Two").await;
    let received = until(&server, &receiver, 5).await;
    assert!(received.iter().all(|message| message.target == "/"), "no redirection is followed");
    let ids: Vec<_> = received.iter().map(|message| message.header("webhook-id")).collect();
    assert!(ids[..4].iter().all(|id| *id == ids[0]) && ids[4] != ids[0], "{ids:?}");
    assert!(received[2].at - received[1].at >= Duration::from_secs(1), "Retry-After");
    let (first, second) = (received[3].place().1, received[4].place().1);
    assert_eq!(second, first + 1);
    server.until(|server| async { deliveries(server, &webhook).await.len() == 5 }).await;
    let attempts = deliveries(&server, &webhook).await;
    let shown = |one: &Value| {
        (one["attempt"].clone(), one["http_status"].clone(), one["delivered"].clone())
    };
    let shown: Vec<_> = attempts.iter().map(shown).collect();
    let row = |attempt: u32, status: u16, delivered: bool| {
        (json!(attempt), json!(status), json!(delivered))
    };
    let wanted = [
        row(1, 500, false),
        row(2, 503, false),
        row(3, 307, false),
        row(4, 204, true),
        row(1, 204, true),
    ];
    assert_eq!(shown, wanted);
    assert_eq!(attempts[2]["error"], "the status 307, a redirection, is not followed");
    assert_eq!((&attempts[0]["seq"], &attempts[0]["project_id"]), (&json!(first), &json!(project)));
}

#[tokio::test]
async fn after_the_last_attempt_it_is_disabled_and_goes_on_where_it_was() {
    let (server, receiver) = (server(&[]).await, Receiver::start().await);
    receiver.always(Some(Answer::status(500)));
    let project = server.by_hand().await;
    let webhook =
        subscribe(&server, json!({"url": receiver.url("/"), "project_id": project})).await;
    server.submit(&project, "coder", "One").await;
    server.until_is(&path_of(&webhook), "/disabled/reason", "failing").await;
    assert_eq!(receiver.received().len(), 4, "as many attempts as the setting says");
    let told = system_events(&server, "webhook_disabled").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let data = &told[0]["event_data"];
    assert_eq!((&data["webhook_id"], &data["reason"]), (&webhook["id"], &json!("failing")));
    assert!(data["message"].as_str().unwrap().contains("4 attempts"), "{data}");
    assert!(server.said("was disabled"));

    receiver.always(None);
    server.submit(&project, "coder", "Two").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.received().len(), 4, "nothing is sent while it is disabled");
    let (status, enabled) = patch(&server, &webhook, json!({"enabled": true})).await;
    assert_eq!((status, &enabled["enabled"]), (200, &json!(true)));
    let received = until(&server, &receiver, 6).await;
    let seqs: Vec<_> = received[4..].iter().map(|message| message.place().1).collect();
    assert_eq!(seqs[0], received[0].place().1, "the entry that had failed");
    assert_eq!(seqs[1], seqs[0] + 1);

    // A receiver that is gone is believed at once.
    receiver.then([Answer::status(410)]);
    server.submit(&project, "coder", "Three").await;
    server.until_is(&path_of(&webhook), "/disabled/reason", "gone").await;
    assert_eq!(receiver.received().len(), 7);
    let (_, state) = server.get("/api/v1/audit/system/verify?state=true").await;
    assert_eq!(state["valid"], true, "{state}");
    // One that a person disables gets nothing either.
    let other = subscribe(&server, json!({"url": receiver.url("/"), "project_id": project})).await;
    let (_, disabled) = patch(&server, &other, json!({"enabled": false})).await;
    assert_eq!(disabled["disabled"]["reason"], "requested");
    server.submit(&project, "coder", "Four").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.received().len(), 7);
}

#[tokio::test]
async fn a_test_and_a_redelivery_move_no_cursor() {
    let (server, receiver) = (server(&[]).await, Receiver::start().await);
    let project = server.by_hand().await;
    let webhook =
        subscribe(&server, json!({"url": receiver.url("/"), "project_id": project})).await;
    let path = path_of(&webhook);
    let (status, tested) = server.post(&format!("{path}/test"), json!({})).await;
    assert_eq!(
        (status, &tested["delivered"], &tested["kind"]),
        (200, &json!(true), &json!("test"))
    );
    let message = &receiver.received()[0];
    assert_eq!(message.json()["type"], "webhook_test");
    assert_eq!(message.header("webhook-id"), tested["message_id"].as_str().unwrap());
    assert!(message.is_signed_with(webhook["secret"].as_str().unwrap()));
    server.submit(&project, "coder", "One").await;
    until(&server, &receiver, 2).await;
    server.until(|server| async { deliveries(server, &webhook).await.len() == 2 }).await;
    let first = deliveries(&server, &webhook).await[1].clone();
    receiver.then([Answer::status(500)]);
    let again = format!("{path}/deliveries/{}/redeliver", first["id"].as_str().unwrap());
    let (status, failed) = server.post(&again, json!({})).await;
    assert_eq!((status, &failed["delivered"]), (200, &json!(false)), "{failed}");
    let (_, repeated) = server.post(&again, json!({})).await;
    assert_eq!((&repeated["delivered"], &repeated["kind"]), (&json!(true), &json!("redelivery")));
    let received = receiver.received();
    assert_eq!(received[3].header("webhook-id"), received[1].header("webhook-id"));
    assert_eq!(received[3].body, received[1].body);
    // A redelivery that fails does not stop the subscription.
    server.submit(&project, "coder", "Two").await;
    let received = until(&server, &receiver, 5).await;
    assert_eq!(received[4].place().1, received[1].place().1 + 1);
    let of_test = format!("{path}/deliveries/{}/redeliver", tested["id"].as_str().unwrap());
    assert_eq!(
        server.post(&of_test, json!({})).await.1["type"],
        "urn:botarmy:problem:not_an_entry"
    );
    let unknown = format!("{path}/deliveries/{}/redeliver", webhook["id"].as_str().unwrap());
    assert_eq!(server.post(&unknown, json!({})).await.0, 404);
    let (status, page) = server.get(&format!("{path}/deliveries?limit=2")).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 2));
    assert!(page["next_cursor"].is_string());
    assert_eq!(server.delete(&path).await.0, 204);
    assert_eq!(server.get(&format!("{path}/deliveries")).await.0, 404);
    server.submit(&project, "coder", "Three").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.received().len(), 5);
}

#[tokio::test]
async fn a_server_sends_to_no_private_address_unless_it_may() {
    let receiver = Receiver::start().await;
    let strict = TestServer::with(&[]).await;
    for url in [
        receiver.url("/"),
        format!("https://127.0.0.1:{}/", receiver.port()),
        format!("https://[::ffff:127.0.0.1]:{}/", receiver.port()),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://user:word@hooks.example/".to_owned(),
        "ftp://hooks.example/".to_owned(),
    ] {
        let (status, refused) = strict.post(WEBHOOKS, json!({"url": url})).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!("url")), "{url}");
    }
    // A name is resolved when something is sent, and the address is checked then.
    let url = format!("https://localhost:{}/", receiver.port());
    let webhook = subscribe(&strict, json!({"url": url})).await;
    let (_, tested) = strict.post(&format!("{}/test", path_of(&webhook)), json!({})).await;
    assert_eq!(tested["delivered"], false);
    let error = tested["error"].as_str().unwrap();
    assert!(error.contains("not public") && error.contains("webhooks.allow_networks"), "{error}");
    assert_eq!(receiver.received().len(), 0);

    // Where a network is allowed, others still are not.
    let lenient = server(&[]).await;
    let (status, _) = lenient.post(WEBHOOKS, json!({"url": "http://[::1]:9/"})).await;
    assert_eq!(status, 422);
    // Variables for proxies have no effect: the proxy would decide where a message goes.
    let proxy = receiver.url("");
    let proxied = server(&[("HTTP_PROXY", &proxy), ("ALL_PROXY", &proxy)]).await;
    let url = "http://127.0.0.1:9/";
    let webhook = subscribe(&proxied, json!({"url": url})).await;
    let (_, tested) = proxied.post(&format!("{}/test", path_of(&webhook)), json!({})).await;
    assert!(tested["error"].as_str().unwrap().starts_with("no connection"), "{tested}");
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_replaced_secret_signs_for_a_while() {
    let (server, receiver) = (server(&[]).await, Receiver::start().await);
    let webhook = subscribe(&server, json!({"url": receiver.url("/")})).await;
    let path = path_of(&webhook);
    let rotate = async |body: Value| {
        let (status, rotated) = server.post(&format!("{path}/rotate-secret"), body).await;
        assert_eq!(status, 201, "{rotated}");
        rotated
    };
    let keys = |webhook: &Value| {
        ["secret", "public_key"].map(|name| webhook[name].as_str().unwrap().to_owned())
    };
    let tested = async || {
        let before = receiver.received().len();
        server.post(&format!("{path}/test"), json!({})).await;
        let is_test = |one: &&Received| one.json()["type"] == "webhook_test";
        let received = receiver.received();
        received[before..].iter().find(is_test).unwrap().clone()
    };
    let second = rotate(json!({})).await;
    assert_ne!(keys(&webhook), keys(&second));
    assert!(second["previous_secret_until"].is_string());
    let message = tested().await;
    assert_eq!((message.signatures("v1").len(), message.signatures("v1a").len()), (2, 2));
    for key in keys(&webhook).iter().chain(&keys(&second)) {
        assert!(message.is_signed_with(key), "{key}");
    }
    let third = rotate(json!({"overlap_s": 1})).await;
    let message = tested().await;
    assert!(keys(&webhook).iter().all(|key| !message.is_signed_with(key)));
    assert!(keys(&second).iter().chain(&keys(&third)).all(|key| message.is_signed_with(key)));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let message = tested().await;
    assert_eq!(message.signatures("v1").len(), 1);
    assert!(message.is_signed_with(&keys(&third)[0]));
    let events = json!(system_events(&server, "webhook_changed").await).to_string();
    assert!(keys(&third).iter().chain(&keys(&second)).all(|key| !events.contains(&key[6..])));
}

#[tokio::test]
async fn a_subscription_sends_what_its_owner_may_read() {
    if !access::needs_keys() {
        return;
    }
    let (server, receiver) = (server(&[]).await, Receiver::start().await);
    let (seen, hidden) = (server.by_hand().await, server.by_hand().await);
    let ada = client_of(&server, "ada").await;
    let body = json!({"url": receiver.url("/"), "events": ["task_created", "project_paused"]});
    let created = ada.post(format!("{}{WEBHOOKS}", server.base)).json(&body).send().await.unwrap();
    let webhook: Value = created.json().await.unwrap();
    let owner = webhook["owner_id"].as_str().unwrap().to_owned();
    server.submit(&hidden, "coder", "One").await;
    assert_eq!(until(&server, &receiver, 1).await[0].place().0, Some(hidden.clone()));
    let principal = format!("/api/v1/access/principals/{owner}");
    let grants = json!({"grants": [{"role": "viewer", "on": "project", "project_id": seen}]});
    assert_eq!(server.put(&format!("{principal}/grants"), grants).await.0, 200);
    server.submit(&hidden, "coder", "Two").await;
    server.submit(&seen, "coder", "Three").await;
    let received = until(&server, &receiver, 2).await;
    assert_eq!((received.len(), received[1].place().0), (2, Some(seen.clone())));
    let first = deliveries(&server, &webhook).await[0]["id"].as_str().unwrap().to_owned();
    let again = format!("{}/deliveries/{first}/redeliver", path_of(&webhook));
    let refused = server.post(&again, json!({})).await.1;
    assert_eq!(refused["type"], "urn:botarmy:problem:owner_may_not_read", "{refused}");

    let disable = json!({"disabled": true});
    assert_eq!(server.put(&format!("{principal}/disabled"), disable).await.0, 200);
    server.submit(&seen, "coder", "Four").await;
    server.until_is(&path_of(&webhook), "/disabled/reason", "owner_gone").await;
    assert_eq!(receiver.received().len(), 2);
    let told = system_events(&server, "webhook_disabled").await;
    assert_eq!(told[0]["event_data"]["reason"], "owner_gone");
}

/// Each round kills the server at a random moment while it delivers. Nothing may be passed over, and
/// the first occurrences of the entries of each project are in order.
#[tokio::test]
async fn kills_while_delivering_pass_over_no_entry() {
    let kills = count(3, 50);
    let mut dice = botarmy_tests::dice::Dice::new();
    let receiver = Receiver::start().await;
    let slow = Answer { delay: Duration::from_millis(5), ..Answer::status(204) };
    receiver.always(Some(slow));
    let mut server = server(&[]).await;
    let projects = [server.by_hand().await, server.by_hand().await, server.by_hand().await];
    let webhook = subscribe(&server, json!({"url": receiver.url("/")})).await;
    for kill in 0..kills {
        for project in &projects {
            for n in 0..4 {
                server.submit(project, "coder", &format!("{kill} {n}")).await;
            }
        }
        if dice.below(4) == 0 {
            receiver.then([Answer::status(500)]);
        }
        tokio::time::sleep(Duration::from_millis(dice.below(120))).await;
        server.kill_and_restart().await;
    }
    let mut ends = BTreeMap::new();
    for project in &projects {
        ends.insert(Some(project.clone()), server.events(project).await.len() as u64);
    }
    let arrived = |project: &Option<String>, seq: u64| {
        let taken = receiver.received().into_iter().filter(|one| one.status == 204);
        taken.into_iter().any(|one| one.place() == (project.clone(), seq))
    };
    server.until(|_| async { ends.iter().all(|(project, end)| arrived(project, *end)) }).await;
    let received: Vec<_> =
        receiver.received().into_iter().filter(|message| message.status == 204).collect();
    let logs = in_order(&received);
    let mut total = 0;
    for (project, end) in &ends {
        let seqs = &logs[project];
        assert_eq!(seqs.last(), Some(end));
        total += seqs.len();
    }
    let of_projects = received.iter().filter(|message| message.place().0.is_some()).count();
    println!("kills: {kills}; entries: {total}; messages: {of_projects}");
    let (_, shown) = server.get(&path_of(&webhook)).await;
    assert_eq!(shown["enabled"], true, "{shown}");
}

#[tokio::test]
async fn of_two_servers_one_delivers_and_the_other_takes_over() {
    let Some(database) = services::database().await else { return };
    let receiver = Receiver::start().await;
    let url = database.url();
    // Without Redis, a server learns of the entries of the other by looking at the ends of the logs.
    let more = [
        ("BOTARMY_STORE__URL", url.as_str()),
        ("BOTARMY_WEBHOOKS__SWEEP_S", "1"),
        ("BOTARMY_WEBHOOKS__TIMEOUT_S", "1"),
    ];
    let (mut one, other) = (server(&more).await, server(&more).await);
    let project = one.by_hand().await;
    let webhook = subscribe(&one, json!({"url": receiver.url("/"), "project_id": project})).await;
    for n in 0..10 {
        let from = if n % 2 == 0 { &one } else { &other };
        from.submit(&project, "coder", &n.to_string()).await;
    }
    let received = until(&one, &receiver, 10).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(receiver.received().len(), 10, "each entry once");
    let seqs: Vec<_> = received.iter().map(|message| message.place().1).collect();
    assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1), "{seqs:?}");
    one.kill();
    other.submit(&project, "coder", "After the end of the first server").await;
    let received = until(&other, &receiver, 11).await;
    assert_eq!(received[10].place().1, seqs[9] + 1);
    other.until(|server| async { deliveries(server, &webhook).await.len() == 11 }).await;
}
