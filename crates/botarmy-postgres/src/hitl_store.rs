//! Reads of human-in-the-loop requests.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::hitl::{OldestRequest, OpenRequests, PendingFilter, SampleWindow};
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::HitlStore;
use botarmy_domain::{
    HitlRequest, HitlRequestId, HitlSample, HitlStatus, Page, ProjectId, Reach, StoreError,
    Timestamp,
};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::hitl_lines::{self, CountedRow, LineRow};
use botarmy_sql::pending::{self, Selection};
use botarmy_sql::{bodies, body, open_requests, reach, time_of_id};
use diesel::dsl::{count_star, min, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
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
        filter: &PendingFilter,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        let selection = pending::selection(Dialect::POSTGRES, reach, filter, after, surplus(limit));
        let after = after.map_or_else(Uuid::nil, HitlRequestId::uuid);
        let query = || {
            let mut query = hitl_requests::table
                .order(hitl_requests::id)
                .limit(surplus(limit))
                .select(COLUMNS)
                .into_boxed();
            if !matches!(selection, Selection::Among(_)) {
                query = query
                    .filter(hitl_requests::status.eq("pending"))
                    .filter(hitl_requests::id.gt(after));
            }
            if let Selection::Where(condition) | Selection::Among(condition) = &selection {
                query = query.filter(sql::<Bool>(condition));
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
        window: SampleWindow,
        limit: u32,
    ) -> Result<HitlSample, StoreError> {
        let within = reach::filter(Dialect::POSTGRES, PROJECT, reach);
        let within_by_index = reach::condition(Dialect::POSTGRES, PROJECT, reach);
        let pending = || {
            let mut query = hitl_requests::table
                .filter(hitl_requests::status.eq("pending"))
                .group_by((hitl_requests::kind, hitl_requests::agent, hitl_requests::policy))
                .select((
                    hitl_requests::kind,
                    hitl_requests::agent,
                    hitl_requests::policy,
                    count_star(),
                    sql::<BigInt>(&hitl_lines::overdue(window.now)),
                ))
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
                .filter(hitl_requests::id.ge(Uuid::from_bytes(time_of_id::first(window.since))))
                .filter(hitl_requests::status.ne("pending"))
                .order(hitl_requests::id.desc())
                .limit(limit.into())
                .select((
                    hitl_requests::status,
                    hitl_requests::kind,
                    hitl_requests::agent,
                    hitl_requests::policy,
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

    async fn due(
        &self,
        now: Timestamp,
        may_expire: bool,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError> {
        let query = move || {
            let mut query = hitl_requests::table
                .filter(hitl_requests::status.eq("pending"))
                .filter(hitl_requests::due_at.le(now.micros()))
                .order((hitl_requests::due_at, hitl_requests::id))
                .limit(limit.into())
                .select(COLUMNS)
                .into_boxed();
            if !may_expire {
                query = query.filter(sql::<Bool>("due_at < expires_at"));
            }
            query
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
