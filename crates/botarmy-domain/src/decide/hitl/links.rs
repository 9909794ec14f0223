//! Links with which people answer.

use super::{eligibility, pending};
use crate::access::KeyDigest;
use crate::actor::Actor;
use crate::caller::Caller;
use crate::change::Decision;
use crate::decide::builder::DecisionBuilder;
use crate::decide::eligibility::{check_free, check_presence, is_possible, releases};
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{AnswerLink, HitlRequest, MAX_LINKS_OF_PERSON, NewAnswerLink, Response};
use crate::ids::{CredentialId, HitlRequestId};
use crate::scope::Snapshot;
use crate::timestamp::Timestamp;
use crate::vocabulary::{HitlAction, HitlStatus, Permission, Verdict};

/// Makes a link with which a person answers a request as it is now. Everyone may make one for themselves;
/// for another person that needs the permission to manage access, as a link proves who one is.
///
/// # Errors
/// [`DomainError::Forbidden`] where the policy allows no links, or the person may not answer;
/// [`DomainError::Invalid`] for no actions, or a time that is over.
pub fn issue_link(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    new: &NewAnswerLink,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let mut request = pending(&builder, id)?;
    if !request.pinned_policy().policy.links {
        let detail = "The policy of the request does not allow links; `links = true` in it would.";
        return Err(DomainError::Forbidden {
            code: "links_not_allowed",
            detail: detail.to_owned(),
        });
    }
    if !context.caller.is(&new.person.actor()) {
        context.caller.check(Permission::AccessManage, crate::caller::Place::Installation)?;
    }
    check_actions_of_link(&builder, &request, new)
        .map_err(|error| said_of(&context.caller, new, error))?;
    // Otherwise a key alone would make the proof that it is not.
    check_presence(&request.pinned_policy().policy, &context.caller)?;
    if new.expires_at <= builder.at() {
        return Err(DomainError::invalid("expires_at", "must be in the future"));
    }
    let now = builder.at();
    let open = request.links.iter().filter(|link| request.takes(link, now));
    if open.filter(|link| new.person.is(&link.person)).count() >= MAX_LINKS_OF_PERSON {
        let name = new.person.name();
        let detail = format!(
            "Request {id} has {MAX_LINKS_OF_PERSON} links of {name} that can be used, which is the limit."
        );
        return Err(DomainError::conflict("too_many_links", detail));
    }
    let link = AnswerLink {
        id: builder.id_generator.credential(),
        person: new.person.actor(),
        digest: new.digest,
        subject_digest: request.subject.digest.clone(),
        actions: new.actions.clone(),
        issued_by: builder.actor(),
        issued_at: now,
        expires_at: new.expires_at,
        used_at: None,
        revoked_at: None,
    };
    request.add_link(link.clone());
    let payload = E::HitlLinkIssued(event::HitlLinkIssued { hitl_request_id: id, link });
    builder.put_request(request, &payload);
    Ok(builder.finish())
}

/// Checks that the person of a link may take the actions that it is for.
fn check_actions_of_link(
    builder: &DecisionBuilder<'_>,
    request: &HitlRequest,
    new: &NewAnswerLink,
) -> Result<(), DomainError> {
    if new.actions.is_empty() {
        return Err(DomainError::invalid("actions", "must have at least one"));
    }
    new.person.check(Permission::GateAnswer, builder.place())?;
    let eligibility = eligibility(builder, request)?;
    for action in &new.actions {
        // A link has no document; its words ask for changes.
        let verdict = match action {
            HitlAction::Approve => Verdict::Approve,
            HitlAction::Reject => Verdict::Reject,
            HitlAction::Amend => Verdict::RequestChanges,
        };
        let seat = eligibility.seat(&new.person, verdict)?;
        if !is_possible(request, verdict) {
            let text = format!("{} is not possible for the request", action.as_str());
            return Err(DomainError::invalid("actions", text));
        }
        if releases(request, verdict) {
            eligibility.check_release(&new.person, &seat)?;
        }
        if verdict != Verdict::RequestChanges {
            check_free(request, &seat)?;
        }
    }
    Ok(())
}

