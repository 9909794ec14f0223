-- Drops all principals and keys. An older version does not know these entries of the log: this fails
-- once there is any.
CREATE TABLE unknown (event_type TEXT CONSTRAINT the_log_tells_of_access CHECK (false)) STRICT;
INSERT INTO unknown SELECT event_type FROM events WHERE event_type IN (
    'principal_created', 'grant_changed', 'key_created', 'key_rotated', 'key_revoked',
    'session_started', 'session_ended', 'access_denied'
);
DROP TABLE unknown;
DROP INDEX projects_by_creator;
ALTER TABLE projects DROP COLUMN creator;
DROP TABLE key_uses;
DROP TABLE access_version;
DROP TABLE api_keys;
DROP TABLE principals;
