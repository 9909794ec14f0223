//! Contract of the progress of webhooks: leases, cursors and attempts.

use std::collections::BTreeSet;
use std::time::Duration;

use botarmy_domain::decide::webhooks;
use botarmy_domain::log::LogId;
use botarmy_domain::{
    Cursor, Delivery, DeliveryId, DeliveryKind, DeliveryProgress, EventId, EventType, NewWebhook,
    SendResult, Timestamp, Webhook, WebhookChange, WebhookFilter, WebhookId, WebhookKeys,
    WebhookStop,
};
use uuid::Uuid;

use crate::stores::Stores;

/// Largest number of logs that a search of these tests looks at.
const SCAN: u32 = 3;

fn keys(n: u8) -> WebhookKeys {
    WebhookKeys::new([n; 32], [n + 1; 32], [n + 2; 32])
}

/// Creates a subscription, and returns it.
async fn webhook(stores: &Stores) -> Webhook {
    let context = stores.context();
    let id = context.id_generator().webhook();
    let new = NewWebhook {
        url: "https://hooks.example/s3cr3t".to_owned(),
        filter: WebhookFilter { events: [EventType::TaskFailed].into(), project_id: None },
        description: "mail".to_owned(),
    };
    let create = move |snapshot: &_| webhooks::create(&context, snapshot, id, &new, &keys(1));
    let created = stores.run(webhooks::scope(id), create).await.unwrap();
    Webhook::clone(created.record::<Webhook>(id).unwrap())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000).after(Duration::from_secs(seconds))
}

fn progress(webhook: WebhookId, fence: Option<u64>) -> DeliveryProgress {
    DeliveryProgress {
        webhook,
        fence,
        cursors: Vec::new(),
        delivery: None,
        retry_at: None,
        keep: 3,
    }
}

fn delivery(webhook: WebhookId, n: u128) -> Delivery {
    Delivery {
        id: DeliveryId::from_uuid(Uuid::from_u128(n)),
        webhook_id: webhook,
        message_id: EventId::from_uuid(Uuid::from_u128(100 + n)),
        place: Some((Uuid::from_u128(7), 3)),
        event_type: "task_failed".to_owned(),
        kind: DeliveryKind::Log,
        attempt: 2,
        result: SendResult {
            http_status: Some(500),
            error: Some("the status 500".to_owned()),
            retry_after_s: Some(7),
            duration_ms: 12,
        },
        started_at: at(1),
    }
}

pub async fn a_subscription_comes_back_as_written(stores: &Stores) {
    use botarmy_domain::ports::RecordsExt;
    let created = webhook(stores).await;
    let id = created.id;
    let stored = stores.records.record::<Webhook>(id).await.unwrap().unwrap();
    assert_eq!(*stored, created);
    let (context, another) = (stores.context(), keys(9));
    let rotate = move |snapshot: &_| {
        webhooks::rotate(&context, snapshot, id, &another, Duration::from_secs(60))
    };
    stores.run(webhooks::scope(id), rotate).await.unwrap();
    let rotated = stores.records.record::<Webhook>(id).await.unwrap().unwrap();
    let signing: Vec<_> = rotated.signing_keys(rotated.updated_at).cloned().collect();
    assert_eq!(signing, [keys(9), keys(1)]);
    let later = rotated.updated_at.after(Duration::from_secs(60));
    assert_eq!(rotated.signing_keys(later).count(), 1);

    // A stop of the server is dropped if the subscription was changed since it was looked at.
    let disable = |seen: &Webhook| {
        let (context, seen) = (stores.context(), seen.clone());
        let context = context.by(botarmy_domain::Caller::system());
        move |snapshot: &_| {
            webhooks::disable(&context, snapshot, &seen, WebhookStop::Failing, "It failed")
        }
    };
    let stale = stores.run(webhooks::scope(id), disable(&created)).await.unwrap();
    assert!(stale.entries.is_empty());
    stores.run(webhooks::scope(id), disable(&rotated)).await.unwrap();
    let stopped = stores.records.record::<Webhook>(id).await.unwrap().unwrap();
    assert_eq!(stopped.disabled.as_ref().unwrap().reason, WebhookStop::Failing);
    let context = stores.context();
    let enable = WebhookChange { enabled: Some(true), ..WebhookChange::default() };
    let change = move |snapshot: &_| webhooks::change(&context, snapshot, id, &enable);
    stores.run(webhooks::scope(id), change).await.unwrap();
    assert_eq!(stores.records.record::<Webhook>(id).await.unwrap().unwrap().disabled, None);
}

