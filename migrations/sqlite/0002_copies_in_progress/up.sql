-- While `store copy` fills this database there is one row here: whose copy it is, by name and by a
-- digest over the ends of all its logs. No server starts on a half of something.
CREATE TABLE copies_in_progress (
    source TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL
) STRICT, WITHOUT ROWID;
