//! Completes the generated OpenAPI document with what holds for every operation alike: responses to
//! errors, headers, and descriptions. Programs generate clients from it, so everything has a type.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::examples;
use crate::error::CONTENT_TYPE;

/// Name of the parameter for the idempotency key.
pub(super) const KEY: &str = "IdempotencyKey";

/// Error statuses: name of the shared response, and its description.
const ERRORS: [(&str, &str, &str); 16] = [
    ("400", "BadRequest", "The request is malformed, or the action is invalid as requested"),
    ("401", "Unauthenticated", "The credential is missing, wrong or expired; the code says which"),
    (
        "403",
        "Forbidden",
        "The caller lacks the permission (`not_permitted`, `needs_all_projects`), or a page of this \
         origin may not call the server",
    ),
    ("404", "NotFound", "Something that the path or the body names does not exist"),
    ("408", "RequestTimeout", "The body arrived too slowly"),
    ("409", "Conflict", "The state does not allow it, or another request came first"),
    ("413", "ContentTooLarge", "The body is larger than the limit"),
    ("415", "UnsupportedMediaType", "The body is not declared as JSON, or is compressed"),
    ("416", "RangeNotSatisfiable", "The range begins after the end"),
    ("421", "MisdirectedRequest", "The Host is not a name of this server"),
    (
        "422",
        "UnprocessableContent",
        "A field or a parameter is invalid or unknown; `errors` names it",
    ),
    ("426", "UpgradeRequired", "The request is no WebSocket handshake"),
    (
        "428",
        "PreconditionRequired",
        "The policy of the request asks for the digest of what was read (`digest_required`)",
    ),
    ("429", "TooManyRequests", "A limit is used up; `Retry-After` says when to try again"),
    ("500", "InternalError", "The server failed; its log has the cause under the request id"),
    ("503", "Unavailable", "A dependency is away; `Retry-After` says when to try again"),
];

/// Descriptions of successful responses that have none.
const SUCCESSES: [(&str, &str); 6] = [
    ("200", "The result"),
    ("201", "It was created"),
    ("202", "It was accepted"),
    ("204", "It was done; there is nothing to return"),
    ("206", "The part that was asked for"),
    ("304", "The client has it already"),
];

/// Groups of operations, in the order of the page.
const TAGS: [(&str, &str); 15] = [
    ("projects", "Projects: their life cycle, progress and completion"),
    ("tasks", "Tasks of projects"),
    ("hitl", "Requests to people, and their answers"),
    ("context", "Artifacts: documents and source code of a project"),
    ("artifacts", "Packages of a project's artifacts"),
    ("audit", "Logs: searching, checking and exporting"),
    ("agents", "Agent types and their status"),
    ("workers", "Leases of external workers"),
    ("budgets", "Spending limits and use"),
    ("emergency stop", "Stopping work at once"),
    ("access", "Callers, principals, keys and sessions"),
    ("webhooks", "Log entries that are sent to an address"),
    ("live", "Events as they happen"),
    ("health", "Probes"),
    ("docs", "This document"),
];

/// Fields of responses that are left out where there is nothing to say. All others are always sent.
const LEFT_OUT: [(&str, &str); 16] = [
    ("Activity", "agent_type"),
    ("FinishedView", "hitl_request_id"),
    ("FinishedView", "retry_at"),
    ("Problem", "errors"),
    ("Problem", "violated-policies"),
    ("Project", "truncated"),
    ("ProjectDetail", "overridden"),
    ("StateDifference", "field"),
    ("StateDifference", "seq"),
    ("StateVerification", "difference"),
    ("StatusBoard", "truncated"),
    ("Task", "truncated"),
    ("VerifyView", "first_bad_seq"),
    ("VerifyView", "reason"),
    ("VerifyView", "rounded_entries"),
    ("VerifyView", "state"),
];

/// Fields that are one of a few words.
const WORDS: [(&str, &str, &[&str]); 8] = [
    ("ComponentView", "status", &["healthy", "unhealthy", "not_configured"]),
    ("DetailedView", "status", &["healthy", "degraded", "unhealthy"]),
    ("GeneratedView", "status", &["success"]),
    ("HealthView", "status", &["healthy"]),
    ("LiveView", "status", &["alive"]),
    ("ProbeView", "status", &["healthy", "degraded"]),
    ("ReadyView", "status", &["ready", "not_ready"]),
    ("SubmittedView", "status", &["submitted"]),
];

