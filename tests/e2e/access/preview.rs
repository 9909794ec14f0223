//! Previews of applications: who may read one, with which address, and what the response allows.

use botarmy_domain::access::PreviewToken;
use botarmy_domain::{ContextId, CredentialId, SessionText, Timestamp};
use botarmy_tests::browser::{Browser, Shown};
use botarmy_tests::server::TestServer;
use reqwest::Method;
use serde_json::json;

use super::world::{NO_RUNNERS, principal};

const PAGE: &str =
    "<!doctype html><html><head><title>x</title></head><body><script src=\"app.js\"></script>";

struct World {
    server: TestServer,
    project: String,
    artifact: String,
}

/// Starts a server with an application in a project.
async fn world() -> World {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = server.by_hand().await;
    let artifact = store(&server, &project).await;
    World { server, project, artifact }
}

async fn store(server: &TestServer, project: &str) -> String {
    let content = json!({"entry": "index.html", "files": [
        {"path": "index.html", "content": PAGE},
        {"path": "app.js", "content": "localStorage.setItem('a', 1)"},
        {"path": "img/a b.svg", "content": "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"},
    ]});
    let body = json!({
        "project_id": project, "source_agent": "coder", "artifact_type": "source_code",
        "content": content,
    });
    let (status, artifact) = server.post("/api/v1/context", body).await;
    assert_eq!(status, 201, "{artifact}");
    artifact["context_id"].as_str().unwrap().to_owned()
}

/// Returns a browser of a person with the role viewer on this target.
async fn viewer(server: &TestServer, on: &str) -> Browser {
    let grants = if on == "all" {
        json!([{"role": "viewer", "on": "all"}])
    } else {
        json!([{"role": "viewer", "on": "project", "project_id": on}])
    };
    let person = principal(server, "person", grants).await;
    Browser::with_key(server, &person.key).await
}

/// Returns the address of the frame on the page of the artifact.
async fn frame(browser: &mut Browser, artifact: &str) -> String {
    let shown = browser.show(&format!("/console/artifacts/{artifact}?view=preview")).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let (_, rest) = shown.body.split_once("src=\"/console/preview/").expect(&shown.body);
    format!("/console/preview/{}", rest.split('"').next().unwrap())
}

/// Asks as the frame does: without the cookie.
async fn fetch(browser: &Browser, path: &str) -> Shown {
    let mut frame = browser.clone();
    frame.cookie = None;
    let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")];
    frame.send(Method::GET, path, &headers, None).await
}

fn is_refused(shown: &Shown) {
    assert_eq!(shown.status, 403, "{}", shown.body);
    assert!(!shown.body.contains("app.js") && !shown.body.contains("localStorage"));
    // The frame shows it; nothing in it leads to a sign-in.
    assert_eq!(shown.header("content-type"), "text/plain; charset=utf-8");
    assert!(shown.header("content-security-policy").contains("frame-ancestors 'self'"));
    assert_eq!(shown.header("location"), "");
}

#[tokio::test]
async fn a_preview_is_read_without_a_cookie_and_its_response_isolates_it() {
    let World { server, artifact, .. } = world().await;
    let mut browser = viewer(&server, "all").await;
    let path = frame(&mut browser, &artifact).await;
    assert!(path.ends_with("/index.html"), "{path}");
    let shown = fetch(&browser, &path).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert!(shown.body.starts_with("<!doctype html><html><head><script>(() =>"), "{}", shown.body);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cache-control", "no-store"),
        ("x-dns-prefetch-control", "off"),
        (
            "content-security-policy",
            "sandbox allow-scripts allow-forms allow-modals; default-src \
          'self' 'unsafe-inline' data: blob:; connect-src 'none'; form-action 'none'; base-uri \
          'none'; frame-ancestors 'self'; webrtc 'block'",
        ),
    ] {
        assert_eq!(shown.header(name), value, "{name}");
    }
    assert_eq!(shown.set_cookie(), None);
    let base = path.strip_suffix("index.html").unwrap();
    let script = fetch(&browser, &format!("{base}app.js")).await;
    assert_eq!(script.body, "localStorage.setItem('a', 1)");
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(fetch(&browser, &format!("{base}img/a%20b.svg")).await.status, 200);
    // As a page of its own it would have the whole window.
    let alone = [("sec-fetch-dest", "document")];
    let shown = browser.send(Method::GET, &path, &alone, None).await;
    assert_eq!(
        (shown.status, shown.header("location")),
        (303, format!("/console/artifacts/{artifact}?view=preview").as_str())
    );
    assert!(!server.said(path.split('/').nth(3).unwrap()), "the token is in the server's log");
}

