DROP INDEX events_of_long_logs;
CREATE INDEX events_of_long_logs ON events (log, event_type, event_source, seq)
WHERE seq > 25000 AND log <> '00000000-0000-0000-0000-000000000000';
