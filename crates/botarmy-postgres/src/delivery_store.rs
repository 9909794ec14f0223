//! Progress of webhooks. It takes the connections of reads, as tickets do: what a receiver does must not
//! delay a decision or a lease of a task.

use async_trait::async_trait;
use botarmy_domain::page::Page;
use botarmy_domain::ports::DeliveryStore;
use botarmy_domain::{
    Cursor, Delivery, DeliveryId, DeliveryProgress, LogId, ProjectId, StoreError, Timestamp,
    Undelivered, WebhookId, WebhookLease,
};
use botarmy_sql::{body, integer, json};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::statements::{
    Deliveries, ForgetWebhooks, HoldWebhook, KeepDelivery, LetGoOfWebhook, LogAfter, LogEnds,
    OneDelivery, SaveProgress, UndeliveredLogs, WebhookCursor,
};
use crate::store::PostgresStore;

const CURSORS: &str = "webhook_cursors";
const LEASES: &str = "webhook_leases";
const DELIVERIES: &str = "webhook_deliveries";

impl PostgresStore {
    /// Executes a statement of this file, which may be repeated, and returns its rows.
    async fn rows<S, T>(
        &self,
        table: &'static str,
        statement: impl Fn() -> S + Send + Sync,
    ) -> Result<Vec<T>, StoreError>
    where
        T: Send,
        S: RunQueryDsl<AsyncPgConnection>
            + for<'q> LoadQuery<'q, AsyncPgConnection, T>
            + Send
            + 'static,
    {
        self.read(table, |connection| {
            let statement = statement();
            async move { statement.load(connection).await }.boxed()
        })
        .await
    }
}

fn log_of(key: Uuid) -> LogId {
    LogId::from_key(ProjectId::from_uuid(key))
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[async_trait]
impl DeliveryStore for PostgresStore {
    async fn hold(
        &self,
        webhook: WebhookId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<WebhookLease>, StoreError> {
        let statement = || HoldWebhook {
            webhook: webhook.uuid(),
            holder: holder.to_owned(),
            until: until.micros(),
            now: now.micros(),
        };
        let held: Vec<(i64, Option<i64>)> = self.rows(LEASES, statement).await?;
        Ok(held.into_iter().next().map(|(fence, retry_at)| WebhookLease {
            fence: natural(fence),
            retry_at: retry_at.map(Timestamp::from_micros),
        }))
    }

    async fn let_go(&self, webhook: WebhookId, fence: u64) -> Result<(), StoreError> {
        let statement = || LetGoOfWebhook { webhook: webhook.uuid(), fence: integer(fence) };
        let _: Vec<Uuid> = self.rows(LEASES, statement).await?;
        Ok(())
    }

    async fn cursor(&self, webhook: WebhookId, log: LogId) -> Result<Option<Cursor>, StoreError> {
        let statement = || WebhookCursor { webhook: webhook.uuid(), log: log.key().uuid() };
        let found: Vec<(i64, i64)> = self.rows(CURSORS, statement).await?;
        Ok(found.into_iter().next().map(|(seq, attempts)| Cursor {
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
        let from = from.key().uuid();
        let after: Vec<Uuid> = self.rows("heads", || LogAfter { from, scan: scan.into() }).await?;
        let next = after.into_iter().next();
        let statement = || UndeliveredLogs {
            webhook: webhook.uuid(),
            from,
            to: next.unwrap_or(Uuid::max()),
            since: since.micros(),
        };
        let found: Vec<Uuid> = self.rows(CURSORS, statement).await?;
        let logs = found.into_iter().map(log_of).collect();
        Ok(Undelivered { logs, next: next.map(log_of) })
    }

    async fn ends(&self, from: LogId, limit: u32) -> Result<Vec<(LogId, u64)>, StoreError> {
        let statement = || LogEnds { from: from.key().uuid(), limit: limit.into() };
        let found: Vec<(Uuid, i64)> = self.rows("heads", statement).await?;
        Ok(found.into_iter().map(|(log, seq)| (log_of(log), natural(seq))).collect())
    }

    async fn save(&self, progress: DeliveryProgress) -> Result<bool, StoreError> {
        let webhook = progress.webhook.uuid();
        // The statement removes before it sees the attempt that it adds.
        let spare = i64::from(progress.keep) - i64::from(progress.delivery.is_some());
        let delivery =
            progress.delivery.as_ref().map(|delivery| (delivery.id.uuid(), json::write(delivery)));
        let saved: Vec<Uuid> = match (progress.fence, &delivery) {
            (Some(fence), delivery) => {
                let statement = || SaveProgress {
                    retry_at: progress.retry_at.map(Timestamp::micros),
                    webhook,
                    fence: integer(fence),
                    logs: progress.cursors.iter().map(|(log, _)| log.key().uuid()).collect(),
                    seqs: progress.cursors.iter().map(|(_, at)| integer(at.seq)).collect(),
                    attempts: progress.cursors.iter().map(|(_, at)| at.attempts.into()).collect(),
                    ids: delivery.iter().map(|(id, _)| *id).collect(),
                    bodies: delivery.iter().map(|(_, body)| body.clone()).collect(),
                    spare,
                };
                self.rows(CURSORS, statement).await?
            }
            (None, Some((id, body))) => {
                let statement = || KeepDelivery { webhook, id: *id, body: body.clone(), spare };
                self.rows(DELIVERIES, statement).await?
            }
            (None, None) => return Ok(true),
        };
        Ok(!saved.is_empty())
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Page<Delivery>, StoreError> {
        let statement = || Deliveries {
            webhook: webhook.uuid(),
            before: before.map_or(Uuid::max(), DeliveryId::uuid),
            limit: i64::from(limit) + 1,
        };
        let rows: Vec<(Uuid, String)> = self.rows(DELIVERIES, statement).await?;
        let read = |(id, text): &(Uuid, String)| body(DELIVERIES, id.to_string(), text);
        Ok(Page::first(rows.iter().map(read).collect::<Result<_, _>>()?, limit))
    }

    async fn delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        let statement = || OneDelivery { webhook: webhook.uuid(), id: id.uuid() };
        let rows: Vec<(Uuid, String)> = self.rows(DELIVERIES, statement).await?;
        rows.into_iter()
            .next()
            .map(|(id, text)| body(DELIVERIES, id.to_string(), &text))
            .transpose()
    }

    async fn forget_deleted(&self) -> Result<(), StoreError> {
        let _: Vec<i64> = self.rows(CURSORS, || ForgetWebhooks {}).await?;
        Ok(())
    }
}
