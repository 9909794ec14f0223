-- Replies to requests with an `Idempotency-Key`, under a digest of the principal and the key. They are
-- removed once they have expired.
CREATE TABLE kept_replies (
    key_digest text NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL,
    body json NOT NULL
);

CREATE INDEX kept_replies_by_expiry ON kept_replies (expires_at);

COMMENT ON TABLE kept_replies IS 'Replies to requests with an Idempotency-Key, for a day.';
