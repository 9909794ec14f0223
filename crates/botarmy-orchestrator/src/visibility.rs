//! The part of the projects that a caller sees. An object that it does not see is answered like one that
//! does not exist, and about as quickly: the store filters, and reads as much for an unknown id.

use std::sync::Arc;

use botarmy_domain::{
    Caller, DomainError, Error, LogId, Permission, Place, Project, ProjectId, Reach, Sight,
    StoreError,
};

use crate::engine::Engine;

impl Engine {
    /// Returns the project, if it exists and the caller may read in it or has this permission on it.
    async fn seen_project(
        &self,
        caller: &Caller,
        id: ProjectId,
        permission: Permission,
    ) -> Result<Option<Arc<Project>>, StoreError> {
        let projects = &self.ports.stores.projects;
        let seeing = [Permission::ProjectRead, permission];
        if seeing.iter().any(|permission| caller.rights().has_globally(*permission)) {
            return projects.project(id).await;
        }
        for permission in seeing {
            let Ok(reach) = caller.reach(permission) else { continue };
            let this = Sight { projects: [id].into(), creator: None };
            let reach = Reach::limited(reach.sights().iter().cloned().chain([this]));
            let found = projects.projects(&reach, None, None, 1).await?;
            if let Some(found) = found.into_iter().find(|found| found.id == id) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Checks that the caller has a permission on a project.
    ///
    /// # Errors
    /// For a project that it does not see, or that does not exist, that of [`Caller::missing`]; then
    /// [`DomainError::NotPermitted`].
    async fn check_place(
        &self,
        caller: &Caller,
        id: ProjectId,
        permission: Permission,
    ) -> Result<Arc<Project>, Error> {
        let found = self.seen_project(caller, id, permission).await?;
        let found = found.ok_or_else(|| caller.missing(permission, no_project(id)))?;
        caller.check(permission, Place::Project { id, creator: found.creator })?;
        Ok(found)
    }

    /// Returns a project that the caller may read.
    pub(crate) async fn readable_project(
        &self,
        caller: &Caller,
        id: ProjectId,
    ) -> Result<Arc<Project>, Error> {
        self.check_place(caller, id, Permission::ProjectRead).await
    }

    /// Returns a project on which the caller has this permission.
    pub(crate) async fn project_for(
        &self,
        caller: &Caller,
        id: ProjectId,
        permission: Permission,
    ) -> Result<Arc<Project>, Error> {
        self.check_place(caller, id, permission).await
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
    /// That of [`Caller::missing`], if the caller does not see its project.
    pub(crate) async fn check_readable_object(
        &self,
        caller: &Caller,
        project: Option<ProjectId>,
        what: &'static str,
        id: impl std::fmt::Display + Send,
    ) -> Result<(), Error> {
        self.check_seen_object(caller, project, Permission::ProjectRead, what, id).await
    }

    /// Checks that the caller sees an object of this project, of which a decision is to be taken that
    /// needs this permission; `None` for an object that does not exist.
    ///
    /// # Errors
    /// That of [`Caller::missing`], if the caller does not see its project.
    pub(crate) async fn check_seen_object(
        &self,
        caller: &Caller,
        project: Option<ProjectId>,
        permission: Permission,
        what: &'static str,
        id: impl std::fmt::Display + Send,
    ) -> Result<(), Error> {
        let missing = || caller.missing(permission, DomainError::not_found(what, id));
        if caller.rights().has_globally(Permission::ProjectRead) {
            return if project.is_some() { Ok(()) } else { Err(missing().into()) };
        }
        // No project has this id, and it is looked for so that the answer takes as long.
        let project = project.unwrap_or(LogId::System.key());
        if self.seen_project(caller, project, permission).await?.is_none() {
            return Err(missing().into());
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
