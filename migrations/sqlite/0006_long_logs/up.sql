-- Only the first 5,000 entries of a project's log are searched one by one, not the first 25,000: that
-- many took longer than a page may.
DROP INDEX events_of_long_logs;
CREATE INDEX events_of_long_logs ON events (log, event_type, event_source, seq)
WHERE seq > 5000 AND log <> x'00000000000000000000000000000000';
