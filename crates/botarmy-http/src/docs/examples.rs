//! Examples of request bodies, for the page and for people who read the OpenAPI document.

use serde_json::{Value, json};

/// Adds an example to each request body, by the name of its schema.
pub(super) fn add(document: &mut Value) {
    let items = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in items.filter_map(Value::as_object_mut).flat_map(|item| item.values_mut()) {
        let Some(media) = operation.pointer_mut("/requestBody/content/application~1json") else {
            continue;
        };
        let name = media.pointer("/schema/$ref").and_then(Value::as_str);
        let name = name.and_then(|name| name.rsplit('/').next()).unwrap_or_default();
        if let Some(example) = of(name) {
            media["example"] = example;
        }
    }
}

/// An id as in responses.
const ID: &str = "019c0a5e-7c3a-7b7e-8f5a-3d9d0c1b2a4f";

fn of(schema: &str) -> Option<Value> {
    Some(match schema {
        "NewProjectBody" => json!({
            "name": "Recipes",
            "description": "A recipe-sharing site for small families",
            "workflow": "sdlc",
            "oversight": "standard",
        }),
        "ReopenBody" => json!({"reason": "The gate was rejected by mistake."}),
        "StartBody" => json!({"workflow": "sdlc", "idea": "A recipe-sharing site"}),
        "NewPrincipalBody" => json!({
            "name": "ci",
            "kind": "service",
            "grants": [{"role": "operator", "on": "own"}],
        }),
        "GrantsBody" => json!({"grants": [{"role": "viewer", "on": "project", "project_id": ID}]}),
        "MemberRolesBody" => json!({"roles": ["viewer", "reviewer"]}),
        "GroupsBody" => json!({"groups": ["reviewers"]}),
        "DisabledBody" => json!({"disabled": true}),
        "NewKeyBody" => json!({"principal_id": ID, "name": "laptop", "expires_in_days": 90}),
        "NewLinkBody" => json!({"principal_id": ID}),
        "NewWebhookBody" => json!({
            "url": "https://hooks.example/botarmy",
            "events": ["hitl_request_created", "project_completed"],
            "description": "Mails to the reviewers",
        }),
        "WebhookChangeBody" => json!({"enabled": true}),
        "RotateSecretBody" => json!({"overlap_s": 3600}),
        "RotateBody" => json!({"overlap_s": 3600, "expires_in_days": 90}),
        "NewTaskBody" => json!({
            "agent_type": "coder",
            "instructions": "Write the page that lists the recipes.",
            "context_ids": [ID],
            "priority": 7,
        }),
        "NewRequestBody" => json!({
            "project_id": ID,
            "question": "Which colours should the page have?",
            "options": ["Red", "Blue"],
            "ttl_seconds": 86_400,
            "assignees": ["user:ada"],
            "response_schema": {
                "type": "object",
                "properties": {"colour": {"enum": ["red", "blue"]}},
                "required": ["colour"],
            },
        }),
        "NewCommentBody" => json!({"text": "The second page is still missing."}),
        "NewAnswerLinkBody" => json!({"actions": ["approve", "reject"], "ttl_s": 86_400}),
        "DelegateBody" => json!({"to": "ada", "comment": "I am away this week."}),
        "ExtendBody" => json!({"by_s": 86_400, "comment": "The reviewers are at a conference."}),
        "DelegationBody" => json!({"to": "ada", "until": "2030-01-31T08:00:00Z"}),
        "ResumeBody" => json!({
            "interruptId": ID,
            "status": "resolved",
            "payload": {"action": "approve", "comment": "Fine."},
        }),
        "RespondBody" => json!({
            "action": "request_changes",
            "content": "Leave the comments out of the first version.",
            "comment": "They can come later.",
        }),
        "BulkBody" => json!({
            "items": [{
                "request_id": ID,
                "action": "approve",
                "subject_digest": "0".repeat(64),
                "comment": "Fine.",
            }],
        }),
        "NewArtifactBody" => json!({
            "project_id": ID,
            "source_agent": "analyst",
            "artifact_type": "project_plan",
            "content": {"title": "Plan", "markdown": "# Plan\n"},
        }),
        "NewBudget" => json!({"tokens": 1_000_000, "cost_micro_usd": 5_000_000}),
        "NewEmergencyStop" => json!({
            "scope": "agent_type",
            "agent_type": "deployer",
            "reason": "The target machine is being repaired.",
        }),
        "LeaseQuery" => {
            json!({"worker_id": "worker-1", "agents": ["coder"], "max": 1, "wait_s": 30})
        }
        "HeartbeatBody" => json!({"message": "Half of the pages are written.", "progress": 50}),
        "CompleteBody" => json!({
            "output": {"summary": "The page lists the recipes."},
            "artifacts": [{
                "artifact_type": "source_code",
                "content": {"files": [{"path": "index.html", "content": "<h1>Recipes</h1>\n"}]},
            }],
            "confidence": 0.9,
            "usage": {"provider": "ollama", "model": "qwen2.5", "input_tokens": 900, "output_tokens": 400},
        }),
        "AskBody" => json!({
            "question": "Should the page work without JavaScript?",
            "options": ["Yes", "No"],
        }),
        "FailBody" => json!({
            "code": "rate_limited",
            "message": "The provider accepts no more requests now.",
            "retryable": true,
            "retry_after_s": 60,
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_has_an_example_with_fields_of_its_schema() {
        let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
        let mut bodies = 0;
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let media = operation.pointer("/requestBody/content/application~1json");
                let Some(media) = media else { continue };
                let name = media["schema"]["$ref"].as_str().unwrap().trim_start_matches('#');
                let schema = document.pointer(name).unwrap();
                let example = media["example"].as_object().unwrap_or_else(|| panic!("{name}"));
                // An example of several alternatives is one of the last.
                let schema = match schema["oneOf"].as_array().and_then(|all| all.last()) {
                    Some(last) => {
                        let name = last["$ref"].as_str().unwrap().trim_start_matches('#');
                        document.pointer(name).unwrap()
                    }
                    None => schema,
                };
                for field in example.keys() {
                    assert!(schema["properties"][field].is_object(), "{name}.{field}");
                }
                for field in schema["required"].as_array().into_iter().flatten() {
                    assert!(example.contains_key(field.as_str().unwrap()), "{name}.{field}");
                }
                bodies += 1;
            }
        }
        assert!(bodies >= 13, "{bodies}");
    }
}
