//! `sessions`: lists and ends the sessions of browsers, in the store itself.

use std::process::ExitCode;

use botarmy_domain::ports::UsedSession;
use botarmy_domain::{CredentialId, PrincipalId};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::local::{self, Local, PAGE};
use super::text::{short, table};
use crate::output::say;
use crate::settings::Settings;

/// Commands for sessions.
#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// List the sessions that may be used.
    List(List),
    /// End a session. Every server refuses its cookie within a second.
    End {
        /// The id of the session, as `sessions list` shows it.
        id: CredentialId,
    },
}

/// Options of `sessions list`.
#[derive(Debug, Args)]
pub struct List {
    /// The person whose sessions are listed [default: all].
    pub(crate) name: Option<String>,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs a command.
///
/// # Errors
/// A store that cannot be opened, and what access control refuses.
pub async fn run(settings: &Settings, command: Sessions) -> anyhow::Result<ExitCode> {
    let local = local::open(settings, "sessions").await?;
    let done = match command {
        Sessions::List(options) => list(&local, options).await,
        Sessions::End { id } => end(&local, id).await,
    };
    local.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn list(local: &Local, options: List) -> anyhow::Result<()> {
    let only = match &options.name {
        Some(name) => Some(local.principal(name).await?.id),
        None => None,
    };
    let sessions = all(local, only).await?;
    if options.json {
        let sessions: Vec<_> = sessions.iter().map(as_json).collect();
        say!("{}", serde_json::to_string_pretty(&sessions)?);
        return Ok(());
    }
    let head = ["ID", "PERSON", "WITH", "ADDRESS", "STARTED", "LAST USED", "EXPIRES"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(sessions.iter().map(|used| {
        vec![
            used.session.id.to_string(),
            used.name.clone(),
            used.session.started_with.to_string(),
            used.session.browser.address.to_string(),
            short(used.session.started_at),
            short(used.last_used_at),
            short(used.session.expires_at),
        ]
    }));
    say!("{}", table(&rows));
    Ok(())
}

async fn all(local: &Local, only: Option<PrincipalId>) -> anyhow::Result<Vec<UsedSession>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = local.sessions.sessions(&Local::caller(), only, after, PAGE).await?;
        after = page.items.last().map(|one| one.session.id);
        found.extend(page.items);
        if !page.has_more {
            return Ok(found);
        }
    }
}

fn as_json(used: &UsedSession) -> Value {
    let session = &used.session;
    json!({
        "id": session.id,
        "person": used.name,
        "principal_id": session.principal,
        "started_with": session.started_with,
        "key_id": session.narrowing.key,
        "address": session.browser.address,
        "started_at": session.started_at,
        "last_used_at": used.last_used_at,
        "expires_at": session.expires_at,
    })
}

async fn end(local: &Local, id: CredentialId) -> anyhow::Result<()> {
    if local.sessions.end_session(id, Local::caller()).await? {
        say!("Ended the session {id}.");
    } else {
        say!("The session {id} had ended already.");
    }
    Ok(())
}
