//! The console through the real server, by a browser without scripts: from the inbox to a decision, and
//! what happens when somebody else was first.

use botarmy_tests::access::key;
use botarmy_tests::browser::{Browser, Shown};
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

/// Returns the values of the hidden fields of the form to this path, with more fields.
fn form<'a>(shown: &'a Shown, action: &str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, String)> {
    let (_, rest) = shown
        .body
        .split_once(&format!("action=\"{action}\""))
        .unwrap_or_else(|| panic!("no form to {action}: {}", shown.body));
    let (form, _) = rest.split_once("</form>").unwrap();
    let mut fields = Vec::new();
    for input in form.split("<input type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = input.split_once("\" value=\"").unwrap();
        fields.push((name, unescaped(rest.split('"').next().unwrap())));
    }
    for area in form.split("<textarea name=\"").skip(1) {
        let (name, rest) = area.split_once('"').unwrap();
        let (_, text) = rest.split_once('>').unwrap();
        let text = text.split("</textarea>").next().unwrap();
        fields.push((name, unescaped(text.strip_prefix('\n').unwrap_or(text))));
    }
    for (name, value) in more {
        fields.retain(|(known, _)| known != name);
        fields.push((*name, (*value).to_owned()));
    }
    fields
}

fn unescaped(text: &str) -> String {
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

async fn submit(browser: &mut Browser, path: &str, fields: &[(&str, String)]) -> Shown {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.submit(path, &fields).await
}

/// Returns the path of a request and its page.
async fn open(browser: &mut Browser, gate: &Value) -> (String, Shown) {
    let path = format!("/console/requests/{}", gate["request_id"].as_str().unwrap());
    let shown = browser.show(&path).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    (path, shown)
}

/// Answers a request in the two steps of a person; returns the response to the second.
async fn answer(browser: &mut Browser, gate: &Value, more: &[(&str, &str)]) -> Shown {
    let (path, shown) = open(browser, gate).await;
    let target = format!("{path}/answer");
    let asked = submit(browser, &target, &form(&shown, &target, more)).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    assert!(asked.body.contains("value=\"yes\""), "{}", asked.body);
    submit(browser, &target, &form(&asked, &target, &[("confirmed", "yes")])).await
}

async fn status(server: &TestServer, gate: &Value) -> String {
    let path = format!("/api/v1/hitl/{}", gate["request_id"].as_str().unwrap());
    server.get(&path).await.1["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_goes_from_the_inbox_to_a_decision_and_sees_the_next_request() {
    let server = TestServer::start().await;
    let mut browser = Browser::with_key(&server, key()).await;
    let shown = browser.show("/console/inbox").await;
    assert!(shown.body.contains("in three steps"), "{}", shown.body);
    let project = server.project("A <b>recipe</b> site for small families").await;
    let gate = server.next_gate(&project).await.unwrap();
    let shown = browser.show("/console/inbox").await;
    assert_eq!(shown.status, 200);
    assert!(shown.body.contains("<title>Inbox (1) · BotArmy</title>"), "{}", shown.body);
    let link = format!("/console/requests/{}", gate["request_id"].as_str().unwrap());
    assert!(shown.body.contains(&link), "{}", shown.body);

    let (path, shown) = open(&mut browser, &gate).await;
    assert!(shown.body.contains("Approve the project plan?"), "{}", shown.body);
    assert!(!shown.body.contains("<b>recipe</b>") && !shown.body.contains("style="));
    let tag = shown.header("etag").to_owned();
    let again = [("if-none-match", tag.as_str())];
    let shown = browser.send(reqwest::Method::GET, &path, &again, None).await;
    assert!([200, 304].contains(&shown.status), "a minute may have passed: {}", shown.status);

    let recorded =
        answer(&mut browser, &gate, &[("action", "approve"), ("comment", "Fine\nwork")]).await;
    assert_eq!(recorded.status, 303, "{}", recorded.body);
    assert_eq!(recorded.header("location"), format!("{path}?answered=1"));
    let (_, request) =
        server.get(&format!("/api/v1/hitl/{}", gate["request_id"].as_str().unwrap())).await;
    assert_eq!(
        (&request["status"], &request["response_comment"]),
        (&"approved".into(), &"Fine\nwork".into())
    );
    let next = server.next_gate(&project).await.unwrap();
    let shown = browser.show(&format!("{path}?answered=1")).await;
    for part in ["Your answer is recorded.", "Approved by", "Next request"] {
        assert!(shown.body.contains(part), "{part}: {}", shown.body);
    }
    assert!(shown.body.contains(next["request_id"].as_str().unwrap()), "{}", shown.body);
    let decided = browser.show("/console/inbox?tab=decided").await;
    assert!(decided.body.contains(&path) && decided.body.contains("Fine"), "{}", decided.body);
}

#[tokio::test]
async fn an_amendment_leads_to_a_new_version_with_its_changes_and_a_rejection_halts() {
    let server = TestServer::start().await;
    let mut browser = Browser::with_key(&server, key()).await;
    let project = server.project("Chess by post").await;
    let gate = server.next_gate(&project).await.unwrap();
    let words = [("action", "amend"), ("content", "Grandparents must be able to print")];
    assert_eq!(answer(&mut browser, &gate, &words).await.status, 303);
    assert_eq!(status(&server, &gate).await, "amended");
    let second = server.next_gate(&project).await.unwrap();
    assert_ne!(second["request_id"], gate["request_id"]);
    let (path, shown) = open(&mut browser, &second).await;
    for part in ["version 2", "Grandparents must be able to print", "second run"] {
        assert!(shown.body.contains(part), "{part}: {}", shown.body);
    }
    let changes = browser.show(&format!("{path}?view=changes")).await;
    for part in ["Changed lines", "version 1 → version 2", "feedback on version 1"] {
        assert!(changes.body.contains(part), "{part}: {}", changes.body);
    }
    for view in ["context", "history", "raw"] {
        let shown = browser.show(&format!("{path}?view={view}")).await;
        assert_eq!(shown.status, 200, "{view}: {}", shown.body);
    }
    // An edited document takes the place of the one under review.
    let edit = browser.show(&format!("{path}?edit=json")).await;
    let (_, text) = edit.body.split_once("name=\"document\"").unwrap();
    let text = unescaped(text.split_once('>').unwrap().1.split("</textarea>").next().unwrap());
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["summary"] = json!("Chess, by letters only");
    let document = document.to_string();
    let mine = [("action", "amend"), ("document", document.as_str()), ("edited", "json")];
    let recorded = answer(&mut browser, &second, &mine).await;
    assert_eq!(recorded.status, 303, "{}", recorded.body);
    let third = server.next_gate(&project).await.unwrap();
    // One that does not match the schema of the step is refused with its place, and nothing is lost.
    let bad = [("action", "amend"), ("document", "{\"nonsense\": true}"), ("edited", "json")];
    let refused = answer(&mut browser, &third, &bad).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("nonsense"), "{}", refused.body);
    assert_eq!(status(&server, &third).await, "pending");
    assert_eq!(answer(&mut browser, &third, &[("action", "reject")]).await.status, 303);
    let (_, halted) = server.get(&format!("/api/v1/projects/{project}")).await;
    assert_eq!(halted["status"], "halted");
}

#[tokio::test]
async fn who_comes_second_is_told_who_was_first_and_keeps_the_text() {
    let server = TestServer::start().await;
    let mut browser = Browser::with_key(&server, key()).await;
    let project = server.project("Parcel labels").await;
    let gate = server.next_gate(&project).await.unwrap();
    let (path, shown) = open(&mut browser, &gate).await;
    let target = format!("{path}/answer");
    let more = [("action", "reject"), ("comment", "Not like this")];
    let asked = submit(&mut browser, &target, &form(&shown, &target, &more)).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let body = json!({"action": "approve", "comment": "Good"});
    assert_eq!(server.respond(&gate, body).await.0, 200);
    let late = submit(&mut browser, &target, &form(&asked, &target, &[("confirmed", "yes")])).await;
    assert_eq!(late.status, 409, "{}", late.body);
    for part in
        ["Your answer was not recorded.", "Approved by", "<q>Good</q>", ">Not like this</textarea>"]
    {
        assert!(late.body.contains(part), "{part}: {}", late.body);
    }
    assert_eq!(status(&server, &gate).await, "approved");
    // The same form twice is the same answer.
    let next = server.next_gate(&project).await.unwrap();
    let (path, shown) = open(&mut browser, &next).await;
    let target = format!("{path}/answer");
    let fields = form(&shown, &target, &[("action", "approve"), ("confirmed", "yes")]);
    for _ in 0..2 {
        let recorded = submit(&mut browser, &target, &fields).await;
        assert_eq!(recorded.status, 303, "{}", recorded.body);
    }
    let other = form(&shown, &target, &[("action", "reject"), ("confirmed", "yes")]);
    assert_eq!(submit(&mut browser, &target, &other).await.status, 409);
}

#[tokio::test]
async fn several_requests_are_answered_together_with_the_digests_that_were_shown() {
    let server = TestServer::start().await;
    let mut browser = Browser::with_key(&server, key()).await;
    let mut gates = Vec::new();
    for idea in ["Choir notebook", "Garden plan"] {
        let project = server.project(idea).await;
        gates.push(server.next_gate(&project).await.unwrap());
    }
    let field = |gate: &Value| {
        let (id, digest) = (&gate["request_id"], &gate["subject"]["digest"]);
        format!("r.{}={}", id.as_str().unwrap(), digest.as_str().unwrap())
    };
    let path = format!("/console/inbox/answer?{}&{}", field(&gates[0]), field(&gates[1]));
    let list = browser.show(&path).await;
    assert!(list.body.contains("Answer 2 requests together"), "{}", list.body);
    let fields = form(&list, "/console/inbox/answer", &[("action", "approve")]);
    let shown = submit(&mut browser, "/console/inbox/answer", &fields).await;
    assert!(shown.body.contains("2 of 2 answers are recorded"), "{}", shown.body);
    for gate in &gates {
        assert_eq!(status(&server, gate).await, "approved");
    }
}
