//! The form of a response's effect.

use botarmy_domain::{HitlAction, HitlRequestId, HitlStatus, Responded};
use serde::Serialize;
use utoipa::ToSchema;

use crate::vocabulary;

/// Effect of a response.
#[derive(Serialize, ToSchema)]
pub(super) struct RespondedView {
    #[schema(value_type = Uuid)]
    request_id: HitlRequestId,
    #[schema(value_type = vocabulary::HitlAction)]
    action: HitlAction,
    #[schema(value_type = vocabulary::HitlStatus)]
    status: HitlStatus,
    message: &'static str,
    /// Whether work goes on because of the response.
    workflow_resumed: bool,
}

impl RespondedView {
    pub(super) fn of(action: HitlAction, responded: &Responded) -> Self {
        let message = match (action, responded.workflow_resumed, responded.project_halted) {
            (HitlAction::Approve, true, _) => "The request was approved; work goes on.",
            (HitlAction::Approve, false, _) => "The request was approved.",
            (HitlAction::Reject, _, true) => "The request was rejected; the project is halted.",
            (HitlAction::Reject, _, false) => "The request was rejected; the project goes on.",
            (HitlAction::Amend, true, _) => {
                "The request was amended; work goes on with the amendment."
            }
            (HitlAction::Amend, false, _) => {
                "The request was amended; another person has to approve the amendment."
            }
        };
        Self {
            request_id: responded.request.id,
            action,
            status: responded.request.status(),
            message,
            workflow_resumed: responded.workflow_resumed,
        }
    }
}
