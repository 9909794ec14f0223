#!/usr/bin/env python3
"""Makes the database and the exports in this folder with the server binary of an earlier version:

    python3 tests/e2e/earlier/make.py BINARY

The files here were made before hashes and digests covered every digit of large integers. They are
made again only if another change of the stored form needs a version of its own, and then into a
folder of their own.
"""
import json, os, pathlib, re, signal, sqlite3, subprocess, sys, tempfile, urllib.request

HERE = pathlib.Path(__file__).parent
AGENTS = ["ORCHESTRATOR", "ANALYST", "ARCHITECT", "CODER", "TESTER", "DEPLOYER"]

with tempfile.TemporaryDirectory() as data:
    variables = {f"BOTARMY_AGENTS__{agent}__RUNNER": "none" for agent in AGENTS}
    server = subprocess.Popen([sys.argv[1], "--data-dir", data, "serve", "--port", "0"],
                              env={**os.environ, **variables, "BOTARMY_LOG__FORMAT": "json"},
                              cwd=data, stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        if found := re.search(r"Serving on (http://[\d.:]+)", line):
            base = found[1]
            break

    def call(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-User-Id": "ada"}
        request = urllib.request.Request(base + "/api/v1" + path, data, headers)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or "null")

    def lease():
        body = {"worker_id": "w", "agents": ["coder"], "wait_s": 5}
        return "/worker/leases/" + call("/worker/leases", body)["leases"][0]["lease"]

    def gate(project):
        open_ = call(f"/hitl/project/{project}/requests?status_filter=pending")
        return f"/hitl/{open_[0]['request_id']}/respond"

    project = call("/projects", {"name": "Made earlier", "description": "Ünïcode ☕"})["id"]
    for n in [2**53, 2**53 + 1, 2**53 - 1]:
        call("/context", {"project_id": project, "source_agent": "coder",
                          "artifact_type": "agent_output", "content": {"n": n, "x": 0.1}})
    call(f"/projects/{project}/tasks", {"agent_type": "coder", "instructions": "Count."})
    call(lease() + "/ask", {"question": "How far?", "options": ["Far"], "usage": {"input_tokens": 3}})
    call(gate(project), {"action": "amend", "content": "Very far", "comment": "please"})
    call(lease() + "/complete", {"output": {"count": 2**53 + 1, "smaller": 7},
                                 "usage": {"input_tokens": 5, "output_tokens": 1}})
    project = call("/projects", {"name": "Gates made earlier"})["id"]
    call("/hitl", {"project_id": project, "question": "Which number?"})
    call(gate(project), {"action": "amend", "amended_content": {"n": 2**64 - 1, "f": 1.5e300}})
    call(f"/projects/{project}/tasks", {"agent_type": "coder", "instructions": "Test."})
    call(lease() + "/fail", {"code": "broken", "message": "It is broken.", "retryable": False})
    # The task is left pending: an open gate would expire when a test starts a server on the file.
    call(gate(project), {"action": "amend", "content": "Test it again"})
    call(f"/artifacts/{project}/generate", {})
    for item in call("/projects")["items"]:
        path = f"{base}/api/v1/audit/projects/{item['id']}/export"
        name = item["name"].lower().replace(" ", "_")
        (HERE / f"{name}.jsonl").write_bytes(urllib.request.urlopen(path).read())
    server.send_signal(signal.SIGTERM)
    server.wait()
    (HERE / "botarmy.db").unlink(missing_ok=True)
    sqlite3.connect(f"{data}/botarmy.db").execute("VACUUM INTO ?", [str(HERE / "botarmy.db")])
