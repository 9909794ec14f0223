//! Reads of human-in-the-loop requests.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::hitl::{OldestRequest, OpenRequests};
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::HitlStore;
use botarmy_domain::{
    HitlRequest, HitlRequestId, HitlSample, HitlStatus, Page, ProjectId, Reach, StoreError,
    Timestamp,
};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::hitl_lines::{self, CountedRow, LineRow};
use botarmy_sql::{bodies, body, open_requests, reach, time_of_id};
use diesel::dsl::{count_star, min, sql};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::part::{DOCUMENT, page, part, surplus};
use crate::schema::hitl_requests;
use crate::store::PostgresStore;

const TABLE: &str = "hitl_requests";
/// Column with the project of a request.
const PROJECT: &str = "hitl_requests.project_id";
/// Columns that a request is read from.
const COLUMNS: (hitl_requests::id, hitl_requests::body) = (hitl_requests::id, hitl_requests::body);

#[async_trait]
impl HitlStore for PostgresStore {
    async fn request(&self, id: HitlRequestId) -> Result<Option<Arc<HitlRequest>>, StoreError> {
        let query = move || hitl_requests::table.find(id.uuid()).select(hitl_requests::body);
        let row: Option<String> = self
            .read(TABLE, move |connection| {
                async move { query().get_result(connection).await.optional() }.boxed()
            })
            .await?;
        row.map(|row| body(TABLE, id, &row)).transpose()
    }

    async fn requests(
        &self,
        project: ProjectId,
        status: Option<HitlStatus>,
        before: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        let query = move || {
            let mut query = hitl_requests::table
                .filter(hitl_requests::project_id.eq(project.uuid()))
                .select(COLUMNS)
                .order(hitl_requests::id.desc())
                .limit(surplus(limit))
                .into_boxed();
            if let Some(status) = status {
                query = query.filter(hitl_requests::status.eq(status.as_str()));
            }
            if let Some(before) = before {
                query = query.filter(hitl_requests::id.lt(before.uuid()));
            }
            part(query, DOCUMENT, PART_BYTES)
        };
        let rows: Vec<((Uuid, String), i64)> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        page(rows, limit).try_map(|(id, text)| Ok(Arc::new(body(TABLE, id, &text)?)))
    }

    async fn pending(
        &self,
        reach: &Reach,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        let after = after.map_or_else(Uuid::nil, HitlRequestId::uuid);
        let within = reach::filter(Dialect::POSTGRES, PROJECT, reach);
        let query = || {
            let mut query = hitl_requests::table
                .filter(hitl_requests::status.eq("pending"))
                .filter(hitl_requests::id.gt(after))
                .order(hitl_requests::id)
                .limit(surplus(limit))
                .select(COLUMNS)
                .into_boxed();
            if let Some(within) = &within {
                query = query.filter(sql::<Bool>(within));
            }
            part(query, DOCUMENT, PART_BYTES)
        };
        let rows: Vec<((Uuid, String), i64)> = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        page(rows, limit).try_map(|(id, text)| Ok(Arc::new(body(TABLE, id, &text)?)))
    }

    async fn sample(
        &self,
        reach: &Reach,
        project: Option<ProjectId>,
        since: Timestamp,
        limit: u32,
    ) -> Result<HitlSample, StoreError> {
        let within = reach::filter(Dialect::POSTGRES, PROJECT, reach);
        let within_by_index = reach::condition(Dialect::POSTGRES, PROJECT, reach);
        let pending = || {
            let mut query = hitl_requests::table
                .filter(hitl_requests::status.eq("pending"))
                .group_by((hitl_requests::kind, hitl_requests::agent))
                .select((hitl_requests::kind, hitl_requests::agent, count_star()))
                .into_boxed();
            if let Some(id) = project {
                query = query.filter(hitl_requests::project_id.eq(id.uuid()));
            }
            if let Some(within) = &within {
                query = query.filter(sql::<Bool>(within));
            }
            query
        };
        let oldest = || {
            let mut query = hitl_requests::table
                .filter(hitl_requests::status.eq("pending"))
                .order(hitl_requests::id)
                .limit(1)
                .select((hitl_requests::id, hitl_requests::project_id, hitl_requests::created_at))
                .into_boxed();
            if let Some(id) = project {
                query = query.filter(hitl_requests::project_id.eq(id.uuid()));
            }
            if let Some(within) = &within {
                query = query.filter(sql::<Bool>(within));
            }
            query
        };
        let ended = || {
            let mut query = hitl_requests::table
                .filter(hitl_requests::id.ge(Uuid::from_bytes(time_of_id::first(since))))
                .filter(hitl_requests::status.ne("pending"))
                .order(hitl_requests::id.desc())
                .limit(limit.into())
                .select((
                    hitl_requests::status,
                    hitl_requests::kind,
                    hitl_requests::agent,
                    hitl_requests::created_at,
                    sql::<Nullable<Text>>(
                        "CASE WHEN status IN ('approved', 'rejected', 'amended') \
                         THEN body -> 'state' ->> 'at' END",
                    ),
                    sql::<Nullable<Text>>("body -> 'state' ->> 'by'"),
                ))
                .into_boxed();
            if let Some(id) = project {
                query = query.filter(hitl_requests::project_id.eq(id.uuid()));
            }
            if let Some(within) = &within_by_index {
                query = query.filter(sql::<Bool>(within));
            }
            query
        };
        let counts: Vec<CountedRow> = self
            .read(TABLE, |connection| {
                let query = pending();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        let first: Option<(Uuid, Uuid, i64)> = self
            .read(TABLE, |connection| {
                let query = oldest();
                async move { query.get_result(connection).await.optional() }.boxed()
            })
            .await?;
        let lines: Vec<LineRow> = self
            .read(TABLE, |connection| {
                let query = ended();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        Ok(HitlSample {
            pending: hitl_lines::counted(counts)?,
            oldest: first.map(|(id, project, at)| OldestRequest {
                id: HitlRequestId::from_uuid(id),
                project_id: ProjectId::from_uuid(project),
                created_at: Timestamp::from_micros(at),
            }),
            ended: hitl_lines::lines(lines)?,
        })
    }

    async fn expired(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError> {
        let query = move || {
            hitl_requests::table
                .filter(hitl_requests::status.eq("pending"))
                .filter(hitl_requests::expires_at.le(now.micros()))
                .order(hitl_requests::id)
                .limit(limit.into())
                .select(COLUMNS)
        };
        let rows: Vec<(Uuid, String)> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        bodies(TABLE, rows)
    }

    async fn open_requests(&self) -> Result<Vec<OpenRequests>, StoreError> {
        let query = move || {
            hitl_requests::table
                .filter(hitl_requests::status.eq("pending"))
                .group_by(hitl_requests::kind)
                .select((hitl_requests::kind, count_star(), min(hitl_requests::created_at)))
        };
        let rows: Vec<(String, i64, Option<i64>)> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        open_requests(rows)
    }
}
