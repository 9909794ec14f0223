//! Contract of an event bus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_domain::BusMessage;
use botarmy_domain::log::GENESIS;
use botarmy_tests::server::TIMEOUT;
use serde_json::json;

use crate::channels::{Channels, entry, number, progress, until_received};

pub async fn every_subscriber_receives_messages_in_order(channels: &Channels) {
    let mut ears = [channels.listener.listen().await, channels.listener.listen().await];
    for n in 0..500 {
        channels.speaker.publish([progress(2 * n), progress(2 * n + 1)]).await;
    }
    for listener in &mut ears {
        for n in 0..1000 {
            assert_eq!(number(&listener.next().await), Some(n));
        }
    }
}

pub async fn a_subscriber_receives_no_earlier_messages(channels: &Channels) {
    let mut early = channels.listener.listen().await;
    channels.speaker.publish([progress(1)]).await;
    assert_eq!(number(&early.next().await), Some(1));
    let mut late = channels.listener.listen().await;
    channels.speaker.publish([progress(2)]).await;
    assert_eq!(number(&late.next().await), Some(2));
    assert_eq!(number(&early.next().await), Some(2));
    assert!(late.hush().await.is_empty() && early.hush().await.is_empty(), "everything once");
}

pub async fn an_entry_arrives_to_the_last_bit(channels: &Channels) {
    let entry = entry(&json!({
        "floats": [0.1 + 0.2, 1e23, 5e-324, f64::MAX, 1.234_567_890_123_456_7e-7, -0.5],
        "integers": [u64::MAX, i64::MIN, 9_007_199_254_740_993_u64],
        "text": "Ünïcödé\r\n\u{2028}\u{0} \u{1f600} \"quoted\"",
    }));
    let mut listener = channels.listener.listen().await;
    channels.speaker.publish([BusMessage::Entry(Arc::clone(&entry))]).await;
    let BusMessage::Entry(received) = listener.next().await else {
        panic!("another message arrived")
    };
    assert_eq!(received, entry);
    assert_eq!(received.seal(GENESIS), entry.hash);
}

pub async fn lost_messages_arrive_as_a_gap(channels: &Channels) {
    let mut listener = channels.listener.listen().await;
    channels.speaker.publish([BusMessage::Lagged]).await;
    assert!(matches!(listener.next().await, BusMessage::Lagged));
}

pub async fn a_slow_subscriber_delays_no_other_and_receives_a_gap(channels: &Channels) {
    const SAID: u32 = 60_000;
    let mut slow = channels.listener.listen().await;
    let mut quick = channels.listener.listen().await;
    let speaker = channels.speaker.clone();
    let speaking = tokio::spawn(async move {
        let started = Instant::now();
        for n in 0..SAID / 100 {
            speaker.publish((n * 100..n * 100 + 100).map(progress)).await;
        }
        assert!(started.elapsed() < TIMEOUT, "the speaker had to wait");
    });
    speaking.await.unwrap();
    until_received(&channels.speaker, &mut quick, SAID).await;
    let received = slow.hush().await;
    assert!(received.len() < SAID as usize, "{} news were kept for one subscriber", received.len());
    assert!(received.iter().any(|news| matches!(news, BusMessage::Lagged)), "no gap was reported");
    let numbers: Vec<_> = received.iter().filter_map(number).collect();
    assert!(numbers.is_sorted(), "messages arrive in order");
    assert_eq!(numbers.last(), Some(&SAID), "and goes on after the gap");
}

pub async fn a_dropped_subscriber_affects_no_other(channels: &Channels) {
    let mut listener = channels.listener.listen().await;
    for n in 0..20 {
        drop(channels.listener.listen().await);
        channels.speaker.publish([progress(n)]).await;
        assert_eq!(number(&listener.next().await), Some(n));
    }
    drop(listener);
    channels.speaker.publish([progress(21)]).await;
    let mut again = channels.listener.listen().await;
    until_received(&channels.speaker, &mut again, 22).await;
    assert!(
        again.within(Duration::from_millis(1)).await.is_none_or(|news| number(&news) == Some(22))
    );
}
