//! From an idea to a package in the browser: the idea is entered, its plan is amended, what follows is
//! approved, and the package is downloaded and opened. On SQLite, and on PostgreSQL with two replicas behind
//! a proxy that takes turns between them, under a path of its own.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use botarmy_tests::external_programs::{chromium, proxies};
use botarmy_tests::server::{TIMEOUT, TestServer};
use botarmy_tests::services;
use serde_json::json;
use tempfile::TempDir;
use thirtyfour::prelude::*;

use super::driver::{
    Driver, HOST, READY, base_of, is_live, is_quiet, link, press, says, signed_in, text_of, tool,
    until,
};
use crate::alone;
use crate::proxies::{Proxy, free_port, nginx_with};

const IDEA: &str =
    "A site where a family keeps its recipes and finds them by what is in the kitchen.";
const FEEDBACK: &str = "Grandparents must be able to print a recipe in large type.";

/// Waits until a package is downloaded into a folder; returns the names of its files.
async fn package(folder: &Path) -> BTreeSet<String> {
    let began = Instant::now();
    loop {
        let mut files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
        let done = files.find(|file| file.extension().is_some_and(|end| end == "zip"));
        if let Some(file) = done {
            let archive = zip::ZipArchive::new(File::open(file).unwrap()).unwrap();
            return archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        }
        assert!(began.elapsed() < TIMEOUT, "the package is not downloaded");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Opens the request that waits, from the page of the project.
async fn open_request(browser: &WebDriver, project: &str) {
    browser.goto(project).await.unwrap();
    until(browser, ".note.wait a.end").await.click().await.unwrap();
    until(browser, READY).await;
}

/// Gives the open request this answer.
async fn answer(browser: &WebDriver, action: &str) {
    until(browser, &format!("#decide-form button.if-{action}")).await.click().await.unwrap();
    until(browser, "dialog[open] [value='yes']").await.click().await.unwrap();
    says(browser, "Your answer is recorded.").await;
}

/// Goes the whole way; `link` signs the browser in.
async fn travel(driver: &Driver, link: String, base: &str) {
    let folder = TempDir::new().unwrap();
    let browser = driver.browser().await;
    let path = folder.path().to_str().unwrap();
    let downloads = json!({"behavior": "allow", "downloadPath": path});
    tool(&browser, "Browser.setDownloadBehavior", downloads).await;
    browser.goto(link).await.unwrap();
    let inbox = signed_in(&browser).await;
    assert_eq!(inbox, format!("{base}/console/inbox"));
    is_live(&browser).await;

    until(&browser, ".three a.btn").await.click().await.unwrap();
    until(&browser, "#f-idea").await.send_keys(IDEA).await.unwrap();
    until(&browser, "#f-name").await.send_keys("Recipes").await.unwrap();
    until(&browser, "form.form button[type='submit']").await.click().await.unwrap();
    until(&browser, "#part-workflow").await;
    let project = browser.current_url().await.unwrap().to_string();
    assert!(project.starts_with(&format!("{base}/console/projects/")), "{project}");
    until(&browser, ".note.wait a.end").await;

    open_request(&browser, &project).await;
    press(&browser, "m").await;
    press(&browser, FEEDBACK).await;
    answer(&browser, "amend").await;
    open_request(&browser, &project).await;
    says(&browser, "version 2").await;
    until(&browser, "a[href*='view=changes']").await.click().await.unwrap();
    says(&browser, FEEDBACK).await;
    answer(&browser, "approve").await;
    open_request(&browser, &project).await;
    assert_eq!(text_of(&browser, "h1").await, "Approve the software specification?");
    answer(&browser, "approve").await;

    // The rest needs no person, and the page of the project shows its end by itself.
    browser.goto(&project).await.unwrap();
    until(&browser, "a[href$='/download']").await.click().await.unwrap();
    let files = package(folder.path()).await;
    println!("{base}: the package has {files:?}");
    for name in ["source_code/index.html", "README.md"] {
        assert!(
            files.iter().any(|file| file.ends_with(name.rsplit('/').next().unwrap())),
            "{name}: {files:?}"
        );
    }
    is_quiet(&browser).await;
    browser.quit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idea_becomes_a_package_in_the_browser() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let driver = Driver::start(chromium).await;
    let server = TestServer::start().await;
    travel(&driver, link(&server, HOST).await, &base_of(&server)).await;
}

/// Starts a proxy under `/botarmy` that sends each request to another of these servers.
async fn in_turn(tree: &Path, servers: &[TestServer], port: u16) -> Proxy {
    let hosts: Vec<_> =
        servers.iter().map(|server| server.base.trim_start_matches("http://")).collect();
    let all: String = hosts.iter().map(|host| format!("server {host};\n")).collect();
    nginx_with(tree, "replicas", &format!("upstream replicas {{\n{all}}}\n"), port).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idea_becomes_a_package_on_two_replicas_behind_a_proxy_under_a_path() {
    let Some(chromium) = chromium() else { return };
    let Some(tree) = proxies() else { return };
    let Some(database) = services::database().await else { return };
    let Some(redis) = services::redis() else { return };
    let _alone = alone().await;
    let driver = Driver::start(chromium).await;
    let port = free_port();
    let base = format!("http://{HOST}:{port}/botarmy");
    let store = database.url();
    let settings = [
        ("BOTARMY_HTTP__PUBLIC_URL", base.as_str()),
        ("BOTARMY_STORE__URL", store.as_str()),
        ("BOTARMY_REDIS__URL", redis.url.as_str()),
        ("BOTARMY_REDIS__PREFIX", redis.prefix.as_str()),
    ];
    let (first, second) = tokio::join!(TestServer::with(&settings), TestServer::with(&settings));
    let servers = [first, second];
    let _proxy = in_turn(&tree, &servers, port).await;
    let link = link(&servers[0], HOST).await;
    assert!(link.starts_with(&base), "{link}");
    travel(&driver, link, &base).await;
}
