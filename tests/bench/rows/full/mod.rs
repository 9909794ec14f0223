//! The rows of the full profile: several replicas on PostgreSQL and Redis.

pub(crate) mod deliver;
pub(crate) mod noop;
pub(crate) mod size;
pub(crate) mod start;
pub(crate) mod submit;
