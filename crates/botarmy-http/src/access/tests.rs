use std::sync::Arc;
use std::time::Duration;

use actix_web::test::TestRequest;
use botarmy_domain::ports::{
    Denial, IssuedKey, Lifetime, MockAccess, NewKey, PrincipalChange, UsedKey,
};
use botarmy_domain::{
    Caller as DomainCaller, DomainError, Grant, KeySecret, Page, PrincipalKind, Role, Timestamp,
};
use serde_json::{Value, json};

use crate::testing::{
    Fakes, NOW, api_key, bearing, caller, delete, get, id_generator, key, post, principal, put,
    raw, with_keys,
};

fn admin() -> DomainCaller {
    caller("ada", PrincipalKind::Person, &[Grant::on_all(Role::Admin)])
}

/// Returns an access control that knows one key.
fn access(of: DomainCaller) -> MockAccess {
    with_keys(&[Ok(of)]).0
}

async fn send(access: MockAccess, request: TestRequest) -> crate::testing::Answer {
    let fakes = Fakes { access: Some(access), ..Fakes::default() };
    fakes.send(bearing(request, &key(1))).await
}

#[actix_web::test]
async fn a_caller_sees_itself_and_what_it_may_do() {
    let project = id_generator().project();
    let grants = [Grant::on_project(Role::Viewer, project), Grant::on_own(Role::Operator)];
    let eve = caller("eve", PrincipalKind::Service, &grants);
    let id = eve.principal().unwrap();
    let answer = send(access(eve), get("/api/v1/access/me")).await;
    assert_eq!(answer.status, 200);
    let me = answer.json();
    assert_eq!(me["principal_id"], json!(id));
    assert_eq!(
        (&me["name"], &me["kind"], &me["auth"]),
        (&json!("eve"), &json!("service"), &json!("key"))
    );
    assert_eq!(me["groups"], json!(["reviewers"]));
    assert_eq!(me["credential_id"], json!(id), "the key of this test has its id");
    let permission = |name: &str| {
        let all = me["permissions"].as_array().unwrap();
        all.iter().find(|one| one["permission"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(
        permission("project.read"),
        json!({"permission": "project.read", "everywhere": false, "own": true, "project_ids": [project]})
    );
    assert_eq!(
        permission("project.run"),
        json!({"permission": "project.run", "everywhere": false, "own": true, "project_ids": []})
    );
    assert_eq!(permission("access.manage"), Value::Null);
}

#[actix_web::test]
async fn on_an_open_server_a_caller_is_the_person_whom_it_names() {
    let request = get("/api/v1/access/me").insert_header(("x-user-id", "bob"));
    let me = Fakes::default().send(request).await.json();
    assert_eq!((&me["principal_id"], &me["name"]), (&Value::Null, &json!("bob")));
    assert_eq!((&me["auth"], &me["grants"]), (&json!("none"), &json!([])));
    let all = me["permissions"].as_array().unwrap();
    assert!(all.iter().all(|one| one["everywhere"] == true) && all.len() >= 12, "{all:?}");
}

#[actix_web::test]
async fn principals_are_listed_in_pages() {
    let mut access = access(admin());
    access.expect_principals().returning(|_, after, limit| {
        assert_eq!((after, limit), (None, 1));
        let ada = principal("ada", PrincipalKind::Person, &[Grant::on_all(Role::Admin)]);
        Ok(Page { items: vec![Arc::new(ada)], has_more: true })
    });
    let answer = send(access, get("/api/v1/access/principals?limit=1")).await;
    let page = answer.json();
    let id = page["items"][0]["id"].as_str().unwrap();
    assert_eq!(page["next_cursor"], json!(id));
    assert_eq!(
        answer.header("link"),
        format!("</api/v1/access/principals?limit=1&cursor={id}>; rel=\"next\"")
    );
    let grants = json!([{"role": "admin", "on": "all", "project_id": null}]);
    assert_eq!(page["items"][0]["grants"], grants);
    assert_eq!(page["items"][0]["disabled"], false);
}

#[actix_web::test]
async fn a_principal_is_created_as_it_was_asked_for() {
    let project = id_generator().project();
    let mut access = access(admin());
    access.expect_create_principal().returning(move |new, caller| {
        assert_eq!(
            (caller.name(), new.name.as_str(), new.kind),
            ("ada", "ci", PrincipalKind::Service)
        );
        assert_eq!(
            new.grants,
            [Grant::on_project(Role::Operator, project), Grant::on_own(Role::Viewer)]
        );
        assert_eq!(new.groups, ["builds"]);
        Ok(principal("ci", new.kind, &new.grants).into())
    });
    let body = json!({
        "name": "ci", "kind": "service", "groups": ["builds"],
        "grants": [
            {"role": "operator", "on": "project", "project_id": project},
            {"role": "viewer", "on": "own"},
        ],
    });
    let answer = send(access, post("/api/v1/access/principals", &body)).await;
    assert_eq!((answer.status, &answer.json()["name"]), (201, &json!("ci")));
}

#[actix_web::test]
async fn a_grant_names_a_project_where_it_is_about_one() {
    let id = id_generator().project();
    for (grant, field) in [
        (json!({"role": "admin", "on": "project"}), "grants[0].project_id"),
        (json!({"role": "admin", "on": "all", "project_id": id}), "grants[0].project_id"),
        (json!({"role": "admin", "on": "own", "project_id": id}), "grants[0].project_id"),
        (json!({"role": "king", "on": "all"}), "grants[0].role"),
        (json!({"role": "admin", "on": "everything"}), "grants[0].on"),
        (json!({"role": "admin", "on": "all", "until": 1}), "grants[0].until"),
    ] {
        let body = json!({"name": "x", "kind": "person", "grants": [grant]});
        let answer = send(access(admin()), post("/api/v1/access/principals", &body)).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, field));
    }
    for kind in ["system", "robot"] {
        let body = json!({"name": "x", "kind": kind});
        let answer = send(access(admin()), post("/api/v1/access/principals", &body)).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, "kind"));
    }
}

