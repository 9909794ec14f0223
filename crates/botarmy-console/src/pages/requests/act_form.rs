//! The form with which people do something with a request beside answering it.

use botarmy_domain::HitlRequest;
use botarmy_domain::hitl::GateAct;
use botarmy_web::Problem;
use serde::Deserialize;

use crate::guard::HasToken;

/// Times by which a request can be extended, in seconds, with their words.
pub(super) const EXTENSIONS: [(u32, &str); 5] = [
    (3_600, "1 hour"),
    (4 * 3_600, "4 hours"),
    (86_400, "1 day"),
    (3 * 86_400, "3 days"),
    (7 * 86_400, "1 week"),
];

/// The form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ActForm {
    #[serde(default)]
    form_token: String,
    pub(super) key: String,
    pub(super) act: String,
    /// Person who is to answer.
    #[serde(default)]
    pub(super) to: String,
    /// Time that is added, in seconds.
    #[serde(default)]
    pub(super) by_s: String,
    /// Text for the other person, for the record, or for the discussion.
    #[serde(default)]
    pub(super) comment: String,
    /// Remark that is answered.
    #[serde(default)]
    pub(super) reply_to: String,
}

impl HasToken for ActForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

impl ActForm {
    /// Returns the act that is asked for.
    ///
    /// # Errors
    /// A 422 that names the field.
    pub(super) fn read(&self) -> Result<GateAct, Problem> {
        let comment = self.comment.replace("\r\n", "\n");
        let optional = Some(comment.clone()).filter(|text| !text.trim().is_empty());
        Ok(match self.act.as_str() {
            "withdraw" => GateAct::Withdraw,
            "claim" => GateAct::Claim,
            "unclaim" => GateAct::Unclaim,
            "delegate" => GateAct::Delegate { to: self.to.clone(), comment: optional },
            "extend" => {
                let wrong = |_| Problem::invalid("by_s", "must be a number of seconds");
                GateAct::Extend { by_s: self.by_s.parse().map_err(wrong)?, comment: optional }
            }
            "remind" => GateAct::Remind,
            "escalate" => GateAct::Escalate,
            "comment" => {
                let reply_to = Some(self.reply_to.as_str()).filter(|id| !id.is_empty());
                let wrong = |_| Problem::invalid("reply_to", "must be the id of a remark");
                let reply_to = reply_to.map(str::parse).transpose().map_err(wrong)?;
                GateAct::Comment { text: comment, reply_to }
            }
            _ => return Err(Problem::invalid("act", "is not known")),
        })
    }
}

/// Returns the sentence that confirms an act.
pub(super) fn confirmation(act: &str) -> Option<&'static str> {
    Some(match act {
        "withdraw" => "Your answer is taken back.",
        "claim" => "The request is reserved for you.",
        "unclaim" => "The request is not reserved any more.",
        "delegate" => "The other person may answer now.",
        "extend" => "There is more time to answer.",
        "remind" => "Those who are asked are reminded.",
        "escalate" => "The next people may answer now.",
        "comment" => "Your remark is in the discussion.",
        _ => return None,
    })
}

/// Returns the parts of the mark of an act, which hold until the request changes again.
pub(super) fn mark(request: &HitlRequest, act: &str) -> Vec<String> {
    let change = request.updated_at.micros();
    vec![request.id.to_string(), act.to_owned(), change.to_string()]
}
