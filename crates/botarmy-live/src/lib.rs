//! Live frames: the entries of the logs as clients see them while they are written, in order,
//! without gaps or duplicates.
//!
//! [`Hub`] listens to the event bus and reads the logs; a [`Subscriber`] takes frames from it at
//! its own pace. This crate knows no web framework: `botarmy-ws` sends the frames over WebSocket.

#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
mod feed;
mod follower;
mod frame;
mod hub;
mod listeners;
mod resume_point;
mod sequencer;
mod settings;
mod subscriber;
mod topic;
mod visibility;

pub use follower::{Followed, Follower, Place};
pub use frame::Frame;
pub use hub::{Admission, Hub};
pub use resume_point::{MAX_POSITION, MalformedResumePoint, ResumePoint};
pub use settings::LiveSettings;
pub use subscriber::{SubscribeError, Subscriber, Target};