#[actix_web::test]
async fn each_part_of_a_principal_is_changed_by_itself() {
    let ada = principal("ada", PrincipalKind::Person, &[]);
    let path = |part: &str| format!("/api/v1/access/principals/{}{part}", ada.id);
    let none = PrincipalChange::default();
    let grants = Some(vec![Grant::on_all(Role::Viewer)]);
    for (request, expected, status) in [
        (
            put(&path("/grants"), &json!({"grants": [{"role": "viewer", "on": "all"}]})),
            PrincipalChange { grants, ..none.clone() },
            200,
        ),
        (
            put(&path("/groups"), &json!({"groups": ["a"]})),
            PrincipalChange { groups: Some(vec!["a".to_owned()]), ..none.clone() },
            200,
        ),
        (
            put(&path("/disabled"), &json!({"disabled": true})),
            PrincipalChange { disabled: Some(true), ..none.clone() },
            200,
        ),
        (delete(&path("")), PrincipalChange { deleted: true, ..none }, 204),
    ] {
        let mut access = access(admin());
        let changed = ada.clone();
        access.expect_change_principal().times(1).returning(move |id, change, _| {
            assert_eq!((id, &change), (changed.id, &expected));
            Ok(changed.clone().into())
        });
        assert_eq!(send(access, request).await.status, status);
    }
    let mut access = access(admin());
    access.expect_change_principal().returning(|_, _, _| {
        Err(DomainError::conflict("last_admin", "It is the last administrator.").into())
    });
    let answer = send(access, delete(&path(""))).await;
    assert_eq!(
        (answer.status, &answer.json()["type"]),
        (409, &json!("urn:botarmy:problem:last_admin"))
    );
}

fn issued() -> IssuedKey {
    let ada = principal("ada", PrincipalKind::Person, &[]);
    IssuedKey { key: Arc::new(api_key(&ada)), text: KeySecret::new([7; 32]).text() }
}

#[actix_web::test]
async fn the_text_of_a_key_is_shown_once_and_never_kept() {
    let ada = principal("ada", PrincipalKind::Person, &[]);
    let text = issued().text.expose().to_owned();
    let create = |more: Value| {
        let mut body = json!({"principal_id": ada.id, "name": "laptop"});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        post("/api/v1/access/keys", &body)
    };
    let day = Duration::from_secs(86_400);
    for (more, lifetime) in [
        (json!({}), Lifetime::Default),
        (json!({"expires_in_days": 90}), Lifetime::For(day * 90)),
        (json!({"never": true}), Lifetime::Unlimited),
        (json!({"never": false, "expires_in_days": 1}), Lifetime::For(day)),
    ] {
        let mut access = access(admin());
        let principal = ada.id;
        access.expect_create_key().times(1).returning(move |new, _| {
            let expected = NewKey { principal, name: "laptop".to_owned(), grants: None, lifetime };
            assert_eq!(new, expected);
            Ok(issued())
        });
        let answer = send(access, create(more)).await;
        assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"));
        assert_eq!(answer.json()["key"], json!(text));
    }
    for more in [
        json!({"never": true, "expires_in_days": 9}),
        json!({"expires_in_days": 0}),
        json!({"expires_in_days": 3651}),
    ] {
        let answer = send(access(admin()), create(more)).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, "expires_in_days"));
    }
    let id = issued().key.id;
    for request in [create(json!({})), raw(&format!("/api/v1/access/keys/{id}/rotate"), "")] {
        let request = request.insert_header(("idempotency-key", "k"));
        let answer = send(access(admin()), request).await;
        let kind = answer.json()["type"].clone();
        assert_eq!(
            (answer.status, kind),
            (400, json!("urn:botarmy:problem:idempotency_key_not_taken"))
        );
    }
    let mut access = access(admin());
    access.expect_key().returning(|_, _| {
        Ok(UsedKey { key: issued().key, last_used_at: Some(Timestamp::from_micros(0)) })
    });
    let answer = send(access, get(&format!("/api/v1/access/keys/{id}"))).await;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.status == 200 && !body.contains(&text), "{body}");
    assert!(!body.contains("digest") && body.contains("\"last_used_at\":\"1970"), "{body}");
}

