use botarmy_domain::{
    ApiKey, CredentialId, EventType, Grant, KeySecret, Principal, PrincipalKind, Role, Timestamp,
};

use super::*;

/// Time within which a change of access has to show.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Time after which a frame that has not come does not come.
const A_MOMENT: Duration = Duration::from_millis(200);

fn caller(name: &str, grants: &[Grant]) -> Caller {
    let at = Timestamp::from_micros(0);
    let principal = Principal {
        id: Principal::local_id(name),
        kind: PrincipalKind::Person,
        name: name.to_owned(),
        openid: None,
        groups: [].into(),
        grants: grants.to_vec(),
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: at,
        updated_at: at,
    };
    let text = KeySecret::new([7; 32]).text();
    let key = ApiKey {
        id: CredentialId::from_uuid(principal.id.uuid()),
        principal: principal.id,
        name: name.to_owned(),
        hint: text.hint(),
        digest: text.digest(),
        grants: None,
        created_at: at,
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
    };
    Caller::with_key(&principal, &key)
}

impl Server {
    /// Gives a caller these grants from now on.
    fn grant(&self, name: &str, grants: &[Grant]) -> Caller {
        let caller = caller(name, grants);
        self.callers.lock().unwrap().insert(name.to_owned(), Ok(caller.clone()));
        caller
    }

    fn deny(&self, name: &str, denial: Denial) {
        self.callers.lock().unwrap().insert(name.to_owned(), Err(denial));
    }

    async fn connect_as(&self, name: &str, query: &str) -> Client {
        let mut request = self.url(query).into_client_request().unwrap();
        request.headers_mut().insert(CALLER, name.parse().unwrap());
        timeout(SOON, connect_async(request)).await.unwrap().unwrap().0
    }
}

async fn is_silent(client: &mut Client) -> bool {
    timeout(A_MOMENT, client.next()).await.is_err()
}

#[actix_web::test]
async fn a_revoked_credential_closes_its_connection_and_no_other() {
    let server = serve(WsSettings::default()).await;
    server.grant("ada", &[Grant::on_all(Role::Viewer)]);
    server.grant("bob", &[Grant::on_all(Role::Viewer)]);
    for (name, denial, code) in [
        ("ada", Denial::Invalid, 4401),
        ("ada", Denial::Expired, 4401),
        ("ada", Denial::Unavailable, 1013),
    ] {
        server.grant(name, &[Grant::on_all(Role::Viewer)]);
        let mut client = server.connect_as(name, "?project_id=all").await;
        let mut other = server.connect_as("bob", "?project_id=all").await;
        server.deny(name, denial);
        let closed = timeout(AT_ONCE, close_code(&mut client)).await;
        assert_eq!(closed.expect("within a second"), code, "{denial:?}");
        server.world.commit_and_announce(LogWriter::project(), 1);
        assert_eq!(read(&mut other).await["seq"], 1);
    }
}

#[actix_web::test]
async fn a_connection_needs_a_caller_that_may_read_projects() {
    let server = serve(WsSettings::default()).await;
    server.grant("worker", &[Grant::on_all(Role::Worker)]);
    server.deny("nobody", Denial::Invalid);
    server.grant("own", &[Grant::on_own(Role::Operator)]);
    for (name, query, status, code) in [
        ("worker", "", 403, "not_permitted"),
        ("nobody", "", 401, "key_required"),
        // A position in the system log, which the caller does not see.
        ("own", "?after=1", 403, "needs_all_projects"),
    ] {
        let (found, problem) = server.refusal(query, &[(CALLER, name)]).await;
        let kind = format!("urn:botarmy:problem:{code}");
        assert_eq!((found, &problem["type"]), (status, &json!(kind)), "{name}");
    }
}

#[actix_web::test]
async fn a_project_that_is_not_seen_does_not_exist() {
    let server = serve(WsSettings::default()).await;
    let ada = server.grant("ada", &[Grant::on_own(Role::Operator)]);
    let (own, foreign) = (server.world.create_project(&ada), LogWriter::project());
    server.world.commit(foreign, 3);
    let unknown = id_of(LogWriter::project());
    server.world.hide(unknown);
    let refusal = async |id: ProjectId| {
        let (status, problem) =
            server.refusal(&format!("?project_id={id}"), &[(CALLER, "ada")]).await;
        (status, problem.to_string().replace(&id.to_string(), "ID"))
    };
    let of_foreign = refusal(id_of(foreign)).await;
    assert_eq!((of_foreign.0, &of_foreign), (404, &refusal(unknown).await));
    let query = format!("?project_id={}&after=0", id_of(own));
    let mut client = server.connect_as("ada", &query).await;
    assert_eq!(read(&mut client).await["seq"], 1);
    let subscribe = json!({"type": "subscribe", "project_id": id_of(foreign)});
    say(&mut client, &subscribe.to_string()).await;
    let frame = read(&mut client).await;
    assert_eq!(frame["event_type"], "error");
    assert!(frame["data"]["message"].as_str().unwrap().ends_with("does not exist."), "{frame}");
}

