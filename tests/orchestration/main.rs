//! The use cases on memory, with a clock that is turned by hand: what a project does when agents
//! and people do this or that.

mod gates;
mod projects;
mod tasks;
mod workflows;
