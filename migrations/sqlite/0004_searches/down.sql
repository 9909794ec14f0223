DROP INDEX events_of_long_logs;
DROP INDEX events_by_task;
CREATE INDEX events_by_task ON events (task_id, id) WHERE task_id IS NOT NULL;
CREATE INDEX events_by_type ON events (event_type, id);
CREATE INDEX events_by_rare_source ON events (event_source, id)
WHERE event_source IN ('webhook', 'scheduler');
DROP INDEX events_by_kind;
