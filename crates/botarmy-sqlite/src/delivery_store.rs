//! Progress of webhooks. Reads go beside the writer; what is saved is a job of the writer
//! (`delivery_statements.rs`).

use async_trait::async_trait;
use botarmy_domain::page::Page;
use botarmy_domain::ports::DeliveryStore;
use botarmy_domain::{
    Cursor, Delivery, DeliveryId, DeliveryProgress, LogId, ProjectId, StoreError, Timestamp,
    Undelivered, WebhookId, WebhookLease,
};
use botarmy_sql::{body, corrupt};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::delivery_statements::{DeliveryWrite, LogRow, Written, natural};
use crate::error::{closed, reading};
use crate::rows::key_text;
use crate::schema::{heads, webhook_cursors, webhook_deliveries};
use crate::statements::limited;
use crate::store::SqliteStore;
use crate::writer::Job;

const CURSORS: &str = "webhook_cursors";
const DELIVERIES: &str = "webhook_deliveries";

fn log_of(key: &[u8]) -> Result<LogId, StoreError> {
    let uuid = Uuid::from_slice(key).map_err(|error| corrupt("heads", key_text(key), error))?;
    Ok(LogId::from_key(ProjectId::from_uuid(uuid)))
}

impl SqliteStore {
    async fn write_deliveries(&self, write: DeliveryWrite) -> Result<Written, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.enqueue(Job::Deliveries(write, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn hold(
        &self,
        webhook: WebhookId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<WebhookLease>, StoreError> {
        let hold = DeliveryWrite::Hold { webhook, holder: holder.to_owned(), now, until };
        match self.write_deliveries(hold).await? {
            Written::Lease(lease) => Ok(lease),
            Written::Saved(_) => Ok(None),
        }
    }

    async fn let_go(&self, webhook: WebhookId, fence: u64) -> Result<(), StoreError> {
        self.write_deliveries(DeliveryWrite::LetGo { webhook, fence }).await.map(drop)
    }

    async fn cursor(&self, webhook: WebhookId, log: LogId) -> Result<Option<Cursor>, StoreError> {
        let row: Option<(i64, i64)> = self.read_now(|connection| {
            webhook_cursors::table
                .find((webhook.bytes().as_slice(), log.key().bytes().as_slice()))
                .select((webhook_cursors::seq, webhook_cursors::attempts))
                .get_result(connection)
                .optional()
                .map_err(|error| reading(CURSORS, error))
        })?;
        Ok(row.map(|(seq, attempts)| Cursor {
            seq: natural(seq),
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        }))
    }

    async fn undelivered(
        &self,
        webhook: WebhookId,
        since: Timestamp,
        from: LogId,
        scan: u32,
    ) -> Result<Undelivered, StoreError> {
        self.read_aside(move |connection| {
            let from = from.key().bytes().to_vec();
            let next: Option<Vec<u8>> = limited(
                heads::table.filter(heads::log.ge(&from)).order(heads::log).select(heads::log),
                1,
            )
            .after(scan)
            .get_result(connection)
            .optional()
            .map_err(|error| reading("heads", error))?;
            let rows: Vec<LogRow> = sql_query(
                "SELECT h.log FROM heads AS h LEFT JOIN webhook_cursors AS c \
                 ON c.webhook_id = ? AND c.log = h.log WHERE h.log >= ? AND h.log < ? \
                 AND CASE WHEN c.seq IS NULL THEN EXISTS (SELECT 1 FROM events AS e \
                 WHERE e.log = h.log AND e.seq = h.seq AND e.created_at >= ?) \
                 ELSE h.seq > c.seq END ORDER BY h.log",
            )
            .bind::<Binary, _>(webhook.bytes().as_slice())
            .bind::<Binary, _>(from)
            .bind::<Binary, _>(next.as_deref().unwrap_or(Uuid::max().as_bytes()))
            .bind::<BigInt, _>(since.micros())
            .load(connection)
            .map_err(|error| reading(CURSORS, error))?;
            let logs = rows.iter().map(|row| log_of(&row.log)).collect::<Result<_, _>>()?;
            Ok(Undelivered { logs, next: next.as_deref().map(log_of).transpose()? })
        })
        .await
    }

    async fn ends(&self, from: LogId, limit: u32) -> Result<Vec<(LogId, u64)>, StoreError> {
        self.read_list(limit, move |connection| {
            let query = heads::table
                .filter(heads::log.ge(from.key().bytes().to_vec()))
                .order(heads::log)
                .select((heads::log, heads::seq));
            let rows: Vec<(Vec<u8>, i64)> =
                limited(query, limit).load(connection).map_err(|error| reading("heads", error))?;
            rows.iter().map(|(log, seq)| Ok((log_of(log)?, natural(*seq)))).collect()
        })
        .await
    }

    async fn save(&self, progress: DeliveryProgress) -> Result<bool, StoreError> {
        let saved = self.write_deliveries(DeliveryWrite::Save(progress)).await?;
        Ok(matches!(saved, Written::Saved(true)))
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Page<Delivery>, StoreError> {
        self.read_list(limit, move |connection| {
            let before = before.map_or(Uuid::max(), DeliveryId::uuid);
            let query = webhook_deliveries::table
                .filter(webhook_deliveries::webhook_id.eq(webhook.bytes().to_vec()))
                .filter(webhook_deliveries::id.lt(before.as_bytes().to_vec()))
                .order(webhook_deliveries::id.desc())
                .select((webhook_deliveries::id, webhook_deliveries::body));
            let rows: Vec<(Vec<u8>, String)> = limited(query, limit.saturating_add(1))
                .load(connection)
                .map_err(|error| reading(DELIVERIES, error))?;
            let read = |(id, text): &(Vec<u8>, String)| body(DELIVERIES, key_text(id), text);
            Ok(Page::first(rows.iter().map(read).collect::<Result<_, _>>()?, limit))
        })
        .await
    }

    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        let text: Option<String> = self.read_now(|connection| {
            webhook_deliveries::table
                .find((webhook.bytes().as_slice(), id.bytes().as_slice()))
                .select(webhook_deliveries::body)
                .get_result(connection)
                .optional()
                .map_err(|error| reading(DELIVERIES, error))
        })?;
        text.map(|text| body(DELIVERIES, id.to_string(), &text)).transpose()
    }

    async fn forget_deleted(&self) -> Result<(), StoreError> {
        self.write_deliveries(DeliveryWrite::ForgetDeleted).await.map(drop)
    }
}
