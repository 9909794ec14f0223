//! `keys`, `grants` and `sessions` over REST, where an option names a server.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use botarmy_client::Client;
use botarmy_domain::ports::Lifetime;
use botarmy_domain::{Grant, GrantTarget};
use botarmy_terminal::table::{Cell, Column};
use botarmy_terminal::text::one_line;
use serde_json::{Map, Value, json};

use super::options::{OutputOptions, Place, ServerOptions};
use super::session::{Failure, Session};
use super::values::{clock, list, text};
use crate::access::{grants, keys, sessions};
use crate::output::{say, say_error};

/// Most rows of a list.
const MAX_ROWS: usize = 100_000;
/// Seconds of a day.
const DAY: u64 = 24 * 3600;

fn open(server: &ServerOptions, is_json: bool, place: &Place) -> anyhow::Result<Session> {
    let output = OutputOptions { json: is_json, ..OutputOptions::default() };
    Session::with(server, output, place)
}

/// Runs a command for keys.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(crate) async fn keys(
    command: keys::Keys,
    server: &ServerOptions,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    match command {
        keys::Keys::Generate => {
            bail!(Failure::usage(
                "`keys generate` uses no server; leave out --server and --profile"
            ))
        }
        keys::Keys::Create(options) => {
            let session = open(server, options.json, place)?;
            create_key(&session, options).await?;
        }
        keys::Keys::List(options) => {
            let session = open(server, options.json, place)?;
            list_keys(&session, options.name.as_deref()).await?;
        }
        keys::Keys::Revoke { id } => {
            let session = open(server, false, place)?;
            let key = session.client.delete(&["access", "keys", &id.to_string()], &[]).await?;
            let (name, hint) =
                (one_line(text(&key, "/name"), 128), one_line(text(&key, "/hint"), 8));
            say!("Revoked the key {id} (\"{name}\", ends in {hint}).");
        }
        keys::Keys::Rotate(options) => {
            let session = open(server, options.json, place)?;
            let mut body = lifetime(options.expires)?;
            body.insert("overlap_s".to_owned(), options.overlap.as_secs().into());
            let path = ["access", "keys", &options.id.to_string(), "rotate"];
            print_key(&session, &session.client.post_once(&path, &body.into()).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the members for the lifetime of a key, which the API has in days.
fn lifetime(wanted: Option<Lifetime>) -> anyhow::Result<Map<String, Value>> {
    let mut body = Map::new();
    match wanted {
        None | Some(Lifetime::Default) => {}
        Some(Lifetime::Unlimited) => drop(body.insert("never".to_owned(), true.into())),
        Some(Lifetime::For(time)) => {
            let is_days = time > Duration::ZERO && time.as_secs().is_multiple_of(DAY);
            ensure!(is_days, Failure::usage("over REST --expires is in whole days, such as 90d"));
            body.insert("expires_in_days".to_owned(), (time.as_secs() / DAY).into());
        }
    }
    Ok(body)
}

fn bodies(grants: &[Grant]) -> Vec<Value> {
    let body = |grant: &Grant| match grant.target {
        GrantTarget::All => json!({ "role": grant.role, "on": "all" }),
        GrantTarget::Own => json!({ "role": grant.role, "on": "own" }),
        GrantTarget::Project(id) => {
            json!({ "role": grant.role, "on": "project", "project_id": id })
        }
    };
    grants.iter().map(body).collect()
}

async fn principals(client: &Client) -> anyhow::Result<Vec<Value>> {
    Ok(client.items(&["access", "principals"], &[], MAX_ROWS).all().await?)
}

/// Returns the principal with this name or id.
async fn principal(client: &Client, name: &str) -> anyhow::Result<Value> {
    let found = find(principals(client).await?, name);
    found.with_context(|| {
        let reason = format!("there is no principal {name:?}; `grants list` lists all of them");
        Failure::not_found(reason)
    })
}

fn find(principals: Vec<Value>, name: &str) -> Option<Value> {
    let name = name.trim();
    let is_meant = |one: &Value| text(one, "/name") == name || text(one, "/id") == name;
    principals.into_iter().find(is_meant)
}

async fn create_key(session: &Session, options: keys::Create) -> anyhow::Result<()> {
    let client = &session.client;
    let wanted = options.grants.grants();
    let mut body = lifetime(options.expires)?;
    let principal = match find(principals(client).await?, &options.name) {
        Some(principal) => {
            let name = one_line(text(&principal, "/name"), 128);
            ensure!(
                options.groups.is_empty(),
                "{name} exists; its groups are not changed by a new key"
            );
            ensure!(
                !options.person || text(&principal, "/kind") == "person",
                "{name} exists and is a {}",
                one_line(text(&principal, "/kind"), 40)
            );
            if !wanted.is_empty() {
                body.insert("grants".to_owned(), bodies(&wanted).into());
            }
            principal
        }
        None => {
            let reason =
                format!("there is no principal {:?} yet; name its roles with --role", options.name);
            ensure!(!wanted.is_empty(), Failure::usage(reason));
            let kind = if options.person { "person" } else { "service" };
            let new = json!({
                "name": options.name, "kind": kind, "groups": options.groups,
                "grants": bodies(&wanted),
            });
            client.post_once(&["access", "principals"], &new).await?
        }
    };
    let name = options.key_name.unwrap_or_else(|| text(&principal, "/name").to_owned());
    body.insert("principal_id".to_owned(), principal["id"].clone());
    body.insert("name".to_owned(), name.into());
    print_key(session, &client.post_once(&["access", "keys"], &body.into()).await?);
    Ok(())
}

/// Prints the key alone on standard output, so that it can be put into a variable or a file.
fn print_key(session: &Session, issued: &Value) {
    if session.screen.is_json {
        session.screen.json(issued);
        return;
    }
    say!("{}", one_line(text(issued, "/key"), 300));
    let expires = match clock(issued, "/expires_at") {
        never if never.is_empty() => "never expires".to_owned(),
        time => format!("expires at {time} UTC"),
    };
    let (id, name) = (one_line(text(issued, "/id"), 40), one_line(text(issued, "/name"), 128));
    say_error!("This is the key {id} (\"{name}\"). It {expires}. It is not shown again.");
}

async fn list_keys(session: &Session, name: Option<&str>) -> anyhow::Result<()> {
    let client = &session.client;
    let principals = principals(client).await?;
    let only = match name {
        Some(name) => Some(principal(client, name).await?),
        None => None,
    };
    let id = only.as_ref().map(|one| text(one, "/id"));
    let query: Vec<_> = id.iter().map(|id| ("principal_id", *id)).collect();
    let keys = client.items(&["access", "keys"], &query, MAX_ROWS).all().await?;
    if session.screen.is_json {
        session.screen.json(&keys);
        return Ok(());
    }
    let columns = [
        Column::whole("ID"),
        Column::cut("PRINCIPAL", 8),
        Column::cut("NAME", 8),
        Column::whole("ENDS IN").optional(),
        Column::whole("EXPIRES").optional(),
        Column::whole("LAST USED").optional(),
    ];
    let row = |key: &Value| {
        let owner = principals.iter().find(|one| one["id"] == key["principal_id"]);
        let time = |pointer: &str| match clock(key, pointer) {
            none if none.is_empty() => "never".to_owned(),
            time => time,
        };
        let state =
            if key["revoked_at"].is_null() { time("/expires_at") } else { "revoked".into() };
        vec![
            Cell::new(text(key, "/id")),
            Cell::new(owner.map_or("(deleted)", |one| text(one, "/name"))),
            Cell::new(text(key, "/name")),
            Cell::new(&format!("…{}", text(key, "/hint"))),
            Cell::new(&state),
            Cell::new(&time("/last_used_at")),
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    session.screen.table(&columns, &rows, "There are no keys.");
    Ok(())
}

/// Runs a command for grants.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(crate) async fn grants(
    command: grants::Grants,
    server: &ServerOptions,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    let (session, changed) = match command {
        grants::Grants::List(options) => {
            let session = open(server, options.json, place)?;
            let all = match &options.name {
                Some(name) => vec![principal(&session.client, name).await?],
                None => principals(&session.client).await?,
            };
            list_principals(&session, &all);
            return Ok(ExitCode::SUCCESS);
        }
        grants::Grants::Set(options) => {
            let session = open(server, options.json, place)?;
            let changed = set_grants(&session.client, options).await?;
            (session, changed)
        }
        grants::Grants::Disable(options) => {
            let session = open(server, options.json, place)?;
            let changed = switch(&session.client, &options.name, true).await?;
            (session, changed)
        }
        grants::Grants::Enable(options) => {
            let session = open(server, options.json, place)?;
            let changed = switch(&session.client, &options.name, false).await?;
            (session, changed)
        }
    };
    if session.screen.is_json {
        session.screen.json(&changed);
    } else {
        let state = if changed["disabled"] == true { "disabled" } else { "active" };
        let name = one_line(text(&changed, "/name"), 128);
        session.screen.print(&format!("\"{name}\" is {state}: {}.", words(&changed)));
    }
    Ok(ExitCode::SUCCESS)
}

async fn set_grants(client: &Client, options: grants::Set) -> anyhow::Result<Value> {
    let wanted = options.grants.grants();
    ensure!(
        options.none || !wanted.is_empty(),
        Failure::usage("name roles with --role, or take all of them away with --none")
    );
    let principal = principal(client, &options.name).await?;
    let mut all = if options.add { list(&principal, "/grants").to_vec() } else { Vec::new() };
    for grant in &mut all {
        // The answer says null where a request says nothing.
        if let Some(grant) = grant.as_object_mut() {
            grant.retain(|_, value| !value.is_null());
        }
    }
    for body in bodies(&wanted) {
        if !all.contains(&body) {
            all.push(body);
        }
    }
    let path = ["access", "principals", text(&principal, "/id"), "grants"];
    Ok(client.put(&path, &json!({ "grants": all })).await?)
}

async fn switch(client: &Client, name: &str, is_disabled: bool) -> anyhow::Result<Value> {
    let principal = principal(client, name).await?;
    let path = ["access", "principals", text(&principal, "/id"), "disabled"];
    Ok(client.put(&path, &json!({ "disabled": is_disabled })).await?)
}

fn list_principals(session: &Session, principals: &[Value]) {
    if session.screen.is_json {
        session.screen.json(&principals);
        return;
    }
    let columns = [
        Column::cut("PRINCIPAL", 10),
        Column::whole("KIND"),
        Column::whole("STATE").optional(),
        Column::cut("ROLES", 14),
        Column::whole("ID").optional(),
    ];
    let row = |one: &Value| {
        vec![
            Cell::new(text(one, "/name")),
            Cell::new(text(one, "/kind")),
            Cell::new(if one["disabled"] == true { "disabled" } else { "active" }),
            Cell::new(&words(one)),
            Cell::new(text(one, "/id")),
        ]
    };
    let rows: Vec<_> = principals.iter().map(row).collect();
    session.screen.table(&columns, &rows, "There are no principals.");
}

/// Returns the grants of a principal in words.
fn words(principal: &Value) -> String {
    let grants = list(principal, "/grants");
    if grants.is_empty() {
        return "no role".to_owned();
    }
    let words = grants.iter().map(|grant| {
        let role = text(grant, "/role");
        match text(grant, "/on") {
            "all" => format!("{role} on all projects"),
            "own" => format!("{role} on its own projects"),
            _ => format!("{role} on {}", text(grant, "/project_id")),
        }
    });
    one_line(&words.collect::<Vec<_>>().join(", "), 2000)
}

/// Runs a command for sessions.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(crate) async fn sessions(
    command: sessions::Sessions,
    server: &ServerOptions,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    match command {
        sessions::Sessions::End { id } => {
            let session = open(server, false, place)?;
            session.client.delete(&["access", "sessions", &id.to_string()], &[]).await?;
            say!("Ended the session {id}.");
        }
        sessions::Sessions::List(options) => {
            let session = open(server, options.json, place)?;
            let only = match &options.name {
                Some(name) => Some(principal(&session.client, name).await?),
                None => None,
            };
            let id = only.as_ref().map(|one| text(one, "/id"));
            let query: Vec<_> = id.iter().map(|id| ("principal_id", *id)).collect();
            let path = ["access", "sessions"];
            let all = session.client.items(&path, &query, MAX_ROWS).all().await?;
            list_sessions(&session, &all);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list_sessions(session: &Session, sessions: &[Value]) {
    if session.screen.is_json {
        session.screen.json(&sessions);
        return;
    }
    let columns = [
        Column::whole("ID"),
        Column::cut("PERSON", 10),
        Column::whole("WITH").optional(),
        Column::whole("LAST USED").optional(),
        Column::whole("EXPIRES").optional(),
    ];
    let row = |one: &Value| {
        vec![
            Cell::new(text(one, "/id")),
            Cell::new(text(one, "/name")),
            Cell::new(text(one, "/started_with")),
            Cell::new(&clock(one, "/last_used_at")),
            Cell::new(&clock(one, "/expires_at")),
        ]
    };
    let rows: Vec<_> = sessions.iter().map(row).collect();
    session.screen.table(&columns, &rows, "No one is signed in.");
}
