//! API keys, for administrators: the list with the form for a new one, rotation and revocation. The text
//! of a key is in one response, and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::ports::{IssuedKey, Lifetime, NewKey};
use botarmy_domain::{ApiKey, Caller, CredentialId, DomainError, Error, PrincipalId};
use botarmy_web::{Problem, origin_of};
use serde::Deserialize;

use super::choice::{self, Choice};
use super::fields::{FieldError, Fields};
use super::once::{self, Sent};
use super::people::{check, field_error, secret, status_of};
use crate::api_source::ApiSource;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Confirmed, Form};
use crate::html::{self, Layout};
use crate::view::access::{self, GrantRow, KeyView, Owners};
use crate::view::icon::Icon;
use crate::view::time::TimeView;

/// Path of the list.
const KEYS: &str = "/console/settings/keys";
/// Number of keys on a page.
const WINDOW: u32 = 100;
/// Most owners that are named and offered.
const MAX_OWNERS: u32 = 1000;
/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// Lifetimes that are offered, with their names.
const LIFETIMES: [(&str, &str); 6] = [
    ("default", "As the server is configured"),
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "365 days"),
    ("never", "It never expires"),
];

/// Overlaps that are offered, in seconds, with their names.
const OVERLAPS: [(&str, &str); 4] =
    [("86400", "for a day"), ("0", "no longer"), ("3600", "for an hour"), ("604800", "for 7 days")];

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    /// Owner of the keys.
    principal: Option<String>,
    /// Key after which the page begins.
    after: Option<CredentialId>,
    /// Key that was revoked, after a revocation.
    revoked: Option<CredentialId>,
}

#[derive(Template)]
#[template(path = "keys/list.html")]
struct ListTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    rows: Vec<KeyView>,
    /// Name of the owner, if the list has the keys of one only.
    owner: Option<String>,
    is_later: bool,
    /// Path of the first keys of the same owner.
    first: String,
    next: Option<String>,
    owners: Vec<Choice>,
    lifetimes: Vec<Choice>,
    overlaps: &'static [(&'static str, &'static str)],
    name: String,
    grants: Vec<GrantRow>,
    is_narrowed: bool,
    /// Key under which the form creates a key once.
    form_key: String,
    notice: Option<Notice>,
    error: Option<FieldError>,
}

/// Shows the list.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    check(context.caller())?;
    let query: ListQuery = context.query()?;
    let principal = query.principal.as_deref().filter(|text| !text.is_empty());
    let principal: Option<PrincipalId> = match principal {
        None => None,
        Some(text) => {
            let id = text.parse();
            Some(id.map_err(|_| Problem::invalid("principal", "must be the id of a principal"))?)
        }
    };
    let notice = match query.revoked {
        Some(id) => revoked(&context, id).await?,
        None => None,
    };
    let page = Page { principal, after: query.after, notice };
    list(&context, page, &Fields::default(), None).await
}

/// Message above the list.
enum Notice {
    /// The key with this name is revoked.
    Revoked(String),
    /// The form that was sent again has created the key with this name before.
    Created(String),
}

/// Returns the message that a key is revoked, if it is.
async fn revoked(context: &PageContext, id: CredentialId) -> Result<Option<Notice>, Problem> {
    let found = match context.console.access.key(context.caller(), id).await {
        Err(Error::Refused(DomainError::NotFound { .. })) => return Ok(None),
        found => found?,
    };
    let is_revoked = found.key.revoked_at.is_some();
    Ok(is_revoked.then(|| Notice::Revoked(found.key.name.clone())))
}

/// Part of the list that is shown.
#[derive(Default)]
struct Page {
    principal: Option<PrincipalId>,
    after: Option<CredentialId>,
    notice: Option<Notice>,
}

