-- Subscriptions of webhooks, with the keys that sign what is sent: they must be usable after a restart.
CREATE TABLE webhooks (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Position of each subscription in each log of which it has sent or passed over anything, and the number
-- of failed attempts for the entry after it. The log does not record it, nor the two tables below.
CREATE TABLE webhook_cursors (
    webhook_id BLOB NOT NULL CHECK (length(webhook_id) = 16),
    log BLOB NOT NULL CHECK (length(log) = 16),
    seq INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, log)
) STRICT, WITHOUT ROWID;

-- Process that delivers for each subscription, and the time before which it sends nothing.
CREATE TABLE webhook_leases (
    webhook_id BLOB NOT NULL PRIMARY KEY CHECK (length(webhook_id) = 16),
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    retry_at INTEGER
) STRICT, WITHOUT ROWID;

-- The last attempts to deliver for each subscription.
CREATE TABLE webhook_deliveries (
    webhook_id BLOB NOT NULL CHECK (length(webhook_id) = 16),
    id BLOB NOT NULL CHECK (length(id) = 16),
    body TEXT NOT NULL,
    PRIMARY KEY (webhook_id, id)
) STRICT, WITHOUT ROWID;
