//! The pages for administrators: people, programs, keys and sessions.

use botarmy_domain::access::SignInLinkText;
use botarmy_domain::ports::{IssuedKey, IssuedLink, Lifetime, PrincipalChange, UsedKey};
use botarmy_domain::{ApiKey, DomainError, KeySecret, PrincipalId};

use super::*;

/// Text that would run if it were not escaped.
const EVIL: &str = "<img src=x onerror=alert(1)>";

fn with_token(fields: &str) -> String {
    format!("form_token={}&{fields}", text().form_token().expose())
}

fn key_text() -> String {
    KeySecret::new([7; 32]).text().expose().to_owned()
}

fn api_key() -> ApiKey {
    let text = KeySecret::new([7; 32]).text();
    ApiKey {
        id: CredentialId::from_uuid(Uuid::from_u128(5)),
        principal: ada().id,
        name: EVIL.to_owned(),
        hint: text.hint(),
        digest: text.digest(),
        grants: Some(vec![Grant::on_own(Role::Viewer)]),
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
    }
}

fn issued() -> IssuedKey {
    IssuedKey { key: Arc::new(api_key()), text: KeySecret::new([7; 32]).text() }
}

fn evil() -> Principal {
    Principal { name: EVIL.to_owned(), groups: [EVIL.to_owned()].into(), ..ada() }
}

/// Returns fakes with a person who has a key and a session, seen by an administrator.
fn another_admin() -> Caller {
    let principal = Principal { id: Principal::local_id("root"), name: "root".to_owned(), ..ada() };
    let rights = Rights::of(&[Grant::on_all(Role::Admin)], None);
    Caller::proven(&principal, Authentication::Session, session(1).id, rights)
}

fn admin() -> Fakes {
    let mut fakes = Fakes { role: Some(Role::Admin), ..Fakes::idle() };
    fakes
        .access
        .expect_principals()
        .returning(|_, _, limit| Ok(Page::first(vec![Arc::new(evil())], limit)));
    fakes.access.expect_principal().returning(|_, id| {
        if id == ada().id {
            return Ok(Arc::new(evil()));
        }
        Err(DomainError::not_found("Principal", id).into())
    });
    fakes.access.expect_keys().returning(|_, _, _, limit| {
        let used = UsedKey { key: Arc::new(api_key()), last_used_at: Some(NOW) };
        Ok(Page::first(vec![used], limit))
    });
    fakes.sessions.expect_sessions().returning(|_, _, _, limit| {
        let used = |n| UsedSession {
            session: Arc::new(session(n)),
            name: EVIL.to_owned(),
            last_used_at: NOW,
        };
        Ok(Page::first(vec![used(1), used(2)], limit))
    });
    fakes
}

fn person(end: &str) -> String {
    format!("/console/settings/people/{}{end}", ada().id)
}

