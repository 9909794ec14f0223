//! Reaches as conditions in SQL, as text that both databases understand.
//!
//! The values in the text are ids, which need no quoting. No log but that of a project is within a
//! limited reach.

use botarmy_domain::{Reach, access::Sight};

use crate::dialect::Dialect;

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

fn all(reach: &Reach, condition: impl Fn(&Sight) -> String) -> Option<String> {
    let conditions: Vec<_> = reach.sights().iter().map(condition).collect();
    (!conditions.is_empty()).then(|| conditions.join(" AND "))
}

/// Returns the list of the projects in a sight, or the query for their ids; `None` if it has none.
fn projects(dialect: Dialect, sight: &Sight) -> Option<String> {
    // The id of zeros stands for the log of the system.
    let named = sight.projects.iter().map(|id| id.uuid()).filter(|id| !id.is_nil());
    let named: Vec<_> = named.map(dialect.id).collect();
    let Some(creator) = sight.creator else {
        return (!named.is_empty()).then(|| named.join(", "));
    };
    let own = format!("SELECT id FROM projects WHERE creator = {}", (dialect.id)(creator.uuid()));
    let rows: Vec<_> = named.iter().map(|id| format!("({id})")).collect();
    let rows = rows.join(", ");
    Some(if rows.is_empty() { own } else { format!("{own} UNION ALL VALUES {rows}") })
}

#[cfg(test)]
mod tests {
    use botarmy_domain::ids::{PrincipalId, ProjectId};
    use uuid::Uuid;

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
}
