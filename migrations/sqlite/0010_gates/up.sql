-- Time of the next reminder, escalation or expiry of a pending request; null while its project is paused.
ALTER TABLE hitl_requests ADD COLUMN due_at INTEGER;

-- Time from which people are late with their answer to a pending request.
ALTER TABLE hitl_requests ADD COLUMN answer_by INTEGER;

-- Name of the policy; null where the step names none.
ALTER TABLE hitl_requests ADD COLUMN policy TEXT;

-- 1 if the policy names the people who may answer, 0 if everyone with the permission may.
ALTER TABLE hitl_requests ADD COLUMN restricted INTEGER NOT NULL DEFAULT 0 CHECK (restricted IN (0, 1));

UPDATE hitl_requests SET due_at = expires_at, answer_by = expires_at WHERE status = 'pending';

-- The index that was replaced had no policy and no answer_by.
DROP INDEX hitl_requests_pending;
CREATE INDEX hitl_requests_pending
ON hitl_requests (id, expires_at, agent, kind, created_at, project_id, policy, answer_by)
WHERE status = 'pending';

CREATE INDEX hitl_requests_due ON hitl_requests (due_at, id) WHERE status = 'pending';

-- Reminders and escalations, which are looked for alone for a while after a start.
CREATE INDEX hitl_requests_due_before_expiry ON hitl_requests (due_at, id)
WHERE status = 'pending' AND due_at < expires_at;

-- Requests that everyone may answer, for people who ask for those that they may answer.
CREATE INDEX hitl_requests_open_to_all ON hitl_requests (id, policy, answer_by, project_id)
WHERE status = 'pending' AND NOT restricted;

-- People whom pending requests ask, if their policies name any.
CREATE TABLE hitl_people (
    who TEXT NOT NULL,
    request_id BLOB NOT NULL CHECK (length(request_id) = 16),
    PRIMARY KEY (who, request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX hitl_people_by_request ON hitl_people (request_id);
