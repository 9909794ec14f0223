-- One-time tickets for live connections, with the digests of their secrets, which are stored nowhere. They
-- are good for half a minute, so they need not survive a crash of the database.
CREATE UNLOGGED TABLE tickets (
    digest bytea NOT NULL PRIMARY KEY,
    holder text NOT NULL,
    expires_at bigint NOT NULL
);

CREATE INDEX tickets_by_holder ON tickets (holder, expires_at);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

COMMENT ON TABLE tickets IS 'One-time tickets for live connections that were not used yet, with the digests of their secrets, which are stored nowhere.';
