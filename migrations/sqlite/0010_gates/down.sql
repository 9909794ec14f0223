-- Drops columns and a table that follow from the requests. An older version does not know these entries of
-- the log: this fails once there is any.
CREATE TABLE unknown (event_type TEXT CONSTRAINT the_log_tells_of_gates CHECK (false)) STRICT;
INSERT INTO unknown SELECT event_type FROM events WHERE event_type IN (
    'hitl_vote_cast', 'hitl_vote_withdrawn', 'hitl_subject_changed', 'hitl_claimed', 'hitl_unclaimed',
    'hitl_delegated', 'hitl_commented', 'hitl_reminded', 'hitl_escalated', 'hitl_extended',
    'hitl_unsatisfiable', 'hitl_link_issued', 'hitl_link_revoked', 'delegation_changed'
);
DROP TABLE unknown;
DROP TABLE hitl_people;
DROP INDEX hitl_requests_open_to_all;
DROP INDEX hitl_requests_due_before_expiry;
DROP INDEX hitl_requests_due;
DROP INDEX hitl_requests_pending;
ALTER TABLE hitl_requests DROP COLUMN restricted;
ALTER TABLE hitl_requests DROP COLUMN policy;
ALTER TABLE hitl_requests DROP COLUMN answer_by;
ALTER TABLE hitl_requests DROP COLUMN due_at;
CREATE INDEX hitl_requests_pending
ON hitl_requests (id, expires_at, agent, kind, created_at, project_id)
WHERE status = 'pending';
