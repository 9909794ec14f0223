DROP VIEW projects_view, tasks_view, approvals_view, events_view;
COMMENT ON TABLE projects IS NULL;
COMMENT ON TABLE tasks IS NULL;
COMMENT ON TABLE hitl_requests IS NULL;
COMMENT ON TABLE events IS NULL;
COMMENT ON TABLE heads IS NULL;
COMMENT ON TABLE artifacts IS NULL;
COMMENT ON TABLE packages IS NULL;
COMMENT ON TABLE agents IS NULL;
DROP INDEX events_of_long_logs;
DROP INDEX events_by_task;
CREATE INDEX events_by_task ON events (task_id, id) WHERE task_id IS NOT NULL;
CREATE INDEX events_by_type ON events (event_type, id);
CREATE INDEX events_by_rare_source ON events (event_source, id)
WHERE event_source IN ('webhook', 'scheduler');
DROP INDEX events_by_kind;
