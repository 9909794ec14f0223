//! `keys`: creates, lists, revokes and replaces API keys in the store itself.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{bail, ensure};
use botarmy_domain::ports::{Clock, IssuedKey, Lifetime, NewKey, NewPrincipal, Secrets, UsedKey};
use botarmy_domain::{CredentialId, KeySecret, Principal, PrincipalKind, Rights, Timestamp};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::local::{self, Local, PAGE};
use super::text::{GrantOptions, duration, grants_text, lifetime, short, table};
use crate::output::{say, say_error};
use crate::settings::Settings;
use crate::system::{RandomSecrets, SystemClock};

/// Commands for keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Create a key and print it. It is shown once and stored nowhere.
    ///
    /// A principal that does not exist is created with the roles; it is a program, or with --person a
    /// human. For one that exists, the roles narrow the key: it can do nothing
    /// else, and no more than the principal.
    Create(Create),
    /// List the keys, without their text.
    List(List),
    /// Print a new key that belongs to nothing yet, for access.first_key. Uses no store.
    Generate,
    /// Revoke a key. Every server refuses it within a second.
    Revoke {
        /// The id of the key, as `keys list` shows it.
        id: CredentialId,
    },
    /// Create a key that takes the place of another, and print it.
    Rotate(Rotate),
}

/// Options of `keys create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The name of the principal that the key is for.
    pub(crate) name: String,
    /// The principal is a human, who answers requests in person.
    #[arg(long)]
    pub(crate) person: bool,
    #[command(flatten)]
    pub(crate) grants: GrantOptions,
    /// A group of the principal, if it is created. May be given several times.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// The time until the key expires, such as 90d, or never [default: access.key_days].
    #[arg(long, value_parser = lifetime)]
    pub(crate) expires: Option<Lifetime>,
    /// The name of the key [default: the name of the principal].
    #[arg(long, value_name = "NAME")]
    pub(crate) key_name: Option<String>,
    /// Print a JSON object with the key.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `keys list`.
