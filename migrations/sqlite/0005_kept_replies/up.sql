-- Replies to requests with an `Idempotency-Key`, under a digest of the principal and the key. They are
-- removed once they have expired.
CREATE TABLE kept_replies (
    key_digest TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX kept_replies_by_expiry ON kept_replies (expires_at);
