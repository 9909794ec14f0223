//! The reach of a claim as a condition with parameters, so that its statement is prepared once for all
//! reaches of the same form.

use botarmy_domain::{Reach, Sight};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, Uuid as SqlUuid};
use uuid::Uuid;

/// Largest number of projects whose tasks are read instead of the queue.
const FEW: usize = 16;

/// Condition that the task `t` is of a project within a reach. It has no text for the reach over
/// everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Within(Vec<(Vec<Uuid>, Option<Uuid>)>);

impl Within {
    pub(crate) fn of(reach: &Reach) -> Self {
        let of = |sight: &Sight| {
            let projects = sight.projects.iter().map(|id| id.uuid()).collect();
            (projects, sight.creator.map(|id| id.uuid()))
        };
        Self(reach.sights().iter().map(of).collect())
    }
}

/// The text depends on the reach.
impl QueryId for Within {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Within {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for (projects, creator) in &self.0 {
            out.push_sql(" AND (t.project_id = ANY (");
            out.push_bind_param::<Array<SqlUuid>, _>(projects)?;
            out.push_sql(")");
            if let Some(creator) = creator {
                out.push_sql(" OR t.project_id IN (SELECT id FROM projects WHERE creator = ");
                out.push_bind_param::<SqlUuid, _>(creator)?;
                out.push_sql(")");
            }
            // The queue has an end, and so has the history of a few projects; that of many has not. No
            // index serves the second form.
            let is_few = creator.is_none() && projects.len() <= FEW;
            out.push_sql(if is_few { ")" } else { ") IS TRUE" });
        }
        Ok(())
    }
}