/// Fields that are a document or a text, or null.
const DOCUMENTS_OR_TEXTS: [(&str, &str); 2] =
    [("AmendedView", "amended_content"), ("AnswerView", "content")];

/// Fields of requests that must have a visible character.
const VISIBLE: [(&str, &str); 12] = [
    ("AskBody", "question"),
    ("DelegateBody", "to"),
    ("FailBody", "message"),
    ("LeaseQuery", "worker_id"),
    ("NewCommentBody", "text"),
    ("NewEmergencyStop", "reason"),
    ("NewKeyBody", "name"),
    ("NewPrincipalBody", "name"),
    ("NewProjectBody", "name"),
    ("NewRequestBody", "question"),
    ("NewTaskBody", "instructions"),
    ("ReopenBody", "reason"),
];

/// Pattern of a text with a visible character: not a space, a control character, or a character
/// without a glyph. Those beyond U+FFFF are left out, because regular expressions differ there.
const VISIBLE_PATTERN: &str = "[^\\s\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\
    \\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\
    \\ufff0-\\ufff8]";

/// Bodies that need exactly one of several members: name of the schema; each member, the name of the
/// schema for a body with it, and the members that such a body needs.
const ALTERNATIVES: [(&str, [Alternative; 2]); 1] = [(
    "BulkBody",
    [
        ("request_ids", "BulkRequestIds", &["action", "request_ids"]),
        ("items", "BulkItems", &["items"]),
    ],
)];

/// Member of a body, the name of the schema for a body with it, and the members that such a body needs.
type Alternative = (&'static str, &'static str, &'static [&'static str]);

/// Operations whose body may be left out.
const OPTIONAL_BODIES: [&str; 5] =
    ["create_sign_in_link", "extend_lease", "rotate_key", "rotate_webhook_secret", "start_project"];

/// Completes the document.
pub(super) fn complete(document: &mut Value) {
    document["tags"] = TAGS.iter().map(|(n, d)| json!({"name": n, "description": d})).collect();
    // Operations that need no credential say so.
    document["security"] = json!([{"api_key": []}]);
    document["info"]["license"]["identifier"] = json!(env!("CARGO_PKG_LICENSE"));
    for (schema, field, words) in WORDS {
        document["components"]["schemas"][schema]["properties"][field]["enum"] = json!(words);
    }
    for (schema, field) in DOCUMENTS_OR_TEXTS {
        document["components"]["schemas"][schema]["properties"][field]["type"] =
            json!(["object", "string", "null"]);
    }
    for (schema, field) in VISIBLE {
        document["components"]["schemas"][schema]["properties"][field]["pattern"] =
            json!(VISIBLE_PATTERN);
    }
    for (schema, members) in ALTERNATIVES {
        alternatives(&mut document["components"]["schemas"], schema, &members);
    }
    let sent = reachable(document, "responses");
    let taken = reachable(document, "requestBody");
    for (name, schema) in object(&mut document["components"]["schemas"]) {
        free_form(schema);
        if sent.contains(name) {
            require(name, schema);
        } else if taken.contains(name) && schema["properties"].is_object() {
            // What a request does not have is refused.
            schema["additionalProperties"] = json!(false);
        }
    }
    examples::add(document);
    document["components"]["responses"] = responses();
    document["components"]["headers"] = headers();
    document["components"]["parameters"] = parameters();
    free_form(&mut document["paths"]);
    for (path, item) in object(&mut document["paths"]) {
        for (method, operation) in object(item) {
            complete_operation(path, method, operation);
        }
    }
}

