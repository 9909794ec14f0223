-- Ends all sessions. An older version does not know this entry of the log: this fails once there is
-- any.
CREATE TABLE unknown (event_type text CONSTRAINT the_log_tells_of_links CHECK (false));
INSERT INTO unknown SELECT event_type FROM events WHERE event_type = 'sign_in_link_created';
DROP TABLE unknown;
DROP TABLE sessions;
COMMENT ON TABLE key_uses IS 'Time of the last use of each API key, in microseconds since 1970.';
