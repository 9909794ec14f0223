//! Forms with fields for roles: one line for each role, with the places where it is granted.

use std::collections::{BTreeMap, BTreeSet};

use botarmy_domain::seen::CHANGED_MEANWHILE;
use botarmy_domain::{DomainError, Grant, GrantTarget, ProjectId, Role, Seen};
use botarmy_web::Problem;
use serde::Deserialize;

use crate::guard::HasToken;
use crate::view::access::{self, GrantRow};

/// Beginnings of the names of fields for roles: all projects, own projects, projects by their ids.
const PLACES: [&str; 3] = ["all.", "own.", "in."];

/// Fields of a form by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl HasToken for Fields {
    fn form_token(&self) -> &str {
        self.get("form_token")
    }
}

/// Field that is wrong, with the constraint that it violates.
pub(super) type FieldError = (String, String);

impl Fields {
    /// Returns the value of a field; empty without one.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Returns all fields but these, with their values.
    pub(super) fn others(&self, known: &[&str]) -> Vec<(&str, &str)> {
        let fields = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        fields.filter(|(name, _)| !known.contains(name)).collect()
    }

    /// Checks that there are no fields but these, the token, and those for roles.
    ///
    /// # Errors
    /// A 422 that names the first other field.
    pub(super) fn check_names(&self, known: &[&str]) -> Result<(), Problem> {
        let is_of_role = |name: &str| {
            let role = PLACES.iter().find_map(|place| name.strip_prefix(place));
            role.is_some_and(|role| role.parse::<Role>().is_ok())
        };
        let is_known =
            |name: &str| name == "form_token" || known.contains(&name) || is_of_role(name);
        match self.0.keys().find(|name| !is_known(name)) {
            Some(name) => Err(Problem::invalid(name.clone(), "is not a field of this form")),
            None => Ok(()),
        }
    }

    /// Reads the boxes of roles, in a form with these fields besides.
    ///
    /// # Errors
    /// A 422 that names a field that is no role and none of these.
    pub(super) fn roles(&self, known: &[&str]) -> Result<BTreeSet<Role>, Problem> {
        let mut roles = BTreeSet::new();
        for name in self.0.keys().filter(|name| !known.contains(&name.as_str())) {
            match name.strip_prefix("role.").map(str::parse) {
                Some(Ok(role)) => drop(roles.insert(role)),
                _ if name == "form_token" => {}
                _ => return Err(Problem::invalid(name.clone(), "is not a field of this form")),
            }
        }
        Ok(roles)
    }

    /// Reads the roles.
    ///
    /// # Errors
    /// A text that is no id of a project.
    pub(super) fn grants(&self) -> Result<Vec<Grant>, FieldError> {
        let mut grants = Vec::new();
        for role in Role::ALL.iter().copied() {
            if !self.get(&format!("all.{role}")).is_empty() {
                grants.push(Grant::on_all(role));
            }
            if !self.get(&format!("own.{role}")).is_empty() {
                grants.push(Grant::on_own(role));
            }
            let field = format!("in.{role}");
            for id in self.words(&field) {
                let id: ProjectId = id
                    .parse()
                    .map_err(|_| (field.clone(), format!("names “{id}”, which is no id")))?;
                let grant = Grant { role, target: GrantTarget::Project(id) };
                if !grants.contains(&grant) {
                    grants.push(grant);
                }
            }
        }
        Ok(grants)
    }

    /// Returns the lines of the form for roles, as they were filled in.
    pub(super) fn grant_rows(&self) -> Vec<GrantRow> {
        let mut rows = access::grant_rows(&[]);
        for row in &mut rows {
            row.all = !self.get(&format!("all.{}", row.role)).is_empty();
            row.own = !self.get(&format!("own.{}", row.role)).is_empty();
            self.get(&format!("in.{}", row.role)).clone_into(&mut row.projects);
        }
        rows
    }

    /// Returns the parts of a field between commas and line ends, without surrounding white space.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let parts = self.get(name).split([',', '\n']).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        let separators = |c: char| c.is_whitespace() || c == ',';
        self.get(name).split(separators).filter(|word| !word.is_empty())
    }
}

/// Reads the version of the state that a form was shown with.
///
/// # Errors
/// A 422 without one.
pub(super) fn seen(text: &str) -> Result<Seen, Problem> {
    if text.is_empty() {
        return Err(Problem::invalid("seen", "must be the version that the page was shown with"));
    }
    Ok(Seen::with_text(text))
}

/// Whether a change was refused because the state is another one than was shown.
pub(super) fn is_changed(error: &DomainError) -> bool {
    matches!(error, DomainError::Conflict { code: CHANGED_MEANWHILE, .. })
}

#[cfg(test)]
mod tests {
    use botarmy_web::{UnknownFields, parse_query};

    use super::*;

    const ID: &str = "0190a0b0-0000-7000-8000-00000000000a";

    fn fields(text: &str) -> Fields {
        parse_query(text, UnknownFields::Reject).unwrap()
    }

    #[test]
    fn roles_are_read_as_they_are_shown() {
        let fields =
            fields(&format!("all.viewer=1&own.operator=1&in.operator={ID},+{ID}&in.admin="));
        let grants = fields.grants().unwrap();
        let expected = [
            Grant::on_all(Role::Viewer),
            Grant::on_own(Role::Operator),
            Grant::on_project(Role::Operator, ID.parse().unwrap()),
        ];
        assert_eq!(grants, expected);
        let rows = fields.grant_rows();
        assert!(rows[0].all && rows[1].own && rows[1].projects.contains(ID));
        fields.check_names(&[]).unwrap();
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let (field, message) = fields("in.viewer=recipes").grants().unwrap_err();
        assert_eq!(field, "in.viewer");
        assert!(message.contains("recipes"));
        for name in ["all.king", "all", "x", "on.viewer"] {
            assert!(fields(&format!("{name}=1")).check_names(&["name"]).is_err(), "{name}");
        }
        fields("name=x&form_token=y").check_names(&["name"]).unwrap();
    }

    #[test]
    fn boxes_of_roles_are_read() {
        let roles = fields("principal=x&role.viewer=1&role.admin=1&form_token=y");
        assert_eq!(roles.roles(&["principal"]).unwrap(), [Role::Viewer, Role::Admin].into());
        for bad in ["role.king=1", "viewer=1", "all.viewer=1"] {
            assert!(fields(bad).roles(&["principal"]).is_err(), "{bad}");
        }
    }

    #[test]
    fn groups_are_separated_by_commas_and_lines() {
        assert_eq!(fields("groups=a+b,+c%0D%0Ad,").list("groups"), ["a b", "c", "d"]);
    }
}