#[actix_web::test]
async fn everything_is_shown_escaped_to_administrators_and_to_no_one_else() {
    let key = format!("/console/settings/keys?principal={}", ada().id);
    for path in [
        "/console/settings/people",
        "/console/settings/keys",
        &key,
        "/console/settings/sessions",
        &person(""),
    ] {
        let answer = admin().send(get(path), true).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.contains("<img"), "{path}: {}", answer.body);
        assert!(answer.body.contains("&#60;img src=x"), "{path}: {}", answer.body);
        assert!(!answer.body.contains(&key_text()), "{path}: {}", answer.body);
        for role in [Role::Viewer, Role::Operator, Role::Reviewer, Role::Worker] {
            let fakes = Fakes { role: Some(role), ..Fakes::idle() };
            let answer = fakes.send(get(path), true).await;
            assert_eq!(answer.status, 403, "{path} {role}: {}", answer.body);
        }
    }
    let unknown = format!("/console/settings/people/{}", Uuid::from_u128(9));
    for path in [unknown.as_str(), "/console/settings/people/x"] {
        assert_eq!(admin().send(get(path), true).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn changes_are_for_administrators() {
    let key = format!("/console/settings/keys/{}", Uuid::from_u128(5));
    for path in [
        "/console/settings/people".to_owned(),
        person("/roles"),
        person("/delete"),
        person("/link"),
        "/console/settings/keys".to_owned(),
        format!("{key}/rotate"),
        format!("{key}/revoke"),
        format!("/console/settings/sessions/{}/end", Uuid::from_u128(2)),
    ] {
        // A call of a port would panic.
        for (role, fields) in [(Role::Operator, with_token("")), (Role::Admin, String::new())] {
            let fakes = Fakes { role: Some(role), ..Fakes::idle() };
            let answer = fakes.send(form(&path, &fields), true).await;
            assert_eq!(answer.status, 403, "{path} {role}: {}", answer.body);
        }
    }
}

#[actix_web::test]
async fn a_person_is_created_with_the_roles_of_the_form() {
    let project = Uuid::from_u128(3);
    let mut fakes = admin();
    fakes.access.expect_create_principal().times(1).returning(move |new, caller| {
        assert_eq!((new.name.as_str(), new.kind), ("ci", PrincipalKind::Service));
        assert_eq!(
            (new.groups.as_slice(), caller.name()),
            (&["a".to_owned(), "b c".to_owned()][..], "ada <b>")
        );
        let expected = [
            Grant::on_all(Role::Viewer),
            Grant::on_project(Role::Operator, project.to_string().parse().unwrap()),
        ];
        assert_eq!(new.grants, expected);
        Ok(Arc::new(ada()))
    });
    let fields = format!("name=ci&kind=service&groups=a,b+c&all.viewer=1&in.operator={project}");
    let answer = fakes.send(form("/console/settings/people", &with_token(&fields)), true).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (303, person("").as_str()));
    for (fields, text) in [
        ("name=ci&kind=service&in.viewer=recipes", "names “recipes”, which is no id"),
        ("name=&kind=person", "must not be blank"),
        ("name=taken&kind=person&own.viewer=1", "choose another"),
    ] {
        let mut fakes = admin();
        fakes.access.expect_create_principal().returning(|new, _| match new.name.as_str() {
            "" => Err(DomainError::invalid("name", "must not be blank").into()),
            _ => Err(DomainError::conflict("name_taken", "It is taken; choose another.").into()),
        });
        let answer = fakes.send(form("/console/settings/people", &with_token(fields)), true).await;
        assert!([409, 422].contains(&answer.status), "{fields}: {}", answer.status);
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
        let typed = ["value=\"ci\"", "name=\"own.viewer\" value=\"1\" checked", "value=\"\""];
        assert!(typed.iter().any(|typed| answer.body.contains(typed)), "{}", answer.body);
    }
    for fields in
        ["name=x&kind=system", "name=x", "name=x&kind=person&all.king=1", "kind=person&admin=1"]
    {
        let answer =
            admin().send(form("/console/settings/people", &with_token(fields)), true).await;
        assert_eq!(answer.status, 422, "{fields}");
    }
}

/// Returns the version of what a change is about.
fn seen_by(change: &PrincipalChange) -> Seen {
    if change.grants.is_some() {
        Seen::of_grants(&evil().grants)
    } else {
        Seen::of_groups(&evil().groups)
    }
}

#[actix_web::test]
async fn roles_that_changed_after_they_were_shown_are_shown_again_and_nothing_is_saved() {
    let page = admin().send(get(&person("")), true).await;
    for seen in [Seen::of_grants(&evil().grants), Seen::of_groups(&evil().groups)] {
        let field = format!("name=\"seen\" value=\"{}\"", seen.as_str());
        assert_eq!(page.body.matches(&field).count(), 1, "{}", page.body);
    }
    for (end, fields) in [("/roles", "all.admin=1"), ("/groups", "groups=x")] {
        let mut fakes = admin();
        fakes.access.expect_change_principal().times(1).returning(|_, change, caller| {
            caller.check_seen(|| seen_by(&change), "The roles")?;
            panic!("the page showed others");
        });
        let fields = format!("{fields}&seen={}", Seen::of_grants(&[]).as_str());
        let answer = fakes.send(form(&person(end), &with_token(&fields)), true).await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert!(answer.body.contains("They are shown as they are now."), "{}", answer.body);
        assert!(!answer.body.contains("name=\"all.admin\" value=\"1\" checked"), "as they are");
        let answer = admin().send(form(&person(end), &with_token("")), true).await;
        assert_eq!(answer.status, 422, "without the version");
    }
}

#[actix_web::test]
async fn only_the_session_that_has_changed_something_is_told_so() {
    let mark = visitor().mark(&[ada().id.to_string(), NOW.to_string()]).unwrap();
    for (query, is_shown) in
        [(format!("?saved={mark}"), true), ("?saved=1".to_owned(), false), (String::new(), false)]
    {
        let page = admin().send(get(&person(&query)), true).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(page.body.contains("The change is in force"), is_shown, "{query}");
    }
    for (revoked_at, is_shown) in [(None, false), (Some(NOW), true)] {
        let mut fakes = admin();
        fakes.access.expect_key().returning(move |_, _| {
            let key = Arc::new(ApiKey { revoked_at, ..api_key() });
            Ok(UsedKey { key, last_used_at: None })
        });
        let path = format!("/console/settings/keys?revoked={}", api_key().id);
        let page = fakes.send(get(&path), true).await;
        assert_eq!(page.body.contains("</bdi>” is revoked."), is_shown, "{}", page.body);
    }
    let login = |cookie: bool| {
        let request = get("/console/login?signed_out=everywhere");
        if cookie { request.insert_header(("cookie", "__Host-botarmy=x")) } else { request }
    };
    for (has_cookie, is_shown) in [(false, true), (true, false)] {
        let page = Fakes::default().send(login(has_cookie), false).await;
        assert_eq!(page.body.contains("You are signed out"), is_shown, "{}", page.body);
    }
}

#[actix_web::test]
async fn each_part_of_a_person_is_changed_by_itself() {
    let none = PrincipalChange::default();
    let mark = visitor().mark(&[ada().id.to_string(), NOW.to_string()]).unwrap();
    let saved = person(&format!("?saved={mark}"));
    let roles = format!("own.operator=1&seen={}", Seen::of_grants(&evil().grants).as_str());
    let groups = format!("groups=a%2Cb&seen={}", Seen::of_groups(&evil().groups).as_str());
    for (end, fields, expected, location) in [
        (
            "/roles",
            roles.as_str(),
            PrincipalChange { grants: Some(vec![Grant::on_own(Role::Operator)]), ..none.clone() },
            saved.clone(),
        ),
        (
            "/groups",
            groups.as_str(),
            PrincipalChange { groups: Some(vec!["a".into(), "b".into()]), ..none.clone() },
            saved.clone(),
        ),
        ("/disable", "", PrincipalChange { disabled: Some(true), ..none.clone() }, saved.clone()),
        ("/enable", "", PrincipalChange { disabled: Some(false), ..none.clone() }, saved.clone()),
        (
            "/delete",
            "",
            PrincipalChange { deleted: true, ..none.clone() },
            "/console/settings/people".to_owned(),
        ),
    ] {
        let mut fakes = admin();
        fakes.access.expect_change_principal().times(1).returning(move |id, change, caller| {
            caller.check_seen(|| seen_by(&change), "It")?;
            assert_eq!((id, change), (ada().id, expected.clone()));
            Ok(Arc::new(ada()))
        });
        let request = form(&person(end), &with_token(fields));
        let answer = fakes.send_as(request, Some(another_admin())).await;
        assert_eq!((answer.status, answer.header(header::LOCATION)), (303, location.as_str()));
    }
    for end in ["/disable", "/delete"] {
        let answer = admin().send(form(&person(end), &with_token("")), true).await;
        assert_eq!(answer.status, 409, "an administrator does not remove itself by a click");
        assert!(answer.body.contains("Ask another administrator."), "{}", answer.body);
    }
    let mut fakes = admin();
    fakes.access.expect_change_principal().returning(|_, _, _| {
        Err(DomainError::conflict("last_admin", "It is the last administrator.").into())
    });
    let request = form(&person("/delete"), &with_token(""));
    let answer = fakes.send_as(request, Some(another_admin())).await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("It is the last administrator."), "{}", answer.body);
    for (end, fields) in [("/delete", "groups=x"), ("/promote", "")] {
        let answer = admin().send(form(&person(end), &with_token(fields)), true).await;
        assert!([404, 422].contains(&answer.status), "{end}: {}", answer.status);
    }
}

