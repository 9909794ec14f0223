//! Every page in every state, looked at by axe-core at two widths, dark and light: no violation, nothing
//! too wide for a phone, and no message of the browser.

use botarmy_tests::access::client_of;
use botarmy_tests::external_programs::{chromium, node_modules};
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use super::driver::{
    Driver, LOOKS, Scheme, Screen, base_of, is_live, messages, overflow, picture, press, run,
    run_async, says, show_on, sign_in, sign_in_with, tool, until,
};
use crate::alone;

/// Runs axe-core on the page; calls back with a line for each violation. A preview has no part in it: it
/// shows an application of its own.
const AXE: &str = r"
const done = arguments[arguments.length - 1];
const line = ({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map((node) =>
  node.html.slice(0, 200) + ' (' + (node.failureSummary ?? '').replace(/\s+/g, ' ') + ')').join(' and ');
axe.run(document, { iframes: false, resultTypes: ['violations'] })
  .then(({ violations }) => done(violations.map(line)), (error) => done([String(error)]));";

/// Widths of windows between those of the screens.
const BETWEEN: [i64; 4] = [600, 800, 970, 1_120];

/// Returns the width of the page, and a name in a table whose column is too narrow for words.
const SHAPE: &str = r"
const names = [...document.querySelectorAll('.steps .name')];
const squeezed = names.find((name) => name.offsetWidth > 0 && name.offsetWidth < 96);
return { wide: document.documentElement.scrollWidth, squeezed: squeezed?.innerText };";

/// Looks at pages, and notes what is wrong with them.
struct Looker {
    browser: WebDriver,
    base: String,
    /// Number of screens on which each state is looked at.
    looks: usize,
    states: usize,
    found: usize,
}

impl Looker {
    async fn new(driver: &Driver, base: &str, axe: &str, looks: usize) -> Self {
        let browser = driver.browser().await;
        // In each page before anything else of it, so that its policy has no say in it.
        tool(&browser, "Page.addScriptToEvaluateOnNewDocument", json!({"source": axe})).await;
        Self { browser, base: base.to_owned(), looks, states: 0, found: 0 }
    }

    /// Opens a page and looks at it.
    async fn at(&mut self, name: &str, path: &str) {
        self.open(path).await;
        self.look(name, "").await;
    }

    async fn open(&self, path: &str) {
        self.browser.goto(format!("{}/console{path}", self.base)).await.unwrap();
    }

    /// Looks at what is shown. A message of the browser with the text `expected` is none, if there is one.
    async fn look(&mut self, name: &str, expected: &str) {
        self.states += 1;
        // In turn, so that all screens are used when each state is looked at on some of them.
        for n in 0..self.looks {
            let (screen, scheme) = LOOKS[(self.states * self.looks + n) % LOOKS.len()];
            show_on(&self.browser, screen, scheme).await;
            let lines = run_async(&self.browser, AXE).await;
            for line in lines.as_array().unwrap() {
                self.note(&format!("{name}, {screen:?} {scheme:?}: {}", line.as_str().unwrap()));
            }
            let over = overflow(&self.browser, screen).await;
            if over > 0 {
                self.note(&format!("{name}: {over} pixels too wide at {}", screen.width()));
            }
            picture(&self.browser, name, screen, scheme).await;
        }
        let width = BETWEEN[self.states % BETWEEN.len()];
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        tool(&self.browser, "Emulation.setDeviceMetricsOverride", size).await;
        let shown = run(&self.browser, SHAPE).await;
        if shown["wide"].as_i64() > Some(width) || !shown["squeezed"].is_null() {
            self.note(&format!("{name} at {width}: {shown}"));
        }
        for message in messages(&self.browser).await {
            if expected.is_empty() || !message.contains(expected) {
                self.note(&format!("{name}: {message}"));
            }
        }
    }

    /// Prints a finding at once, because a failure later in the test would hide it.
    fn note(&mut self, line: &str) {
        println!("{line}");
        self.found += 1;
    }

    async fn click(&self, css: &str) {
        // A small screen leaves out some elements, and shows others under the bar of the decision.
        show_on(&self.browser, Screen::Desk, Scheme::Light).await;
        let element = until(&self.browser, css).await;
        run_on(&element, "arguments[0].scrollIntoView({block: 'center'})").await;
        element.click().await.unwrap();
    }

    /// Sends the form of this selector without the script of the page, as a page without scripts does.
    async fn send(&self, css: &str) {
        let script =
            format!("HTMLFormElement.prototype.submit.call(document.querySelector(\"{css}\"))");
        run(&self.browser, &script).await;
    }
}

async fn run_on(element: &WebElement, script: &str) {
    element.handle().execute(script, vec![element.to_json().unwrap()]).await.unwrap();
}

/// Settings of a server whose tasks of the type `orchestrator` are done by hand, and whose requests
/// expire with a rejection, also right after its start.
const SETTINGS: [(&str, &str); 6] = [
    ("BOTARMY_AGENTS__ORCHESTRATOR__RUNNER", "none"),
    ("BOTARMY_AGENTS__ORCHESTRATOR__RESERVE_TOKENS", "500"),
    ("BOTARMY_ORCHESTRATOR__ON_EXPIRY", "reject"),
    ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "50"),
    ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "1"),
    ("BOTARMY_GATES__GRACE_S", "0"),
];

