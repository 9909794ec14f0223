-- Drops all principals and keys. An older version does not know these entries of the log: this fails
-- once there is any.
CREATE TABLE unknown (event_type text CONSTRAINT the_log_tells_of_access CHECK (false));
INSERT INTO unknown SELECT event_type FROM events WHERE event_type IN (
    'principal_created', 'grant_changed', 'key_created', 'key_rotated', 'key_revoked',
    'session_started', 'session_ended', 'access_denied'
);
DROP TABLE unknown;
DROP VIEW projects_view;
DROP INDEX projects_by_creator;
ALTER TABLE projects DROP COLUMN creator;

CREATE VIEW projects_view AS
SELECT
    id,
    body ->> 'name' AS name,
    status,
    body ->> 'oversight' AS oversight,
    (body ->> 'created_at')::timestamptz AS created_at,
    (body ->> 'updated_at')::timestamptz AS updated_at
FROM projects;

COMMENT ON VIEW projects_view IS 'One row for each project.';
COMMENT ON COLUMN projects_view.status IS 'active, paused, completed, halted, failed or cancelled';
COMMENT ON COLUMN projects_view.oversight IS 'How many gates the owner wants';
COMMENT ON COLUMN projects_view.updated_at IS 'Time of the last change of the project itself, not of its tasks';

DROP TABLE key_uses;
DROP TABLE access_version;
DROP TABLE api_keys;
DROP TABLE principals;