#[derive(Debug, Args)]
pub struct List {
    /// The principal whose keys are listed [default: all].
    pub(crate) name: Option<String>,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `keys rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The id of the key, as `keys list` shows it.
    pub(crate) id: CredentialId,
    /// The time for which the old key still works, such as 1h; 0 ends it at once.
    #[arg(long, value_parser = duration, default_value = "24h")]
    pub(crate) overlap: Duration,
    /// The time until the new key expires, such as 90d, or never [default: as long as the old one had].
    #[arg(long, value_parser = lifetime)]
    pub(crate) expires: Option<Lifetime>,
    /// Print a JSON object with the key.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs a command.
///
/// # Errors
/// A store that cannot be opened, and what access control refuses.
pub async fn run(settings: &Settings, command: Keys) -> anyhow::Result<ExitCode> {
    if matches!(command, Keys::Generate) {
        say!("{}", KeySecret::new(RandomSecrets.secret()).text().expose());
        return Ok(ExitCode::SUCCESS);
    }
    let local = local::open(settings, "keys").await?;
    let done = match command {
        Keys::Generate => Ok(()),
        Keys::Create(options) => create(&local, options).await,
        Keys::List(options) => list(&local, options).await,
        Keys::Revoke { id } => revoke(&local, id).await,
        Keys::Rotate(options) => rotate(&local, options).await,
    };
    local.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn create(local: &Local, options: Create) -> anyhow::Result<()> {
    let wanted = options.grants.grants();
    let (principal, narrowed) = match local.find(&options.name).await? {
        Some(principal) => {
            ensure!(
                !principal.disabled,
                "{} is disabled, so a key of it would be refused; `grants enable {:?}` enables it",
                principal.name,
                principal.name
            );
            ensure!(
                options.groups.is_empty(),
                "{} exists; its groups are not changed by a new key",
                principal.name
            );
            ensure!(
                !options.person || principal.kind == PrincipalKind::Person,
                "{} exists and is a {}",
                principal.name,
                principal.kind
            );
            let held = Rights::of(&principal.grants, None);
            let missing: Vec<_> =
                wanted.iter().filter(|one| !held.has_all_of(one)).copied().collect();
            ensure!(
                missing.is_empty(),
                "{} exists and may not do all that {} may; `grants set` changes what it may do",
                principal.name,
                grants_text(&missing)
            );
            // A key for exactly the roles that the principal has gets what is added to them later.
            let is_narrower = !wanted.is_empty() && wanted != principal.grants;
            (principal, is_narrower.then_some(wanted))
        }
        None => {
            ensure!(
                !local.was_deleted(&options.name).await?,
                "{:?} was deleted, and its name stays taken so that the log is unambiguous; choose \
                 another",
                options.name
            );
            if wanted.is_empty() {
                bail!("there is no principal {:?} yet; name its roles with --role", options.name);
            }
            let kind = if options.person { PrincipalKind::Person } else { PrincipalKind::Service };
            let new = NewPrincipal {
                name: options.name.clone(),
                kind,
                groups: options.groups,
                grants: wanted,
            };
            (local.access.create_principal(new, Local::caller()).await?, None)
        }
    };
    let new = NewKey {
        principal: principal.id,
        name: options.key_name.unwrap_or_else(|| principal.name.clone()),
        grants: narrowed,
        lifetime: options.expires.unwrap_or_default(),
    };
    let issued = local.access.create_key(new, Local::caller()).await?;
    print(&issued, &principal, options.json)
}

async fn list(local: &Local, options: List) -> anyhow::Result<()> {
    let only = match &options.name {
        Some(name) => Some(local.principal(name).await?.id),
        None => None,
    };
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = local.access.keys(&Local::caller(), only, after, PAGE).await?;
        after = page.items.last().map(|one| one.key.id);
        keys.extend(page.items);
        if !page.has_more {
            break;
        }
    }
    let principals = local.principals().await?;
    let name_of = |key: &UsedKey| {
        let owner = principals.iter().find(|one| one.id == key.key.principal);
        owner.map_or_else(|| "(deleted)".to_owned(), |one| one.name.clone())
    };
    let now = SystemClock.now();
    if options.json {
        let keys: Vec<_> = keys.iter().map(|key| as_json(key, &name_of(key), now)).collect();
        say!("{}", serde_json::to_string_pretty(&keys)?);
        return Ok(());
    }
    let head = ["ID", "PRINCIPAL", "NAME", "ENDS IN", "STATE", "CREATED", "EXPIRES", "LAST USED"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for key in &keys {
        let time = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), short);
        rows.push(vec![
            key.key.id.to_string(),
            name_of(key),
            key.key.name.clone(),
            format!("…{}", key.key.hint),
            state(key, now).to_owned(),
            short(key.key.created_at),
            time(key.key.expires_at),
            time(key.last_used_at),
        ]);
    }
    say!("{}", table(&rows));
    Ok(())
}

async fn revoke(local: &Local, id: CredentialId) -> anyhow::Result<()> {
    let key = local.access.revoke_key(id, Local::caller()).await?;
    say!("Revoked the key {id} (\"{}\", ends in {}).", key.name, key.hint);
    Ok(())
}

async fn rotate(local: &Local, options: Rotate) -> anyhow::Result<()> {
    let issued = local
        .access
        .rotate_key(options.id, options.overlap, options.expires, Local::caller())
        .await?;
    let all = local.principals().await?;
    let Some(principal) = all.iter().find(|one| one.id == issued.key.principal) else {
        bail!("the principal of the key was deleted");
    };
    print(&issued, principal, options.json)?;
    if !options.json {
        say_error!(
            "The key {} {}.",
            options.id,
            if options.overlap.is_zero() {
                "is refused from now on".to_owned()
            } else {
                format!("works for {} s more", options.overlap.as_secs())
            }
        );
    }
    Ok(())
}

/// Prints the key alone on standard output, so that it can be put into a variable or a file.
fn print(issued: &IssuedKey, principal: &Principal, json: bool) -> anyhow::Result<()> {
    let key = &issued.key;
    let grants = key.grants.as_deref().unwrap_or(&principal.grants);
    if json {
        let object = json!({
            "id": key.id,
            "key": issued.text.expose(),
            "name": key.name,
            "principal": principal.name,
            "principal_id": principal.id,
            "kind": principal.kind,
            "grants": grants,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        });
        say!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    say!("{}", issued.text.expose());
    say_error!(
        "This is the key {} of the {} \"{}\" ({}). It {}. It is not shown again.",
        key.id,
        principal.kind,
        principal.name,
        grants_text(grants),
        key.expires_at
            .map_or_else(|| "never expires".to_owned(), |end| format!("expires at {}", short(end)))
    );
    Ok(())
}

fn as_json(key: &UsedKey, principal: &str, now: Timestamp) -> Value {
    json!({
        "id": key.key.id,
        "name": key.key.name,
        "hint": key.key.hint,
        "principal": principal,
        "principal_id": key.key.principal,
        "state": state(key, now),
        "grants": key.key.grants,
        "created_at": key.key.created_at,
        "expires_at": key.key.expires_at,
        "revoked_at": key.key.revoked_at,
        "replaced_by": key.key.replaced_by,
        "last_used_at": key.last_used_at,
    })
}

fn state(key: &UsedKey, now: Timestamp) -> &'static str {
    if key.key.revoked_at.is_some() {
        "revoked"
    } else if key.key.has_expired(now) {
        "expired"
    } else if key.key.replaced_by.is_some() {
        "replaced"
    } else {
        "valid"
    }
}
