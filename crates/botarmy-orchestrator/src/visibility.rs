//! The part of the projects that a caller sees. An object that it does not see is answered like one that
//! does not exist, and about as quickly: the store filters, and reads as much for an unknown id.

use std::sync::Arc;

use botarmy_domain::{
    Caller, DomainError, Error, LogId, Permission, Place, Project, ProjectId, Reach, Sight,
    StoreError,
};

use crate::engine::Engine;

/// Permissions of which every caller has one on each project that it sees: all roles but that of a
/// worker can read.
const SEEING: [Permission; 2] = [Permission::ProjectRead, Permission::WorkDo];

impl Engine {
    /// Returns the project, if it exists and the caller has any permission on it.
    async fn seen_project(
        &self,
        caller: &Caller,
        id: ProjectId,
    ) -> Result<Option<Arc<Project>>, StoreError> {
        let projects = &self.ports.stores.projects;
        if SEEING.iter().any(|permission| caller.rights().has_globally(*permission)) {
            return projects.project(id).await;
        }
        for permission in SEEING {
            let Ok(reach) = caller.reach(permission) else { continue };
            let this = Sight { projects: [id].into(), creator: None };
            let reach = Reach::limited(reach.sights().iter().cloned().chain([this]));
            let found = projects.projects(&reach, None, None, 1).await?;
            let found = found.into_iter().find(|found| found.id == id);
            if let Some(found) = found.filter(|found| caller.sees(id, found.creator)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Checks that the caller has a permission on a project.
    ///
    /// # Errors
    /// The `hidden` error for a project that it does not see, or that does not exist; then
    /// [`DomainError::NotPermitted`].
    async fn check_place(
        &self,
        caller: &Caller,
        id: ProjectId,
        permission: Permission,
        hidden: impl FnOnce() -> DomainError,
    ) -> Result<Arc<Project>, Error> {
        let found = self.seen_project(caller, id).await?.ok_or_else(hidden)?;
        caller.check(permission, Place::Project { id, creator: found.creator })?;
        Ok(found)
    }

    /// Returns a project that the caller may read.
    pub(crate) async fn readable_project(
        &self,
        caller: &Caller,
        id: ProjectId,
    ) -> Result<Arc<Project>, Error> {
        self.check_place(caller, id, Permission::ProjectRead, || no_project(id)).await
    }

    /// Returns a project on which the caller has this permission.
    pub(crate) async fn project_for(
        &self,
        caller: &Caller,
        id: ProjectId,
        permission: Permission,
    ) -> Result<Arc<Project>, Error> {
        self.check_place(caller, id, permission, || no_project(id)).await
    }

    /// Checks that the caller may read in a project. Of a caller that may read everything it is not
    /// checked whether the project exists, so that nothing is read.
    pub(crate) async fn check_readable(&self, caller: &Caller, id: ProjectId) -> Result<(), Error> {
        if !caller.rights().has_globally(Permission::ProjectRead) {
            self.readable_project(caller, id).await?;
        }
        Ok(())
    }

    /// Checks that an external worker may work in a project.
    pub(crate) async fn check_work(&self, caller: &Caller, id: ProjectId) -> Result<(), Error> {
        if !caller.rights().has_globally(Permission::WorkDo) {
            self.project_for(caller, id, Permission::WorkDo).await?;
        }
        Ok(())
    }

    /// Checks that the caller may read an object of this project; `None` for an object that does not
    /// exist.
    ///
    /// # Errors
    /// That the object does not exist, if the caller does not see its project.
    pub(crate) async fn check_readable_object(
        &self,
        caller: &Caller,
        project: Option<ProjectId>,
        what: &'static str,
        id: impl std::fmt::Display + Send,
    ) -> Result<(), Error> {
        self.check_object(caller, project, Some(Permission::ProjectRead), what, id).await
    }

    /// Checks that the caller sees an object of this project, of which a decision is to be taken; `None`
    /// for an object that does not exist.
    ///
    /// # Errors
    /// That the object does not exist, if the caller does not see its project.
    pub(crate) async fn check_seen_object(
        &self,
        caller: &Caller,
        project: Option<ProjectId>,
        what: &'static str,
        id: impl std::fmt::Display + Send,
    ) -> Result<(), Error> {
        self.check_object(caller, project, None, what, id).await
    }

    async fn check_object(
        &self,
        caller: &Caller,
        project: Option<ProjectId>,
        permission: Option<Permission>,
        what: &'static str,
        id: impl std::fmt::Display + Send,
    ) -> Result<(), Error> {
        let known = permission.unwrap_or(Permission::ProjectRead);
        if caller.rights().has_globally(known) {
            return match project {
                Some(_) => Ok(()),
                None => Err(DomainError::not_found(what, id).into()),
            };
        }
        // No project has this id, and it is looked for so that the answer takes as long.
        let project = project.unwrap_or(LogId::System.key());
        let found = self.seen_project(caller, project).await?;
        let found = found.ok_or_else(|| DomainError::not_found(what, id))?;
        if let Some(permission) = permission {
            caller.check(permission, Place::Project { id: project, creator: found.creator })?;
        }
        Ok(())
    }

    /// Checks that the caller may read a log.
    pub(crate) async fn check_log(&self, caller: &Caller, log: LogId) -> Result<(), Error> {
        match log {
            LogId::Project(id) => self.check_readable(caller, id).await,
            LogId::System => Ok(caller.check(Permission::SystemRead, Place::Installation)?),
        }
    }
}

/// Returns the error for a project that does not exist.
pub(crate) fn no_project(id: ProjectId) -> DomainError {
    DomainError::not_found("Project", id)
}