pub async fn a_lease_has_one_holder_until_it_expires(stores: &Stores) {
    let (store, id) = (&stores.deliveries, webhook(stores).await.id);
    let first = store.hold(id, "one", at(0), at(10)).await.unwrap().unwrap();
    assert_eq!((first.fence, first.retry_at), (1, None));
    assert_eq!(store.hold(id, "other", at(9), at(19)).await.unwrap(), None);
    let extended = store.hold(id, "one", at(9), at(20)).await.unwrap().unwrap();
    assert_eq!(extended.fence, 1);
    let retry_at = Some(at(50));
    let waiting = DeliveryProgress { retry_at, ..progress(id, Some(1)) };
    assert!(store.save(waiting).await.unwrap());
    let taken = store.hold(id, "other", at(20), at(30)).await.unwrap().unwrap();
    assert_eq!((taken.fence, taken.retry_at), (2, retry_at), "the pause goes with the lease");
    assert!(!store.save(progress(id, Some(1))).await.unwrap(), "the first one has lost it");
    assert_eq!(store.hold(id, "one", at(21), at(31)).await.unwrap(), None);
    store.let_go(id, 1).await.unwrap();
    assert_eq!(store.hold(id, "one", at(21), at(31)).await.unwrap(), None, "not its own to let go");
    store.let_go(id, 2).await.unwrap();
    assert_eq!(store.hold(id, "one", at(21), at(31)).await.unwrap().unwrap().fence, 3);
}

pub async fn of_many_that_want_a_lease_one_gets_it(stores: &Stores) {
    let id = webhook(stores).await.id;
    let wanting = (0..16).map(|n| {
        let store = std::sync::Arc::clone(&stores.deliveries);
        tokio::spawn(async move { store.hold(id, &n.to_string(), at(0), at(10)).await.unwrap() })
    });
    let mut held = 0;
    for one in wanting.collect::<Vec<_>>() {
        held += usize::from(one.await.unwrap().is_some());
    }
    assert_eq!(held, 1);
}

pub async fn what_is_saved_without_the_lease_moves_nothing(stores: &Stores) {
    let (store, id) = (&stores.deliveries, webhook(stores).await.id);
    let log = LogId::Project(stores.project("a").await);
    store.hold(id, "one", at(0), at(10)).await.unwrap().unwrap();
    let moved = |fence, seq| DeliveryProgress {
        cursors: vec![(log, Cursor { seq, attempts: 1 }), (LogId::System, Cursor::default())],
        delivery: Some(delivery(id, u128::from(seq))),
        ..progress(id, Some(fence))
    };
    assert_eq!(store.cursor(id, log).await.unwrap(), None);
    assert!(!store.save(moved(2, 5)).await.unwrap());
    assert_eq!(store.cursor(id, log).await.unwrap(), None);
    assert!(store.deliveries(id, None, 10).await.unwrap().is_empty());
    assert!(store.save(moved(1, 6)).await.unwrap());
    assert!(store.save(moved(1, 7)).await.unwrap());
    assert!(store.save(moved(1, 7)).await.unwrap(), "saving twice is the same");
    assert_eq!(store.cursor(id, log).await.unwrap(), Some(Cursor { seq: 7, attempts: 1 }));
    assert_eq!(store.cursor(id, LogId::System).await.unwrap(), Some(Cursor::default()));
    let other = webhook(stores).await.id;
    assert_eq!(store.cursor(other, log).await.unwrap(), None);
    assert_eq!(store.deliveries(id, None, 10).await.unwrap().len(), 2);
}

pub async fn attempts_are_listed_newest_first_and_the_oldest_leave(stores: &Stores) {
    let (store, id) = (&stores.deliveries, webhook(stores).await.id);
    let other = webhook(stores).await.id;
    store.hold(id, "one", at(0), at(10)).await.unwrap().unwrap();
    let keep = |webhook, fence, n| DeliveryProgress {
        delivery: Some(delivery(webhook, n)),
        ..progress(webhook, fence)
    };
    store.save(keep(other, None, 1)).await.unwrap();
    for n in 1..=5 {
        // Tests and redeliveries are saved without a lease.
        let fence = (n % 2 == 0).then_some(1);
        assert!(store.save(keep(id, fence, n)).await.unwrap());
    }
    let all = store.deliveries(id, None, 10).await.unwrap();
    let wanted: Vec<_> = [5, 4, 3].map(|n| delivery(id, n)).into();
    assert_eq!((all.items, all.has_more), (wanted, false), "as they were written, and three");
    let first = store.deliveries(id, None, 2).await.unwrap();
    assert_eq!((first.len(), first.has_more), (2, true));
    let rest = store.deliveries(id, first.last().map(|last| last.id), 2).await.unwrap();
    assert_eq!((rest.items, rest.has_more), (vec![delivery(id, 3)], false));
    let found = store.delivery(id, delivery(id, 4).id).await.unwrap();
    assert_eq!(found, Some(delivery(id, 4)));
    assert_eq!(store.delivery(id, delivery(id, 1).id).await.unwrap(), None, "it has left");
    assert_eq!(store.delivery(other, delivery(id, 4).id).await.unwrap(), None, "not its own");
    assert_eq!(store.deliveries(other, None, 10).await.unwrap().len(), 1);
}

