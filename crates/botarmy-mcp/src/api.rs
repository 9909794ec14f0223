//! The REST API, as the tools use it.

use std::time::Duration;

use botarmy_client::{Client, ClientError, Heard as Next};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::answer::ToolError;

/// Silence after an event that ends a result: what follows from one decision arrives together.
const QUIET: Duration = Duration::from_millis(400);

/// API of one server, with one key.
pub(crate) struct Api {
    client: Client,
}

/// Page of a list.
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    pub(crate) next_cursor: Option<String>,
}

/// Events of a project.
pub(crate) struct Heard {
    pub(crate) events: Vec<Value>,
    /// Position after which the next ones follow.
    pub(crate) position: u64,
}

impl Api {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads a document of the API.
    pub(crate) async fn get(&self, path: &[&str]) -> Result<Value, ToolError> {
        Ok(self.client.get(path, &[]).await?)
    }

    /// Sends a document to the API.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, ToolError> {
        Ok(self.client.post(path, body).await?)
    }

    /// Reads one page of a list.
    pub(crate) async fn page(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Page, ToolError> {
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut page = self.client.get(path, &query).await?;
        let next_cursor = page["next_cursor"].as_str().map(str::to_owned);
        match page["items"].take() {
            Value::Array(items) => Ok(Page { items, next_cursor }),
            _ => Err(no_list()),
        }
    }

    /// Reads up to `limit` items of a list that is a bare array, whose pages may end early. Its cursor is
    /// the member `cursor` of the last item.
    pub(crate) async fn array(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        cursor: (&str, Option<String>),
        limit: usize,
    ) -> Result<Page, ToolError> {
        let (member, mut after) = cursor;
        let mut items = Vec::new();
        while items.len() < limit {
            let left = (limit - items.len()).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &left));
            if let Some(after) = &after {
                query.push(("cursor", after));
            }
            let Value::Array(page) = self.client.get(path, &query).await? else {
                return Err(no_list());
            };
            let Some(last) = page.last() else { return Ok(Page { items, next_cursor: None }) };
            after = Some(last[member].as_str().ok_or_else(no_list)?.to_owned());
            items.extend(page);
        }
        Ok(Page { items, next_cursor: after })
    }

    /// Returns the events of a project after a position: those that there are, or else the first ones
    /// that arrive within `wait`.
    pub(crate) async fn events(
        &self,
        project: Uuid,
        after: u64,
        wait: Duration,
        limit: usize,
    ) -> Result<Heard, ToolError> {
        let mut stream = self.client.events(&project.to_string(), Some(after));
        let end = Instant::now() + wait;
        let (mut heard, mut until) = (Heard { events: Vec::new(), position: after }, end);
        while heard.events.len() < limit {
            let event = match timeout_at(until, stream.next()).await {
                Err(_) => break,
                // The next call connects again, and continues where this connection was.
                Ok(Ok(Next::Lost(_))) => continue,
                Ok(Ok(Next::Event(event))) => event,
                Ok(Err(error)) => return Err(error.into()),
            };
            // Progress of tasks is in no log, and has no position of its own.
            if event.event_type != "task_progress" {
                heard.events.push(event.data);
                until = end.min(Instant::now() + QUIET);
            }
        }
        let position = stream.position().and_then(|position| position.parse().ok());
        heard.position = position.unwrap_or(after);
        Ok(heard)
    }
}

fn no_list() -> ToolError {
    ToolError::Unreachable(
        "its answer is no list; the address may be that of another program".into(),
    )
}

impl From<ClientError> for ToolError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => {
                let fields = problem.errors.iter();
                let fields = fields.map(|one| json!({"field": one.field, "message": one.message}));
                Self::Problem {
                    status: problem.status,
                    detail: problem.to_string(),
                    problem: json!({
                        "type": problem.kind,
                        "title": problem.title,
                        "detail": problem.detail,
                        "errors": fields.collect::<Vec<_>>(),
                        "retry_after_s": problem.retry_after.map(|wait| wait.as_secs()),
                    }),
                }
            }
            error => Self::Unreachable(error.to_string()),
        }
    }
}
