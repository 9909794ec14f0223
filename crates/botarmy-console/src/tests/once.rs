//! Forms that are sent twice, and the sign-in in place of another person.

use std::sync::Mutex;

use botarmy_domain::access::SignInLinkText;
use botarmy_domain::idempotency::ALREADY_REPLIED;
use botarmy_domain::ports::{Denial, IssuedKey, UsedKey};
use botarmy_domain::{
    ApiKey, DomainError, Error, KeptReply, KeySecret, KeyedCall, Task, TaskId, Workflow,
};

use super::*;
use crate::view::samples::{project_at, project_id};

/// Keeps the reply to the first call, and refuses the others, as the ports do.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Option<KeptReply>>>);

impl Kept {
    fn once<T: 'static>(&self, caller: &Caller, result: T) -> Result<T, Error> {
        let call: &Arc<KeyedCall> = caller.keyed_call().expect("the form has a key");
        let mut kept = self.0.lock().unwrap();
        if let Some(kept) = &*kept {
            kept.check(call.request())?;
            return Err(DomainError::conflict(ALREADY_REPLIED, "It was carried out.").into());
        }
        let reply = Some(call.reply(&result));
        let (key, request) = (call.key(), call.request().clone());
        *kept = Some(KeptReply { key, request, reply, expires_at: NOW });
        Ok(result)
    }

    /// Adds the query of what was kept.
    fn read_by(&self, fakes: &mut Fakes) {
        let kept = self.clone();
        fakes.queries.expect_kept_reply().returning(move |_, key| {
            let kept = kept.0.lock().unwrap().clone();
            Ok(kept.filter(|kept| kept.key == key).map(Arc::new))
        });
    }
}

fn fields(rest: &str) -> String {
    format!("form_token={}&{rest}", text().form_token().expose())
}

/// Returns the key of the form of a page.
fn key_in(page: &Answer) -> String {
    let (_, rest) = page.body.split_once("name=\"key\" value=\"").expect(&page.body);
    rest.split('"').next().unwrap().to_owned()
}

fn creating(kept: &Kept) -> Fakes {
    let mut fakes = Fakes { role: Some(Role::Operator), ..Fakes::idle() };
    fakes.queries.expect_workflows().returning(|_| Ok(Vec::<Arc<Workflow>>::new()));
    let own = kept.clone();
    fakes
        .projects
        .expect_create_project()
        .returning(move |_, caller| own.once(&caller, Arc::new(project_at("Project Planning"))));
    kept.read_by(&mut fakes);
    fakes
}

#[actix_web::test]
async fn a_project_is_created_once_however_often_its_form_is_sent() {
    let kept = Kept::default();
    let page = creating(&kept).send(get("/console/projects/new"), true).await;
    let key = key_in(&page);
    assert_ne!(key, key_in(&creating(&kept).send(get("/console/projects/new"), true).await));
    let send = async |name: &str| {
        let body = fields(&format!("key={key}&name={name}&idea=&workflow=&oversight=low"));
        creating(&kept).send(form("/console/projects/new", &body), true).await
    };
    let path = format!("/console/projects/{}", project_id());
    for _ in 0..2 {
        let answer = send("One").await;
        assert_eq!((answer.status, answer.header(header::LOCATION)), (303, path.as_str()));
    }
    // Back to the form, for another project: with the next key it is created.
    let other = send("Other").await;
    assert_eq!(other.status, 422, "{}", other.body);
    assert!(other.body.contains("was sent before with other fields"), "{}", other.body);
    assert!(other.body.contains("value=\"Other\""), "{}", other.body);
    assert_ne!(key_in(&other), key);
    let body = fields("name=One&idea=&workflow=&oversight=low");
    let without = creating(&kept).send(form("/console/projects/new", &body), true).await;
    assert_eq!(without.status, 422, "without a key");
}

#[actix_web::test]
async fn a_task_is_added_once_however_often_its_form_is_sent() {
    let kept = Kept::default();
    let fakes = |kept: &Kept| {
        let mut project = project_at("Project Planning");
        project.plan = None;
        let mut fakes = super::projects::with_project(project, 0, Role::Operator);
        let own = kept.clone();
        fakes.queries.expect_tasks().returning(|_, _, _, _| Ok(Page::default()));
        fakes.tasks.expect_submit_task().returning(move |new, caller| {
            let id = TaskId::from_uuid(Uuid::from_u128(7));
            let task = Task::new(id, project_id(), new.agent, new.instructions, NOW, NOW);
            own.once(&caller, Arc::new(task))
        });
        kept.read_by(&mut fakes);
        fakes
    };
    let path = format!("/console/projects/{}/tasks", project_id());
    let key = key_in(&fakes(&kept).send(get(&path), true).await);
    let send = async |words: &str| {
        let body = fields(&format!("key={key}&agent=coder&instructions={words}"));
        fakes(&kept).send(form(&path, &body), true).await
    };
    for _ in 0..2 {
        let answer = send("Do").await;
        assert!(answer.header(header::LOCATION).starts_with("/console/tasks/"), "{}", answer.body);
    }
    let other = send("More").await;
    assert_eq!(other.status, 422);
    assert!(other.body.contains("added another task") && other.body.contains(">More<"));
}