fn object(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let is_api = path.starts_with("/api/");
    let has_body = operation["requestBody"].is_object();
    let names_user = is_api && !path.starts_with("/api/v1/worker/");
    let mut parameters = vec![reference("parameters", "RequestId")];
    // The body that an operation does not have is read as well, and refused.
    let mut statuses = vec!["400", "408", "413", "421", "422", "500"];
    if is_api || path == "/ws" {
        statuses.push("503");
    }
    let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
    if !is_public {
        statuses.extend(["401", "403", "429"]);
        if is_api {
            parameters.push(reference("parameters", "Client"));
        }
    }
    if names_user {
        parameters.push(reference("parameters", "UserId"));
    }
    if has_body || method != "get" {
        statuses.push("415");
    }
    if let Some(id) = operation["operationId"].as_str()
        && OPTIONAL_BODIES.contains(&id)
    {
        operation["requestBody"]["required"] = json!(false);
    }
    let key = reference("parameters", KEY);
    let known = operation["parameters"].as_array();
    let is_keyed = known.is_some_and(|known| known.contains(&key));
    if is_keyed {
        statuses.push("409");
    }
    match operation["parameters"].as_array_mut() {
        Some(known) => {
            known.iter_mut().for_each(complete_parameter);
            known.extend(parameters);
        }
        None => operation["parameters"] = parameters.into(),
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    responses.remove("default");
    for (status, response) in responses.iter_mut() {
        complete_response(status, response);
        if is_keyed && status.starts_with('2') {
            response["headers"]["Idempotency-Replayed"] = reference("headers", "Replayed");
        }
    }
    for status in statuses {
        if !responses.contains_key(status)
            && let Some((_, name, _)) = ERRORS.iter().find(|(known, ..)| *known == status)
        {
            responses.insert(status.to_owned(), reference("responses", name));
        }
    }
}

/// Describes a time that may also be a day, and a reason that must not be blank.
fn complete_parameter(parameter: &mut Value) {
    match parameter["name"].as_str() {
        Some("start_date" | "end_date") => {
            let formats = ["date-time", "date"].map(|f| json!({"type": "string", "format": f}));
            parameter["schema"] = json!({"anyOf": formats});
        }
        Some("reason") => parameter["schema"]["pattern"] = json!(VISIBLE_PATTERN),
        _ => {}
    }
}

/// Gives a response the content type of problems, its description and the header that every
/// response has.
fn complete_response(status: &str, response: &mut Value) {
    let is_bare = response["description"].as_str().is_none_or(str::is_empty);
    let is_problem = response.pointer("/content/application~1json/schema/$ref")
        == Some(&json!("#/components/schemas/Problem"));
    let shared = ERRORS.iter().find(|(known, ..)| *known == status);
    if let (true, Some((_, name, _))) = (is_problem && is_bare, shared) {
        *response = reference("responses", name);
        return;
    }
    if is_problem {
        response["content"] = problem();
    }
    if is_bare {
        let description = SUCCESSES.iter().find(|(known, _)| *known == status);
        let description = description.map(|(_, text)| *text);
        let description = description.or(shared.map(|(_, _, text)| *text));
        response["description"] = json!(description.unwrap_or("The response"));
    }
    for kind in ["application/zip", "application/octet-stream"] {
        if !response["content"][kind].is_null() {
            response["content"][kind]["schema"] = json!({"type": "string", "format": "binary"});
        }
    }
    response["headers"]["X-Request-Id"] = reference("headers", "RequestId");
    if response["headers"]["Link"].is_object() {
        response["headers"]["Link"] = reference("headers", "Link");
    }
    if matches!(status, "429" | "503") {
        response["headers"]["Retry-After"] = reference("headers", "RetryAfter");
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn problem() -> Value {
    json!({CONTENT_TYPE: {"schema": reference("schemas", "Problem")}})
}

fn responses() -> Value {
    let shared = ERRORS.iter().map(|(status, name, description)| {
        let mut response = json!({
            "description": description,
            "headers": {"X-Request-Id": reference("headers", "RequestId")},
            "content": problem(),
        });
        if matches!(*status, "429" | "503") {
            response["headers"]["Retry-After"] = reference("headers", "RetryAfter");
        }
        ((*name).to_owned(), response)
    });
    Value::Object(shared.collect())
}

fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "Id of the request, also in the log of the server and in log entries",
            "schema": {"type": "string"},
        },
        "Link": {
            "description": "Link to the next page (RFC 8288), with `rel=\"next\"`; absent on the last \
                            page. It goes on exactly after the last item, also when items were added \
                            since",
            "schema": {"type": "string"},
            "example": "</api/v1/audit/events?cursor=01890a5d-ac96-774b-bcce-b302099a8057>; rel=\"next\"",
        },
        "Replayed": {
            "description": "`true` where the response is the one to an earlier request",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "RetryAfter": {
            "description": "Seconds after which to try again",
            "schema": {"type": "integer", "minimum": 0},
        },
    })
}

