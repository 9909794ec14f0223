-- Sessions and one-time sign-in links of each person, with the digests of their secrets. The secrets
-- are stored nowhere. Each row has a limited size, and loses what has expired when it is written.
CREATE TABLE sessions (
    principal_id BLOB NOT NULL PRIMARY KEY CHECK (length(principal_id) = 16),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