async fn list(
    context: &PageContext,
    page: Page,
    fields: &Fields,
    error: Option<FieldError>,
) -> Result<HttpResponse, Problem> {
    let (access, caller) = (&context.console.access, context.caller());
    let owners: Owners = access
        .principals(caller, None, MAX_OWNERS)
        .await?
        .iter()
        .map(|one| (one.id, one.name.clone()))
        .collect();
    let owner = match page.principal {
        None => None,
        Some(id) => Some(access.principal(caller, id).await?.name.clone()),
    };
    let found = access.keys(caller, page.principal, page.after, WINDOW).await?;
    let now = context.now();
    let path = context.path(KEYS);
    let of = page.principal.map_or_else(String::new, |id| format!("principal={id}&"));
    let next = found.last_before_next().map(|last| format!("{path}?{of}after={}", last.key.id));
    let chosen = page.principal.map(|id| id.to_string());
    let chosen = chosen.unwrap_or_else(|| fields.get("principal").to_owned());
    let mut choices: Vec<Choice> = owners
        .iter()
        .map(|(id, name)| Choice {
            is_chosen: id.to_string() == chosen,
            value: id.to_string(),
            label: name.clone(),
        })
        .collect();
    choices.sort_by_key(|one| one.label.to_lowercase());
    let lifetime = fields.get("lifetime");
    let lifetimes = LIFETIMES.map(|(value, label)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        is_chosen: value == lifetime,
    });
    let api = match page.principal {
        Some(id) => format!("/access/keys?principal_id={id}"),
        None => "/access/keys".to_owned(),
    };
    let api = ApiSource::new(context, &api)?;
    let (layout, frame) = context.frame(Section::Settings, "Keys").await?;
    let frame = frame.below([("Settings", context.path("/console/settings"))]);
    let status = error.as_ref().map_or(StatusCode::OK, status_of);
    let template = ListTemplate {
        layout,
        frame,
        api,
        rows: found.items.iter().map(|used| access::key(used, &owners, now)).collect(),
        owner,
        is_later: page.after.is_some(),
        first: choice::with(&path, &of),
        next,
        owners: choices,
        lifetimes: lifetimes.into(),
        overlaps: &OVERLAPS,
        name: fields.get("name").to_owned(),
        grants: fields.grant_rows(),
        is_narrowed: !fields.get("narrow").is_empty(),
        form_key: once::new_key(context),
        notice: page.notice,
        error,
    };
    html::respond(status, &template)
}

#[derive(Template)]
#[template(path = "keys/issued.html")]
struct IssuedTemplate {
    layout: Layout,
    frame: Frame,
    name: String,
    key: String,
    expires: Option<TimeView>,
    /// Command that shows what the key may do; the key is in a variable.
    curl: String,
    /// Time until which the key that it replaces works, if it replaces one.
    replaced_until: Option<TimeView>,
    back: String,
}

/// Creates a key.
pub(crate) async fn create(
    context: PageContext,
    Form { caller, fields }: Form<Fields>,
) -> Result<HttpResponse, Problem> {
    check(&caller)?;
    fields.check_names(&["key", "principal", "name", "lifetime", "narrow"])?;
    once::check_key(fields.get("key"))?;
    let principal = fields.get("principal").parse();
    let principal = principal.map_err(|_| Problem::invalid("principal", "must be chosen"))?;
    let lifetime = lifetime(fields.get("lifetime"))?;
    let grants = if fields.get("narrow").is_empty() { Ok(None) } else { fields.grants().map(Some) };
    let error = match grants {
        Err(error) => error,
        Ok(grants) => {
            let name = fields.get("name").to_owned();
            let new = NewKey { principal, name: name.clone(), grants, lifetime };
            match issue(&context, &fields, new, caller).await {
                Ok(Some(issued)) => return issued_page(&context, &issued, None).await,
                Ok(None) => {
                    let notice = Some(Notice::Created(name));
                    let page = Page { principal: Some(principal), notice, ..Page::default() };
                    return list(&context, page, &Fields::default(), None).await;
                }
                Err(Error::Refused(error)) if once::is_of_another(&error) => {
                    let text = "The form was sent before with other fields, and created another key. \
                                To create this one too, send it again.";
                    (String::new(), text.to_owned())
                }
                Err(error) => field_error(error)?,
            }
        }
    };
    list(&context, Page::default(), &fields, Some(error)).await
}

