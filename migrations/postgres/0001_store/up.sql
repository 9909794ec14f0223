-- Everything BotArmy keeps, in one PostgreSQL database (14 or newer).
--
-- Times are microseconds since 1970 in UTC (`to_timestamp(created_at / 1e6)` shows one), hashes are
-- 32 bytes. What a query or an index needs has a column of its own; the rest of a row is JSON in
-- `body`, as text that comes back to the letter: `jsonb` would rewrite numbers, and with them what
-- a hash covers.

-- The end of every log; the one of the system has the id of all zeros. `previous` is the hash this
-- end was written upon: whoever writes says what they have seen, and is told when it has passed.
CREATE TABLE heads (
    log uuid NOT NULL PRIMARY KEY,
    seq bigint NOT NULL CHECK (seq > 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    previous bytea NOT NULL CHECK (octet_length(previous) = 32),
    counts json NOT NULL,
    next_turn bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE projects (
    id uuid NOT NULL PRIMARY KEY,
    status text NOT NULL
        CHECK (status IN ('active', 'paused', 'completed', 'halted', 'failed', 'cancelled')),
    body json NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX projects_by_status ON projects (status, id);

CREATE TABLE tasks (
    id uuid NOT NULL PRIMARY KEY,
    project_id uuid NOT NULL,
    agent text NOT NULL,
    status text NOT NULL CHECK (
        status IN ('pending', 'working', 'waiting_for_hitl', 'completed', 'failed', 'cancelled')
    ),
    -- True while the project starts nothing new, so that a claim need not wade through the backlog
    -- of a paused project. Means something for pending tasks only.
    held boolean NOT NULL,
    attempt integer NOT NULL,
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 9),
    turn_at bigint NOT NULL,
    ready_at bigint NOT NULL,
    -- When the lease lapses. It counts, and not what the body says: extending a lease moves it alone.
    lease_expires_at bigint,
    body json NOT NULL,
    CHECK ((status = 'working') = (lease_expires_at IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX tasks_by_project ON tasks (project_id, id);

-- The queue in the order it is claimed.
CREATE INDEX tasks_queue ON tasks (agent, priority DESC, turn_at, id) INCLUDE (ready_at, project_id)
WHERE status = 'pending' AND NOT held;

CREATE INDEX tasks_working ON tasks (agent, id) INCLUDE (project_id) WHERE status = 'working';
CREATE INDEX tasks_by_lease ON tasks (lease_expires_at, id) WHERE status = 'working';

CREATE FUNCTION hold_the_tasks_of_a_project() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tasks SET held = (new.status <> 'active')
    WHERE project_id = new.id AND status = 'pending' AND held <> (new.status <> 'active');
    RETURN NULL;
END
$$;

CREATE TRIGGER projects_hold_their_tasks
AFTER UPDATE OF status ON projects
FOR EACH ROW WHEN ((old.status = 'active') <> (new.status = 'active'))
EXECUTE FUNCTION hold_the_tasks_of_a_project();

CREATE TABLE hitl_requests (
    id uuid NOT NULL PRIMARY KEY,
    project_id uuid NOT NULL,
    agent text,
    kind text NOT NULL CHECK (kind IN ('approval', 'question', 'failure')),
    status text NOT NULL CHECK (
        status IN ('pending', 'approved', 'rejected', 'amended', 'expired', 'cancelled')
    ),
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL,
    body json NOT NULL
);

CREATE INDEX hitl_requests_by_project ON hitl_requests (project_id, id);
CREATE INDEX hitl_requests_pending ON hitl_requests (id)
INCLUDE (expires_at, agent, kind, created_at, project_id)
WHERE status = 'pending';
CREATE INDEX hitl_requests_by_expiry ON hitl_requests (expires_at, id) WHERE status = 'pending';

CREATE TABLE artifacts (
    id uuid NOT NULL PRIMARY KEY,
    project_id uuid NOT NULL,
    source_agent text NOT NULL,
    artifact_type text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    previous uuid,
    created_at bigint NOT NULL,
    metadata json NOT NULL,
    content json NOT NULL
);

CREATE INDEX artifacts_by_project ON artifacts (project_id, id);

CREATE TABLE packages (
    project_id uuid NOT NULL PRIMARY KEY,
    generated_at bigint NOT NULL,
    body json NOT NULL
);

CREATE TABLE agents (
    agent_type text NOT NULL PRIMARY KEY,
    body json NOT NULL
);

-- The log. Within one log entries are in the order of `seq`, over all logs in that of `id`.
CREATE TABLE events (
    id uuid NOT NULL,
    log uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    event_type text NOT NULL,
    event_source text NOT NULL,
    task_id uuid,
    hitl_request_id uuid,
    created_at bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    event_metadata json NOT NULL,
    event_data json NOT NULL,
    PRIMARY KEY (log, seq)
);

CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_type ON events (event_type, id);
-- The sources that are rare among the others.
CREATE INDEX events_by_rare_source ON events (event_source, id)
WHERE event_source IN ('webhook', 'scheduler');
CREATE INDEX events_by_task ON events (task_id, id) WHERE task_id IS NOT NULL;
CREATE INDEX events_by_request ON events (hitl_request_id, id) WHERE hitl_request_id IS NOT NULL;
CREATE INDEX events_by_agent ON events ((event_data ->> 'agent_type'), seq)
WHERE event_type = 'agent_status_changed';

-- The log and the artifacts are only ever added to, whoever writes.
CREATE FUNCTION refuse_to_change_the_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: an entry cannot be changed or removed';
END
$$;

CREATE TRIGGER events_are_not_changed BEFORE UPDATE OR DELETE ON events
FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_log();
CREATE TRIGGER events_are_not_emptied BEFORE TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_log();

CREATE FUNCTION refuse_to_change_an_artifact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'artifacts are immutable: store a new version instead';
END
$$;

CREATE TRIGGER artifacts_are_not_changed BEFORE UPDATE OR DELETE ON artifacts
FOR EACH ROW EXECUTE FUNCTION refuse_to_change_an_artifact();
CREATE TRIGGER artifacts_are_not_emptied BEFORE TRUNCATE ON artifacts
FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_an_artifact();
