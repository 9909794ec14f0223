//! The name of a lease: task, fence and worker in hexadecimal.

use std::fmt;
use std::str::FromStr;

use botarmy_domain::{HeldLease, LeaseHolder, TaskId, WorkerId};

use super::names::{MAX_WORKER_ID, check_worker_id};

/// Lease in the form that workers see, opaque to them. It is not a secret, but a name for task, fence
/// and holder. The secret is sent beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeaseName(pub(super) HeldLease);

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeldLease { task, holder } = &self.0;
        let head = task.bytes().iter().copied().chain(holder.fence.to_be_bytes());
        head.chain(holder.worker.0.bytes()).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Length of the longest name: task, fence, and a principal and a worker whose every character has four
/// bytes.
const MAX_TEXT: usize = 2 * (16 + 4 + "external//".len() + 2 * 4 * MAX_WORKER_ID);

/// Error of a text that is not a lease.
const NO_LEASE: &str = "is not a lease that was handed out here";

impl FromStr for LeaseName {
    type Err = &'static str;

    /// Accepts exactly the text that was handed out. Another spelling of it is another name.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() > MAX_TEXT || !text.bytes().all(is_digit) {
            return Err(NO_LEASE);
        }
        let id = text.get(..32).ok_or(NO_LEASE)?;
        let task: TaskId = id.parse().map_err(|_| NO_LEASE)?;
        let mut rest = Vec::with_capacity(text.len() / 2);
        for pair in text.as_bytes()[32..].chunks(2) {
            let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(NO_LEASE);
            let &[high, low] = pair else { return Err(NO_LEASE) };
            rest.push(u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| NO_LEASE)?);
        }
        let (fence, worker) = rest.split_first_chunk().ok_or(NO_LEASE)?;
        let worker = WorkerId(String::from_utf8(worker.to_vec()).map_err(|_| NO_LEASE)?);
        // The name must not act for a worker of the servers, nor for one that cannot have asked.
        let name = worker.external_name().ok_or(NO_LEASE)?;
        // With access control, the name of its principal stands before it.
        let is_name = |name: &str| check_worker_id(name).is_ok_and(|checked| checked == name);
        let are_names = |(principal, worker)| is_name(principal) && is_name(worker);
        if !is_name(name) && !name.split_once('/').is_some_and(are_names) {
            return Err(NO_LEASE);
        }
        let holder = LeaseHolder { worker, fence: u32::from_be_bytes(*fence) };
        Ok(Self(HeldLease { task, holder }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::task;

    fn held(worker: &str) -> HeldLease {
        let holder = LeaseHolder { worker: WorkerId::external(worker), fence: 2 };
        HeldLease { task: task(1).id, holder }
    }

    #[test]
    fn a_lease_is_read_back_as_it_was_written_and_nothing_else_is_one() {
        let longest = "\u{1f600}".repeat(128);
        let longest = format!("{longest}/{longest}");
        for worker in ["w-1", "Wörker 1/2", &"x".repeat(128), &longest] {
            let held = held(worker);
            assert_eq!(LeaseName(held.clone()).to_string().parse(), Ok(LeaseName(held)));
        }
        let servers = HeldLease {
            holder: LeaseHolder { worker: WorkerId("worker-1".to_owned()), fence: 2 },
            ..held("w-1")
        };
        let servers = LeaseName(servers).to_string();
        let token = LeaseName(held("w-1")).to_string();
        let odd = &token[..token.len() - 1];
        for text in [
            "",
            "x",
            &token[..32],
            &token[..40],
            odd,
            &servers,
            &format!("{token}zz"),
            &"é".repeat(60),
            &token.to_uppercase(),
            &format!("{token}00"),
            &format!("{token}20"),
            &LeaseName(held(&"x".repeat(129))).to_string(),
            &LeaseName(held(&format!("a/{}", "x".repeat(129)))).to_string(),
            &LeaseName(held(&format!("/{}", "x".repeat(128)))).to_string(),
            &"0".repeat(200_000),
        ] {
            assert!(text.parse::<LeaseName>().is_err(), "{text}");
        }
    }
}