fn parameters() -> Value {
    json!({
        KEY: {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Key of the request, such as a UUID. For 24 hours, a request with the same \
                            key by the same principal gets the response to the first one, with \
                            `Idempotency-Replayed: true`, and changes nothing. Another request with \
                            the key is refused with 422; while the first is in progress, a second is \
                            refused with 409.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 512},
        },
        "Client": {
            "name": "BotArmy-Client", "in": "header", "required": false,
            "description": "Program that sends the request, if it is the command line or an MCP \
                            server. The log records it as `via`; any other value is refused.",
            "schema": {"type": "string", "enum": ["terminal", "mcp"]},
        },
        "RequestId": {
            "name": "X-Request-Id", "in": "header", "required": false,
            "description": "Id of the request: up to 128 letters, digits, `.`, `_` and `-`. Any other \
                            value is replaced by a new id.",
            "schema": {"type": "string"},
        },
        "UserId": {
            "name": "X-User-Id", "in": "header", "required": false,
            "description": "Name of the user in UTF-8. The log records it beside a service that names it; \
                            for an authenticated person it is ignored. On an open server it is the \
                            name of the caller, `anonymous` when absent.",
            "schema": {
                "type": "string", "minLength": 1, "maxLength": 128, "pattern": user_pattern(),
            },
        },
    })
}

/// Returns the pattern of a name of a user: no control character and no mark of writing direction,
/// and something visible.
fn user_pattern() -> String {
    const REFUSED: &str =
        "\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069";
    format!("^[^{REFUSED}]*{VISIBLE_PATTERN}[^{REFUSED}]*$")
}

/// Returns the names of the schemas that the operations use in this part, directly or through
/// others.
fn reachable(document: &Value, part: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo = Vec::new();
    for item in document["paths"].as_object().into_iter().flat_map(Map::values) {
        for operation in item.as_object().into_iter().flat_map(Map::values) {
            references(&operation[part], &mut todo);
        }
    }
    while let Some(name) = todo.pop() {
        if found.insert(name.clone()) {
            references(&document["components"]["schemas"][&name], &mut todo);
        }
    }
    found
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str);
            found.extend(
                name.and_then(|n| n.strip_prefix("#/components/schemas/")).map(str::to_owned),
            );
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Says of objects without fields that their fields are free.
fn free_form(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_object = match fields.get("type") {
                Some(Value::String(kind)) => kind == "object",
                Some(Value::Array(kinds)) => kinds.contains(&json!("object")),
                _ => false,
            };
            let is_open =
                !fields.contains_key("properties") && !fields.contains_key("additionalProperties");
            if is_object && is_open {
                fields.insert("additionalProperties".to_owned(), json!(true));
            }
            fields.values_mut().for_each(free_form);
        }
        Value::Array(items) => items.iter_mut().for_each(free_form),
        _ => {}
    }
}

/// Replaces the schema of a body that needs exactly one of several members by one schema for each:
/// there it is required, and the other members are absent or null.
fn alternatives(schemas: &mut Value, name: &str, members: &[Alternative]) {
    let whole = schemas[name].clone();
    for (member, alternative, required) in members {
        let mut schema = whole.clone();
        schema["description"] = json!(format!("The alternative of {name} with `{member}`."));
        let properties = object(&mut schema["properties"]);
        for (field, property) in properties.filter(|(field, _)| is_one_of(members, field)) {
            if field == member {
                property["type"] = json!("array");
                property["uniqueItems"] = json!(true);
            } else {
                *property = json!({"type": "null"});
            }
        }
        schema["required"] = json!(required);
        schemas[*alternative] = schema;
    }
    let one_of: Vec<Value> =
        members.iter().map(|(_, name, _)| reference("schemas", name)).collect();
    schemas[name] = json!({"description": whole["description"], "oneOf": one_of});
}

fn is_one_of(members: &[Alternative], field: &str) -> bool {
    members.iter().any(|(member, ..)| *member == field)
}

