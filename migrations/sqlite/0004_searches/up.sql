-- Searches in the log by type, by source or by both read the newest entries of each pair. This index
-- does the work of the two that go.
CREATE INDEX events_by_kind ON events (event_type, event_source, id);
DROP INDEX events_by_type;
DROP INDEX events_by_rare_source;

-- The same within the log of a project. The first 25,000 entries of a log are searched one by one,
-- so that the index costs nothing where logs are short.
CREATE INDEX events_of_long_logs ON events (log, event_type, event_source, seq)
WHERE seq > 25000 AND log <> x'00000000000000000000000000000000';

-- A task has few entries, which are sorted when they are read: their ids need not be in the index.
DROP INDEX events_by_task;
CREATE INDEX events_by_task ON events (task_id) WHERE task_id IS NOT NULL;
