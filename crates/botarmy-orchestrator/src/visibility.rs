//! The part of the projects that a caller sees. An object that it does not see is answered like one that
//! does not exist, and as quickly: the store says whether the object is within the reach of the caller,
//! with the same work for both, and only then anything of it is read.

use std::collections::BTreeSet;
use std::sync::Arc;

use botarmy_domain::{
    Caller, DomainError, Error, LogId, ObjectId, Permission, Place, Project, ProjectId, Reach,
    StoreError,
};

use crate::engine::Engine;

/// Returns the reaches in which a caller sees objects, if something that needs this permission is to be
/// done with them: what it may read, and what it has this permission on.
fn reaches(caller: &Caller, permission: Permission) -> impl Iterator<Item = Reach> {
    // Most permissions come with that to read.
    let implies_reading =
        permission.roles().all(|role| role.permissions().has(Permission::ProjectRead));
    let further = (!implies_reading).then_some(permission);
    [Permission::ProjectRead].into_iter().chain(further).filter_map(|one| caller.reach(one).ok())
}

impl Engine {
    /// Returns those of these objects that a caller sees, if something that needs this permission is to be
    /// done with them. Of a caller that may read everything it is not checked whether they exist, so that
    /// nothing is read.
    pub(crate) async fn seen(
        &self,
        caller: &Caller,
        permission: Permission,
        objects: impl IntoIterator<Item = ObjectId>,
    ) -> Result<BTreeSet<ObjectId>, StoreError> {
        let objects: Vec<_> = objects.into_iter().collect();
        if objects.is_empty() || caller.rights().has_globally(Permission::ProjectRead) {
            return Ok(objects.into_iter().collect());
        }
        let mut seen = BTreeSet::new();
        for reach in reaches(caller, permission) {
            if reach.is_everything() {
                return Ok(objects.into_iter().collect());
            }
            if seen.len() < objects.len() {
                seen.extend(self.ports.stores.projects.within(&reach, &objects).await?);
            }
        }
        Ok(seen)
    }

    /// Checks that a caller sees an object with which something is to be done that needs this permission.
    /// Of a caller that may read everything it is not checked whether the object exists.
    ///
    /// # Errors
    /// That of [`Caller::missing`], if the caller does not see it, or it does not exist.
    pub(crate) async fn check_seen(
        &self,
        caller: &Caller,
        permission: Permission,
        object: ObjectId,
    ) -> Result<(), Error> {
        if !caller.rights().has_globally(Permission::ProjectRead)
            && self.seen(caller, permission, [object]).await?.is_empty()
        {
            let missing = DomainError::not_found(object.kind(), object.uuid());
            return Err(caller.missing(permission, missing).into());
        }
        Ok(())
    }

    /// Checks that a caller sees a project before anything of it is loaded for a decision that needs this
    /// permission. The decision checks the permission.
    pub(crate) async fn check_project(
        &self,
        caller: &Caller,
        permission: Permission,
        id: ProjectId,
    ) -> Result<(), Error> {
        self.check_seen(caller, permission, ObjectId::Project(id)).await
    }

    /// Returns a project on which the caller has this permission.
    ///
    /// # Errors
    /// For a project that it does not see, or that does not exist, that of [`Caller::missing`]; then
    /// [`DomainError::NotPermitted`].
    pub(crate) async fn project_for(
        &self,
        caller: &Caller,
        id: ProjectId,
        permission: Permission,
    ) -> Result<Arc<Project>, Error> {
        self.check_project(caller, permission, id).await?;
        let found = self.ports.stores.projects.project(id).await?;
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
        self.project_for(caller, id, Permission::ProjectRead).await
    }

    /// Checks that the caller may read in a project. Of a caller that may read everything it is not
    /// checked whether the project exists, so that nothing is read.
    pub(crate) async fn check_readable(&self, caller: &Caller, id: ProjectId) -> Result<(), Error> {
        self.check_project(caller, Permission::ProjectRead, id).await
    }

    /// Checks that an external worker may work in a project.
    pub(crate) async fn check_work(&self, caller: &Caller, id: ProjectId) -> Result<(), Error> {
        if !caller.rights().has_globally(Permission::WorkDo) {
            self.project_for(caller, id, Permission::WorkDo).await?;
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
