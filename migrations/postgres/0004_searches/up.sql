-- Searches in the log by type, by source or by both read the newest entries of each pair. This index
-- does the work of the two that go.
CREATE INDEX events_by_kind ON events (event_type, event_source, id);
DROP INDEX events_by_type;
DROP INDEX events_by_rare_source;

-- The same within the log of a project. The first 25,000 entries of a log are searched one by one,
-- so that the index costs nothing where logs are short.
CREATE INDEX events_of_long_logs ON events (log, event_type, event_source, seq)
WHERE seq > 25000 AND log <> '00000000-0000-0000-0000-000000000000';

-- A task has few entries, which are sorted when they are read: their ids need not be in the index.
DROP INDEX events_by_task;
CREATE INDEX events_by_task ON events (task_id) WHERE task_id IS NOT NULL;

-- Views for people who ask questions in SQL: times as `timestamptz`, and the fields of `body` that
-- are asked for most as columns. The server itself does not use them.

CREATE VIEW projects_view AS
SELECT
    id,
    body ->> 'name' AS name,
    status,
    body ->> 'oversight' AS oversight,
    (body ->> 'created_at')::timestamptz AS created_at,
    (body ->> 'updated_at')::timestamptz AS updated_at
FROM projects;

CREATE VIEW tasks_view AS
SELECT
    id,
    project_id,
    agent,
    status,
    priority,
    attempt,
    (body ->> 'max_attempts')::integer AS max_attempts,
    coalesce((body ->> 'failures')::integer, 0) AS failures,
    body ->> 'instructions' AS instructions,
    (body ->> 'created_at')::timestamptz AS created_at,
    (body ->> 'started_at')::timestamptz AS started_at,
    (body ->> 'updated_at')::timestamptz AS updated_at,
    'epoch'::timestamptz + ready_at * interval '1 microsecond' AS ready_at,
    'epoch'::timestamptz + lease_expires_at * interval '1 microsecond' AS lease_expires_at
FROM tasks;

CREATE VIEW approvals_view AS
SELECT
    id,
    project_id,
    (body ->> 'task_id')::uuid AS task_id,
    body ->> 'step' AS step,
    agent,
    kind,
    status,
    body ->> 'question' AS question,
    CASE WHEN status IN ('approved', 'rejected', 'amended') THEN body -> 'state' ->> 'by' END
        AS decided_by,
    CASE WHEN status <> 'pending' THEN (body -> 'state' ->> 'at')::timestamptz END AS decided_at,
    CASE WHEN status IN ('approved', 'rejected', 'amended') THEN body -> 'state' ->> 'comment' END
        AS comment,
    'epoch'::timestamptz + created_at * interval '1 microsecond' AS created_at,
    'epoch'::timestamptz + expires_at * interval '1 microsecond' AS expires_at
FROM hitl_requests;

CREATE VIEW events_view AS
SELECT
    id,
    nullif(log, '00000000-0000-0000-0000-000000000000') AS project_id,
    seq,
    event_type,
    event_source,
    event_metadata ->> 'actor' AS actor,
    task_id,
    hitl_request_id,
    event_data,
    'epoch'::timestamptz + created_at * interval '1 microsecond' AS created_at,
    encode(hash, 'hex') AS hash
FROM events;

COMMENT ON VIEW projects_view IS 'One row for each project.';
COMMENT ON COLUMN projects_view.status IS 'active, paused, completed, halted, failed or cancelled';
COMMENT ON COLUMN projects_view.oversight IS 'How many gates the owner wants';
COMMENT ON COLUMN projects_view.updated_at IS 'Time of the last change of the project itself, not of its tasks';

COMMENT ON VIEW tasks_view IS 'One row for each task.';
COMMENT ON COLUMN tasks_view.agent IS 'Agent type that works on the task';
COMMENT ON COLUMN tasks_view.status IS 'pending, working, waiting_for_hitl, completed, failed or cancelled';
COMMENT ON COLUMN tasks_view.priority IS '0 to 9; higher goes first';
COMMENT ON COLUMN tasks_view.attempt IS 'Number of attempts that were started';
COMMENT ON COLUMN tasks_view.failures IS 'Number of attempts that failed or whose lease expired';
COMMENT ON COLUMN tasks_view.started_at IS 'Time at which the latest attempt began';
COMMENT ON COLUMN tasks_view.ready_at IS 'Earliest time at which the task may be claimed';
COMMENT ON COLUMN tasks_view.lease_expires_at IS 'Time at which a working task is taken from a silent worker';

COMMENT ON VIEW approvals_view IS 'One row for each request to people: approvals, questions and failures.';
COMMENT ON COLUMN approvals_view.kind IS 'approval, question or failure';
COMMENT ON COLUMN approvals_view.status IS 'pending, approved, rejected, amended, expired or cancelled';
COMMENT ON COLUMN approvals_view.step IS 'Step of the workflow that waits for the answer';
COMMENT ON COLUMN approvals_view.agent IS 'Agent type whose work is under review';
COMMENT ON COLUMN approvals_view.decided_by IS 'Name of the person who answered';
COMMENT ON COLUMN approvals_view.decided_at IS 'Time of the answer, of the expiry or of the cancellation';

COMMENT ON VIEW events_view IS 'One row for each entry of the log. In one project entries are in the order of seq, over all projects in that of id.';
COMMENT ON COLUMN events_view.project_id IS 'Project of the entry; null for entries about the whole system';
COMMENT ON COLUMN events_view.seq IS 'Position in the log of the project: 1, 2, 3, ...';
COMMENT ON COLUMN events_view.event_source IS 'agent, user, system, webhook or scheduler';
COMMENT ON COLUMN events_view.actor IS 'Name of the person, worker or service that caused the entry';
COMMENT ON COLUMN events_view.event_data IS 'Data of the event; its form depends on event_type';
COMMENT ON COLUMN events_view.hash IS 'SHA-256 of the entry and of the hash before it, in hexadecimal';

COMMENT ON TABLE projects IS 'Projects; the fields that no index needs are in body. For questions in SQL use projects_view.';
COMMENT ON TABLE tasks IS 'Tasks; times are microseconds since 1970. For questions in SQL use tasks_view.';
COMMENT ON TABLE hitl_requests IS 'Requests to people; times are microseconds since 1970. For questions in SQL use approvals_view.';
COMMENT ON TABLE events IS 'The log, to which entries are only added; times are microseconds since 1970. For questions in SQL use events_view.';
COMMENT ON TABLE heads IS 'The end of each log, with the counts of its project.';
COMMENT ON TABLE artifacts IS 'Documents that agents and people made; they are never changed.';
COMMENT ON TABLE packages IS 'The latest package of each project.';
COMMENT ON TABLE agents IS 'The latest status of each agent type.';