/// Returns the refusal of a link in words for the party that makes it, who may be another one than its person.
fn said_of(caller: &Caller, new: &NewAnswerLink, error: DomainError) -> DomainError {
    let name = new.person.name();
    let (code, why) = match error {
        _ if caller.is(&new.person.actor()) => return error,
        DomainError::NotPermitted { .. } => ("not_eligible", "may not answer requests here"),
        DomainError::Forbidden { code: code @ "not_eligible", .. } => {
            (code, "is not one of those whom the policy asks")
        }
        DomainError::Forbidden { code: code @ "separation_of_duties", .. } => {
            (code, "had a part in what is reviewed, so only another person can approve it")
        }
        other => return other,
    };
    DomainError::Forbidden { code, detail: format!("{name} {why}.") }
}

/// Revokes a link; decides nothing if it cannot be used any more. Its person and those who manage the
/// project may do that.
///
/// # Errors
/// If there is no such link.
pub fn revoke_link(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    link_id: CredentialId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let mut request = (*builder.request(id)?).clone();
    let (now, place) = (builder.at(), builder.place());
    let link = request.links.iter_mut().find(|link| link.id == link_id);
    let link = link.ok_or_else(|| DomainError::not_found("Link", link_id))?;
    let is_own = context.caller.is(&link.person) || context.caller.is(&link.issued_by);
    if !is_own {
        context.caller.check(Permission::ProjectManage, place)?;
    }
    if link.used_at.is_some() || link.revoked_at.is_some() {
        return Ok(builder.finish());
    }
    link.revoked_at = Some(now);
    let payload = E::HitlLinkRevoked(event::HitlLinkRevoked { hitl_request_id: id, link_id });
    builder.put_request(request, &payload);
    Ok(builder.finish())
}

/// Returns the link of a request with this token, whether it can be used or not.
#[must_use]
pub fn link_of<'a>(request: &'a HitlRequest, digest: &KeyDigest) -> Option<&'a AnswerLink> {
    request.links.iter().find(|link| link.digest == *digest)
}

/// Checks that a link can be used at this time for an answer to the request as it is.
///
/// # Errors
/// [`DomainError::Gone`] with the reason, and with the state of the request.
pub fn check_link(
    request: &HitlRequest,
    link: &AnswerLink,
    now: Timestamp,
) -> Result<(), DomainError> {
    let (code, detail) = if link.used_at.is_some() {
        ("link_used", "The link was used".to_owned())
    } else if link.revoked_at.is_some() {
        ("link_revoked", "The link was revoked".to_owned())
    } else if now >= link.expires_at {
        ("link_expired", format!("The link expired at {}", link.expires_at))
    } else if request.status() != HitlStatus::Pending {
        ("not_pending", "The request is over".to_owned())
    } else if link.subject_digest != request.subject.digest {
        ("subject_changed", "What is reviewed has changed since the link was made".to_owned())
    } else {
        return Ok(());
    };
    let detail = format!("{detail}; the request is {} now.", request.status());
    Err(DomainError::Gone { code, detail })
}

/// Uses a link up.
pub(super) fn use_link(
    request: &mut HitlRequest,
    id: CredentialId,
    response: &Response,
    now: Timestamp,
    caller: &Caller,
) -> Result<(), DomainError> {
    let own: Actor = caller.actor();
    let link = request.links.iter().find(|link| link.id == id && link.person.is_same(&own));
    let link = link.cloned().ok_or_else(|| DomainError::not_found("Link", id))?;
    check_link(request, &link, now)?;
    if !link.actions.contains(&response.action) {
        let known: Vec<_> = link.actions.iter().map(|action| HitlAction::as_str(*action)).collect();
        let text = format!("must be one of those of the link: {}", known.join(", "));
        return Err(DomainError::invalid("action", text));
    }
    for link in request.links.iter_mut().filter(|link| link.id == id) {
        link.used_at = Some(now);
    }
    Ok(())
}