#[tokio::test]
async fn hostile_paths_reach_nothing_and_other_methods_are_refused() {
    let World { server, artifact, .. } = world().await;
    let mut browser = viewer(&server, "all").await;
    let path = frame(&mut browser, &artifact).await;
    let base = path.strip_suffix("index.html").unwrap();
    for hostile in [
        "",
        "../index.html",
        "..%2f..%2findex.html",
        "%2e%2e/index.html",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "..%5cindex.html",
        "index.html%00",
        "INDEX.HTML",
        "./index.html",
        "nothing.js",
        "img",
        "img/",
        "C:/x",
        "index.html/x",
        ".git/config",
    ] {
        let shown = fetch(&browser, &format!("{base}{hostile}")).await;
        // Browsers and clients resolve some of these before they ask.
        if shown.status == 200 {
            assert!(["./index.html"].contains(&hostile), "{hostile}: {}", shown.body);
            continue;
        }
        assert!([400, 403, 404, 303].contains(&shown.status), "{hostile}: {}", shown.status);
        assert!(!shown.body.contains("root:"), "{hostile}");
    }
    let shown = browser.submit(&path, &[("a", "b")]).await;
    assert!([403, 405].contains(&shown.status), "{}", shown.status);
}

#[tokio::test]
async fn a_forged_foreign_or_outdated_token_reads_nothing() {
    let World { server, project, artifact } = world().await;
    let mut browser = viewer(&server, "all").await;
    let mut other = viewer(&server, "all").await;
    let path = frame(&mut browser, &artifact).await;
    let second = store(&server, &project).await;
    let token = path.split('/').nth(3).unwrap().to_owned();
    let parts: Vec<&str> = token.split('-').collect();
    let [session, id, hour, code] = parts.as_slice() else { panic!("{token}") };
    let second_id = second.replace('-', "");
    let of_other = frame(&mut other, &artifact).await;
    let other_session = of_other.split('/').nth(3).unwrap().split('-').next().unwrap().to_owned();
    let next: i64 = hour.parse::<i64>().unwrap() + 1;
    for forged in [
        format!("{session}-{id}-{hour}-{}", "a".repeat(43)),
        format!("{session}-{second_id}-{hour}-{code}"),
        format!("{other_session}-{id}-{hour}-{code}"),
        format!("{session}-{id}-{next}-{code}"),
        format!("open-{id}"),
        "x".to_owned(),
    ] {
        let shown = fetch(&browser, &format!("/console/preview/{forged}/index.html")).await;
        is_refused(&shown);
    }
    // A token that was made right, three hours ago and for three hours from now.
    let text: SessionText = browser.cookie.clone().unwrap().parse().unwrap();
    let session: CredentialId = session.parse().unwrap();
    let artifact: ContextId = artifact.parse().unwrap();
    let micros = hour.parse::<i64>().unwrap() * 3_600_000_000;
    for hours in [-3, 3] {
        let at = Timestamp::from_micros(micros + hours * 3_600_000_000);
        let token = PreviewToken::new(&text, session, artifact, at).expose();
        is_refused(&fetch(&browser, &format!("/console/preview/{token}/index.html")).await);
    }
    let at = Timestamp::from_micros(micros);
    let token = PreviewToken::new(&text, session, artifact, at).expose();
    let shown = fetch(&browser, &format!("/console/preview/{token}/index.html")).await;
    assert_eq!(shown.status, 200, "the test makes tokens as the server does");
    // Another browser with the same address.
    let mut thief = browser.clone();
    thief.agent = "Other/1".to_owned();
    is_refused(&fetch(&thief, &path).await);
}

#[tokio::test]
async fn a_preview_ends_with_its_session_and_with_the_right_to_read() {
    let World { server, project, artifact } = world().await;
    let mut browser = viewer(&server, &project).await;
    let path = frame(&mut browser, &artifact).await;
    assert_eq!(fetch(&browser, &path).await.status, 200);
    let foreign = store(&server, &server.by_hand().await).await;
    let shown = browser.show(&format!("/console/artifacts/{foreign}?view=preview")).await;
    assert_eq!(shown.status, 404, "{}", shown.body);
    let text: SessionText = browser.cookie.clone().unwrap().parse().unwrap();
    let parts: Vec<&str> = path.split('/').nth(3).unwrap().split('-').collect();
    let at = Timestamp::from_micros(parts[2].parse::<i64>().unwrap() * 3_600_000_000);
    let token = PreviewToken::new(&text, parts[0].parse().unwrap(), foreign.parse().unwrap(), at);
    let shown = fetch(&browser, &format!("/console/preview/{}/index.html", token.expose())).await;
    assert_eq!(shown.status, 404, "the person may not read it: {}", shown.body);

    let token = browser.token().await;
    let shown = browser.submit("/console/logout", &[("form_token", &token)]).await;
    assert_eq!(shown.status, 303);
    is_refused(&fetch(&browser, &path).await);
}
