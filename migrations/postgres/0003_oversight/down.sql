-- An older version does not know these entries of the log, and would start what is stopped: this
-- fails once there is any.
CREATE TABLE unknown (event_type text CONSTRAINT the_log_tells_of_budgets_or_stops CHECK (false));
INSERT INTO unknown SELECT event_type FROM events WHERE event_type IN (
    'budget_reserved', 'budget_exhausted', 'budget_changed', 'emergency_stopped',
    'emergency_released'
);
DROP TABLE unknown;
DROP TABLE emergency_stops;
DROP TABLE purses;
