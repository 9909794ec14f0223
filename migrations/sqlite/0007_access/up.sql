-- Persons and programs that hold grants. None is ever removed, so that the log can always be read.
CREATE TABLE principals (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- API keys, with the digests of their texts. The texts are stored nowhere.
CREATE TABLE api_keys (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: the number of changes of the two tables above, by which servers notice a change.
CREATE TABLE access_version (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Time of the last use of each key, in microseconds. The log does not record it.
CREATE TABLE key_uses (
    key_id BLOB NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Principal that created the project. Null for projects of earlier versions and of open servers.
ALTER TABLE projects ADD COLUMN creator BLOB CHECK (length(creator) = 16);
CREATE INDEX projects_by_creator ON projects (creator, id) WHERE creator IS NOT NULL;
