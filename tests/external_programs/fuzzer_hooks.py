"""What the fuzzer cannot know from the OpenAPI document: rules between two fields or about what is
stored, and how a worker comes by a lease. All of its own checks are on. `positive_data_acceptance`
runs from here, so that a refusal for one of these rules, and only for that, is no failure."""

import functools
import json
import os
from uuid import uuid4

import schemathesis
from requests import Session
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import positive_data_acceptance

# Operation, field and beginning of the message. No schema can state these rules: a parameter that
# excludes another, a range, an id that has to belong to the same project, a name that has to exist.
RULES = [
    ("stop_work", "agent_type", "does not go with this scope"),
    ("stop_work", "project_id", "does not go with this scope"),
    ("stop_work", "agent_type", "must be named"),
    ("stop_work", "project_id", "must be named"),
    ("release_emergency_stop", "agent_type", "does not go with this scope"),
    ("release_emergency_stop", "project_id", "does not go with this scope"),
    ("release_emergency_stop", "agent_type", "must be named"),
    ("release_emergency_stop", "project_id", "must be named"),
    ("search_events", "cursor", "cannot be combined with offset"),
    ("search_project_events", "cursor", "cannot be combined with offset"),
    ("search_task_events", "cursor", "cannot be combined with offset"),
    ("search_events", "end_date", "must not be before start_date"),
    ("search_project_events", "end_date", "must not be before start_date"),
    ("search_task_events", "end_date", "must not be before start_date"),
    ("submit_task", "context_ids", "artifact "),
    ("create_request", "task_id", "task "),
    ("create_request", "artifacts", "artifact "),
    ("ask_question", "artifacts", "artifact "),
    ("create_request", "policy", ""),
    ("ask_question", "policy", ""),
    # A schema of draft 2020-12, and an answer only where one is asked for.
    ("create_request", "response_schema", ""),
    ("ask_question", "response_schema", ""),
    ("respond_to_request", "response", "the request does not ask"),
    ("resume_request", "response", "the request does not ask"),
    # The words belong to one action, and the document to another.
    ("respond_to_request", "amended_content", "belongs to `amend`"),
    ("resume_request", "amended_content", "belongs to `amend`"),
    ("resume_request", "payload", ""),
    ("resume_request", "interruptId", "must be the id"),
    ("respond_to_requests", "action", "is required, unless"),
    # People and remarks that have to exist.
    ("delegate_request", "to", "must be the name or the id"),
    ("create_request_link", "person", "must be the name or the id"),
    ("create_request_comment", "reply_to", "there is no comment"),
    ("set_own_delegation", "to", ""),
    ("set_own_delegation", "until", ""),
    ("set_own_delegation", "from", ""),
    ("create_project", "workflow", "there is no workflow "),
    ("start_project", "workflow", "there is no workflow "),
    ("create_artifact", "content", "source code "),
    ("complete_task", "output", "source code "),
    ("stream_events", "after", "must be a position in a log"),
    ("stream_events", "after", "is not an id of an event of this stream"),
    ("stream_events", "Last-Event-ID", "must be a position in a log"),
    ("stream_events", "Last-Event-ID", "is not an id of an event of this stream"),
    ("open_live_connection", "after", "`after` is a position in one project's log"),
    ("create_key", "expires_in_days", "contradicts `never`"),
    ("rotate_key", "expires_in_days", "contradicts `never`"),
    # A name in which something can be seen, of one line and without a slash.
    ("create_principal", "name", "must not "),
    ("create_principal", "groups", "must not "),
    ("set_groups", "groups", "must not "),
    ("create_key", "name", "must not "),
    ("create_principal", "grants", "name the project "),
    ("set_grants", "grants", "name the project "),
    ("create_key", "grants", "name the project "),
    ("list_pending_requests", "group", "must be the name of a group"),
    # An address of the public internet, and a description of one line.
    ("create_webhook", "url", "must "),
    ("create_webhook", "url", "is no address: "),
    ("change_webhook", "url", "must "),
    ("change_webhook", "url", "is no address: "),
    ("create_webhook", "description", "must "),
    ("change_webhook", "description", "must "),
]
# A number in a document of free form that no program could read back exactly.
INEXACT = "cannot be stored exactly"
FREE_FORM = (
    "content", "artifact_metadata", "amended_content", "output", "artifacts", "response",
    "response_schema", "payload",
)

SESSION = Session()
# The tool makes up credentials, because the document names them.
KEY = os.environ.get("BOTARMY_KEY")
if KEY:
    SESSION.headers["Authorization"] = f"Bearer {KEY}"


