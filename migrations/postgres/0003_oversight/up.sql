-- What may be spent, was spent and is reserved: one row for each project (`project/ID`) and for each
-- agent type and day (`coder/2026-11-27`) that anything was paid from.
CREATE TABLE purses (
    purse text NOT NULL PRIMARY KEY,
    body json NOT NULL
);

-- What is stopped until somebody releases it: `everything`, `agent/coder` or `project/ID`.
CREATE TABLE emergency_stops (
    scope text NOT NULL PRIMARY KEY,
    body json NOT NULL
);
