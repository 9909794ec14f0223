-- What may be spent, was spent and is reserved: one row for each project (`project/ID`) and for each
-- agent type and day (`coder/2026-11-27`) that anything was paid from.
CREATE TABLE purses (
    purse TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What is stopped until somebody releases it: `everything`, `agent/coder` or `project/ID`.
CREATE TABLE emergency_stops (
    scope TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
