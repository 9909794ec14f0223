//! Payloads of events about budgets.

use crate::budget::{Amount, BudgetKey, Limit};
use crate::ids::HitlRequestId;
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, TaskStatus};
use serde::{Deserialize, Serialize};

/// The worst case of an attempt was reserved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetReserved {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Step of the workflow.
    pub step: Option<String>,
    /// Accounts that the amount was reserved in.
    #[serde(rename = "purses")]
    pub accounts: [BudgetKey; 2],
    /// Reserved amount.
    pub reserved: Amount,
    /// End of the reservation.
    pub until: Timestamp,
}

/// An attempt did not begin because a limit would be exceeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetExhausted {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// New status of the task.
    pub status: TaskStatus,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Step of the workflow.
    pub step: Option<String>,
    /// Account with too little room.
    #[serde(rename = "purse")]
    pub account: BudgetKey,
    /// Limit of the account.
    pub limit: Limit,
    /// Amount that is spent or reserved.
    pub taken: Amount,
    /// Amount that the attempt may need.
    pub needs: Amount,
    /// Request that asks a person for a higher limit.
    pub hitl_request_id: HitlRequestId,
}

/// A limit was set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetChanged {
    /// Account of the limit.
    #[serde(rename = "purse")]
    pub account: BudgetKey,
    /// New limit.
    pub limit: Limit,
    /// Limit before, where one was set.
    pub previous: Option<Limit>,
    /// Name of the principal that set it.
    pub changed_by: String,
}
