//! `grants`: shows and sets what principals may do, in the store itself.

use std::process::ExitCode;

use anyhow::ensure;
use botarmy_domain::Principal;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::local::{self, Local};
use super::text::{GrantOptions, grants_text, table};
use crate::output::say;
use crate::settings::Settings;

/// Commands for grants.
#[derive(Debug, Subcommand)]
pub enum Grants {
    /// List the principals and their roles.
    List(List),
    /// Set the roles of a principal in place of those it has.
    Set(Set),
    /// Refuse the credentials of a principal until it is enabled again.
    Disable(Switch),
    /// Accept the credentials of a principal that was disabled.
    Enable(Switch),
}

/// Options of `grants list`.
#[derive(Debug, Args)]
pub struct List {
    /// The principal [default: all].
    pub(crate) name: Option<String>,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `grants set`.
#[derive(Debug, Args)]
pub struct Set {
    /// The name of the principal.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) grants: GrantOptions,
    /// Keep the roles that the principal has, and add these.
    #[arg(long)]
    pub(crate) add: bool,
    /// Take all roles away.
    #[arg(long, conflicts_with_all = ["roles", "add", "own", "projects"])]
    pub(crate) none: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `grants disable` and `grants enable`.
#[derive(Debug, Args)]
pub struct Switch {
    /// The name of the principal.
    pub(crate) name: String,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs a command.
///
/// # Errors
/// A store that cannot be opened, and what access control refuses.
pub async fn run(settings: &Settings, command: Grants) -> anyhow::Result<ExitCode> {
    let local = local::open(settings, "principals").await?;
    let done = match command {
        Grants::List(options) => list(&local, options).await,
        Grants::Set(options) => set(&local, options).await,
        Grants::Disable(options) => switch(&local, options, true).await,
        Grants::Enable(options) => switch(&local, options, false).await,
    };
    local.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn list(local: &Local, options: List) -> anyhow::Result<()> {
    let principals = match &options.name {
        Some(name) => vec![local.principal(name).await?],
        None => local.principals().await?,
    };
    if options.json {
        let principals: Vec<_> = principals.iter().map(|one| as_json(one)).collect();
        say!("{}", serde_json::to_string_pretty(&principals)?);
        return Ok(());
    }
    let mut rows = vec![["ID", "PRINCIPAL", "KIND", "STATE", "ROLES"].map(str::to_owned).to_vec()];
    for one in principals {
        rows.push(vec![
            one.id.to_string(),
            one.name.clone(),
            one.kind.to_string(),
            if one.disabled { "disabled" } else { "active" }.to_owned(),
            grants_text(&one.grants),
        ]);
    }
    say!("{}", table(&rows));
    Ok(())
}

async fn set(local: &Local, options: Set) -> anyhow::Result<()> {
    let wanted = options.grants.grants();
    ensure!(
        options.none || !wanted.is_empty(),
        "name roles with --role, or take all of them away with --none"
    );
    let principal = local.principal(&options.name).await?;
    let mut grants = if options.add { principal.grants.clone() } else { Vec::new() };
    grants.extend(wanted);
    grants.sort();
    grants.dedup();
    let changed = local.set_grants(&principal, grants).await?;
    if options.json {
        say!("{}", serde_json::to_string_pretty(&as_json(&changed))?);
    } else {
        say!("\"{}\" is {}.", changed.name, grants_text(&changed.grants));
    }
    Ok(())
}

async fn switch(local: &Local, options: Switch, is_disabled: bool) -> anyhow::Result<()> {
    let principal = local.principal(&options.name).await?;
    let changed = local.set_disabled(&principal, is_disabled).await?;
    if options.json {
        say!("{}", serde_json::to_string_pretty(&as_json(&changed))?);
    } else {
        say!("\"{}\" is {}.", changed.name, if changed.disabled { "disabled" } else { "active" });
    }
    Ok(())
}

fn as_json(principal: &Principal) -> Value {
    json!({
        "id": principal.id,
        "name": principal.name,
        "kind": principal.kind,
        "groups": principal.groups,
        "grants": principal.grants,
        "disabled": principal.disabled,
        "created_at": principal.created_at,
        "updated_at": principal.updated_at,
    })
}
