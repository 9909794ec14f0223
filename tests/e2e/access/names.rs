//! Names of principals that readers could confuse.

use botarmy_tests::server::TestServer;
use futures_util::future::join_all;
use serde_json::json;

use super::world::NO_RUNNERS;

/// Number of names, each of which is created in all of its forms at once.
const NAMES: usize = 12;

/// Returns forms of a name that differ in case, width, ligatures and invisible parts only.
fn forms(n: usize) -> [String; 6] {
    [
        format!("office manager {n}"),
        format!("Office Manager {n}"),
        format!("OFFICE MANAGER {n}"),
        format!("o\u{fb03}ce manager {n}"),
        format!("\u{ff4f}ffice manager {n}"),
        format!("o\u{fb00}ice manag\u{ff45}r {n}"),
    ]
}

#[tokio::test]
async fn of_names_that_differ_in_form_only_one_is_created_however_many_try_at_once() {
    let server = TestServer::with(&NO_RUNNERS).await;
    for n in 0..NAMES {
        let create = forms(n).map(|name| {
            server.post("/api/v1/access/principals", json!({"name": name, "kind": "service"}))
        });
        let made = join_all(create).await;
        let created = made.iter().filter(|(status, _)| *status == 201).count();
        assert_eq!(created, 1, "{made:?}");
        for (status, body) in made.iter().filter(|(status, _)| *status != 201) {
            let taken = json!("urn:botarmy:problem:name_taken");
            assert_eq!((*status, &body["type"]), (409, &taken), "{body}");
        }
    }
}

#[tokio::test]
async fn a_name_with_characters_that_are_not_seen_is_refused_and_the_error_says_which() {
    let server = TestServer::with(&NO_RUNNERS).await;
    for (name, reason) in [
        ("a\u{fff9}da", "U+FFF9"),
        ("a\u{fffa}da", "U+FFFA"),
        ("ada\u{fffb}x", "U+FFFB"),
        ("a\u{13430}da", "U+13430"),
        ("a\u{200b}da", "U+200B"),
        ("Ada  L.", "two spaces in a row"),
        ("Ada     L.", "two spaces in a row"),
        ("Ada\u{a0}L.", "U+00A0"),
    ] {
        let body = json!({"name": name, "kind": "person"});
        let (status, refused) = server.post("/api/v1/access/principals", body).await;
        assert_eq!(status, 422, "{name:?}: {refused}");
        assert_eq!(refused["errors"][0]["field"], json!("name"), "{refused}");
        assert!(refused.to_string().contains(reason), "{name:?}: {refused}");
    }
}
