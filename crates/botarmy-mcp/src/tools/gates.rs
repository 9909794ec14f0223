//! Gates: the pending ones, one of them, and its answer.

use rmcp::model::JsonObject;
use serde_json::{Value, json};

use super::{member, page};
use crate::answer::{Answer, ToolError};
use crate::api::Api;
use crate::parameter::Arguments;
use crate::visible::{ALONE, IN_LIST};

/// Members of a gate that a list shows.
const LISTED: [&str; 13] = [
    "request_id",
    "project_id",
    "task_id",
    "step",
    "agent_type",
    "kind",
    "question",
    "created_at",
    "expires_at",
    "policy_name",
    "needs",
    "claimed_by",
    "due",
];

/// Lists the pending gates.
pub(crate) async fn list(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let found = match arguments.text("project_id") {
        None => api.page(&["hitl", "pending"], &page(arguments)).await?,
        Some(_) => {
            let project = arguments.id("project_id").to_string();
            let path = ["hitl", "project", &project, "requests"];
            let cursor = ("request_id", arguments.text("cursor").map(str::to_owned));
            let limit = usize::try_from(arguments.whole("limit")).unwrap_or(usize::MAX);
            api.array(&path, &[("status_filter", "pending")], cursor, limit).await?
        }
    };
    let gates: Vec<_> =
        found.items.iter().map(|gate| IN_LIST.apply(&only(gate, &LISTED))).collect();
    let more = if found.next_cursor.is_some() { ", and there are more" } else { "" };
    let mut data = JsonObject::new();
    let summary = format!("Pending gates: {}{more}.", gates.len());
    data.insert("gates".to_owned(), gates.into());
    data.insert("next_cursor".to_owned(), found.next_cursor.into());
    Ok(Answer { summary, data, text: None })
}

/// Returns an object with these members alone.
fn only(object: &Value, members: &[&str]) -> Value {
    let kept =
        members.iter().filter_map(|name| Some(((*name).to_owned(), object.get(name)?.clone())));
    Value::Object(kept.collect())
}

/// Returns a gate.
pub(crate) async fn read(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let id = arguments.id("request_id");
    let gate = api.get(&["hitl", &id.to_string()]).await?;
    let digest = gate["subject"]["digest"].as_str().unwrap_or_default().to_owned();
    let documents = gate["subject"]["artifacts"].as_array().map_or(0, Vec::len);
    let status = gate["status"].as_str().unwrap_or_default();
    let allowed = gate["allowed_actions"].as_array().into_iter().flatten();
    let allowed: Vec<_> = allowed.filter_map(Value::as_str).collect();
    let missing = &gate["needs"]["approvals"];
    let summary = format!(
        "Gate {id} is {status}. Approvals that are missing: {missing}. Your user may: {}. Documents under \
         review: {documents}. subject_digest: {digest}.",
        if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") }
    );
    let mut data = JsonObject::new();
    data.insert("gate".to_owned(), ALONE.apply(&gate));
    data.insert("subject_digest".to_owned(), digest.into());
    Ok(Answer { summary, data, text: None })
}

/// Adds a remark to the discussion of a gate.
pub(crate) async fn comment(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let id = arguments.id("request_id");
    let body = json!({"text": arguments.needed("text")});
    let comment = api.post(&["hitl", &id.to_string(), "comments"], &body).await?;
    let mut data = JsonObject::new();
    data.insert("comment".to_owned(), ALONE.apply(&comment));
    let summary = format!("The remark on gate {id} is recorded.");
    Ok(Answer { summary, data, text: None })
}

/// Answers a gate.
pub(crate) async fn answer(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let (id, action) = (arguments.id("request_id"), arguments.needed("action"));
    let mut body = json!({"action": action, "subject_digest": arguments.needed("subject_digest")});
    for (name, parameter) in [("comment", "comment"), ("content", "feedback")] {
        if let Some(text) = arguments.text(parameter) {
            body[name] = text.into();
        }
    }
    if let Some(document) = arguments.object("document") {
        body["amended_content"] = document.clone();
    }
    if let Some(response) = arguments.object("response") {
        body["response"] = response.clone();
    }
    let answer = api.post(&["hitl", &id.to_string(), "respond"], &body).await?;
    let status = member(&answer, "status");
    let resumed = answer["workflow_resumed"] == json!(true);
    let next = if resumed { "work goes on" } else { "no work was resumed" };
    let summary = format!("Gate {id} is {status}; {next}.");
    let mut data = JsonObject::new();
    data.insert("answer".to_owned(), ALONE.apply(&answer));
    Ok(Answer { summary, data, text: None })
}
