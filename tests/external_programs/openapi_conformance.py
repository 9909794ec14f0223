"""Compares real responses of the server at BASE with its OpenAPI document: status, content type, and
every field. Prints the number of kinds of responses: python3 openapi_conformance.py BASE KINDS"""

import copy
import http.client
import json
import os
import sys
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

BASE, KINDS = urlsplit(sys.argv[1]), int(sys.argv[2])
KEY = os.environ.get("BOTARMY_KEY")
UNKNOWN = "0190a0b0-0000-7000-8000-00000000000a"


def send(method, path, body=None, headers=(), length=None):
    connection = http.client.HTTPConnection(BASE.hostname, BASE.port, timeout=30)
    given = dict(headers)
    connection.putrequest(method, path, skip_host="Host" in given)
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    if body is not None:
        given.setdefault("Content-Type", "application/json")
    if KEY:
        given.setdefault("Authorization", f"Bearer {KEY}")
    if body is not None or method != "GET":
        given["Content-Length"] = str(len(data) if length is None else length)
    for name, value in given.items():
        connection.putheader(name, value)
    connection.endheaders(data)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


DOCUMENT = json.loads(send("GET", "/openapi.json")[1])
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


def closed(schemas):
    """Returns the schemas with no room for fields that they do not name."""
    schemas = copy.deepcopy(schemas)
    parts = {
        part["$ref"].rsplit("/", 1)[1]
        for schema in schemas.values() for part in schema.get("allOf", ()) if "$ref" in part
    }
    for name, schema in schemas.items():
        if "allOf" in schema:
            schema["unevaluatedProperties"] = False
        elif "properties" in schema and name not in parts:
            schema["additionalProperties"] = False
    return schemas


COMPONENTS = {**DOCUMENT["components"], "schemas": closed(DOCUMENT["components"]["schemas"])}
seen, wrong = set(), []


def differs(line):
    wrong.append(line)
    print("wrong:", line)


def ask(name, values=(), query="", body=None, status=None, headers=(), length=None):
    """Sends a request of this operation, compares its response, and returns the JSON of it."""
    method, path, operation = OPERATIONS[name]
    for key, value in dict(values).items():
        path = path.replace("{%s}" % key, value)
    response, content = send(method, path + query, body, headers, length)
    found = f"{name} {response.status}"
    if status is not None and response.status != status:
        differs(f"{found}, not {status}: {content[:300]!r}")
    described = operation["responses"].get(str(response.status))
    if described is None:
        differs(f"{found} is not in the document: {content[:300]!r}")
        return None
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
    if not response.headers.get("X-Request-Id"):
        differs(f"{found} has no X-Request-Id")
    kind = (response.headers.get("Content-Type") or "").split(";")[0]
    contents = described.get("content", {})
    seen.add((name, response.status))
    if not contents or not content:
        if content or (contents and response.status != 304):
            differs(f"{found}: {len(content)} bytes of {kind}")
        return None
    if kind not in contents and not (name == "get_docs_file"):
        differs(f"{found} is {kind}, not one of {list(contents)}")
        return None
    if not kind.endswith(("/json", "+json")):
        return content
    value = json.loads(content)
    schema = {**contents[kind]["schema"], "components": COMPONENTS}
    for error in Draft202012Validator(schema).iter_errors(value):
        differs(f"{found} at {error.json_path}: {error.message[:300]}")
    return value


