//! Values of the domain as the templates show them. Pure.

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod agent;
pub(crate) mod amounts;
pub(crate) mod answer_form;
pub(crate) mod artifact;
pub(crate) mod audit;
pub(crate) mod diff;
pub(crate) mod discussion;
pub(crate) mod document;
pub(crate) mod gate;
#[cfg(test)]
mod golden;
pub(crate) mod graph;
pub(crate) mod icon;
pub(crate) mod inbox;
pub(crate) mod lease;
pub(crate) mod log;
mod markdown;
pub(crate) mod markup;
pub(crate) mod project;
pub(crate) mod raw;
pub(crate) mod request;
pub(crate) mod review;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod sentence;
pub(crate) mod shim;
pub(crate) mod source;
pub(crate) mod state;
pub(crate) mod stop;
pub(crate) mod task;
pub(crate) mod texts;
pub(crate) mod time;
pub(crate) mod timeline;
pub(crate) mod typed_json;
pub(crate) mod usage;
pub(crate) mod waiting;
