"""Drives a project through the client that openapi-python-client generated, as CLIENT in the folder
FOLDER, against the server at BASE: python3 openapi_client.py FOLDER BASE"""

import io
import os
import sys
import time
import zipfile

sys.path.insert(0, sys.argv[1])

from client import AuthenticatedClient, Client  # noqa: E402
from client.api.agents import list_agent_statuses  # noqa: E402
from client.api.artifacts import download_package, generate_package, get_package_summary  # noqa: E402
from client.api.audit import export_project_log, search_project_events, verify_project_log  # noqa: E402
from client.api.context import list_artifacts  # noqa: E402
from client.api.hitl import (  # noqa: E402
    get_request, get_request_artifacts, list_pending_requests, list_project_requests, respond_to_request,
    respond_to_requests,
)
from client.api.projects import create_project, get_project, get_project_completion, list_projects  # noqa: E402
from client.api.tasks import get_task, list_tasks  # noqa: E402
from client.models import (  # noqa: E402
    BulkAction, BulkItem, BulkItems, HitlAction, HitlStatus, NewProjectBody, Problem, RespondBody,
)

key = os.environ.get("BOTARMY_KEY")
client = AuthenticatedClient(sys.argv[2], key) if key else Client(sys.argv[2])


def ok(answer, status=200):
    assert answer.status_code == status, (answer.status_code, answer.content)
    assert answer.parsed is not None and not isinstance(answer.parsed, Problem), answer.parsed
    return answer.parsed


project = ok(create_project.sync_detailed(
    client=client, x_user_id="ada",
    body=NewProjectBody(name="Recipes", description="A recipe-sharing site", workflow="sdlc"),
), 201)

actions = []
for _ in range(600):
    found = ok(get_project.sync_detailed(project.id, client=client))
    if found.status not in ("active", "paused"):
        break
    gates = ok(list_project_requests.sync_detailed(project.id, client=client, status_filter=HitlStatus.PENDING))
    for gate in gates:
        read = ok(get_request.sync_detailed(gate.request_id, client=client))
        review = ok(get_request_artifacts.sync_detailed(gate.request_id, client=client))
        assert review.subject_digest == read.subject.digest
        if len(actions) == 1:
            item = BulkItem(request_id=gate.request_id, subject_digest=read.subject.digest)
            body = BulkItems(action=BulkAction.APPROVE, items=[item])
            done = ok(respond_to_requests.sync_detailed(client=client, body=body)).results[0].response
        else:
            if actions:
                body = RespondBody(action=HitlAction.APPROVE, subject_digest=read.subject.digest)
            else:
                body = RespondBody(action=HitlAction.AMEND, content="Leave the comments out.")
            done = ok(respond_to_request.sync_detailed(gate.request_id, client=client, body=body))
        actions.append(done.action)
        again = ok(get_request.sync_detailed(gate.request_id, client=client))
        assert again.status != "pending" and again.history
    time.sleep(0.1)
assert found.status == "completed", found
assert actions[0] == "amend" and "approve" in actions, actions

completion = ok(get_project_completion.sync_detailed(project.id, client=client))
assert completion.is_complete and completion.artifacts_available
tasks = ok(list_tasks.sync_detailed(project.id, client=client))
assert tasks.items and ok(get_task.sync_detailed(tasks.items[0].task_id, client=client)).output
artifacts = ok(list_artifacts.sync_detailed(project.id, client=client, content=True))
assert artifacts.items and artifacts.items[0].content
ok(generate_package.sync_detailed(project.id, client=client))
summary = ok(get_package_summary.sync_detailed(project.id, client=client))
package = ok(download_package.sync_detailed(project.id, client=client))
names = zipfile.ZipFile(io.BytesIO(package.payload.read())).namelist()
assert len(names) == summary.artifact_count, names
events = ok(search_project_events.sync_detailed(project.id, client=client, limit=1000))
verified = ok(verify_project_log.sync_detailed(project.id, client=client))
assert verified.valid and verified.entries == len(events)
export = ok(export_project_log.sync_detailed(project.id, client=client))
assert len(export.splitlines()) == verified.entries + 1
assert ok(list_projects.sync_detailed(client=client)).items[0].id == project.id
ok(list_pending_requests.sync_detailed(client=client))
ok(list_agent_statuses.sync_detailed(client=client))

missing = get_project.sync_detailed("0190a0b0-0000-7000-8000-00000000000a", client=client)
assert missing.status_code == 404 and missing.parsed.detail, missing
print("done:", len(actions), "gates,", len(names), "files,", len(events), "entries")
