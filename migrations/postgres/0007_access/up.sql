-- Persons and programs that hold grants. None is ever removed, so that the log can always be read.
CREATE TABLE principals (
    id uuid NOT NULL PRIMARY KEY,
    body json NOT NULL
);

-- API keys, with the digests of their texts. The texts are stored nowhere.
CREATE TABLE api_keys (
    id uuid NOT NULL PRIMARY KEY,
    body json NOT NULL
);

-- One row: the number of changes of the two tables above, by which servers notice a change.
CREATE TABLE access_version (
    id uuid NOT NULL PRIMARY KEY,
    body json NOT NULL
);

-- Time of the last use of each key, in microseconds. The log does not record it.
CREATE TABLE key_uses (
    key_id uuid NOT NULL PRIMARY KEY,
    used_at bigint NOT NULL
);

-- Principal that created the project. Null for projects of earlier versions and of open servers.
ALTER TABLE projects ADD COLUMN creator uuid;
CREATE INDEX projects_by_creator ON projects (creator, id) WHERE creator IS NOT NULL;

CREATE OR REPLACE VIEW projects_view AS
SELECT
    id,
    body ->> 'name' AS name,
    status,
    body ->> 'oversight' AS oversight,
    (body ->> 'created_at')::timestamptz AS created_at,
    (body ->> 'updated_at')::timestamptz AS updated_at,
    creator
FROM projects;

COMMENT ON COLUMN projects_view.creator IS 'Id of the principal that created the project; null for projects of earlier versions and of open servers';

COMMENT ON TABLE principals IS 'Persons and programs that hold grants.';
COMMENT ON TABLE api_keys IS 'API keys with the digests of their texts, which are stored nowhere.';
COMMENT ON TABLE access_version IS 'The number of changes of principals and keys.';
COMMENT ON TABLE key_uses IS 'Time of the last use of each API key, in microseconds since 1970.';
