//! A value that is fetched from the provider and kept for a while.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::Timestamp;
use botarmy_domain::ports::ProviderError;
use tokio::sync::Mutex;

/// Value that is fetched when it is needed, by one caller for all that wait.
#[derive(Debug)]
pub(crate) struct Cached<T>(Mutex<Slot<T>>);

#[derive(Debug)]
struct Slot<T> {
    value: Option<(Arc<T>, Timestamp)>,
    failure: Option<(ProviderError, Timestamp)>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(Slot { value: None, failure: None }))
    }
}

impl<T> Cached<T> {
    /// Returns the value if it is younger than `max_age`, or else fetches it. An error is returned
    /// again for `pause`, so that callers do not wait for a silent provider one after the other.
    pub(crate) async fn get(
        &self,
        now: Timestamp,
        max_age: Duration,
        pause: Duration,
        fetch: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<Arc<T>, ProviderError> {
        let mut slot = self.0.lock().await;
        if let Some((value, fetched_at)) = &slot.value
            && now.since(*fetched_at) < max_age
        {
            return Ok(Arc::clone(value));
        }
        if let Some((error, failed_at)) = &slot.failure
            && now.since(*failed_at) < pause
        {
            return Err(error.clone());
        }
        match fetch.await {
            Ok(value) => {
                let value = Arc::new(value);
                *slot = Slot { value: Some((Arc::clone(&value), now)), failure: None };
                Ok(value)
            }
            Err(error) => {
                slot.failure = Some((error.clone(), now));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::http::unavailable;

    const MINUTE: Duration = Duration::from_secs(60);
    const PAUSE: Duration = Duration::from_secs(2);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[tokio::test]
    async fn a_value_is_fetched_again_when_it_is_old() {
        let (cached, fetched) = (Cached::default(), AtomicU32::new(0));
        let get = async |second: i64| {
            let fetch = async { Ok(fetched.fetch_add(1, Ordering::Relaxed)) };
            *cached.get(at(second), MINUTE, PAUSE, fetch).await.unwrap()
        };
        assert_eq!(get(100).await, 0);
        assert_eq!(get(159).await, 0);
        assert_eq!(get(99).await, 0, "a caller that waited asked earlier");
        assert_eq!(get(160).await, 1);
    }

    #[tokio::test]
    async fn an_error_is_returned_again_for_a_moment() {
        let (cached, asked) = (Cached::default(), AtomicU32::new(0));
        let fail = async |second: i64| {
            let fetch = async {
                asked.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(unavailable("it is down"))
            };
            cached.get(at(second), MINUTE, PAUSE, fetch).await.unwrap_err();
            asked.load(Ordering::Relaxed)
        };
        assert_eq!(fail(100).await, 1);
        assert_eq!(fail(101).await, 1);
        assert_eq!(fail(102).await, 2);
        cached.get(at(104), MINUTE, PAUSE, async { Ok(()) }).await.unwrap();
        assert_eq!(fail(164).await, 3, "an old value does not stand in");
    }
}
