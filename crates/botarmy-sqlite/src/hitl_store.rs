//! Reads of human-in-the-loop requests.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::HitlStore;
use botarmy_domain::{
    HitlRequest, HitlRequestId, HitlStatus, Page, ProjectId, StoreError, Timestamp,
};
use botarmy_sql::body;
use diesel::prelude::*;

use crate::error::reading;
use crate::rows::bodies;
use crate::schema::hitl_requests;
use crate::statements::{RequestIsPending, entity, limited, page};
use crate::store::SqliteStore;

const TABLE: &str = "hitl_requests";

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
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        self.read_list(limit, move |connection| {
            let after = after.map_or_else(Vec::new, |id| id.bytes().to_vec());
            let query = hitl_requests::table
                .filter(RequestIsPending)
                .filter(hitl_requests::id.gt(after))
                .order(hitl_requests::id)
                .select((hitl_requests::id, hitl_requests::body));
            page(connection, TABLE, limited(query, limit), entity(TABLE))
        })
        .await
    }

    async fn expired(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError> {
        self.read_list(limit, move |connection| {
            let query = hitl_requests::table
                .filter(RequestIsPending)
                .filter(hitl_requests::expires_at.le(now.micros()))
                .order(hitl_requests::id)
                .select((hitl_requests::id, hitl_requests::body));
            let rows = limited(query, limit).load(connection);
            bodies(TABLE, rows.map_err(|error| reading(TABLE, error))?)
        })
        .await
    }
}
