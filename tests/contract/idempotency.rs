//! Kept replies in the store: one for each key, with the decision that it belongs to. And what the
//! statistics of requests are computed from.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::{hitl, keyed, projects};
use botarmy_domain::hitl::{HitlLine, SampleWindow};
use botarmy_domain::idempotency::{ALREADY_REPLIED, KEPT_FOR, MAX_REPLY};
use botarmy_domain::ports::RecordsExt;
use botarmy_domain::{
    CallKey, CallReply, Committed, DomainError, Error, HitlAction, HitlKind, HitlRequestId,
    HitlStatus, KeptReply, KeyedCall, LogId, NewProject, Oversight, Project, ProjectId, Reach,
    RequestDigest, Response, Scope, Timestamp,
};

use crate::stores::{Stores, user};

fn key(key: &str) -> CallKey {
    user().call_key(key)
}

fn digest(path: &str) -> RequestDigest {
    RequestDigest::of("POST", path, "", "")
}

/// Creates a project by a keyed call; returns its id with the result.
async fn create(
    stores: &Stores,
    key: CallKey,
    path: &str,
    name: &str,
    filler: usize,
) -> (ProjectId, Result<Committed, Error>) {
    let shape = move |project: &Arc<Project>| CallReply {
        status: 201,
        location: Some(format!("/projects/{}", project.id)),
        etag: None,
        body: format!("\"\\u0000 {}{}\"", project.id, "x".repeat(filler)),
    };
    let call = KeyedCall::new(key, digest(path), shape);
    create_by(stores, call, name).await
}

async fn create_by(
    stores: &Stores,
    call: KeyedCall,
    name: &str,
) -> (ProjectId, Result<Committed, Error>) {
    let context = stores.context();
    let id = context.fork(1).id_generator().project();
    let new = NewProject {
        name: name.to_owned(),
        description: None,
        workflow: None,
        oversight: Oversight::High,
    };
    let scope = Scope::project(id).records::<KeptReply>(call.keys());
    let created = stores
        .run(scope, move |s| {
            let reply = |done: &Committed| done.project().map(|project| call.reply(project));
            let create = || projects::create(&context, s, id, &new, None);
            keyed::once(&context, s, &call, create, reply)
        })
        .await;
    (id, created)
}

fn is_already_replied(done: &Result<Committed, Error>) -> bool {
    let code = |error: &Error| match error {
        Error::Refused(DomainError::Conflict { code, .. }) => Some(*code),
        _ => None,
    };
    done.as_ref().err().and_then(code) == Some(ALREADY_REPLIED)
}

fn is_another_request(done: &Result<Committed, Error>) -> bool {
    matches!(done, Err(Error::Refused(DomainError::Invalid { field: "Idempotency-Key", .. })))
}

async fn kept(stores: &Stores, key: CallKey) -> Option<Arc<KeptReply>> {
    stores.records.record::<KeptReply>(key).await.unwrap()
}

pub async fn a_reply_is_kept_with_its_decision_or_not_at_all(stores: &Stores) {
    // A refused decision keeps nothing, so the call may be corrected.
    let (_, refused) = create(stores, key("k"), "/a", " ", 0).await;
    assert!(matches!(refused, Err(Error::Refused(DomainError::Invalid { field: "name", .. }))));
    assert_eq!(kept(stores, key("k")).await, None);
    let (id, created) = create(stores, key("k"), "/a", "First", 0).await;
    assert_eq!(created.unwrap().project().unwrap().id, id);
    let first = kept(stores, key("k")).await.unwrap();
    let reply = first.reply.as_ref().unwrap();
    assert_eq!(reply.location, Some(format!("/projects/{id}")));
    assert_eq!(reply.body, format!("\"\\u0000 {id}\""));
    assert_eq!((reply.status, &first.request), (201, &digest("/a")));

    let (again, done) = create(stores, key("k"), "/a", "First", 0).await;
    assert!(is_already_replied(&done), "{done:?}");
    let (other, done) = create(stores, key("k"), "/b", "First", 0).await;
    assert!(is_another_request(&done), "{done:?}");
    let (large, done) = create(stores, key("large"), "/a", "First", MAX_REPLY).await;
    assert!(is_another_request(&done), "too large to be kept: {done:?}");
    for id in [again, other, large] {
        assert_eq!(stores.projects.project(id).await.unwrap(), None);
        assert_eq!(stores.audit.head(LogId::Project(id)).await.unwrap(), None);
    }
    assert_eq!(kept(stores, key("large")).await, None);
    assert_eq!(kept(stores, key("k")).await, Some(first));
}

pub async fn of_calls_with_one_key_about_different_logs_one_is_decided(stores: &Stores) {
    for round in 0..5 {
        let key = key(&format!("round {round}"));
        let calls = (0..8).map(|_| create(stores, key, "/a", "At once", 0));
        let done = futures_util::future::join_all(calls).await;
        let (created, refused): (Vec<_>, Vec<_>) = done.iter().partition(|(_, done)| done.is_ok());
        assert_eq!(created.len(), 1);
        assert!(refused.iter().all(|(_, done)| is_already_replied(done)), "{refused:?}");
        let reply = kept(stores, key).await.unwrap().reply.clone().unwrap();
        assert_eq!(reply.location, Some(format!("/projects/{}", created[0].0)));
    }
    assert_eq!(
        stores.projects.projects(&Reach::everything(), None, None, 100).await.unwrap().len(),
        5
    );
}

