-- Subscriptions of webhooks, with the keys that sign what is sent: they must be usable after a restart.
CREATE TABLE webhooks (
    id uuid NOT NULL PRIMARY KEY,
    body json NOT NULL
);

-- Position of each subscription in each log of which it has sent or passed over anything, and the number
-- of failed attempts for the entry after it. The log does not record it, nor the two tables below.
CREATE TABLE webhook_cursors (
    webhook_id uuid NOT NULL,
    log uuid NOT NULL,
    seq bigint NOT NULL,
    attempts bigint NOT NULL,
    PRIMARY KEY (webhook_id, log)
) WITH (fillfactor = 80);

-- Process that delivers for each subscription, and the time before which it sends nothing.
CREATE TABLE webhook_leases (
    webhook_id uuid NOT NULL PRIMARY KEY,
    holder text NOT NULL,
    fence bigint NOT NULL,
    expires_at bigint NOT NULL,
    retry_at bigint
) WITH (fillfactor = 50);

-- The last attempts to deliver for each subscription.
CREATE TABLE webhook_deliveries (
    webhook_id uuid NOT NULL,
    id uuid NOT NULL,
    body json NOT NULL,
    PRIMARY KEY (webhook_id, id)
);

COMMENT ON TABLE webhooks IS 'Subscriptions of webhooks, with the keys that sign what is sent.';
COMMENT ON TABLE webhook_cursors IS 'Position of each subscription of a webhook in each log.';
COMMENT ON TABLE webhook_leases IS 'Process that delivers for each subscription of a webhook, until expires_at in microseconds since 1970.';
COMMENT ON TABLE webhook_deliveries IS 'The last attempts to deliver for each subscription of a webhook.';