/// Workflow with a gate of two people, one that cannot be met, and one before its step runs.
const WORKFLOW: &str = r#"
name = "gates"
[[policy]]
name = "pair"
approvals = 2
remind_after_s = [3600]
escalate = [{ after_s = 7200, to = ["group:leads", "user:reader"] }]
[[policy]]
name = "security"
groups = { security = 2 }
[[policy]]
name = "before"
when = "before"
[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "low"
policy = "pair"
[[step]]
name = "Build"
phase = "1"
agent = "coder"
inputs = ["user_input", "project_plan"]
output = "source_code"
gate = "low"
policy = "before"
[[step]]
name = "Check"
phase = "1"
agent = "tester"
inputs = ["source_code"]
output = "test_results"
gate = "low"
policy = "security"
"#;

/// Document with all that Markdown has.
const DOCUMENT: &str = "# Plan\n\nA text with `code`, **bold** and [a link](https://botarmy.example).\n\n\
     |   | Cost |\n|---|---|\n| One | 2 |\n\n> quoted\n\n- [x] done\n- [ ] open\n\n1. one\n2. two\n\n---\n\n\
     ```js\nlet a = 1;\n```\n\n![A picture](https://botarmy.example/a.png)\n\n## Plan\n\n~~gone~~";

fn id(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned()
}

/// Creates an object over the API; returns it.
async fn create(server: &TestServer, path: &str, body: Value) -> Value {
    let (status, made) = server.post(path, body).await;
    assert!((200..300).contains(&status), "{path}: {made}");
    made
}

/// Adds a task by hand; returns the path of its page, and its lease.
async fn leased(server: &TestServer, project: &str, instructions: &str) -> (String, Value) {
    let task = server.submit(project, "orchestrator", instructions).await;
    let ask = json!({"worker_id": "desk", "agents": ["orchestrator"], "max": 1, "wait_s": 10});
    let leases = create(server, "/api/v1/worker/leases", ask).await;
    (format!("/tasks/{task}"), leases["leases"][0].clone())
}

/// Asks a question by hand; returns the id of the request.
async fn asked(server: &TestServer, project: &str, question: &str, ttl_seconds: u32) -> String {
    let body = json!({
        "project_id": project, "question": question, "options": ["Yes", "No, later"],
        "ttl_seconds": ttl_seconds,
    });
    id(&create(server, "/api/v1/hitl", body).await, "request_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_in_any_state() {
    let Some(chromium) = chromium() else { return };
    let Some(modules) = node_modules() else { return };
    let _alone = alone().await;
    let axe = std::fs::read_to_string(modules.join("axe-core/axe.min.js")).unwrap();
    let looks = count(1, 4) as usize;
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("gates.toml"), WORKFLOW).unwrap();
    let workflows = ("BOTARMY_WORKFLOWS__DIR", folder.path().to_str().unwrap());
    let settings: Vec<_> = SETTINGS.into_iter().chain([workflows]).collect();
    let server = TestServer::with(&settings).await;
    let driver = Driver::start(chromium).await;
    let base = base_of(&server);
    let mut pages = Looker::new(&driver, &base, &axe, looks).await;

    first_time(&mut pages, &server).await;
    let finished = requests(&mut pages, &server).await;
    gates(&mut pages, &server).await;
    projects(&mut pages, &server, &finished).await;
    tasks(&mut pages, &server).await;
    access(&mut pages, &server).await;
    stops(&mut pages, &server).await;
    many(&mut pages, &server).await;
    let mut other = Looker::new(&driver, &base, &axe, looks).await;
    forbidden(&mut other, &server, &finished).await;
    errors(&mut pages, &server, &finished).await;

    let (states, found) = (pages.states + other.states, pages.found + other.found);
    println!("{states} states on {looks} of 4 screens: {found} findings");
    assert_eq!(found, 0);
    pages.browser.quit().await.unwrap();
    other.browser.quit().await.unwrap();
}

/// A server without projects.
async fn first_time(pages: &mut Looker, server: &TestServer) {
    pages.at("sign-in", "/login").await;
    until(&pages.browser, "#key").await.send_keys("botarmy_k_wrong").await.unwrap();
    pages
        .browser
        .find(By::XPath("//button[contains(., 'with the key')]"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    says(&pages.browser, "is not valid").await;
    pages.look("sign-in-refused", "status of 401").await;
    sign_in(&pages.browser, server).await;
    pages.at("inbox-first", "/inbox").await;
    is_live(&pages.browser).await;
    pages.at("decided-empty", "/inbox?tab=decided").await;
    for (name, path) in [
        ("projects-empty", "/projects"),
        ("project-new", "/projects/new"),
        ("agents", "/agents"),
        ("agent", "/agents/coder"),
        ("workers-empty", "/workers"),
        ("audit", "/audit"),
        ("stop-none", "/stop"),
        ("settings", "/settings"),
        ("account", "/account"),
        ("more", "/more"),
        ("help", "/help"),
        ("search", "/find"),
        ("search-nothing", "/find?q=nothing"),
    ] {
        pages.at(name, path).await;
    }
    pages.open("/inbox").await;
    press(&pages.browser, "?").await;
    until(&pages.browser, "dialog[open] #help").await;
    pages.look("help-dialog", "").await;
    pages.open("/projects/new").await;
    pages.send("form.form").await;
    says(&pages.browser, "was not created").await;
    pages.look("project-refused", "status of 422").await;
}

/// Requests in each of their states; returns the id of a project with two versions of its plan.
async fn requests(pages: &mut Looker, server: &TestServer) -> String {
    let project = server.project("A site for the recipes of a family, with a search").await;
    let gate = server.next_gate(&project).await.unwrap();
    let document = json!({
        "project_id": project, "source_agent": "analyst", "artifact_type": "project_plan",
        "content": {"title": "Recipes", "summary": DOCUMENT, "goals": ["Find a recipe"]},
    });
    create(server, "/api/v1/context", document).await;
    let request = format!("/requests/{}", id(&gate, "request_id"));
    pages.at("inbox", "/inbox").await;
    for (name, query) in [
        ("request", ""),
        ("request-context", "?view=context"),
        ("request-history", "?view=history"),
        ("request-raw", "?view=raw"),
        ("request-amend", "?choose=amend"),
        ("request-reject", "?choose=reject"),
        ("request-edit", "?edit=1"),
        ("request-edit-json", "?edit=json"),
    ] {
        pages.at(name, &format!("{request}{query}")).await;
    }
    pages.open(&format!("{request}?choose=reject")).await;
    press(&pages.browser, Key::Control + Key::Enter).await;
    until(&pages.browser, "dialog[open] #confirm").await;
    pages.look("confirm-dialog", "").await;
    pages.open(&request).await;
    until(&pages.browser, "#comment").await.send_keys("Shorter, please").await.unwrap();
    pages.send("#decide-form").await;
    until(&pages.browser, "main > #confirm").await;
    pages.look("confirm-page", "").await;

    // Words lead to a second version.
    pages.open(&format!("{request}?choose=amend")).await;
    until(&pages.browser, "#words")
        .await
        .send_keys("Grandparents must be able to print")
        .await
        .unwrap();
    press(&pages.browser, Key::Control + Key::Enter).await;
    until(&pages.browser, "dialog[open] [value='yes']").await.click().await.unwrap();
    says(&pages.browser, "Your answer is recorded.").await;
    pages.look("request-answered", "").await;
    let second = server.next_gate(&project).await.unwrap();
    let request = format!("/requests/{}", id(&second, "request_id"));
    pages.at("request-changes", &format!("{request}?view=changes")).await;

    // Decided elsewhere between the page and the answer.
    pages.open(&request).await;
    until(&pages.browser, "#comment").await.send_keys("Not like this").await.unwrap();
    server.respond(&second, json!({"action": "approve", "comment": "Good"})).await;
    says(&pages.browser, "<q>Good</q>").await;
    pages.look("request-decided-meanwhile", "").await;
    pages.send("#decide-form").await;
    says(&pages.browser, "Your answer was not recorded.").await;
    pages.look("request-conflict", "status of 409").await;
    pages.at("request-decided", &request).await;
    pages.at("decided", "/inbox?tab=decided").await;

    // Questions by hand: one that expires soon, one that has expired, one that is cancelled.
    let by_hand = server.by_hand().await;
    let soon = asked(server, &by_hand, "Which colour should the **cover** have?", 3600).await;
    let gone = asked(server, &by_hand, "Which size?", 1).await;
    pages.at("request-question", &format!("/requests/{soon}")).await;
    server.until_is(&format!("/api/v1/hitl/{gone}"), "/status", "expired").await;
    pages.at("request-expired", &format!("/requests/{gone}")).await;
    let stopped = server.by_hand().await;
    let cancelled = asked(server, &stopped, "Which shape?", 7200).await;
    pages.at("inbox-urgent", "/inbox").await;
    create(server, &format!("/api/v1/projects/{stopped}/cancel"), json!({})).await;
    pages.at("request-cancelled", &format!("/requests/{cancelled}")).await;
    pages.at("inbox-filtered", "/inbox?kind=failure").await;
    pages.open("/inbox").await;
    until(&pages.browser, ".menu summary.btn").await.click().await.unwrap();
    pages.look("inbox-filter-open", "").await;

    // A budget that is used up.
    let poor = server.by_hand().await;
    server.put(&format!("/api/v1/projects/{poor}/budget"), json!({"tokens": 100})).await;
    server.submit(&poor, "orchestrator", "Too dear").await;
    let ask = json!({"worker_id": "desk", "agents": ["orchestrator"], "max": 1, "wait_s": 1});
    server.post("/api/v1/worker/leases", ask).await;
    let budget = server.next_gate(&poor).await.unwrap();
    let budget = format!("/requests/{}", id(&budget, "request_id"));
    pages.at("request-budget", &format!("{budget}?choose=amend")).await;
    pages.at("usage-limited", &format!("/projects/{poor}/usage")).await;
    project
}

/// Requests under policies: with votes, with a discussion, after an amendment, before a step runs, and one
/// that cannot be approved.
async fn gates(pages: &mut Looker, server: &TestServer) {
    let new = json!({
        "name": "Two people", "description": "Letters to the neighbours", "workflow": "gates",
    });
    let project = id(&create(server, "/api/v1/projects", new).await, "id");
    let other = client_of(server, "second person with a long name").await;
    let respond = async |gate: &Value, body: Value| {
        let path = format!("{}/api/v1/hitl/{}/respond", server.base, id(gate, "request_id"));
        let answer = other.post(path).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    };
    let seen = async |gate: &Value| {
        let path = format!("/api/v1/hitl/{}", id(gate, "request_id"));
        server.get(&path).await.1["subject"]["digest"].clone()
    };

    let plan = server.next_gate(&project).await.unwrap();
    let request = format!("/requests/{}", id(&plan, "request_id"));
    pages.at("request-policy", &request).await;
    let vote = json!({
        "action": "approve", "subject_digest": seen(&plan).await,
        "comment": "All of it is clear, but the third goal could be shorter",
    });
    respond(&plan, vote).await;
    pages.at("request-votes", &request).await;
    pages.at("inbox-all", "/inbox?who=all&policy=pair").await;

    // A delegation that is refused, and a discussion.
    pages.open(&request).await;
    pages.click("#acts summary").await;
    until(&pages.browser, "#act-to").await.send_keys("someone else").await.unwrap();
    pages.look("request-acts", "").await;
    pages.click("#acts details button").await;
    says(&pages.browser, "Nothing was changed.").await;
    pages.look("request-act-refused", "status of 422").await;
    pages.open(&request).await;
    for text in ["Is **this** all?\n\n- one\n- `two`", "There is more in the second goal."] {
        until(&pages.browser, "#say-text").await.send_keys(text).await.unwrap();
        pages.click("#say button").await;
        says(&pages.browser, "Your remark is in the discussion.").await;
    }
    pages.click("#part-discussion a.link").await;
    until(&pages.browser, "#say [name='reply_to']").await;
    until(&pages.browser, "#say-text").await.send_keys("Yes").await.unwrap();
    pages.click("#say button").await;
    until(&pages.browser, ".talk .talk").await;
    pages.look("request-discussion", "").await;

    // The other person amends it: the vote is void, and counts anew for the version.
    let document = json!({"title": "Letters", "goals": ["Write", "Send"]});
    let amend = json!({
        "action": "amend", "amended_content": document, "subject_digest": seen(&plan).await,
    });
    respond(&plan, amend).await;
    pages.at("request-voided", &request).await;
    pages.at("request-changes-amended", &format!("{request}?view=changes")).await;
    let approve = json!({"action": "approve", "subject_digest": seen(&plan).await});
    assert_eq!(server.respond(&plan, approve).await.0, 200);
    pages.at("request-approved-by-two", &request).await;

    let build = server.next_gate(&project).await.unwrap();
    pages.at("request-planned", &format!("/requests/{}", id(&build, "request_id"))).await;
    pages.click("#acts [value='claim'] ~ button").await;
    says(&pages.browser, "The request is reserved for you.").await;
    pages.look("request-claimed", "").await;
    let approve = json!({"action": "approve", "subject_digest": seen(&build).await});
    assert_eq!(server.respond(&build, approve).await.0, 200);
    let check = server.next_gate(&project).await.unwrap();
    pages.at("request-unsatisfiable", &format!("/requests/{}", id(&check, "request_id"))).await;
    pages.at("project-log-gates", &format!("/projects/{project}/log")).await;

    // Questions with a schema: fields, and JSON.
    let project = server.by_hand().await;
    let ask = async |schema: Value| {
        let question = "How shall the letters be printed?";
        let body = json!({"project_id": project, "question": question, "response_schema": schema});
        id(&create(server, "/api/v1/hitl", body).await, "request_id")
    };
    let fields = ask(json!({
        "type": "object",
        "properties": {
            "copies": {"type": "integer", "title": "Number of copies", "minimum": 1, "default": 2},
            "paper": {"enum": ["white", "blue"], "description": "Colour of the paper"},
            "urgent": {"type": "boolean"},
            "words": {"type": "string", "title": "Words for the printer"},
        },
        "required": ["paper"],
    }))
    .await;
    pages.at("request-schema", &format!("/requests/{fields}")).await;
    pages.send("#decide-form").await;
    says(&pages.browser, "is required").await;
    pages.look("request-schema-refused", "status of 422").await;
    let list = ask(json!({"type": "array", "items": {"type": "string"}})).await;
    pages.open(&format!("/requests/{list}")).await;
    until(&pages.browser, "#response").await.send_keys("[1").await.unwrap();
    pages.send("#decide-form").await;
    says(&pages.browser, "Your answer is not JSON").await;
    pages.look("request-json-refused", "status of 422").await;

    // Another person answers while the administrator is away.
    pages.open("/account").await;
    until(&pages.browser, "#d-to").await.send_keys("nobody").await.unwrap();
    run(&pages.browser, "document.querySelector('#d-until').value = '2035-01-01T10:00'").await;
    pages.send("form.form").await;
    says(&pages.browser, "Nothing was changed").await;
    pages.look("account-refused", "status of 422").await;
    let until_then = "document.querySelector('#d-to').value = 'second person with a long name'; \
        document.querySelector('#d-until').value = \
        new Date(Date.now() + 864e5).toISOString().slice(0, 16)";
    run(&pages.browser, until_then).await;
    pages.send("form.form").await;
    says(&pages.browser, "The change is in force.").await;
    pages.look("account-delegation", "").await;
    pages.click("form.actions button").await;
    says(&pages.browser, "The change is in force.").await;
}

/// Projects in each of their states, with their artifacts, logs and usage.
async fn projects(pages: &mut Looker, server: &TestServer, running: &str) {
    pages.at("projects", "/projects").await;
    pages.at("projects-none-failed", "/projects?status=failed").await;
    let waiting = server.project("A notebook for a choir").await;
    server.next_gate(&waiting).await.unwrap();
    for (name, tab) in [
        ("project-waiting", ""),
        ("project-tasks", "/tasks"),
        ("project-artifacts", "/artifacts"),
        ("project-artifacts-none", "/artifacts?type=deployment_log"),
        ("project-log", "/log"),
        ("project-usage", "/usage"),
        ("project-cancel", "/cancel"),
        ("project-complete", "/complete"),
    ] {
        pages.at(name, &format!("/projects/{waiting}{tab}")).await;
    }
    create(server, &format!("/api/v1/projects/{waiting}/pause"), json!({})).await;
    pages.at("project-paused", &format!("/projects/{waiting}")).await;
    let gate = server.next_gate(&waiting).await.unwrap();
    server.respond(&gate, json!({"action": "reject", "comment": "Not now"})).await;
    pages.at("project-halted", &format!("/projects/{waiting}")).await;
    pages.at("project-reopen", &format!("/projects/{waiting}/reopen")).await;

    assert_eq!(server.approve_all(running).await, "completed");
    pages.at("project-completed", &format!("/projects/{running}")).await;
    pages.click(".actions .menu:last-of-type > summary").await;
    pages.look("project-menu", "").await;
    let (_, artifacts) = server.get(&format!("/api/v1/context/project/{running}?limit=100")).await;
    let artifacts = artifacts["items"].as_array().unwrap().clone();
    let of = |kind: &str| {
        let of_kind = artifacts.iter().rfind(|artifact| artifact["artifact_type"] == kind);
        format!("/artifacts/{}", id(of_kind.unwrap_or_else(|| panic!("{kind}")), "context_id"))
    };
    let (plan, code) = (of("project_plan"), of("source_code"));
    pages.at("artifact", &plan).await;
    pages.at("artifact-changes", &format!("{plan}?view=changes")).await;
    pages.at("artifact-raw", &format!("{plan}?view=raw")).await;
    pages.at("artifact-files", &code).await;
    pages.at("artifact-preview", &format!("{code}?view=preview")).await;
    pages.at("artifact-code-changes", &format!("{code}?view=changes")).await;
    pages.at("artifact-tests", &of("test_results")).await;
    let entry = server.events(running).await.pop().unwrap();
    pages.at("entry", &format!("/entries/{}", id(&entry, "id"))).await;
    pages.at("audit-full", "/audit").await;
    pages.at("audit-actor", "/audit?actor=admin").await;
    pages.at("audit-nothing", "/audit?actor=unknown").await;
    pages.at("audit-verified", &format!("/audit/verify?log={running}&state=1")).await;
    pages.at("search-found", "/find?q=Recipes").await;
}

/// Tasks, and the party that works on them.
async fn tasks(pages: &mut Looker, server: &TestServer) {
    let project = server.by_hand().await;
    pages.at("project-by-hand", &format!("/projects/{project}")).await;
    pages.at("tasks-none", &format!("/projects/{project}/tasks")).await;
    let (task, working) = leased(server, &project, "# Write a poem\n\nAbout queues.").await;
    pages.at("task-working", &task).await;
    pages.at("workers", "/workers").await;
    let ask = json!({"question": "Shall it rhyme?", "options": ["Yes", "No"]});
    assert_eq!(server.say(&working, "ask", ask).await.0, 202);
    pages.at("task-waiting", &task).await;
    let (task, lease) = leased(server, &project, "Write a song").await;
    let fail = json!({
        "code": "broken", "retryable": false,
        "message": "The program ended with 1:\n  at line 3\n  at line 4, which is longer than a phone is wide",
    });
    assert_eq!(server.say(&lease, "fail", fail).await.0, 200);
    pages.at("task-failed", &task).await;
    pages.at("agent-with-error", "/agents/orchestrator").await;
    pages.at("tasks-failed", &format!("/projects/{project}/tasks?status=failed")).await;
    let gate = server.next_gate(&project).await;
    assert!(gate.is_some(), "a person is asked about the failure");
    pages.at("inbox-failure", "/inbox?kind=failure").await;
    pages.click(".req .what a").await;
    until(&pages.browser, "#decide-form").await;
    pages.look("request-failure", "").await;
    let (task, done) = leased(server, &project, "Write a line").await;
    let output = json!({"output": {"markdown": DOCUMENT, "list": [{"a": 1}]}});
    assert_eq!(server.say(&done, "complete", output).await.0, 200);
    pages.at("task-done", &task).await;
    pages.open(&format!("/projects/{project}/tasks")).await;
    pages.send("#add form").await;
    says(&pages.browser, "was not added").await;
    pages.look("task-refused", "status of 422").await;
}

/// People, programs and keys.
async fn access(pages: &mut Looker, server: &TestServer) {
    let person = json!({
        "name": "reader", "kind": "person", "grants": [{"role": "viewer", "on": "all"}],
        "groups": ["readers"],
    });
    let person = id(&create(server, "/api/v1/access/principals", person).await, "id");
    for (name, path) in [
        ("people", "/settings/people".to_owned()),
        ("person", format!("/settings/people/{person}")),
        ("keys", "/settings/keys".to_owned()),
        ("keys-of-one", format!("/settings/keys?principal={person}")),
        ("sessions", "/settings/sessions".to_owned()),
    ] {
        pages.at(name, &path).await;
    }
    pages.open(&format!("/settings/keys?principal={person}")).await;
    until(&pages.browser, "#f-name").await.send_keys("laptop").await.unwrap();
    pages.send("#new form").await;
    until(&pages.browser, "input#key[readonly]").await;
    pages.look("key-created", "").await;
    pages.open("/settings/keys").await;
    pages.click(".sessions .menu summary").await;
    pages.look("key-rotate", "").await;
    pages.open(&format!("/settings/people/{person}")).await;
    pages.send("form[action$='/link']").await;
    until(&pages.browser, "input#link[readonly]").await;
    pages.look("person-link", "").await;
    pages.open(&format!("/settings/people/{person}")).await;
    pages.send("form[action$='/disable']").await;
    says(&pages.browser, "keys and sessions are refused").await;
    pages.look("person-disabled", "").await;
    pages.send("form[action$='/enable']").await;
    says(&pages.browser, "The change is in force").await;
    pages.open("/settings/people").await;
    pages.send("#new form").await;
    says(&pages.browser, "Nothing was changed").await;
    pages.look("person-refused", "status of 422").await;
}

/// Emergency stops.
async fn stops(pages: &mut Looker, server: &TestServer) {
    let reason = "The drafts repeat themselves, and the cause is not known yet";
    let stop = json!({"scope": "agent_type", "agent_type": "coder", "reason": reason});
    create(server, "/api/v1/emergency-stop", stop).await;
    let everything = json!({"scope": "everything", "reason": "A rehearsal"});
    create(server, "/api/v1/emergency-stop", everything).await;
    pages.at("stop-in-force", "/stop").await;
    pages.click(".sessions .menu summary").await;
    pages.look("stop-release", "").await;
    pages.at("inbox-stopped", "/inbox").await;
    pages.open("/stop").await;
    pages.send("form.form").await;
    says(&pages.browser, "Nothing was stopped").await;
    pages.look("stop-refused", "status of 422").await;
    for scope in ["scope=everything", "scope=agent_type&agent_type=coder"] {
        let path = format!("/api/v1/emergency-stop?{scope}&reason=Done");
        assert_eq!(server.delete(&path).await.0, 204);
    }
}

/// Full lists, and several requests that are answered together.
async fn many(pages: &mut Looker, server: &TestServer) {
    let project = server.by_hand().await;
    for n in 0..50 {
        asked(server, &project, &format!("Question {n}: which of the drafts is better?"), 86_400)
            .await;
    }
    for idea in ["A plan for a garden", "Labels for parcels"] {
        let project = server.project(idea).await;
        server.next_gate(&project).await.unwrap();
    }
    pages.at("inbox-full", "/inbox").await;
    pages.open("/inbox?kind=approval").await;
    for pick in pages.browser.find_all(By::Css(".pick input")).await.unwrap() {
        run_on(&pick, "arguments[0].click()").await;
    }
    pages.look("inbox-selected", "").await;
    pages.send("main form[action$='/inbox/answer']").await;
    until(&pages.browser, "[name='action'][value='approve']").await;
    pages.look("together", "").await;
    pages.click("[name='action'][value='approve']").await;
    pages.send("form.stack").await;
    says(&pages.browser, "are recorded").await;
    pages.look("together-results", "").await;
}

/// A person who may read, and nothing else.
async fn forbidden(pages: &mut Looker, server: &TestServer, finished: &str) {
    let reader = botarmy_domain::Principal::local_id("reader");
    let key = json!({"principal_id": reader, "name": "a key"});
    let key = id(&create(server, "/api/v1/access/keys", key).await, "key");
    sign_in_with(&pages.browser, &pages.base.clone(), &key).await;
    let project = server.project("Letters to the neighbours").await;
    let gate = server.next_gate(&project).await.unwrap();
    for (name, path) in [
        ("reader-inbox", "/inbox".to_owned()),
        ("reader-request", format!("/requests/{}", id(&gate, "request_id"))),
        ("reader-project", format!("/projects/{project}")),
        ("reader-tasks", format!("/projects/{project}/tasks")),
        ("reader-usage", format!("/projects/{finished}/usage")),
        ("reader-cancel", format!("/projects/{project}/cancel")),
        ("reader-new", "/projects/new".to_owned()),
        ("reader-stop", "/stop".to_owned()),
        ("reader-account", "/account".to_owned()),
    ] {
        pages.at(name, &path).await;
    }
    pages.open("/settings/people").await;
    pages.look("reader-people", "status of 403").await;
}

/// Pages that do not exist or fail.
async fn errors(pages: &mut Looker, server: &TestServer, finished: &str) {
    pages.open("/nothing").await;
    pages.look("error-404", "status of 404").await;
    pages.open("/requests/00000000-0000-7000-8000-000000000000").await;
    pages.look("error-404-request", "status of 404").await;
    pages.open("/audit?type=nonsense").await;
    pages.look("error-422", "status of 422").await;
    // A document that is not as it was stored.
    let path = format!("/api/v1/context/project/{finished}?limit=1");
    let (_, artifacts) = server.get(&path).await;
    let file = server.data_dir().join("botarmy.db");
    let mut database = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    let broken = "DROP TRIGGER artifacts_are_not_changed; UPDATE artifacts SET content = '{'";
    database.batch_execute(broken).unwrap();
    pages.open(&format!("/artifacts/{}", id(&artifacts["items"][0], "context_id"))).await;
    pages.look("error-500", "status of 500").await;
    assert!(
        run(&pages.browser, "return document.body.textContent")
            .await
            .as_str()
            .unwrap()
            .contains("Status 500")
    );
}
