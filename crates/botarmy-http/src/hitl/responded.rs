//! The form of a response's effect.

use botarmy_domain::hitl::Needs;
use botarmy_domain::{EventId, HitlOutcome, HitlRequest, HitlRequestId, HitlStatus, Responded};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request_view::NeedsView;
use crate::vocabulary;

/// Answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HitlAction)]
pub(crate) enum RespondAction {
    /// The subject is accepted.
    Approve,
    /// The subject is refused.
    Reject,
    /// A document replaces the subject, or with `content` alone the work is done again.
    Amend,
    /// The work is done again with the words in `content`.
    RequestChanges,
    /// The caller takes its vote back.
    Withdraw,
}

/// Effect of a response.
#[derive(Serialize, ToSchema)]
pub(super) struct RespondedView {
    #[schema(value_type = Uuid)]
    request_id: HitlRequestId,
    action: RespondAction,
    #[schema(value_type = vocabulary::HitlStatus)]
    status: HitlStatus,
    message: String,
    /// Whether work goes on because of the response.
    workflow_resumed: bool,
    /// Outcome; null while the request waits for more answers.
    #[schema(value_type = Option<vocabulary::HitlOutcome>)]
    outcome: Option<HitlOutcome>,
    /// Approvals that are missing after the response.
    needs: NeedsView,
    /// Log entry that records the response; null for a vote that was taken back.
    entry: Option<EntryView>,
}

/// Entry of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = EntryReference)]
struct EntryView {
    #[schema(value_type = Uuid)]
    id: EventId,
}

impl RespondedView {
    pub(super) fn of(action: RespondAction, responded: &Responded) -> Self {
        let message = if responded.is_decided {
            decided(action, responded).to_owned()
        } else {
            counted(action, &responded.needs)
        };
        // A request may have been decided since a vote whose response is repeated.
        let (status, outcome) = if responded.is_decided {
            (responded.request.status(), responded.request.outcome())
        } else {
            (HitlStatus::Pending, None)
        };
        Self {
            request_id: responded.request.id,
            action,
            status,
            message,
            workflow_resumed: responded.workflow_resumed,
            outcome,
            needs: responded.needs.clone().into(),
            entry: responded.entry.map(|id| EntryView { id }),
        }
    }

    /// Creates the effect of taking a vote back, from the request as it is afterwards.
    pub(super) fn withdrawn(request: &HitlRequest) -> Self {
        let needs = request.needs();
        Self {
            request_id: request.id,
            action: RespondAction::Withdraw,
            status: request.status(),
            message: format!("Your vote is withdrawn; {}.", missing(&needs)),
            workflow_resumed: false,
            outcome: request.outcome(),
            needs: needs.into(),
            entry: None,
        }
    }
}

/// Returns the sentence about a response that decided its request.
fn decided(action: RespondAction, responded: &Responded) -> &'static str {
    match (action, responded.workflow_resumed, responded.project_halted) {
        (RespondAction::Approve, true, _) => "The request was approved; work goes on.",
        (RespondAction::Approve, false, _) => "The request was approved.",
        (RespondAction::Reject, _, true) => "The request was rejected; the project is halted.",
        (RespondAction::Reject, _, false) => "The request was rejected; the project goes on.",
        (RespondAction::RequestChanges, ..) => {
            "Changes were requested; the work is done again with your words."
        }
        (RespondAction::Amend, true, _) => {
            "The request was amended; work goes on with the amendment."
        }
        (RespondAction::Amend, false, _) => {
            "The request was amended; another person has to approve the amendment."
        }
        (RespondAction::Withdraw, ..) => "The vote was withdrawn.",
    }
}

/// Returns the sentence about a response after which more answers are needed.
fn counted(action: RespondAction, needs: &Needs) -> String {
    let missing = missing(needs);
    match action {
        RespondAction::Reject => {
            format!(
                "Your rejection is recorded; the request waits for more answers, and {missing}."
            )
        }
        RespondAction::Amend | RespondAction::RequestChanges => {
            format!("Your version is reviewed now; {missing}.")
        }
        RespondAction::Approve | RespondAction::Withdraw => {
            format!("Your approval is recorded; {missing}.")
        }
    }
}

/// Returns the number of approvals that are missing, and their groups, in words.
fn missing(needs: &Needs) -> String {
    let verb = if needs.approvals == 1 { "is" } else { "are" };
    let groups: Vec<_> =
        needs.groups.iter().map(|(group, seats)| format!("{seats} of {group}")).collect();
    let groups = match groups.as_slice() {
        [] => String::new(),
        groups => format!(", among them {}", groups.join(", ")),
    };
    format!("{} more {verb} needed{groups}", needs.approvals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_about_a_vote_counts_what_is_missing() {
        let needs = |approvals, groups: &[(&str, u32)]| Needs {
            approvals,
            groups: groups.iter().map(|(group, seats)| ((*group).to_owned(), *seats)).collect(),
        };
        for (action, needs, sentence) in [
            (RespondAction::Approve, needs(1, &[]), "Your approval is recorded; 1 more is needed."),
            (
                RespondAction::Approve,
                needs(2, &[("security", 1)]),
                "Your approval is recorded; 2 more are needed, among them 1 of security.",
            ),
            (
                RespondAction::Reject,
                needs(2, &[]),
                "Your rejection is recorded; the request waits for more answers, and 2 more are needed.",
            ),
        ] {
            assert_eq!(counted(action, &needs), sentence);
        }
    }
}
