//! Saving the progress of webhooks: what the writer does, in the same transaction as the decisions that
//! wait beside it.

use botarmy_domain::{DeliveryProgress, Timestamp, WebhookId, WebhookLease};
use botarmy_sql::{integer, json};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

/// Change of the progress of webhooks, which the writer makes.
#[derive(Debug)]
pub(crate) enum DeliveryWrite {
    /// Takes or extends a lease.
    Hold { webhook: WebhookId, holder: String, now: Timestamp, until: Timestamp },
    /// Lets go of a lease.
    LetGo { webhook: WebhookId, fence: u64 },
    /// Saves progress.
    Save(DeliveryProgress),
    /// Removes everything about subscriptions that do not exist.
    ForgetDeleted,
}

/// Result of a [`DeliveryWrite`].
#[derive(Debug)]
pub(crate) enum Written {
    Lease(Option<WebhookLease>),
    Saved(bool),
}

#[derive(QueryableByName)]
struct LeaseRow {
    #[diesel(sql_type = BigInt)]
    fence: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    retry_at: Option<i64>,
}

/// The id of a log, or of a subscription.
#[derive(QueryableByName)]
pub(crate) struct LogRow {
    #[diesel(sql_type = Binary)]
    pub(crate) log: Vec<u8>,
}

impl DeliveryWrite {
    /// Does it on the connection of the writer.
    pub(crate) fn run(&self, connection: &mut SqliteConnection) -> QueryResult<Written> {
        match self {
            Self::Hold { webhook, holder, now, until } => {
                hold(connection, *webhook, holder, *now, *until).map(Written::Lease)
            }
            Self::LetGo { webhook, fence } => {
                sql_query(
                    "UPDATE webhook_leases SET expires_at = 0, holder = '' \
                     WHERE webhook_id = ? AND fence = ?",
                )
                .bind::<Binary, _>(webhook.bytes().as_slice())
                .bind::<BigInt, _>(integer(*fence))
                .execute(connection)?;
                Ok(Written::Saved(true))
            }
            Self::Save(progress) => save(connection, progress).map(Written::Saved),
            Self::ForgetDeleted => {
                for table in ["webhook_cursors", "webhook_leases", "webhook_deliveries"] {
                    let sql = format!(
                        "DELETE FROM {table} WHERE webhook_id NOT IN (SELECT id FROM webhooks)"
                    );
                    sql_query(sql).execute(connection)?;
                }
                Ok(Written::Saved(true))
            }
        }
    }
}

fn hold(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> QueryResult<Option<WebhookLease>> {
    let row: Option<LeaseRow> = sql_query(
        "INSERT INTO webhook_leases AS old (webhook_id, holder, fence, expires_at) \
         VALUES (?, ?, 1, ?) ON CONFLICT (webhook_id) DO UPDATE SET holder = excluded.holder, \
         fence = old.fence + CASE WHEN old.holder = excluded.holder THEN 0 ELSE 1 END, \
         expires_at = excluded.expires_at WHERE old.holder = excluded.holder OR old.expires_at <= ? \
         RETURNING fence, retry_at",
    )
    .bind::<Binary, _>(webhook.bytes().as_slice())
    .bind::<Text, _>(holder)
    .bind::<BigInt, _>(until.micros())
    .bind::<BigInt, _>(now.micros())
    .get_result(connection)
    .optional()?;
    Ok(row.map(|row| WebhookLease {
        fence: natural(row.fence),
        retry_at: row.retry_at.map(Timestamp::from_micros),
    }))
}

fn save(connection: &mut SqliteConnection, progress: &DeliveryProgress) -> QueryResult<bool> {
    let webhook = progress.webhook.bytes().as_slice();
    let is_valid = match progress.fence {
        Some(fence) => {
            sql_query("UPDATE webhook_leases SET retry_at = ? WHERE webhook_id = ? AND fence = ?")
                .bind::<Nullable<BigInt>, _>(progress.retry_at.map(Timestamp::micros))
                .bind::<Binary, _>(webhook)
                .bind::<BigInt, _>(integer(fence))
                .execute(connection)?
                > 0
        }
        None => {
            let found: Option<LogRow> = sql_query("SELECT id AS log FROM webhooks WHERE id = ?")
                .bind::<Binary, _>(webhook)
                .get_result(connection)
                .optional()?;
            found.is_some()
        }
    };
    if !is_valid {
        return Ok(false);
    }
    for (log, cursor) in &progress.cursors {
        sql_query(
            "INSERT INTO webhook_cursors (webhook_id, log, seq, attempts) VALUES (?, ?, ?, ?) \
             ON CONFLICT (webhook_id, log) DO UPDATE SET seq = excluded.seq, \
             attempts = excluded.attempts",
        )
        .bind::<Binary, _>(webhook)
        .bind::<Binary, _>(log.key().bytes().as_slice())
        .bind::<BigInt, _>(integer(cursor.seq))
        .bind::<BigInt, _>(i64::from(cursor.attempts))
        .execute(connection)?;
    }
    if let Some(delivery) = &progress.delivery {
        sql_query(
            "INSERT INTO webhook_deliveries (webhook_id, id, body) VALUES (?, ?, ?) \
             ON CONFLICT DO NOTHING",
        )
        .bind::<Binary, _>(webhook)
        .bind::<Binary, _>(delivery.id.bytes().as_slice())
        .bind::<Text, _>(json::write(delivery))
        .execute(connection)?;
        sql_query(
            "DELETE FROM webhook_deliveries WHERE webhook_id = ?1 AND id <= (\
             SELECT id FROM webhook_deliveries WHERE webhook_id = ?1 ORDER BY id DESC \
             LIMIT 1 OFFSET ?2)",
        )
        .bind::<Binary, _>(webhook)
        .bind::<BigInt, _>(i64::from(progress.keep))
        .execute(connection)?;
    }
    Ok(true)
}

pub(crate) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
