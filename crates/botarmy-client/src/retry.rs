//! Repetition of requests: which are repeated, how often, and how long it takes at most.

use std::time::Duration;

use crate::error::{ClientError, Problem};

/// Most times that a request is sent.
pub(crate) const MAX_ATTEMPTS: u32 = 5;
/// Longest wait before a repetition. A server that asks for more is taken at its word, and the
/// request fails.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Wait before the first repetition; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Effect of a repetition of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// Nothing more than the first: it reads, or it has an idempotency key.
    Harmless,
    /// It might do it twice, so only a request that was not accepted is repeated.
    Twofold,
}

/// Returns how long to wait before a request that failed is sent again; `None` if it must not be.
/// `attempt` counts the times that it was sent.
pub(crate) fn wait(error: &ClientError, repetition: Repetition, attempt: u32) -> Option<Duration> {
    if attempt >= MAX_ATTEMPTS {
        return None;
    }
    let usual = FIRST_WAIT * 2_u32.pow(attempt.saturating_sub(1).min(5));
    let wait = match error {
        ClientError::Problem(problem) => asked(problem)?.unwrap_or(usual).max(usual),
        ClientError::Unreachable { .. } => usual,
        // It is not known how far it came.
        ClientError::BrokenOff { .. } if repetition == Repetition::Harmless => usual,
        _ => return None,
    };
    (wait <= MAX_WAIT).then_some(wait)
}

/// Returns the wait that an answer asks for, `Some(None)` if it leaves that open, and `None` if a
/// repetition would have the same answer.
fn asked(problem: &Problem) -> Option<Option<Duration>> {
    match problem.status {
        429 | 503 => Some(problem.retry_after),
        // The first request with this idempotency key is in progress.
        409 if problem.retry_after.is_some() => Some(problem.retry_after),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, retry_after: Option<u64>) -> ClientError {
        let retry_after = retry_after.map(Duration::from_secs);
        ClientError::Problem(Box::new(Problem { status, retry_after, ..Problem::default() }))
    }

    #[test]
    fn only_what_may_succeed_is_repeated() {
        let server = || "s".to_owned();
        let unreachable = ClientError::Unreachable { server: server(), reason: String::new() };
        let broken = ClientError::BrokenOff { server: server(), reason: String::new() };
        let late = ClientError::TimedOut { server: server(), after: Duration::from_secs(1) };
        for (error, harmless, twofold) in [
            (&problem(429, Some(2)), true, true),
            (&problem(503, None), true, true),
            (&problem(429, Some(60)), false, false),
            (&problem(409, Some(1)), true, true),
            (&problem(409, None), false, false),
            (&problem(500, None), false, false),
            (&unreachable, true, true),
            (&broken, true, false),
            (&late, false, false),
        ] {
            let is_repeated = |repetition| wait(error, repetition, 1).is_some();
            assert_eq!(is_repeated(Repetition::Harmless), harmless, "{error:?}");
            assert_eq!(is_repeated(Repetition::Twofold), twofold, "{error:?}");
            assert_eq!(wait(error, Repetition::Harmless, MAX_ATTEMPTS), None);
        }
        let waits = |error| wait(error, Repetition::Harmless, 1).unwrap().as_millis();
        assert_eq!((waits(&problem(429, Some(2))), waits(&unreachable)), (2000, 200));
    }
}