def use_everything():
    """Uses every operation with success, and where it refuses for a reason of its own."""
    project = ask("create_project", body={"name": "By hand", "description": "x" * 3000}, status=201)
    one = {"project_id": project["id"]}
    missing = {"project_id": UNKNOWN}
    ask("list_projects", status=200)
    ask("get_project", one, status=200)
    ask("get_project_status", one, status=200)
    ask("get_project_completion", one, status=200)
    ask("check_project_completion", one, status=200)
    ask("get_budget", one, status=200)
    ask("set_budget", one, body={"tokens": 1000000}, status=200)
    ask("get_project_usage", one, status=200)
    ask("pause_project", one, status=200)
    ask("pause_project", one, status=409)
    ask("resume_project", one, status=200)
    ask("resume_project", one, status=409)
    task = ask("submit_task", one, body={"agent_type": "tester", "instructions": "Test."}, status=201)
    ask("get_task", {"task_id": task["task_id"]}, status=200)
    ask("list_tasks", one, status=200)
    work = {"worker_id": "w", "agents": ["tester"], "wait_s": 5}
    leased = ask("lease_tasks", body=work, status=200)
    lease = {"lease": leased["leases"][0]["lease"]}
    token = {"Authorization": f"Bearer {leased['leases'][0]['token']}"}
    ask("lease_tasks", body={"worker_id": "w", "agents": ["tester"]}, status=204)
    ask("extend_lease", lease, body={"progress": 5}, status=200, headers=token)
    ask("extend_lease", lease, body={"progress": 5}, status=401,
        headers={"Authorization": "Bearer none"})
    question = {"question": "Which?", "options": ["a"]}
    asked = ask("ask_question", lease, body=question, status=202, headers=token)
    request = {"request_id": asked["hitl_request_id"]}
    ask("get_request", request, status=200)
    ask("get_request_artifacts", request, status=200)
    ask("list_pending_requests", status=200)
    ask("get_request_statistics", status=200)
    ask("list_project_requests", one, status=200)
    ask("respond_to_request", request, body={"action": "amend"}, status=400)
    ask("respond_to_request", request, body={"action": "approve", "content": "a"}, status=200)
    ask("respond_to_request", request, body={"action": "reject"}, status=409)
    many = {"request_ids": [request["request_id"], UNKNOWN], "action": "reject"}
    ask("respond_to_requests", body=many, status=200)
    ask("get_request", request, status=200)
    leased = ask("lease_tasks", body=work, status=200)["leases"][0]
    lease, token = leased["lease"], {"Authorization": f"Bearer {leased['token']}"}
    failed = {"code": "x", "message": "x", "retryable": False}
    ask("fail_task", {"lease": lease}, body=failed, status=200, headers=token)
    for name in ("fail_task", "complete_task", "ask_question", "extend_lease"):
        body = {"fail_task": {"code": "x", "message": "x", "retryable": True},
                "complete_task": {"output": {}}, "ask_question": {"question": "?"},
                "extend_lease": {}}[name]
        ask(name, {"lease": lease}, body=body, status=409, headers=token)
    task = ask("submit_task", one, body={"agent_type": "tester", "instructions": "Test."}, status=201)
    ask("cancel_task", {"task_id": task["task_id"]}, status=200)
    ask("cancel_task", {"task_id": task["task_id"]}, status=409)
    ask("retry_task", {"task_id": task["task_id"]}, status=409)
    artifact = ask("create_artifact", body={
        "project_id": project["id"], "source_agent": "coder", "artifact_type": "project_plan",
        "content": {"title": "x"},
    }, status=201)
    context = {"context_id": artifact["context_id"]}
    ask("get_artifact", context, status=200)
    etag = {"If-None-Match": '"%s"' % artifact["digest"]}
    ask("get_artifact", context, headers=etag, status=304)
    ask("list_artifacts", one, status=200)
    ask("list_artifacts", one, "?content=true", status=200)
    ask("get_package_summary", one, status=200)
    ask("generate_package", one, status=200)
    ask("get_package_summary", one, status=200)
    ask("download_package", one, status=200)
    ask("download_package", one, headers={"Range": "bytes=0-9"}, status=206)
    ask("download_package", one, headers={"Range": "bytes=99999999-"}, status=416)
    ask("delete_package", one, status=200)
    ask("delete_old_packages", status=200)
    ask("delete_old_packages_by_post", status=200)
    events = ask("search_events", status=200)
    ask("get_event", {"event_id": events[0]["id"]}, status=200)
    ask("search_project_events", one, status=200)
    ask("search_task_events", {"task_id": task["task_id"]}, status=200)
    ask("verify_project_log", one, status=200)
    ask("export_project_log", one, status=200)
    stop = {"scope": "agent_type", "agent_type": "deployer", "reason": "x"}
    ask("stop_work", body=stop, status=201)
    ask("stop_work", body=stop, status=200)
    ask("list_emergency_stops", status=200)
    ask("release_emergency_stop", query="?scope=agent_type&agent_type=deployer&reason=x", status=204)
    ask("release_emergency_stop", query="?scope=agent_type&agent_type=deployer&reason=x", status=404)
    ask("list_agent_statuses", status=200)
    coder = {"agent_type": "coder"}
    ask("get_agent_status", coder, status=200)
    ask("list_agent_status_history", coder, status=200)
    ask("reset_agent_status", coder, status=200)
    ask("get_agent_status", {"agent_type": "typist"}, status=422)
    driven = ask("create_project", body={"name": "Driven"}, status=201)
    ask("start_project", {"project_id": driven["id"]}, body={"workflow": "sdlc"}, status=202)
    ask("start_project", {"project_id": driven["id"]}, body={"workflow": "sdlc"}, status=409)
    ask("cancel_project", {"project_id": driven["id"]}, status=200)
    ask("cancel_project", {"project_id": driven["id"]}, status=409)
    ask("force_complete_project", {"project_id": driven["id"]}, status=409)
    ask("force_complete_project", one, status=200)
    for name in ("get_health", "get_detailed_health", "get_readiness", "get_readyz", "get_livez",
                 "get_health_summary", "get_healthz", "get_openapi_document", "get_docs_page"):
        ask(name, status=200)
    ask("get_docs_file", {"file": "swagger-ui.css"}, status=200)
    for name, (method, path, operation) in OPERATIONS.items():
        if "{project_id}" in path and "requestBody" not in operation:
            ask(name, missing, status=404)
    raised = ask("create_request", body={"project_id": UNKNOWN, "question": "?"}, status=404)
    assert raised
    ask("submit_task", missing, body={"agent_type": "coder", "instructions": "x"}, status=404)
    ask("get_task", {"task_id": UNKNOWN}, status=404)
    ask("get_request", {"request_id": UNKNOWN}, status=404)
    ask("get_artifact", {"context_id": UNKNOWN}, status=404)
    ask("get_event", {"event_id": UNKNOWN}, status=404)


