//! The pictures of `docs/console.md`, made from a project of the offline drafter. `just pictures` writes them
//! into `docs/console`; every other run only makes them, and checks that the page shows what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use botarmy_tests::external_programs::chromium;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;

use super::driver::{
    Driver, Scheme, Screen, base_of, is_live, run, show_on, signed_in_browser, tool, until,
};
use crate::alone;

/// Variable with the folder for the pictures.
const FOLDER: &str = "BOTARMY_TEST_DOCS_PICTURES";
/// Largest picture, in bytes.
const MAX_BYTES: usize = 60 * 1024;

const IDEAS: [(&str, &str); 3] = [
    (
        "Recipes",
        "A site where a family keeps its recipes. Everyone can add a recipe, find it by its ingredients, \
         and print it.",
    ),
    (
        "Choir notebook",
        "A notebook for a choir: songs, voices, and who sings what at the next concert.",
    ),
    (
        "Garden plan",
        "A plan of a garden that says what to sow this week, and where it grew last year.",
    ),
];
const FEEDBACK: &str =
    "Recipes must also be readable on paper: print them in large type, without pictures.";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

async fn picture(browser: &WebDriver, folder: &Path, name: &str) {
    // Without what differs from one moment to the next.
    run(browser, "document.activeElement?.blur()").await;
    let wanted = json!({"format": "webp", "quality": 60});
    let made = tool(browser, "Page.captureScreenshot", wanted).await;
    let bytes = BASE64_STANDARD.decode(made["data"].as_str().unwrap()).unwrap();
    println!("{name}.webp: {} bytes", bytes.len());
    assert!(bytes.len() <= MAX_BYTES, "{name}: {} bytes", bytes.len());
    std::fs::write(folder.join(format!("{name}.webp")), bytes).unwrap();
}

async fn project(server: &TestServer, (name, idea): (&str, &str)) -> String {
    let body = json!({"name": name, "description": idea, "workflow": "sdlc", "oversight": "high"});
    let (status, project) = server.post("/api/v1/projects", body).await;
    assert_eq!(status, 201, "{project}");
    project["id"].as_str().unwrap().to_owned()
}

fn path_of(gate: &Value) -> String {
    format!("requests/{}", gate["request_id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pictures_of_the_documentation_are_made_and_shown() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let elsewhere = TempDir::new().unwrap();
    let folder = std::env::var_os(FOLDER).map_or(elsewhere.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    let server = TestServer::start().await;
    let driver = Driver::start(chromium).await;
    let browser = signed_in_browser(&driver, &server).await;
    show_on(&browser, Screen::Desk, Scheme::Light).await;
    let open = async |path: &str, ready: &str| {
        browser.goto(format!("{}/console/{path}", base_of(&server))).await.unwrap();
        is_live(&browser).await;
        until(&browser, ready).await;
    };

    // One project is far, one has a plan that was amended, and one has just begun.
    let [recipes, choir, garden] = IDEAS;
    let far = project(&server, recipes).await;
    let code = loop {
        let gate = server.next_gate(&far).await.unwrap();
        if gate["subject"]["artifacts"][0]["artifact_type"] == "source_code" {
            break gate;
        }
        assert_eq!(server.respond(&gate, json!({"action": "approve"})).await.0, 200);
    };
    let amended = project(&server, choir).await;
    let gate = server.next_gate(&amended).await.unwrap();
    let words = json!({"action": "amend", "content": FEEDBACK});
    assert_eq!(server.respond(&gate, words).await.0, 200);
    let second = server.next_gate(&amended).await.unwrap();
    let new = project(&server, garden).await;
    let first = server.next_gate(&new).await.unwrap();

    open("inbox", ".req").await;
    picture(&browser, &folder, "inbox").await;
    open(&path_of(&first), "#decide-form").await;
    picture(&browser, &folder, "request").await;
    open(&format!("{}?view=changes", path_of(&second)), ".diff").await;
    picture(&browser, &folder, "changes").await;
    open(&path_of(&code), "#decide-form").await;
    let files = "[...document.querySelectorAll('.tabs a')].find((tab) => tab.textContent.startsWith('Files'))";
    run(&browser, &format!("{files}.click()")).await;
    until(&browser, "#files").await;
    picture(&browser, &folder, "files").await;
    open(&format!("projects/{far}"), "#part-workflow").await;
    picture(&browser, &folder, "project").await;
    show_on(&browser, Screen::Phone, Scheme::Light).await;
    open(&path_of(&first), "#decide-form").await;
    picture(&browser, &folder, "phone").await;
    browser.quit().await.unwrap();

    let page = std::fs::read_to_string(docs().join("console.md")).unwrap();
    let names = |folder: &Path| -> BTreeSet<String> {
        let files = folder.read_dir().unwrap().map(|file| file.unwrap().file_name());
        files.map(|name| name.into_string().unwrap()).collect()
    };
    let made = names(&folder);
    assert_eq!(made, names(&docs().join("console")), "`just pictures` writes them anew");
    for name in &made {
        assert!(page.contains(&format!("](console/{name})")), "{name} is not shown");
    }
}