#[actix_web::test]
async fn a_key_is_shown_once_in_a_response_that_nothing_keeps() {
    let principal: PrincipalId = ada().id;
    for (fields, lifetime, grants) in [
        ("lifetime=default", Lifetime::Default, None),
        ("lifetime=never&all.viewer=1", Lifetime::Unlimited, None),
        (
            "lifetime=&narrow=1&all.viewer=1",
            Lifetime::Default,
            Some(vec![Grant::on_all(Role::Viewer)]),
        ),
        ("lifetime=default&narrow=1", Lifetime::Default, Some(vec![])),
    ] {
        let mut fakes = admin();
        fakes.access.expect_create_key().times(1).returning(move |new, caller| {
            let reply = caller.keyed_call().expect("the form has a key").reply(&issued().key);
            assert!(!format!("{reply:?}").contains(&key_text()), "the text is kept nowhere");
            assert_eq!((new.principal, new.name.as_str()), (principal, "laptop"));
            assert_eq!((new.lifetime, new.grants), (lifetime, grants.clone()));
            Ok(issued())
        });
        let fields = with_token(&format!("key=k&principal={principal}&name=laptop&{fields}"));
        let answer = fakes.send(form("/console/settings/keys", &fields), true).await;
        assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-store"));
        assert!(answer.body.contains(&key_text()), "{}", answer.body);
        assert!(answer.headers.get(header::ETAG).is_none(), "a tag follows from the key");
        let urls =
            answer.body.split("href=\"").skip(1).chain(answer.body.split("action=\"").skip(1));
        for url in urls.map(|rest| rest.split('"').next().unwrap()) {
            assert!(!url.contains("botarmy_k_"), "{url}");
        }
        assert!(answer.body.contains("Bearer $BOTARMY_KEY"), "{}", answer.body);
    }
    for fields in [
        "key=k&name=x",
        "key=k&principal=x&name=x",
        "key=k&principal=1&name=x&lifetime=1",
        &format!("principal={principal}&name=x"),
    ] {
        let answer = admin().send(form("/console/settings/keys", &with_token(fields)), true).await;
        assert_eq!(answer.status, 422, "{fields}");
    }
}