/// Returns the logs that a search finds from the first one to the last.
async fn found(stores: &Stores, webhook: &Webhook) -> BTreeSet<LogId> {
    let (mut from, mut logs) = (Some(LogId::System), BTreeSet::new());
    while let Some(log) = from {
        let part =
            stores.deliveries.undelivered(webhook.id, webhook.created_at, log, SCAN).await.unwrap();
        assert!(part.logs.len() <= SCAN as usize);
        from = part.next;
        logs.extend(part.logs);
    }
    logs
}

pub async fn a_search_finds_the_logs_with_entries_beyond_the_cursor(stores: &Stores) {
    let mut old = Vec::new();
    for n in 0..8 {
        old.push(stores.project(&n.to_string()).await);
    }
    stores.pass(Duration::from_secs(1));
    let webhook = webhook(stores).await;
    let (store, id) = (&stores.deliveries, webhook.id);
    // Its own creation is the first entry of the system log that it is to send.
    assert_eq!(found(stores, &webhook).await, [LogId::System].into());
    let new = stores.project("new").await;
    stores.pause(old[5]).await.unwrap();
    let three: BTreeSet<_> = [LogId::System, LogId::Project(new), LogId::Project(old[5])].into();
    assert_eq!(found(stores, &webhook).await, three);

    store.hold(id, "one", at(0), at(10)).await.unwrap().unwrap();
    let mut cursors = Vec::new();
    for log in three {
        let end = stores.audit.head(log).await.unwrap().unwrap().seq;
        cursors.push((log, Cursor { seq: end, attempts: 0 }));
    }
    let all = cursors.clone();
    store.save(DeliveryProgress { cursors, ..progress(id, Some(1)) }).await.unwrap();
    assert_eq!(found(stores, &webhook).await, BTreeSet::new());
    let (log, behind) = all[1];
    let behind = Cursor { seq: behind.seq - 1, attempts: 4 };
    let back = DeliveryProgress { cursors: vec![(log, behind)], ..progress(id, Some(1)) };
    store.save(back).await.unwrap();
    assert_eq!(found(stores, &webhook).await, [log].into());
}

pub async fn the_ends_of_all_logs_are_read_in_parts(stores: &Stores) {
    let mut wanted = BTreeSet::new();
    for n in 0..5 {
        let id = stores.project(&n.to_string()).await;
        wanted.insert(LogId::Project(id));
    }
    let (mut from, mut ends) = (LogId::System, BTreeSet::new());
    loop {
        let part = stores.deliveries.ends(from, 2).await.unwrap();
        let Some((last, _)) = part.last() else { break };
        assert!(part.len() <= 2 && part.is_sorted_by_key(|(log, _)| log.key()));
        from = LogId::Project(last.key().successor());
        ends.extend(part);
    }
    for log in wanted {
        let head = stores.audit.head(log).await.unwrap().unwrap().seq;
        assert!(ends.contains(&(log, head)), "{log:?}");
    }
    assert_eq!(ends.len(), 5);
}

pub async fn what_belongs_to_deleted_subscriptions_is_removed(stores: &Stores) {
    let (store, id) = (&stores.deliveries, webhook(stores).await.id);
    let kept = webhook(stores).await.id;
    for id in [id, kept] {
        store.hold(id, "one", at(0), at(10)).await.unwrap().unwrap();
        let saved = DeliveryProgress {
            cursors: vec![(LogId::System, Cursor { seq: 1, attempts: 0 })],
            delivery: Some(delivery(id, 1)),
            ..progress(id, Some(1))
        };
        assert!(store.save(saved).await.unwrap());
    }
    let context = stores.context();
    let delete = move |snapshot: &_| webhooks::delete(&context, snapshot, id);
    stores.run(webhooks::scope(id), delete).await.unwrap();
    store.forget_deleted().await.unwrap();
    assert_eq!(store.cursor(id, LogId::System).await.unwrap(), None);
    assert!(store.deliveries(id, None, 10).await.unwrap().is_empty());
    let beside = DeliveryProgress { delivery: Some(delivery(id, 2)), ..progress(id, None) };
    assert!(!store.save(beside).await.unwrap(), "a test that was under way is not kept");
    assert!(store.cursor(kept, LogId::System).await.unwrap().is_some());
    assert_eq!(store.deliveries(kept, None, 10).await.unwrap().len(), 1);
}
