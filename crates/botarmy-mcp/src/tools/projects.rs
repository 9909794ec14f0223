//! Projects: the list, one with its progress, a new one, and the events of one.

use std::time::Duration;

use rmcp::model::JsonObject;
use serde_json::json;

use super::{member, page};
use crate::answer::{Answer, ToolError};
use crate::api::{Api, Heard};
use crate::parameter::Arguments;
use crate::visible::{ALONE, IN_EVENTS, IN_LIST};

/// Workflow of a new project, when none is named.
const WORKFLOW: &str = "sdlc";

/// Lists projects.
pub(crate) async fn list(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let mut query = page(arguments);
    if let Some(status) = arguments.text("status") {
        query.push(("status", status.to_owned()));
    }
    let found = api.page(&["projects"], &query).await?;
    let projects: Vec<_> = found.items.iter().map(|project| IN_LIST.apply(project)).collect();
    let more = if found.next_cursor.is_some() { ", and there are more" } else { "" };
    let summary = format!("Projects: {}{more}.", projects.len());
    let mut data = JsonObject::new();
    data.insert("projects".to_owned(), projects.into());
    data.insert("next_cursor".to_owned(), found.next_cursor.into());
    Ok(Answer { summary, data, text: None })
}

/// Returns a project with its progress.
pub(crate) async fn show(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let id = arguments.id("project_id");
    let project = api.get(&["projects", &id.to_string()]).await?;
    let summary = format!(
        "Project {id} is {} ({}). Open gates: {}.",
        member(&project, "status"),
        member(&project["activity"], "state"),
        project["counts"]["open_requests"].as_u64().unwrap_or_default(),
    );
    let mut data = JsonObject::new();
    data.insert("project".to_owned(), ALONE.apply(&project));
    Ok(Answer { summary, data, text: None })
}

/// Creates a project and starts its workflow.
pub(crate) async fn start(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let mut body = json!({
        "name": arguments.needed("name"),
        "description": arguments.needed("idea"),
        "workflow": arguments.text("workflow").unwrap_or(WORKFLOW),
    });
    if let Some(oversight) = arguments.text("oversight") {
        body["oversight"] = oversight.into();
    }
    let project = api.post(&["projects"], &body).await?;
    let id = member(&project, "id").to_owned();
    let summary = format!(
        "Project {id} is {}. Follow it with `follow_project` after 0.",
        member(&project, "status")
    );
    let mut data = JsonObject::new();
    data.insert("project".to_owned(), ALONE.apply(&project));
    data.insert("project_id".to_owned(), id.into());
    data.insert("position".to_owned(), 0.into());
    Ok(Answer { summary, data, text: None })
}

/// Returns the events of a project after a position.
pub(crate) async fn follow(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let (id, after) = (arguments.id("project_id"), arguments.whole("after"));
    let wait = Duration::from_secs(arguments.whole("wait_s"));
    let limit = usize::try_from(arguments.whole("limit")).unwrap_or(usize::MAX);
    let Heard { events, position } = api.events(id, after, wait, limit).await?;
    let project = api.get(&["projects", &id.to_string()]).await?;
    let status = member(&project, "status");
    let summary = format!(
        "Events after position {after}: {}. The project is {status} ({}). Position: {position}.",
        events.len(),
        member(&project["activity"], "state"),
    );
    let mut data = JsonObject::new();
    let events: Vec<_> = events.iter().map(|event| IN_EVENTS.apply(event)).collect();
    data.insert("events".to_owned(), events.into());
    data.insert("position".to_owned(), position.into());
    data.insert("status".to_owned(), IN_LIST.apply(&project["status"]));
    data.insert("activity".to_owned(), IN_LIST.apply(&project["activity"]));
    Ok(Answer { summary, data, text: None })
}