#[actix_web::test]
async fn all_is_what_the_caller_sees() {
    let server = serve(WsSettings::default()).await;
    let named = LogWriter::project();
    let grants = [Grant::on_project(Role::Viewer, id_of(named)), Grant::on_own(Role::Operator)];
    let ada = server.grant("ada", &grants);
    server.grant("viewer", &[Grant::on_all(Role::Viewer)]);
    server.grant("admin", &[Grant::on_all(Role::Admin)]);
    let older = server.world.create_project(&ada);
    let mut limited = server.connect_as("ada", "?project_id=all").await;
    let mut viewer = server.connect_as("viewer", "?project_id=all").await;
    let mut admin = server.connect_as("admin", "?project_id=all").await;
    let system = |event_type| {
        let data = json!({"agent_type": "coder", "status": "working", "message": "secret"});
        let entry = server.world.commit_one(LogId::System, event_type, data);
        server.world.announce_entry(&entry);
    };
    server.world.commit_and_announce(LogWriter::project(), 2);
    system(EventType::AgentStatusChanged);
    system(EventType::SystemWarning);
    let newer = server.world.create_project(&ada);
    server.world.commit_and_announce(older, 1);
    server.world.commit_and_announce(named, 1);
    let projects = async |client: &mut Client, count: usize| {
        let mut seen = Vec::new();
        for _ in 0..count {
            let frame = read(client).await;
            let project = frame["project_id"].as_str().unwrap_or("system").to_owned();
            seen.push((project, frame["event_type"].as_str().unwrap().to_owned()));
        }
        seen
    };
    let mut of_ada = projects(&mut limited, 3).await;
    of_ada.sort();
    let mut expected =
        [(newer, "workflow_event"), (older, "task_created"), (named, "task_created")]
            .map(|(log, kind)| (id_of(log).to_string(), kind.to_owned()));
    expected.sort();
    assert_eq!(of_ada, expected);
    assert!(is_silent(&mut limited).await);
    let of_viewer = projects(&mut viewer, 6).await;
    assert!(of_viewer.contains(&("system".to_owned(), "agent_status_change".to_owned())));
    assert!(!of_viewer.iter().any(|(_, kind)| kind == "system_warning"), "{of_viewer:?}");
    assert!(is_silent(&mut viewer).await);
    let of_admin = projects(&mut admin, 7).await;
    assert!(of_admin.contains(&("system".to_owned(), "system_warning".to_owned())));
}

#[actix_web::test]
async fn a_subscription_ends_with_the_right_to_it() {
    let server = serve(WsSettings::default()).await;
    let (kept, lost) = (LogWriter::project(), LogWriter::project());
    let on = |log: LogId| Grant::on_project(Role::Viewer, id_of(log));
    server.grant("ada", &[on(kept), on(lost)]);
    let mut client = server.connect_as("ada", &format!("?project_id={}", id_of(lost))).await;
    say(&mut client, &json!({"type": "subscribe", "project_id": id_of(kept)}).to_string()).await;
    assert_eq!(read(&mut client).await["type"], "subscribed");
    let mut everything = server.connect_as("ada", "?project_id=all").await;
    server.grant("ada", &[on(kept)]);
    let frame = timeout(AT_ONCE, read(&mut client)).await.expect("within a second");
    assert_eq!(frame["event_type"], "error");
    let ended = json!({"type": "unsubscribed", "project_id": id_of(lost)});
    assert_eq!(read(&mut client).await, ended);
    // The other session is rechecked within the same time.
    tokio::time::sleep(AT_ONCE / 2).await;
    server.world.commit_and_announce(lost, 1);
    server.world.commit_and_announce(kept, 1);
    for client in [&mut client, &mut everything] {
        assert_eq!(read(client).await["project_id"], json!(id_of(kept)));
        assert!(is_silent(client).await);
    }
    server.grant("ada", &[]);
    let frame = timeout(AT_ONCE, read(&mut everything)).await.expect("within a second");
    assert_eq!(frame["event_type"], "error");
    assert_eq!(read(&mut everything).await, json!({"type": "unsubscribed", "project_id": "all"}));
}

#[actix_web::test]
async fn the_protocol_of_the_frames_is_answered_and_a_ticket_is_not() {
    let server = serve(WsSettings::default()).await;
    let open = async |offer: Option<&str>| {
        let mut request = server.url("").into_client_request().unwrap();
        if let Some(offer) = offer {
            request.headers_mut().insert("sec-websocket-protocol", offer.parse().unwrap());
        }
        let (_, response) = connect_async(request).await.unwrap();
        let answer = response.headers().get("sec-websocket-protocol");
        answer.map(|answer| answer.to_str().unwrap().to_owned())
    };
    let both = Some("botarmy.v1, botarmy.ticket.botarmy_t_x");
    assert_eq!(open(both).await.as_deref(), Some("botarmy.v1"));
    assert_eq!(open(Some("botarmy.v1")).await.as_deref(), Some("botarmy.v1"));
    assert_eq!(open(None).await, None);
}