def refused_by_a_rule(case, response):
    """Returns whether the response names one of the rules, and nothing else."""
    operation = case.operation.definition.raw["operationId"]
    # It speaks no WebSocket.
    if operation == "open_live_connection" and response.status_code == 426:
        return True
    if operation in ("respond_to_request", "resume_request") and response.status_code == 422:
        errors = json.loads(response.content).get("errors") or []
        if errors and all("does not belong to `withdraw`" in error["message"] for error in errors):
            return True
    # `If-Match` has a digest in quotation marks.
    if operation == "respond_to_request" and response.status_code == 400:
        if json.loads(response.content)["detail"].startswith("If-Match must have"):
            return True
    if response.status_code == 400 and operation in ("respond_to_request", "resume_request"):
        return json.loads(response.content)["detail"].startswith("An amendment needs `content`")
    if response.status_code != 422:
        return False
    errors = json.loads(response.content).get("errors") or [{"field": "", "message": ""}]
    return all(is_known(operation, error["field"], error["message"]) for error in errors)


def is_known(operation, field, message):
    # Two items may name one request with different digests.
    if (operation, message) == ("respond_to_requests", "occurs twice") and field.startswith("items["):
        return True
    # A grant on one project names it, and no other grant does.
    if operation in ("create_key", "create_principal", "set_grants") and field.startswith("grants["):
        return message == "is required" or message.startswith("belongs to a grant on one project")
    # People and groups that exist, in a form that names them as such.
    if operation in ("create_request", "ask_question") and field.startswith("assignees"):
        return True
    # A document that replaces the one under review has the form of its step.
    if operation in ("respond_to_request", "resume_request") and field.startswith(("/amended_content", "/response")):
        return True
    if message.endswith(INEXACT) and field.split(".")[0].split("[")[0] in FREE_FORM:
        return True
    return any((operation, field) == rule[:2] and message.startswith(rule[2]) for rule in RULES)


def follows_a_null(case):
    """Returns whether the tool took `null` for an id, in a link that it inferred by itself."""
    values = [*(case.path_parameters or {}).values(), *(case.query or {}).values()]
    return any(value in (None, "None", "null") for value in values)


@schemathesis.check
def valid_requests_are_accepted(ctx, response, case):
    if refused_by_a_rule(case, response) or follows_a_null(case):
        return None
    return positive_data_acceptance(ctx, response, case)


def post(base, path, body):
    response = SESSION.post(base + path, json=body, timeout=30)
    response.raise_for_status()
    return response.json() if response.content else {}


@functools.cache
def own_ids(base):
    """Returns the ids of the principal and of the key that the fuzzer works with."""
    caller = SESSION.get(base + "/api/v1/access/me", timeout=30).json()
    return {caller["principal_id"], caller["credential_id"]}


def spare_own_access(case):
    """Sends a change of the fuzzer's own principal or key to another id.

    It finds both in the lists of the server. Without its key every later call would be a 401.
    """
    base = case.operation.schema.get_base_url().rstrip("/")
    for name in ("principal_id", "key_id"):
        if (case.path_parameters or {}).get(name) in own_ids(base):
            case.path_parameters[name] = str(uuid4())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets no call wait long for work, and gives each call the key of the server, except those that
    have the token of a lease, and an idempotency key of its own.

    That a key is good for one request, and which characters it may have, is no part of the schema.
    """
    for name in [name for name in case.headers or {} if name.lower() == "idempotency-key"]:
        # What is too short or too long for the schema stays, and has to be refused.
        if 1 <= len(str(case.headers[name])) <= 512:
            case.headers[name] = str(uuid4())
    if KEY and "{lease}" not in case.operation.path:
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {KEY}"
        if case.method.upper() != "GET":
            spare_own_access(case)
    body = case.body
    if case.operation.path.endswith("/leases") and isinstance(body, dict):
        if body.get("wait_s") in range(2, 31):
            body["wait_s"] = 1


@schemathesis.auth(refresh_interval=None).apply_to(path_regex="[{]lease[}]")
class Lease:
    """A lease of a task of its own, for each call about one."""

    def get(self, case, context):
        base = case.operation.schema.get_base_url().rstrip("/")
        project = post(base, "/api/v1/projects", {"name": "Leases"})["id"]
        task = {"agent_type": "tester", "instructions": "Test the page."}
        post(base, f"/api/v1/projects/{project}/tasks", task)
        work = {"worker_id": "fuzzer", "agents": ["tester"]}
        return (post(base, "/api/v1/worker/leases", work).get("leases") or [None])[0]

    def set(self, case, lease, context):
        modes = case.meta.components if case.meta else {}
        path = modes.get(ParameterLocation.PATH)
        if path is None or path.mode.is_positive:
            case.path_parameters["lease"] = lease["lease"]
        case.headers["Authorization"] = f"Bearer {lease['token']}"