/// Requires the fields that are always sent, also those that may be null.
fn require(name: &str, schema: &mut Value) {
    if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.iter_mut().for_each(|part| require(name, part));
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let fields = properties.keys().filter(|field| !LEFT_OUT.contains(&(name, field.as_str())));
    let required: Vec<Value> = fields.map(|field| json!(field)).collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        serde_json::from_str(&crate::openapi()).unwrap()
    }

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let items = document["paths"].as_object().unwrap().iter();
        let each = items.flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, o)| (format!("{method} {path}"), o))
        });
        each.collect()
    }

    #[test]
    fn every_response_has_a_description_and_every_error_the_type_of_problems() {
        let document = document();
        for (name, operation) in operations(&document) {
            let responses = operation["responses"].as_object().unwrap();
            for (status, response) in responses {
                let shared = response["$ref"].as_str().map(|r| r.trim_start_matches('#'));
                let response = shared.map_or(response, |r| document.pointer(r).unwrap());
                let description = response["description"].as_str().unwrap_or_default();
                assert!(!description.is_empty(), "{name} {status}");
                assert!(response["headers"]["X-Request-Id"].is_object(), "{name} {status}");
                if status == "503" {
                    assert!(response["headers"]["Retry-After"].is_object(), "{name}");
                    continue;
                }
                let is_error = status.starts_with('4') || status == "500";
                assert_eq!(
                    response["content"][CONTENT_TYPE].is_object(),
                    is_error,
                    "{name} {status}"
                );
            }
            assert!(responses.contains_key("422"), "{name}");
        }
    }

    #[test]
    fn a_bulk_answer_has_exactly_one_of_two_lists() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        let references = ["BulkRequestIds", "BulkItems"].map(|name| reference("schemas", name));
        assert_eq!(schemas["BulkBody"]["oneOf"], json!(references));
        for (name, own, other, required) in [
            ("BulkRequestIds", "request_ids", "items", json!(["action", "request_ids"])),
            ("BulkItems", "items", "request_ids", json!(["items"])),
        ] {
            let schema = &schemas[name];
            assert_eq!(schema["required"], required, "{name}");
            assert_eq!(schema["additionalProperties"], json!(false), "{name}");
            assert_eq!(schema["properties"][own]["type"], "array", "{name}");
            assert_eq!(schema["properties"][own]["maxItems"], 100, "{name}");
            assert_eq!(schema["properties"][own]["uniqueItems"], true, "{name}");
            assert_eq!(schema["properties"][other], json!({"type": "null"}), "{name}");
        }
    }

    #[test]
    fn every_operation_is_named_by_a_verb_and_no_tag_is_undeclared() {
        let document = document();
        let verbs = [
            "ask",
            "cancel",
            "change",
            "check",
            "claim",
            "comment",
            "complete",
            "create",
            "delegate",
            "delete",
            "download",
            "end",
            "escalate",
            "export",
            "extend",
            "fail",
            "force",
            "generate",
            "get",
            "lease",
            "list",
            "open",
            "pause",
            "redeliver",
            "release",
            "remind",
            "reopen",
            "reset",
            "respond",
            "resume",
            "retry",
            "revoke",
            "rotate",
            "search",
            "set",
            "start",
            "stop",
            "stream",
            "submit",
            "test",
            "unclaim",
            "verify",
        ];
        let tags: Vec<&str> = TAGS.iter().map(|(name, _)| *name).collect();
        for (name, operation) in operations(&document) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(verbs.contains(&id.split('_').next().unwrap()), "{name}: {id}");
            assert!(tags.contains(&operation["tags"][0].as_str().unwrap()), "{name}");
        }
    }

    #[test]
    fn every_property_has_a_type_and_what_is_left_out_exists() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            let parts = schema["allOf"].as_array().into_iter().flatten();
            for part in parts.chain([schema]) {
                let properties = part["properties"].as_object().into_iter().flatten();
                for (field, schema) in properties {
                    let is_typed = ["type", "$ref", "oneOf", "allOf", "anyOf"]
                        .iter()
                        .any(|key| schema.get(key).is_some());
                    let text = schema["description"].as_str().unwrap_or_default();
                    let is_typed = is_typed || text.ends_with("any JSON value.");
                    assert!(is_typed, "{name}.{field}: {schema}");
                }
            }
        }
        let words = WORDS.iter().map(|(name, field, _)| (name, field));
        let others = LEFT_OUT
            .iter()
            .chain(&DOCUMENTS_OR_TEXTS)
            .chain(&VISIBLE)
            .map(|(name, field)| (name, field));
        for (name, field) in others.chain(words) {
            let found = schemas[*name].to_string();
            assert!(found.contains(&format!("\"{field}\":{{\"")), "{name}.{field}");
            assert!(schemas[*name]["description"].is_string(), "{name} is no schema of this API");
        }
    }
}