#[actix_web::test]
async fn a_key_is_rotated_and_revoked() {
    let path = |word: &str| format!("/console/settings/keys/{}/{word}", Uuid::from_u128(5));
    let mut fakes = admin();
    fakes.access.expect_rotate_key().times(1).returning(|id, overlap, lifetime, _| {
        assert_eq!((id, overlap.as_secs(), lifetime), (api_key().id, 3600, None));
        Ok(issued())
    });
    let answer = fakes.send(form(&path("rotate"), &with_token("overlap=3600")), true).await;
    assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-store"));
    assert!(answer.body.contains(&key_text()) && answer.body.contains("works until"));
    let mut fakes = admin();
    fakes.access.expect_revoke_key().times(1).returning(|id, _| {
        assert_eq!(id, api_key().id);
        Ok(Arc::new(api_key()))
    });
    let answer = fakes.send(form(&path("revoke"), &with_token("")), true).await;
    assert_eq!(
        (answer.status, answer.header(header::LOCATION)),
        (303, format!("/console/settings/keys?revoked={}", api_key().id).as_str())
    );
    let mut fakes = admin();
    fakes.access.expect_revoke_key().returning(|_, _| {
        Err(DomainError::conflict("last_admin", "No other key manages access.").into())
    });
    let answer = fakes.send(form(&path("revoke"), &with_token("")), true).await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("No other key manages access."), "{}", answer.body);
    for (word, fields, status) in
        [("rotate", "overlap=1", 422), ("rotate", "", 422), ("rotate", "overlap=0&x=1", 422)]
    {
        let answer = admin().send(form(&path(word), &with_token(fields)), true).await;
        assert_eq!(answer.status, status, "{fields}");
    }
}

#[actix_web::test]
async fn a_sign_in_link_is_shown_once() {
    let code = || SignInLinkText::new([8; 32]);
    let mut fakes = admin();
    fakes.sessions.expect_create_link().times(1).returning(move |principal, _| {
        let link = botarmy_domain::access::SignInLink {
            id: CredentialId::from_uuid(Uuid::from_u128(6)),
            principal,
            digest: code().digest(),
            narrowing: Narrowing::default(),
            session_until: None,
            created_at: NOW,
            expires_at: NOW,
        };
        Ok(IssuedLink { link: Arc::new(link), text: code() })
    });
    let answer = fakes.send(form(&person("/link"), &with_token("")), true).await;
    assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "no-store"));
    let url = format!("value=\"http://localhost:8080/console/login#{}\"", code().expose());
    assert!(answer.body.contains(&url), "{}", answer.body);
}

#[actix_web::test]
async fn sessions_of_everyone_can_be_ended_but_not_by_accident_ones_own() {
    let body = admin().send(get("/console/settings/sessions"), true).await.body;
    assert_eq!(body.matches("/end\"").count(), 1, "{body}");
    assert_eq!(body.matches("This browser").count(), 1 + 1, "the tab of the settings, too: {body}");
    let mut fakes = admin();
    fakes.sessions.expect_end_session().times(1).returning(|id, _| {
        assert_eq!(id, session(2).id);
        Ok(true)
    });
    let path = format!("/console/settings/sessions/{}/end", session(2).id);
    let answer = fakes.send(form(&path, &with_token("")), true).await;
    assert_eq!(
        (answer.status, answer.header(header::LOCATION)),
        (303, "/console/settings/sessions")
    );
}