#[actix_web::test]
async fn a_key_is_created_once_and_its_text_is_in_the_first_response_only() {
    let kept = Kept::default();
    let new = || {
        let text = KeySecret::new([7; 32]).text();
        let key = ApiKey {
            id: CredentialId::from_uuid(Uuid::from_u128(5)),
            principal: ada().id,
            name: "laptop".to_owned(),
            hint: text.hint(),
            digest: text.digest(),
            grants: None,
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
            replaced_by: None,
        };
        IssuedKey { key: Arc::new(key), text }
    };
    let fakes = |kept: &Kept| {
        let mut fakes = Fakes { role: Some(Role::Admin), ..Fakes::idle() };
        let one = || Ok(Arc::new(ada()));
        fakes
            .access
            .expect_principals()
            .returning(move |_, _, limit| Ok(Page::first(vec![Arc::new(ada())], limit)));
        fakes.access.expect_principal().returning(move |_, _| one());
        fakes.access.expect_keys().returning(move |_, _, _, limit| {
            Ok(Page::first(vec![UsedKey { key: new().key, last_used_at: None }], limit))
        });
        let own = kept.clone();
        fakes.access.expect_create_key().returning(move |_, caller| {
            let issued = new();
            own.once(&caller, Arc::clone(&issued.key)).map(|key| IssuedKey { key, ..issued })
        });
        kept.read_by(&mut fakes);
        fakes
    };
    let path = "/console/settings/keys";
    let key = key_in(&fakes(&kept).send(get(path), true).await);
    let send = async |name: &str| {
        let body = fields(&format!("key={key}&principal={}&name={name}", ada().id));
        fakes(&kept).send(form(path, &body), true).await
    };
    let secret = KeySecret::new([7; 32]).text().expose().to_owned();
    let first = send("laptop").await;
    assert!(first.status == 200 && first.body.contains(&secret), "{}", first.body);
    let again = send("laptop").await;
    assert_eq!(again.status, 200, "{}", again.body);
    assert!(!again.body.contains(&secret), "{}", again.body);
    for part in ["The form was sent twice.", "“<bdi>laptop</bdi>” once", "stored nowhere"] {
        assert!(again.body.contains(part), "{part}: {}", again.body);
    }
    let other = send("phone").await;
    assert_eq!(other.status, 409, "{}", other.body);
    assert!(other.body.contains("created another key"), "{}", other.body);
}

#[actix_web::test]
async fn a_link_does_not_replace_the_person_who_is_signed_in_without_a_question() {
    let code = SignInLinkText::new([8; 32]);
    let cookie = format!("__Host-botarmy={}", text().expose());
    let send = async |rest: &str, has_session: bool, signs_in: bool| {
        let mut fakes = Fakes::default();
        fakes
            .sessions
            .expect_find_caller()
            .returning(move |_, _| if has_session { Ok(caller()) } else { Err(Denial::Invalid) });
        fakes.sessions.expect_sign_in().times(usize::from(signs_in)).returning(|proof, _, _| {
            assert!(matches!(proof, SignIn::Link(_)));
            Ok(started())
        });
        let body = format!("code={}&next=/console/account{rest}", code.expose());
        let request = form("/console/login", &body).insert_header(("cookie", cookie.clone()));
        fakes.send(request, false).await
    };
    let asked = send("", true, false).await;
    assert_eq!((asked.status, asked.header(header::CACHE_CONTROL)), (200, "no-store"));
    assert!(asked.cookies().is_empty() && asked.headers.get(header::ETAG).is_none());
    for part in [
        "You are signed in as <b><bdi>ada &#60;b&#62;</bdi></b>",
        &format!("name=\"code\" value=\"{}\"", code.expose()),
        "href=\"/console/account\"",
        "name=\"confirmed\" value=\"yes\"",
    ] {
        assert!(asked.body.contains(part), "{part}: {}", asked.body);
    }
    assert!(!asked.body.contains("data-code"), "no script sends it on");
    for (rest, has_session) in [("&confirmed=yes", true), ("", false)] {
        let answer = send(rest, has_session, true).await;
        assert_eq!((answer.status, answer.cookies().len()), (303, 1), "{rest}");
    }
}
