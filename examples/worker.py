#!/usr/bin/env python3
"""An external worker for BotArmy that needs only Python's standard library. It takes tasks, asks a
person in the middle of the work, and returns a document. After a kill it continues where it was.

    BOTARMY_KEY=... python3 examples/worker.py coder --url http://127.0.0.1:8080

The key is that of a program with the role worker: `botarmy-server keys create coder --role worker`.
The library in clients/python does the same and more; the examples for agent frameworks beside this
file use it.
"""
import argparse, json, os, threading, time, urllib.error, urllib.request

class Gone(Exception): """The task was cancelled, or another worker has it."""

def filled(schema, text, key=""):
    """Returns a document of a form with a text in all of its places. A model would do better."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {key: filled(one, text, key) for key, one in schema.get("properties", {}).items()}
        case "array":
            return [filled(schema.get("items", {}), text)]
        case "boolean":
            return True
        case "integer" | "number":
            return 1
    return "index.html" if key in ("path", "entry", "file") else text

def work(task, say):
    """Your agent goes here. Returns the name of a call and its body: a question or a result."""
    if not task["resume"]:
        say("reading")
        return "ask", {"question": "Which language?", "options": ["Rust", "Python"], "session": "asked"}
    answer = task["resume"]["answers"][-1]
    for _ in range(int(args.seconds * 10)):
        say("writing")
        time.sleep(0.1)
    text = f"# {task['task']['instructions']}\n\nIn {answer['content'] or 'any language'}."
    form = task["output_schema"]
    return "complete", {"output": filled(form, text) if form else {"markdown": text}}

def call(path, body, token=None):
    """Sends JSON and returns the status and the answer; retries while the server is unavailable."""
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    # The token of a lease with every call about it, and the worker's own key to get one.
    if credential := token or os.environ.get("BOTARMY_KEY"):
        headers["Authorization"] = f"Bearer {credential}"
    while True:
        try:
            request = urllib.request.Request(f"{args.url}/api/v1/worker/leases{path}", data, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as problem:
            if problem.code != 503:
                return problem.code, json.load(problem)
        except OSError:
            pass  # The server is unavailable: every call may be sent again.
        time.sleep(1)

def serve(lease, work):
    """Does one task: sends heartbeats during the work, and returns the result."""
    path, token, line = f"/{lease['lease']}", lease.get("token"), ["at work"]
    done, gone = threading.Event(), threading.Event()
    def beat():  # The first heartbeat at once: it tells the server that the task has arrived.
        while not done.is_set():
            status, heard = call(f"{path}/heartbeat", {"message": line[0]}, token)
            if status != 200 or heard["cancel"]:
                return gone.set()
            done.wait(lease["heartbeat_s"])
    def say(message):
        if gone.is_set():
            raise Gone
        line[0] = message
    threading.Thread(target=beat, daemon=True).start()
    try:
        verb, body = work(lease["task"], say)
    except Gone:
        return print("the task was cancelled, or another worker has it", flush=True)
    except Exception as error:
        verb, body = "fail", {"code": "crashed", "message": repr(error)[:4000], "retryable": True}
    done.set()
    status, answer = call(f"{path}/{verb}", body, token)
    if status in (413, 422):  # The result was refused; the lease is still held.
        reasons = [answer["detail"]] + [error["message"] for error in answer.get("errors") or []]
        print(verb, status, *reasons, flush=True)
        verb, body = "fail", {"code": "refused", "message": "; ".join(reasons)[:4000], "retryable": True}
        status, answer = call(f"{path}/{verb}", body, token)
    print(verb, status, answer.get("detail", answer.get("status")), flush=True)

def main(work):
    """Takes tasks and does them, forever."""
    global args
    args = argparse.ArgumentParser(description="An external worker for BotArmy.")
    args.add_argument("agent", help="the agent type it serves, such as coder")
    for option, default in [("url", "http://127.0.0.1:8080"), ("name", "example"),
                            ("state", "worker-state.json"), ("seconds", 1.0)]:
        args.add_argument(f"--{option}", default=default, type=type(default))
    args = args.parse_args()
    while True:
        if os.path.exists(args.state):  # A lease that the worker held when it ended.
            serve(json.load(open(args.state)), work)
            os.remove(args.state)
        poll = {"worker_id": args.name, "agents": [args.agent], "max": 1, "wait_s": 30}
        status, answer = call("", poll)
        if status not in (200, 204):
            raise SystemExit(answer["detail"])
        for lease in answer["leases"] if status == 200 else []:
            with open(args.state + ".new", "w") as file:
                json.dump(lease, file)
            os.replace(args.state + ".new", args.state)

if __name__ == "__main__":
    main(work)
