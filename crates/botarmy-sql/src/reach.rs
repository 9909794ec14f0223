//! Reaches as conditions in SQL, as text that both databases understand.
//!
//! The values in the text are ids, which need no quoting. No log but that of a project is within a
//! limited reach.

use botarmy_domain::ids::{ContextId, EventId, HitlRequestId, ProjectId, TaskId};
use botarmy_domain::{ObjectId, Reach, access::Sight};
use uuid::Uuid;

use crate::dialect::Dialect;

/// Largest number of objects in a statement of [`within`].
const MAX_OBJECTS: usize = 100;

/// Returns the condition that the project whose id is in a column is within the reach; `None` if
/// nothing is hidden.
#[must_use]
pub fn condition(dialect: Dialect, column: &str, reach: &Reach) -> Option<String> {
    all(reach, |sight| match projects(dialect, sight) {
        Some(projects) => format!("{column} IN ({projects})"),
        None => "false".to_owned(),
    })
}

/// Returns the same condition so that no index serves it: rows are read in the order of another
/// index until there are enough.
#[must_use]
pub fn filter(dialect: Dialect, column: &str, reach: &Reach) -> Option<String> {
    all(reach, |sight| match projects(dialect, sight) {
        Some(projects) => (dialect.without_index)(column, &format!("IN ({projects})")),
        None => "false".to_owned(),
    })
}

/// Returns the condition that a row of `projects` is within the reach; `None` if nothing is hidden.
#[must_use]
pub fn of_projects(dialect: Dialect, reach: &Reach) -> Option<String> {
    all(reach, |sight| match (projects(dialect, sight), sight.creator) {
        // One index has such projects in the order of a page.
        (Some(_), Some(creator)) if sight.projects.is_empty() => {
            format!("projects.creator = {}", (dialect.id)(creator.uuid()))
        }
        (Some(projects), _) => format!("projects.id IN ({projects})"),
        (None, _) => "false".to_owned(),
    })
}

/// Returns the statements for the ids of those of these objects that exist in a project within the
/// reach, each with a function that makes an object of an id. Objects of one kind share a statement.
///
/// A statement does the same work for an object of another project as for one that does not exist: it
/// looks at the row with the last id that is not after the one that is wanted, and for the project of
/// that row. Only if that project is within the reach it looks whether the row is the one.
pub fn within(
    dialect: Dialect,
    reach: &Reach,
    objects: &[ObjectId],
) -> impl Iterator<Item = (String, fn(Uuid) -> ObjectId)> {
    let is_visible = all(reach, |sight| of_row(dialect, sight)).unwrap_or_else(|| "true".into());
    let mut objects = objects.to_vec();
    objects.sort_unstable();
    let of_kind: Vec<Vec<ObjectId>> =
        objects.chunk_by(|one, other| one.kind() == other.kind()).map(<[_]>::to_vec).collect();
    of_kind.into_iter().flat_map(move |objects| {
        let Some(first) = objects.first() else { return Vec::new() };
        let (table, project, make) = table_of(*first);
        let statement = |ids: &[ObjectId]| {
            let ids: Vec<_> =
                ids.iter().map(|id| format!("({})", (dialect.id)(id.uuid()))).collect();
            // A database may evaluate conditions in any order, but not the parts of a CASE.
            let sql = format!(
                "SELECT wanted.column1 AS id FROM (VALUES {}) AS wanted WHERE CASE (\
                 SELECT 1 FROM projects WHERE projects.id = (\
                 SELECT near.{project} FROM {table} AS near WHERE near.id <= wanted.column1 \
                 ORDER BY near.id DESC LIMIT 1) AND {is_visible}) \
                 WHEN 1 THEN (SELECT 1 FROM {table} AS exact WHERE exact.id = wanted.column1) = 1 \
                 ELSE false END",
                ids.join(", ")
            );
            (sql, make)
        };
        objects.chunks(MAX_OBJECTS).map(statement).collect::<Vec<_>>()
    })
}

/// Returns the table of an object, its column with the project, and what makes such an object of an id.
fn table_of(object: ObjectId) -> (&'static str, &'static str, fn(Uuid) -> ObjectId) {
    match object {
        ObjectId::Project(_) => {
            ("projects", "id", |id| ObjectId::Project(ProjectId::from_uuid(id)))
        }
        ObjectId::Task(_) => ("tasks", "project_id", |id| ObjectId::Task(TaskId::from_uuid(id))),
        ObjectId::Request(_) => {
            ("hitl_requests", "project_id", |id| ObjectId::Request(HitlRequestId::from_uuid(id)))
        }
        ObjectId::Artifact(_) => {
            ("artifacts", "project_id", |id| ObjectId::Artifact(ContextId::from_uuid(id)))
        }
        ObjectId::Entry(_) => ("events", "log", |id| ObjectId::Entry(EventId::from_uuid(id))),
    }
}

/// Returns the condition that a single row of `projects` is in a sight.
fn of_row(dialect: Dialect, sight: &Sight) -> String {
    let named = named(dialect, sight).join(", ");
    let creator = sight.creator.map(|id| format!("projects.creator = {}", (dialect.id)(id.uuid())));
    match (named.is_empty(), creator) {
        (true, None) => "false".to_owned(),
        (true, Some(own)) => own,
        (false, None) => format!("projects.id IN ({named})"),
        (false, Some(own)) => format!("({own} OR projects.id IN ({named}))"),
    }
}