pub async fn each_part_of_a_call_is_decided_once(stores: &Stores) {
    let whole = key("parts");
    let part = |n: u32, path: &str| {
        let body = format!("{{\"part\":{n}}}");
        let shape = move |_: &Arc<Project>| CallReply {
            status: 201,
            location: None,
            etag: None,
            body: body.clone(),
        };
        KeyedCall::new(whole.part(n), digest(path), shape).part_of(whole)
    };
    for n in 0..2 {
        create_by(stores, part(n, "/bulk"), "A part").await.1.unwrap();
        let (_, again) = create_by(stores, part(n, "/bulk"), "A part").await;
        assert!(is_already_replied(&again), "{again:?}");
    }
    let (_, other) = create_by(stores, part(2, "/other"), "A part").await;
    assert!(is_another_request(&other), "{other:?}");
    let (_, other) = create(stores, whole, "/other", "Whole", 0).await;
    assert!(is_another_request(&other), "{other:?}");
    let marker = kept(stores, whole).await.unwrap();
    assert_eq!((&marker.reply, &marker.request), (&None, &digest("/bulk")));
    assert_eq!(
        stores.projects.projects(&Reach::everything(), None, None, 100).await.unwrap().len(),
        2
    );
}

pub async fn a_reply_is_forgotten_when_it_has_expired_and_not_before(stores: &Stores) {
    let mut ends = Vec::new();
    for n in 0..5 {
        create(stores, key(&n.to_string()), "/a", "Kept", 0).await.1.unwrap();
        ends.push(kept(stores, key(&n.to_string())).await.unwrap().expires_at);
    }
    let forget = async |now, limit| stores.ledger.forget_replies(now, limit).await.unwrap();
    assert_eq!(forget(ends[0].before(Duration::from_micros(1)), 10).await, 0);
    assert_eq!(forget(ends[3], 2).await, 2, "no more than the limit, the oldest first");
    for n in 0..5 {
        assert_eq!(kept(stores, key(&n.to_string())).await.is_some(), n > 1, "{n}");
    }
    // A key that has expired is new, even before it is removed.
    stores.pass(KEPT_FOR);
    let (id, created) = create(stores, key("2"), "/b", "Anew", 0).await;
    created.unwrap();
    let anew = kept(stores, key("2")).await.unwrap();
    assert_eq!(anew.request, digest("/b"));
    assert_eq!(forget(ends[4], 10).await, 2, "the one that was written anew stays");
    assert_eq!(kept(stores, key("2")).await, Some(anew));
    assert!(stores.projects.project(id).await.unwrap().is_some());
    assert_eq!(forget(Timestamp::from_micros(i64::MAX), 10).await, 1);
}

async fn approve(stores: &Stores, project: ProjectId, id: HitlRequestId) {
    let context = stores.context();
    let response = Response {
        action: HitlAction::Approve,
        content: None,
        comment: None,
        amended_content: None,
        subject_digest: None,
        response: None,
        in_bulk: false,
        link: None,
    };
    let scope = Scope::project(project).request(id);
    stores.run(scope, move |s| hitl::respond(&context, s, id, &response)).await.unwrap();
}

pub async fn a_sample_has_pending_requests_and_the_newest_of_the_others(stores: &Stores) {
    let (one, two) = (stores.project("One").await, stores.project("Two").await);
    let early = stores.raise(one).await;
    let oldest = stores.raise(two).await;
    approve(stores, one, early).await;
    stores.pass(Duration::from_secs(10));
    let since = stores.context().now;
    let mut answered = Vec::new();
    for project in [one, two, one] {
        let id = stores.raise(project).await;
        stores.pass(Duration::from_secs(3));
        approve(stores, project, id).await;
        answered.push(id);
    }
    stores.raise(one).await;
    let start = Timestamp::from_micros(0);
    let sample = async |project, since, limit| {
        let window = SampleWindow { since, now: since };
        stores.requests.sample(&Reach::everything(), project, window, limit).await.unwrap()
    };
    let all = sample(None, since, 10).await;
    let pending: Vec<_> = all.pending.iter().map(|one| (one.kind, one.agent, one.count)).collect();
    assert_eq!(pending, [(HitlKind::Question, None, 2)]);
    let found = all.oldest.unwrap();
    assert_eq!((found.id, found.project_id), (oldest, two));
    let request = stores.requests.request(oldest).await.unwrap().unwrap();
    assert_eq!(found.created_at, request.created_at);
    let mut expected = Vec::new();
    for id in answered.iter().rev() {
        expected.push(HitlLine::from(&*stores.requests.request(*id).await.unwrap().unwrap()));
    }
    assert_eq!(all.ended, expected);
    let took = expected[0].answered_at.unwrap().since(expected[0].created_at);
    assert!(took >= Duration::from_secs(3) && expected[0].status == HitlStatus::Approved);
    assert_eq!(sample(None, start, 2).await.ended, expected[..2]);
    assert_eq!(sample(None, start, 10).await.ended.len(), 4);
    let of_two = sample(Some(two), start, 10).await;
    assert_eq!(of_two.ended, expected[1..2]);
    assert_eq!((of_two.pending[0].count, of_two.oldest.unwrap().id), (1, oldest));
    let of_one = sample(Some(one), start, 10).await;
    assert_eq!(of_one.ended.len(), 3);
    assert_ne!(of_one.oldest.unwrap().id, oldest);
    let none = sample(Some(stores.project("None").await), start, 10).await;
    assert_eq!(none, Default::default());
}
