//! The selection of pending requests as a condition in SQL, as text that both databases understand.
//!
//! Requests of which only some ask a person are found by the people whom they ask, in the order of the
//! list and no more than fill a page, so that no list reads all that are pending.

use botarmy_domain::hitl::{Asked, PendingFilter, Selector};
use botarmy_domain::{HitlRequestId, Reach};
use uuid::Uuid;

use crate::dialect::Dialect;
use crate::reach;

/// Column with the project of a request.
const PROJECT: &str = "hitl_requests.project_id";

/// Selection of pending requests, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// Those for which a condition holds.
    Where(String),
    /// Requests for which a condition holds. It holds for no others than pending ones of this page.
    Among(String),
}

/// Returns the selection of requests after this one, at most `limit`.
#[must_use]
pub fn selection(
    dialect: Dialect,
    reach: &Reach,
    filter: &PendingFilter,
    after: Option<HitlRequestId>,
    limit: i64,
) -> Selection {
    let mut conditions: Vec<String> = reach::filter(dialect, PROJECT, reach).into_iter().collect();
    if let Some(id) = filter.project {
        conditions.push(format!("{PROJECT} = {}", (dialect.id)(id.uuid())));
    }
    match filter.policy.as_deref() {
        None => {}
        Some("") => conditions.push("hitl_requests.policy IS NULL".to_owned()),
        Some(name) => conditions.push(format!("hitl_requests.policy = {}", (dialect.text)(name))),
    }
    if let Some(at) = filter.overdue_at {
        conditions.push(format!("hitl_requests.answer_by <= {}", at.micros()));
    }
    let page = Page { dialect, after: after.map_or_else(Uuid::nil, HitlRequestId::uuid), limit };
    let group = filter.group_names().map(|names| names.map(|name| (dialect.text)(&name)));
    match (&filter.asked, group) {
        (None, None) if conditions.is_empty() => Selection::All,
        (None, None) => Selection::Where(conditions.join(" AND ")),
        (None, Some(names)) => {
            Selection::Among(any_of(names.map(|who| page.asking(&who, &conditions))))
        }
        (Some(asked), group) => {
            if let Some(names) = group {
                conditions.push(format!(
                    "hitl_requests.id IN (SELECT request_id FROM hitl_people WHERE who IN ({}))",
                    names.join(", ")
                ));
            }
            Selection::Among(any_of(page.of(asked, &conditions)))
        }
    }
}

fn any_of(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<_> =
        parts.into_iter().map(|part| format!("SELECT id FROM ({part}) AS part")).collect();
    format!("hitl_requests.id IN ({})", parts.join(" UNION "))
}

/// A page of requests, of which each part of a selection is read.
struct Page {
    dialect: Dialect,
    after: Uuid,
    limit: i64,
}

impl Page {
    /// Returns the queries for requests that a person may answer: those that everyone may, and those
    /// that ask for what the person is.
    fn of(&self, asked: &Asked, conditions: &[String]) -> Vec<String> {
        let text = |selector: &Selector| (self.dialect.text)(&selector.to_string());
        let mut parts = vec![self.open_to_all(conditions)];
        parts.extend(asked.anywhere.iter().map(|one| self.asking(&text(one), conditions)));
        for (role, reach) in &asked.on_projects {
            let mut conditions = conditions.to_vec();
            conditions.extend(reach::filter(self.dialect, PROJECT, reach));
            parts.push(self.asking(&text(&Selector::Role(*role)), &conditions));
        }
        parts
    }

    fn open_to_all(&self, conditions: &[String]) -> String {
        let own = [
            "hitl_requests.status = 'pending'".to_owned(),
            "NOT hitl_requests.restricted".to_owned(),
            format!("hitl_requests.id > {}", (self.dialect.id)(self.after)),
        ];
        let conditions = [own.as_slice(), conditions].concat().join(" AND ");
        format!(
            "SELECT hitl_requests.id AS id FROM hitl_requests WHERE {conditions} \
             ORDER BY hitl_requests.id LIMIT {}",
            self.limit
        )
    }

    fn asking(&self, who: &str, conditions: &[String]) -> String {
        let own = format!(
            "hitl_people.who = {who} AND hitl_people.request_id > {}",
            (self.dialect.id)(self.after)
        );
        // SQLite reads the tables of a CROSS JOIN in this order, which is that of the page.
        let (from, conditions) = match conditions {
            [] => ("hitl_people", own),
            _ => (
                "hitl_people CROSS JOIN hitl_requests",
                format!(
                    "{own} AND hitl_requests.id = hitl_people.request_id AND {}",
                    conditions.join(" AND ")
                ),
            ),
        };
        format!(
            "SELECT hitl_people.request_id AS id FROM {from} WHERE {conditions} \
             ORDER BY hitl_people.request_id LIMIT {}",
            self.limit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(filter: &PendingFilter) -> Selection {
        selection(Dialect::SQLITE, &Reach::everything(), filter, None, 11)
    }

    #[test]
    fn without_people_a_condition_selects_from_the_list() {
        assert_eq!(select(&PendingFilter::default()), Selection::All);
        let filter = PendingFilter { policy: Some(String::new()), ..PendingFilter::default() };
        let expected = "hitl_requests.policy IS NULL".to_owned();
        assert_eq!(select(&filter), Selection::Where(expected));
    }

    #[test]
    fn each_description_of_a_person_is_a_part_of_the_page() {
        let asked = Asked {
            anywhere: vec![Selector::User("x' OR '1'='1".to_owned())],
            on_projects: vec![(botarmy_domain::Role::Admin, Reach::limited([]))],
        };
        let filter = PendingFilter { asked: Some(asked), ..PendingFilter::default() };
        let Selection::Among(sql) = select(&filter) else { panic!("it selects by people") };
        assert_eq!(sql.matches("LIMIT 11").count(), 3, "{sql}");
        assert!(!sql.contains("OR '1'"), "names are not part of the statement: {sql}");
    }

    #[test]
    fn a_group_is_found_as_it_is_asked_and_by_its_seat() {
        let filter = PendingFilter { group: Some("qa".to_owned()), ..PendingFilter::default() };
        let Selection::Among(sql) = select(&filter) else { panic!("it selects by people") };
        for who in ["group:qa", "seat:qa"] {
            assert!(sql.contains(&(Dialect::SQLITE.text)(who)), "{sql}");
        }
    }
}
