//! Contract of wake-ups.

use std::collections::BTreeSet;

use botarmy_domain::AgentType::{self, Analyst, Coder, Tester};
use botarmy_tests::server::TIMEOUT;

use crate::channels::{Channels, QUIET, Side};

async fn waits(side: &Side) -> BTreeSet<AgentType> {
    tokio::time::timeout(TIMEOUT, side.wake_ups.wait()).await.expect("no worker is woken")
}

/// Waits until these agent types, and no others, were notified.
async fn waits_for(side: &Side, agents: &[AgentType]) {
    let wanted: BTreeSet<_> = agents.iter().copied().collect();
    let mut woken = BTreeSet::new();
    while woken != wanted {
        woken.append(&mut waits(side).await);
        assert!(woken.is_subset(&wanted), "woken for {woken:?} instead of {wanted:?}");
    }
}

pub async fn a_notification_wakes_a_waiting_worker(channels: &Channels) {
    let listener = channels.listener.clone();
    let waiting = tokio::spawn(async move { waits(&listener).await });
    tokio::time::sleep(QUIET / 3).await;
    channels.speaker.wake_ups.notify(&[Coder].into());
    assert_eq!(waiting.await.unwrap(), [Coder].into());
}

pub async fn notifications_before_the_wait_are_kept(channels: &Channels) {
    channels.speaker.wake_ups.notify(&[Coder].into());
    channels.speaker.wake_ups.notify(&[Tester, Analyst].into());
    tokio::time::sleep(QUIET / 3).await;
    waits_for(&channels.listener, &[Coder, Tester, Analyst]).await;
}

pub async fn without_a_notification_no_worker_is_woken(channels: &Channels) {
    channels.speaker.wake_ups.notify(&[Coder].into());
    waits_for(&channels.listener, &[Coder]).await;
    let again = tokio::time::timeout(QUIET, channels.listener.wake_ups.wait()).await;
    assert!(again.unwrap_or_default().is_empty(), "a notification arrives once");
}

/// Runs the worker's loop: it waits, is busy for a moment, and waits again or abandons the wait.
pub async fn no_notification_is_lost_between_two_waits(channels: &Channels) {
    for n in 0..200_u64 {
        let agent = AgentType::ALL[n as usize % AgentType::ALL.len()];
        let wake_ups = channels.speaker.wake_ups.clone();
        let ringing = tokio::spawn(async move { wake_ups.notify(&[agent].into()) });
        let patience = std::time::Duration::from_micros(n * 7 % 300);
        let mut woken = tokio::time::timeout(patience, channels.listener.wake_ups.wait())
            .await
            .unwrap_or_default();
        while !woken.contains(&agent) {
            woken.append(&mut waits(&channels.listener).await);
        }
        ringing.await.unwrap();
    }
}
