ALTER TABLE hitl_requests
ADD COLUMN due_at bigint,
ADD COLUMN answer_by bigint,
ADD COLUMN policy text,
ADD COLUMN restricted boolean NOT NULL DEFAULT false;

UPDATE hitl_requests SET due_at = expires_at, answer_by = expires_at WHERE status = 'pending';

-- The index that was replaced had no policy and no answer_by.
DROP INDEX hitl_requests_pending;
CREATE INDEX hitl_requests_pending ON hitl_requests (id)
INCLUDE (expires_at, agent, kind, created_at, project_id, policy, answer_by)
WHERE status = 'pending';

DROP INDEX hitl_requests_by_expiry;
CREATE INDEX hitl_requests_due ON hitl_requests (due_at, id) WHERE status = 'pending';

-- Reminders and escalations, which are looked for alone for a while after a start.
CREATE INDEX hitl_requests_due_before_expiry ON hitl_requests (due_at, id)
WHERE status = 'pending' AND due_at < expires_at;

-- Requests that everyone may answer, for people who ask for those that they may answer.
CREATE INDEX hitl_requests_open_to_all ON hitl_requests (id)
INCLUDE (policy, answer_by, project_id)
WHERE status = 'pending' AND NOT restricted;

CREATE TABLE hitl_people (
    who text NOT NULL,
    request_id uuid NOT NULL,
    PRIMARY KEY (who, request_id)
);

CREATE INDEX hitl_people_by_request ON hitl_people (request_id);

COMMENT ON COLUMN hitl_requests.due_at IS 'Time of the next reminder, escalation or expiry of a pending request; null while its project is paused';
COMMENT ON COLUMN hitl_requests.answer_by IS 'Time from which people are late with their answer to a pending request';
COMMENT ON COLUMN hitl_requests.policy IS 'Name of the policy; null where the step names none';
COMMENT ON COLUMN hitl_requests.restricted IS 'True if the policy names the people who may answer';
COMMENT ON TABLE hitl_people IS 'People whom pending requests ask, if their policies name any.';
