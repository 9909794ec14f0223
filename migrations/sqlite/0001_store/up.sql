-- Everything BotArmy keeps, in one SQLite file.
--
-- Ids are UUIDs as 16 bytes, times are microseconds since 1970 in UTC, hashes are 32 bytes. What
-- a query or an index needs has a column of its own; the rest of a row is JSON in `body`.

-- "BArm": how a file is known to be ours.
PRAGMA application_id = 1111585389;

-- The end of every log; the one of the system has the id of all zeros.
CREATE TABLE heads (
    log BLOB NOT NULL PRIMARY KEY CHECK (length(log) = 16),
    seq INTEGER NOT NULL CHECK (seq > 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    counts TEXT NOT NULL,
    next_turn INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE projects (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    status TEXT NOT NULL
        CHECK (status IN ('active', 'paused', 'completed', 'halted', 'failed', 'cancelled')),
    body TEXT NOT NULL
) STRICT;

CREATE INDEX projects_by_status ON projects (status, id);

CREATE TABLE tasks (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project_id BLOB NOT NULL REFERENCES projects (id),
    agent TEXT NOT NULL,
    status TEXT NOT NULL CHECK (
        status IN ('pending', 'working', 'waiting_for_hitl', 'completed', 'failed', 'cancelled')
    ),
    -- 1 while the project starts nothing new, so that a claim need not wade through the backlog
    -- of a paused project. Means something for pending tasks only.
    held INTEGER NOT NULL CHECK (held IN (0, 1)),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    turn_at INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    lease_expires_at INTEGER,
    body TEXT NOT NULL,
    CHECK ((status = 'working') = (lease_expires_at IS NOT NULL))
) STRICT;

CREATE INDEX tasks_by_project ON tasks (project_id, id);

-- The queue in the order it is claimed, with all that a claim looks at.
CREATE INDEX tasks_queue ON tasks (held, agent, priority DESC, turn_at, id, ready_at, project_id)
WHERE status = 'pending';

CREATE INDEX tasks_working ON tasks (agent, id) WHERE status = 'working';

CREATE TRIGGER projects_hold_their_tasks
AFTER UPDATE OF status ON projects
WHEN (old.status = 'active') <> (new.status = 'active')
BEGIN
    UPDATE tasks SET held = (new.status <> 'active')
    WHERE project_id = new.id AND status = 'pending';
END;

CREATE TABLE hitl_requests (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project_id BLOB NOT NULL REFERENCES projects (id),
    agent TEXT,
    kind TEXT NOT NULL CHECK (kind IN ('approval', 'question', 'failure')),
    status TEXT NOT NULL CHECK (
        status IN ('pending', 'approved', 'rejected', 'amended', 'expired', 'cancelled')
    ),
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX hitl_requests_by_project ON hitl_requests (project_id, id);

CREATE INDEX hitl_requests_pending
ON hitl_requests (id, expires_at, agent, kind, created_at, project_id)
WHERE status = 'pending';

CREATE TABLE artifacts (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project_id BLOB NOT NULL REFERENCES projects (id),
    source_agent TEXT NOT NULL,
    artifact_type TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    previous BLOB,
    created_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    content TEXT NOT NULL
) STRICT;

CREATE INDEX artifacts_by_project ON artifacts (project_id, id);

CREATE TABLE packages (
    project_id BLOB NOT NULL PRIMARY KEY REFERENCES projects (id),
    generated_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE agents (
    agent_type TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The log. Within one log entries are in the order of `seq`, over all logs in that of `id`.
CREATE TABLE events (
    position INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    log BLOB NOT NULL CHECK (length(log) = 16),
    seq INTEGER NOT NULL CHECK (seq > 0),
    event_type TEXT NOT NULL,
    event_source TEXT NOT NULL,
    task_id BLOB,
    hitl_request_id BLOB,
    created_at INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    event_metadata TEXT NOT NULL,
    event_data TEXT NOT NULL,
    UNIQUE (log, seq)
) STRICT;

CREATE INDEX events_by_type ON events (event_type, id);
-- The sources that are rare among the others.
CREATE INDEX events_by_rare_source ON events (event_source, id)
WHERE event_source IN ('webhook', 'scheduler');
CREATE INDEX events_by_task ON events (task_id, id) WHERE task_id IS NOT NULL;
CREATE INDEX events_by_request ON events (hitl_request_id, id) WHERE hitl_request_id IS NOT NULL;
CREATE INDEX events_by_agent ON events (event_data ->> '$.agent_type', seq)
WHERE event_type = 'agent_status_changed';

-- The log and the artifacts are only ever added to, whoever writes.
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN
    SELECT raise(ABORT, 'the log is append-only: an entry cannot be changed');
END;

CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events
BEGIN
    SELECT raise(ABORT, 'the log is append-only: an entry cannot be removed');
END;

-- INSERT OR REPLACE removes rows without asking the trigger above.
CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE id = new.id)
    OR EXISTS (SELECT 1 FROM events WHERE log = new.log AND seq >= new.seq)
    OR EXISTS (SELECT 1 FROM events WHERE position = new.position)
BEGIN
    SELECT raise(ABORT, 'the log is append-only: an entry cannot be replaced');
END;

CREATE TRIGGER artifacts_are_not_changed BEFORE UPDATE ON artifacts
BEGIN
    SELECT raise(ABORT, 'artifacts are immutable: store a new version instead');
END;

CREATE TRIGGER artifacts_are_not_removed BEFORE DELETE ON artifacts
BEGIN
    SELECT raise(ABORT, 'artifacts are immutable: they cannot be removed');
END;

CREATE TRIGGER artifacts_are_not_replaced BEFORE INSERT ON artifacts
WHEN EXISTS (SELECT 1 FROM artifacts WHERE id = new.id OR rowid = new.rowid)
BEGIN
    SELECT raise(ABORT, 'artifacts are immutable: store a new version instead');
END;