#[actix_web::test]
async fn a_rotation_says_how_long_the_old_key_works_and_the_new_one_lives() {
    let id = issued().key.id;
    let path = format!("/api/v1/access/keys/{id}/rotate");
    let days = Lifetime::For(Duration::from_secs(90 * 86_400));
    for (request, overlap_s, lifetime) in [
        (raw(&path, ""), 86_400, None),
        (post(&path, &json!({})), 86_400, None),
        (post(&path, &json!({"overlap_s": 0})), 0, None),
        (post(&path, &json!({"overlap_s": 60, "never": false})), 60, None),
        (post(&path, &json!({"expires_in_days": 90})), 86_400, Some(days)),
        (post(&path, &json!({"never": true})), 86_400, Some(Lifetime::Unlimited)),
    ] {
        let mut access = access(admin());
        access.expect_rotate_key().times(1).returning(move |rotated, overlap, given, _| {
            assert_eq!((rotated, overlap), (id, Duration::from_secs(overlap_s)));
            assert_eq!(given, lifetime);
            Ok(issued())
        });
        assert_eq!(send(access, request).await.status, 201);
    }
    for (body, field) in [
        (json!({"overlap_s": 2_592_001}), "overlap_s"),
        (json!({"expires_in_days": 0}), "expires_in_days"),
        (json!({"expires_in_days": 3651}), "expires_in_days"),
        (json!({"expires_in_days": 90, "never": true}), "expires_in_days"),
    ] {
        let answer = send(access(admin()), post(&path, &body)).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, field), "{body}");
    }
}

#[actix_web::test]
async fn keys_are_listed_and_revoked() {
    let ada = principal("ada", PrincipalKind::Person, &[]);
    let mut listed = access(admin());
    let of = ada.id;
    listed.expect_keys().returning(move |_, principal, after, limit| {
        assert_eq!((principal, after, limit), (Some(of), None, 100));
        let used = UsedKey { key: issued().key, last_used_at: None };
        Ok(Page::first(vec![used], limit))
    });
    let page = send(listed, get(&format!("/api/v1/access/keys?principal_id={}", ada.id))).await;
    let page = page.json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next_cursor"]), (1, &Value::Null));
    let mut revoked = access(admin());
    revoked.expect_revoke_key().times(1).returning(|_, _| {
        let mut key = (*issued().key).clone();
        key.revoked_at = Some(NOW);
        Ok(key.into())
    });
    let answer = send(revoked, delete(&format!("/api/v1/access/keys/{}", issued().key.id))).await;
    assert!(answer.status == 200 && answer.json()["revoked_at"].is_string());
}

#[actix_web::test]
async fn what_the_domain_refuses_is_refused() {
    let viewer = caller("eve", PrincipalKind::Person, &[Grant::on_all(Role::Viewer)]);
    let mut access = access(viewer);
    access.expect_keys().returning(|caller, _, _, _| {
        let permission = botarmy_domain::Permission::AccessManage;
        caller.check(permission, botarmy_domain::Place::Installation)?;
        unreachable!("a viewer may not")
    });
    let answer = send(access, get("/api/v1/access/keys")).await;
    assert_eq!(answer.status, 403);
    let mut expired = MockAccess::new();
    expired.expect_is_required().return_const(true);
    expired.expect_authenticate().returning(|_| Err(Denial::Expired));
    expired.expect_record_denial().returning(|_, _| ());
    assert_eq!(send(expired, get("/api/v1/access/me")).await.status, 401);
}
