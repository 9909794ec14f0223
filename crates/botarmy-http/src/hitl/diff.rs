//! The difference between a document under review and the one that it replaced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use botarmy_domain::artifact::digest;
use botarmy_domain::hitl::{HitlState, Review};
use botarmy_domain::{Artifact, ContextId, DomainError, Error, HitlRequestId};
use serde::Serialize;
use serde_json::{Map, Value};
use similar::TextDiff;
use utoipa::ToSchema;

use crate::State;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Segment};

/// Time after which the search for the shortest difference of a text ends with a longer one.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Number of unchanged lines around a change.
const CONTEXT_LINES: usize = 3;

/// Difference of two versions of a document.
#[derive(Serialize, ToSchema)]
struct DiffView {
    from: VersionView,
    to: VersionView,
    /// Operations that turn the first version into the second: a JSON Patch (RFC 6902).
    #[schema(value_type = Vec<Object>)]
    patch: json_patch::Patch,
    /// Unified difference of every text that changed, under its JSON Pointer.
    unified: String,
}

/// Version of a document.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct VersionView {
    /// Artifact; null for the document in an amendment.
    #[schema(value_type = Option<Uuid>)]
    context_id: Option<ContextId>,
    /// SHA-256 of the document.
    digest: String,
}

impl VersionView {
    fn of(artifact: &Artifact) -> Self {
        Self { context_id: Some(artifact.meta.id), digest: artifact.meta.digest.clone() }
    }
}

/// Compares the document under review with the one that it replaced.
///
/// For a request that was amended with a document, the document under review is compared with that one.
/// A subject of several artifacts is compared by its first.
#[utoipa::path(
    get, path = "/api/v1/hitl/{request_id}/diff", operation_id = "get_request_diff", tag = "hitl",
    params(("request_id" = Uuid, Path)),
    responses(
        (status = 200, body = DiffView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`nothing_to_compare`: the request has no document, or its document replaced none"),
    ),
)]
pub(super) async fn diff(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let Review { request, artifacts } = state.queries.review(&caller, id).await?;
    let Some(subject) = artifacts.first().cloned() else {
        return Err(nothing("The request is about no document."));
    };
    let amended = match &request.state {
        HitlState::Amended(reply) => reply.amended_content.as_ref().and_then(Value::as_object),
        _ => None,
    };
    if let Some(amended) = amended {
        let to = VersionView { context_id: None, digest: digest(amended) };
        return compared(VersionView::of(&subject), subject, to, amended.clone()).await;
    }
    let Some(previous) = subject.meta.previous else {
        return Err(nothing("The document under review is the first of its type."));
    };
    let previous = match state.queries.artifact(&caller, previous).await {
        Ok(previous) => previous,
        Err(Error::Refused(DomainError::NotFound { .. })) => {
            return Err(nothing("The document that it replaced does not exist any more."));
        }
        Err(error) => return Err(error.into()),
    };
    let to = VersionView::of(&subject);
    compared(VersionView::of(&previous), previous, to, subject.content.clone()).await
}

fn nothing(detail: &'static str) -> Problem {
    let detail = format!("There is nothing to compare. {detail}");
    Problem::new(StatusCode::CONFLICT, detail).with_code("nothing_to_compare")
}

/// Compares two documents, beside the threads that serve.
async fn compared(
    from: VersionView,
    old: Arc<Artifact>,
    to: VersionView,
    new: Map<String, Value>,
) -> Result<HttpResponse, Problem> {
    let compare = move || {
        let (old, new) = (Value::Object(old.content.clone()), Value::Object(new));
        DiffView { from, to, patch: json_patch::diff(&old, &new), unified: unified(&old, &new) }
    };
    let view = web::block(compare).await.map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().json(view))
}

/// Returns the unified differences of the texts of two documents.
fn unified(old: &Value, new: &Value) -> String {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    leaves(old, String::new(), &mut before);
    leaves(new, String::new(), &mut after);
    let pointers: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut unified = String::new();
    for pointer in pointers {
        let (one, other) = (before.get(pointer), after.get(pointer));
        if one == other {
            continue;
        }
        let text = |leaf: Option<&String>| leaf.map_or("", String::as_str).to_owned();
        let (one_text, other_text) = (text(one), text(other));
        let diff = TextDiff::configure().timeout(TIMEOUT).diff_lines(&one_text, &other_text);
        let name = |is_there: bool, side: &str| {
            if is_there { format!("{side}{pointer}") } else { "/dev/null".to_owned() }
        };
        let (from, to) = (name(one.is_some(), "a"), name(other.is_some(), "b"));
        let mut shown = diff.unified_diff();
        let shown = shown.context_radius(CONTEXT_LINES).header(&from, &to).to_string();
        unified.push_str(&shown);
    }
    unified
}

/// Collects the texts of a document, and its other values as JSON, by their JSON Pointers.
fn leaves(value: &Value, pointer: String, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(value, format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (n, value) in items.iter().enumerate() {
                leaves(value, format!("{pointer}/{n}"), found);
            }
        }
        Value::String(text) => {
            found.insert(pointer, text.clone());
        }
        other => {
            found.insert(pointer, other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_compared_by_lines_under_their_pointers() {
        let old = json!({"markdown": "# Plan\none\n", "a/b": [1, 2], "gone": "x"});
        let new = json!({"markdown": "# Plan\ntwo\n", "a/b": [1, 3], "new": true});
        let text = unified(&old, &new);
        for part in [
            "--- a/markdown\n+++ b/markdown\n",
            " # Plan\n-one\n+two\n",
            "--- a/a~1b/1\n+++ b/a~1b/1\n",
            "--- a/gone\n+++ /dev/null\n",
            "--- /dev/null\n+++ b/new\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("a~1b/0"), "what is the same is left out\n{text}");
        assert_eq!(unified(&old, &old), "");
        let mut patched = old.clone();
        json_patch::patch(&mut patched, &json_patch::diff(&old, &new)).unwrap();
        assert_eq!(patched, new);
    }
}
