//! Documents: one as lines, and its changes against the version before.

use rmcp::model::JsonObject;
use serde_json::Value;
use uuid::Uuid;

use crate::answer::{Answer, ToolError};
use crate::api::Api;
use crate::changes::changes;
use crate::excerpt::Excerpt;
use crate::outline::outline;
use crate::parameter::Arguments;
use crate::visible::ALONE;

/// Returns a document or a part of it.
pub(crate) async fn read(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let id = arguments.id("context_id");
    let mut document = artifact(api, id).await?;
    let content = document["content"].take();
    let text = beside(move || outline(&content)).await?;
    part(arguments, "Document", &document, &text)
}

/// Returns the changes of a document.
pub(crate) async fn read_changes(api: &Api, arguments: &Arguments) -> Result<Answer, ToolError> {
    let id = arguments.id("context_id");
    let mut document = artifact(api, id).await?;
    let after = document["content"].take();
    let previous = document["previous"].as_str().and_then(|id| id.parse::<Uuid>().ok());
    let Some(previous) = previous else {
        let mut answer = part(arguments, "Changes of document", &document, "")?;
        answer.summary =
            format!("Document {id} has no version before it. Read it with `read_document`.");
        answer.data.insert("previous".to_owned(), Value::Null);
        return Ok(answer);
    };
    let mut before = artifact(api, previous).await?;
    let before = before["content"].take();
    let text = beside(move || changes(&before, &after)).await?;
    let mut answer = part(arguments, "Changes of document", &document, &text)?;
    if text.is_empty() {
        answer.summary = format!("Document {id} is the same as {previous}, the version before it.");
    }
    answer.data.insert("previous".to_owned(), previous.to_string().into());
    Ok(answer)
}

async fn artifact(api: &Api, id: Uuid) -> Result<Value, ToolError> {
    api.get(&["context", &id.to_string()]).await
}

/// Runs work that can take long beside the threads that serve.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ToolError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| {
        ToolError::refused("The document could not be shown: it has an unexpected form.")
    })
}

/// Returns the part of a text that was asked for, with the document that it is about.
fn part(
    arguments: &Arguments,
    what: &str,
    document: &Value,
    text: &str,
) -> Result<Answer, ToolError> {
    let (offset, chars) = (arguments.whole("offset"), arguments.whole("max_chars"));
    let Some(part) = Excerpt::of(text, offset, chars) else {
        let total = text.chars().count();
        return Err(ToolError::refused(format!(
            "`offset` is {offset}, beyond the end of the text, which has {total} characters."
        )));
    };
    let id = arguments.id("context_id");
    let end = offset + part.text.chars().count() as u64;
    let next = match part.next {
        Some(next) => format!("Continue with offset {next}."),
        None => "This is the end.".to_owned(),
    };
    let summary = format!(
        "{what} {id}, characters {offset} to {end} of {}. {next}\nDigest of the whole document: {}",
        part.total,
        document["digest"].as_str().unwrap_or_default(),
    );
    let mut data = JsonObject::new();
    data.insert("document".to_owned(), ALONE.apply(document));
    data.insert("offset".to_owned(), offset.into());
    data.insert("next_offset".to_owned(), part.next.into());
    data.insert("total_chars".to_owned(), part.total.into());
    Ok(Answer { summary, data, text: Some(part.text) })
}
