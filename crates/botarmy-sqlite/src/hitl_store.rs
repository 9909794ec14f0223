//! Reads of human-in-the-loop requests.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::hitl::{OldestRequest, OpenRequests, PendingFilter, SampleWindow};
use botarmy_domain::ports::HitlStore;
use botarmy_domain::{
    HitlRequest, HitlRequestId, HitlSample, HitlStatus, Page, ProjectId, Reach, StoreError,
    Timestamp,
};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::hitl_lines::{self, CountedRow, LineRow};
use botarmy_sql::pending::{self, Selection};
use botarmy_sql::{body, corrupt, open_requests, reach, time_of_id};
use diesel::dsl::{count_star, min, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use uuid::Uuid;

use crate::error::reading;
use crate::rows::{bodies, key_text, project_id};
use crate::schema::hitl_requests;
use crate::statements::{RequestIsDueBeforeExpiry, RequestIsPending, entity, limited, page};
use crate::store::SqliteStore;

const TABLE: &str = "hitl_requests";
/// Column with the project of a request.
const PROJECT: &str = "hitl_requests.project_id";

/// Reads the id of a request.
fn request_id(key: &[u8]) -> Result<HitlRequestId, StoreError> {
    let uuid = Uuid::from_slice(key).map_err(|error| corrupt(TABLE, key_text(key), error))?;
    Ok(HitlRequestId::from_uuid(uuid))
}

#[async_trait]
impl HitlStore for SqliteStore {
    async fn request(&self, id: HitlRequestId) -> Result<Option<Arc<HitlRequest>>, StoreError> {
        self.read_now(|connection| {
            let row: Option<String> = hitl_requests::table
                .find(id.bytes().as_slice())
                .select(hitl_requests::body)
                .get_result(connection)
                .optional()
                .map_err(|error| reading(TABLE, error))?;
            row.map(|row| body(TABLE, id, &row)).transpose()
        })
    }

    async fn requests(
        &self,
        project: ProjectId,
        status: Option<HitlStatus>,
        before: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        self.read_list(limit, move |connection| {
            let mut query = hitl_requests::table
                .filter(hitl_requests::project_id.eq(project.bytes().as_slice()))
                .select((hitl_requests::id, hitl_requests::body))
                .order(hitl_requests::id.desc())
                .into_boxed();
            if let Some(status) = status {
                query = query.filter(hitl_requests::status.eq(status.as_str()));
            }
            if let Some(before) = &before {
                query = query.filter(hitl_requests::id.lt(before.bytes().as_slice()));
            }
            page(connection, TABLE, limited(query, limit), entity(TABLE))
        })
        .await
    }

    async fn pending(
        &self,
        reach: &Reach,
        filter: &PendingFilter,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        let most = i64::from(limit) + 1;
        let selection = pending::selection(Dialect::SQLITE, reach, filter, after, most);
        self.read_list(limit, move |connection| {
            let after = after.map_or_else(Vec::new, |id| id.bytes().to_vec());
            let query = hitl_requests::table
                .order(hitl_requests::id)
                .select((hitl_requests::id, hitl_requests::body));
            let listed =
                || query.filter(RequestIsPending).filter(hitl_requests::id.gt(after.clone()));
            let entity = entity(TABLE);
            match &selection {
                Selection::All => page(connection, TABLE, limited(listed(), limit), entity),
                Selection::Where(condition) => {
                    let query = listed().filter(sql::<Bool>(condition));
                    page(connection, TABLE, limited(query, limit), entity)
                }
                Selection::Among(condition) => {
                    let query = query.filter(sql::<Bool>(condition));
                    page(connection, TABLE, limited(query, limit), entity)
                }
            }
        })
        .await
    }

    async fn sample(
        &self,
        reach: &Reach,
        project: Option<ProjectId>,
        window: SampleWindow,
        limit: u32,
    ) -> Result<HitlSample, StoreError> {
        let within = reach::filter(Dialect::SQLITE, PROJECT, reach);
        let within_by_index = reach::condition(Dialect::SQLITE, PROJECT, reach);
        self.read_aside(move |connection| {
            let error = |error| reading(TABLE, error);
            let of = project.map(|id| id.bytes().to_vec());
            let mut pending = hitl_requests::table
                .filter(RequestIsPending)
                .group_by((hitl_requests::kind, hitl_requests::agent, hitl_requests::policy))
                .select((
                    hitl_requests::kind,
                    hitl_requests::agent,
                    hitl_requests::policy,
                    count_star(),
                    sql::<BigInt>(&hitl_lines::overdue(window.now)),
                ))
                .into_boxed();
            let mut oldest = hitl_requests::table
                .filter(RequestIsPending)
                .order(hitl_requests::id)
                .select((hitl_requests::id, hitl_requests::project_id, hitl_requests::created_at))
                .into_boxed();
            let mut ended = hitl_requests::table
                .filter(hitl_requests::id.ge(time_of_id::first(window.since).to_vec()))
                .filter(hitl_requests::status.ne("pending"))
                .order(hitl_requests::id.desc())
                .select((
                    hitl_requests::status,
                    hitl_requests::kind,
                    hitl_requests::agent,
                    hitl_requests::policy,
                    hitl_requests::created_at,
                    sql::<Nullable<Text>>(
                        "CASE WHEN status IN ('approved', 'rejected', 'amended') \
                         THEN body ->> '$.state.at' END",
                    ),
                    sql::<Nullable<Text>>("body ->> '$.state.by'"),
                ))
                .into_boxed();
            if let Some(of) = of {
                pending = pending.filter(hitl_requests::project_id.eq(of.clone()));
                oldest = oldest.filter(hitl_requests::project_id.eq(of.clone()));
                ended = ended.filter(hitl_requests::project_id.eq(of));
            }
            if let Some(within) = &within {
                pending = pending.filter(sql::<Bool>(within));
                oldest = oldest.filter(sql::<Bool>(within));
            }
            if let Some(within) = &within_by_index {
                ended = ended.filter(sql::<Bool>(within));
            }
            let pending: Vec<CountedRow> = pending.load(connection).map_err(error)?;
            let oldest: Option<(Vec<u8>, Vec<u8>, i64)> =
                limited(oldest, 1).get_result(connection).optional().map_err(error)?;
            let ended: Vec<LineRow> = limited(ended, limit).load(connection).map_err(error)?;
            let oldest = oldest.map(|(id, project, at)| {
                Ok::<_, StoreError>(OldestRequest {
                    id: request_id(&id)?,
                    project_id: project_id(TABLE, &project)?,
                    created_at: Timestamp::from_micros(at),
                })
            });
            Ok(HitlSample {
                pending: hitl_lines::counted(pending)?,
                oldest: oldest.transpose()?,
                ended: hitl_lines::lines(ended)?,
            })
        })
        .await
    }

    async fn due(
        &self,
        now: Timestamp,
        may_expire: bool,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError> {
        self.read_list(limit, move |connection| {
            let query = hitl_requests::table
                .filter(RequestIsPending)
                .filter(hitl_requests::due_at.le(now.micros()))
                .order((hitl_requests::due_at, hitl_requests::id))
                .select((hitl_requests::id, hitl_requests::body));
            let rows = if may_expire {
                limited(query, limit).load(connection)
            } else {
                limited(query.filter(RequestIsDueBeforeExpiry), limit).load(connection)
            };
            bodies(TABLE, rows.map_err(|error| reading(TABLE, error))?)
        })
        .await
    }

    async fn open_requests(&self) -> Result<Vec<OpenRequests>, StoreError> {
        self.read_aside(|connection| {
            let query = hitl_requests::table.filter(RequestIsPending).group_by(hitl_requests::kind);
            let query =
                query.select((hitl_requests::kind, count_star(), min(hitl_requests::created_at)));
            open_requests(query.load(connection).map_err(|error| reading(TABLE, error))?)
        })
        .await
    }
}