def refuse_everything():
    """Sends each operation what every operation refuses."""
    for name, (method, path, operation) in OPERATIONS.items():
        values = {part["name"]: UNKNOWN for part in operation.get("parameters", ())
                  if part.get("in") == "path"}
        values.update({"agent_type": "coder", "lease": "x", "file": "index.html"})
        ask(name, values, "?zzz=1", status=422)
        ask(name, values, headers={"Host": "evil.example"}, status=421)
        if method != "GET" or name == "open_live_connection":
            ask(name, values, headers={"Origin": "http://evil.example"}, status=403)
        names_user = any(part.get("$ref", "").endswith("/UserId") for part in operation["parameters"])
        if names_user and "requestBody" not in operation and name != "list_project_requests":
            ask(name, values, headers={"X-User-Id": b"Zo\xeb".decode("latin-1")})
        if "requestBody" in operation and "{lease}" not in path:
            ask(name, values, body=b"{", status=400)
            ask(name, values, body=b"x", headers={"Content-Type": "text/plain"}, status=415)
            ask(name, values, body=b"", length=1 << 40, status=413)


use_everything()
refuse_everything()
ask("open_live_connection", query=f"?project_id={UNKNOWN}", status=404)
ask("open_live_connection", status=426)
assert not wrong, f"{len(wrong)} responses differ from the document"
assert len(seen) >= KINDS, f"only {len(seen)} kinds of responses"
print("done:", len(seen), "kinds of responses")