/// Creates the key once for the key of the form. Returns `None` if the form was sent before: its response
/// had the text of the key, which is kept nowhere.
async fn issue(
    context: &PageContext,
    fields: &Fields,
    new: NewKey,
    caller: Caller,
) -> Result<Option<IssuedKey>, Error> {
    let others = fields.others(&["form_token", "key"]);
    let others: Vec<&str> = others.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let sent = Sent { key: fields.get("key"), path: KEYS, fields: &others };
    let (place, mut issued) = (format!("{KEYS}?principal={}", new.principal), None);
    // The reply that is kept is made of the key without its text.
    let call = async |caller| {
        let made = context.console.access.create_key(new, caller).await?;
        let key = Arc::clone(&made.key);
        issued = Some(made);
        Ok(key)
    };
    once::once(context, caller, sent, move |_: &Arc<ApiKey>| place.clone(), call).await?;
    Ok(issued)
}

/// Reads a lifetime in days.
fn lifetime(text: &str) -> Result<Lifetime, Problem> {
    let is_offered = LIFETIMES.iter().any(|(value, _)| *value == text);
    match (text, text.parse::<u64>()) {
        ("" | "default", _) => Ok(Lifetime::Default),
        ("never", _) => Ok(Lifetime::Unlimited),
        (_, Ok(days)) if is_offered => Ok(Lifetime::For(Duration::from_secs(days * DAY_S))),
        _ => Err(Problem::invalid("lifetime", "must be one of those that are offered")),
    }
}

async fn issued_page(
    context: &PageContext,
    issued: &IssuedKey,
    replaced_until: Option<TimeView>,
) -> Result<HttpResponse, Problem> {
    let console = &context.console;
    let head = context.request.head();
    let origin = origin_of(head, console.public_url.as_ref(), console.has_tls)?;
    let url = format!("{origin}{}", context.path("/api/v1/access/me"));
    let (layout, frame) = context.frame(Section::Settings, "New key").await?;
    let back = context.path(&format!("{KEYS}?principal={}", issued.key.principal));
    let frame = frame
        .below([("Settings", context.path("/console/settings")), ("Keys", context.path(KEYS))]);
    secret(&IssuedTemplate {
        layout,
        frame,
        name: issued.key.name.clone(),
        key: issued.text.expose().to_owned(),
        expires: issued.key.expires_at.map(TimeView::from),
        curl: format!("curl -H \"Authorization: Bearer $BOTARMY_KEY\" '{url}'"),
        replaced_until,
        back,
    })
}

fn key_id(text: &str) -> Result<CredentialId, Problem> {
    text.parse().map_err(|_| Problem::not_found("Key", text))
}

/// Creates a key in place of another.
pub(crate) async fn rotate(
    context: PageContext,
    id: Path<String>,
    Form { caller, fields }: Form<Fields>,
) -> Result<HttpResponse, Problem> {
    check(&caller)?;
    let id = key_id(&id)?;
    fields.check_names(&["overlap"])?;
    let overlap = fields.get("overlap");
    let overlap = OVERLAPS.iter().find(|(value, _)| *value == overlap);
    let overlap = overlap.and_then(|(value, _)| value.parse().ok()).map(Duration::from_secs);
    let overlap =
        overlap.ok_or_else(|| Problem::invalid("overlap", "must be one of those offered"))?;
    match context.console.access.rotate_key(id, overlap, None, caller).await {
        Ok(issued) => {
            let until = TimeView::from(context.now().after(overlap));
            issued_page(&context, &issued, Some(until)).await
        }
        Err(error) => {
            let error = field_error(error)?;
            list(&context, Page::default(), &Fields::default(), Some(error)).await
        }
    }
}

/// Revokes a key.
pub(crate) async fn revoke(
    context: PageContext,
    id: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    check(&caller)?;
    let id = key_id(&id)?;
    match context.console.access.revoke_key(id, caller).await {
        Ok(_) => Ok(html::redirect(&context.path(&format!("{KEYS}?revoked={id}")))),
        Err(error) => {
            let error = field_error(error)?;
            list(&context, Page::default(), &Fields::default(), Some(error)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lifetimes_that_are_offered_are_accepted() {
        for (text, expected) in [
            ("", Some(Lifetime::Default)),
            ("default", Some(Lifetime::Default)),
            ("30", Some(Lifetime::For(Duration::from_secs(30 * DAY_S)))),
            ("never", Some(Lifetime::Unlimited)),
            ("31", None),
            ("-1", None),
            ("forever", None),
        ] {
            assert_eq!(lifetime(text).ok(), expected, "{text}");
        }
    }
}