fn all(reach: &Reach, condition: impl Fn(&Sight) -> String) -> Option<String> {
    let conditions: Vec<_> = reach.sights().iter().map(condition).collect();
    (!conditions.is_empty()).then(|| conditions.join(" AND "))
}

/// Returns the list of the projects in a sight, or the query for their ids; `None` if it has none.
fn projects(dialect: Dialect, sight: &Sight) -> Option<String> {
    let named = named(dialect, sight);
    let Some(creator) = sight.creator else {
        return (!named.is_empty()).then(|| named.join(", "));
    };
    let own = format!("SELECT id FROM projects WHERE creator = {}", (dialect.id)(creator.uuid()));
    let rows: Vec<_> = named.iter().map(|id| format!("({id})")).collect();
    let rows = rows.join(", ");
    Some(if rows.is_empty() { own } else { format!("{own} UNION ALL VALUES {rows}") })
}

/// Returns the projects that a sight names.
fn named(dialect: Dialect, sight: &Sight) -> Vec<String> {
    // The id of zeros stands for the log of the system.
    let named = sight.projects.iter().map(|id| id.uuid()).filter(|id| !id.is_nil());
    named.map(dialect.id).collect()
}

#[cfg(test)]
mod tests {
    use botarmy_domain::ids::PrincipalId;

    use super::*;

    fn project(n: u128) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(n))
    }

    fn named(projects: &[u128]) -> Sight {
        Sight { projects: projects.iter().copied().map(project).collect(), creator: None }
    }

    #[test]
    fn the_reach_over_everything_adds_no_condition() {
        let reach = Reach::everything();
        assert_eq!(condition(Dialect::SQLITE, "log", &reach), None);
        assert_eq!(filter(Dialect::POSTGRES, "log", &reach), None);
        assert_eq!(of_projects(Dialect::SQLITE, &reach), None);
    }

    #[test]
    fn a_limited_reach_is_a_list_a_query_or_nothing() {
        let sql = |sight| condition(Dialect::SQLITE, "log", &Reach::limited([sight])).unwrap();
        let (one, two) =
            ("x'00000000000000000000000000000001'", "x'00000000000000000000000000000002'");
        assert_eq!(sql(named(&[1, 2])), format!("log IN ({one}, {two})"));
        assert_eq!(sql(Sight::default()), "false");
        let own =
            Sight { creator: Some(PrincipalId::from_uuid(Uuid::from_u128(2))), ..named(&[1]) };
        assert_eq!(
            sql(own),
            format!(
                "log IN (SELECT id FROM projects WHERE creator = {two} UNION ALL VALUES ({one}))"
            )
        );
    }

    #[test]
    fn the_log_of_the_system_is_in_no_limited_reach() {
        let sql = condition(Dialect::POSTGRES, "log", &Reach::limited([named(&[0])]));
        assert_eq!(sql.as_deref(), Some("false"));
    }

    #[test]
    fn objects_of_one_kind_share_statements_of_a_limited_length() {
        let id = |n| Uuid::from_u128(n);
        let mut objects: Vec<_> =
            (1..=150).map(|n| ObjectId::Artifact(ContextId::from_uuid(id(n)))).collect();
        objects.push(ObjectId::Task(TaskId::from_uuid(id(1))));
        let reach = Reach::limited([named(&[1])]);
        let found: Vec<_> = within(Dialect::SQLITE, &reach, &objects).collect();
        let lengths: Vec<_> = found.iter().map(|(sql, _)| sql.matches("(x'").count()).collect();
        assert_eq!(lengths.len(), 3, "{lengths:?}");
        assert!(found[0].0.contains("FROM tasks AS near") && found[1].0.contains("FROM artifacts"));
        assert_eq!(found[1].1(id(9)), ObjectId::Artifact(ContextId::from_uuid(id(9))));
        assert_eq!(within(Dialect::SQLITE, &reach, &[]).count(), 0);
    }

    #[test]
    fn a_single_row_is_within_the_reach_if_it_is_in_every_sight() {
        let ada = Some(PrincipalId::from_uuid(Uuid::from_u128(2)));
        let object = [ObjectId::Project(project(7))];
        let sql = |reach: &Reach| within(Dialect::SQLITE, reach, &object).next().unwrap().0;
        let (one, two) =
            ("x'00000000000000000000000000000001'", "x'00000000000000000000000000000002'");
        let both = Reach::limited([
            Sight { creator: ada, ..named(&[0, 1]) },
            Sight { creator: ada, ..Sight::default() },
        ]);
        let condition = format!(
            "(projects.creator = {two} OR projects.id IN ({one})) AND projects.creator = {two}) WHEN"
        );
        assert!(sql(&both).contains(&condition), "{}", sql(&both));
        assert!(sql(&Reach::limited([Sight::default()])).contains(" AND false) WHEN"));
        assert!(sql(&Reach::everything()).contains(" AND true) WHEN"));
    }
}
