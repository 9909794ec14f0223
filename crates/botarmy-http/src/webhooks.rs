//! Webhooks: subscriptions that send the entries of the logs, and their deliveries.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::ports::IssuedWebhook;
use botarmy_domain::{
    Delivery, DeliveryId, DeliveryKind, Error, EventId, EventType, NewWebhook, Page, Permission,
    PrincipalId, ProjectId, Timestamp, Webhook, WebhookChange, WebhookFilter, WebhookId,
    WebhookStop,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, JsonOrDefault, Query, Segment, Whole};
use crate::paging::{self, List, Range};
use crate::vocabulary;

/// Longest overlap of two secrets, in seconds: 30 days.
const MAX_OVERLAP_S: u32 = 30 * 86_400;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_list, _, _>(list, Permission::AccessManage),
        Endpoint::new::<__path_create, _, _>(create, Permission::AccessManage),
        Endpoint::new::<__path_read, _, _>(read, Permission::AccessManage),
        Endpoint::new::<__path_change, _, _>(change, Permission::AccessManage),
        Endpoint::new::<__path_remove, _, _>(remove, Permission::AccessManage),
        Endpoint::new::<__path_rotate, _, _>(rotate, Permission::AccessManage),
        Endpoint::new::<__path_test, _, _>(test, Permission::AccessManage),
        Endpoint::new::<__path_deliveries, _, _>(deliveries, Permission::AccessManage),
        Endpoint::new::<__path_redeliver, _, _>(redeliver, Permission::AccessManage),
    ]
}

/// Subscription, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
struct WebhookView<'a> {
    #[schema(value_type = Uuid)]
    id: WebhookId,
    /// Principal whose rights limit what is sent; null if it was created on an open server.
    #[schema(value_type = Option<Uuid>)]
    owner_id: Option<PrincipalId>,
    /// Address that receives the messages.
    url: &'a str,
    /// Types of entries that are sent; empty for all.
    #[schema(value_type = Vec<vocabulary::EventType>)]
    events: &'a BTreeSet<EventType>,
    /// Project whose log is sent; null for all logs.
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    description: &'a str,
    /// Whether anything is sent.
    enabled: bool,
    /// Reason for which nothing is sent; null while something is.
    disabled: Option<DisabledView<'a>>,
    /// Public key for signatures of the version `v1a`.
    #[schema(example = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    public_key: String,
    /// Time until which the replaced secret still signs; null if there is none.
    #[schema(value_type = Option<String>, format = DateTime)]
    previous_secret_until: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Reason for which nothing is sent for a subscription.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDisabled)]
struct DisabledView<'a> {
    #[schema(value_type = vocabulary::WebhookStop)]
    reason: WebhookStop,
    /// Explanation for people.
    detail: &'a str,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl<'a> From<&'a Webhook> for WebhookView<'a> {
    fn from(webhook: &'a Webhook) -> Self {
        let disabled = webhook.disabled.as_ref();
        Self {
            id: webhook.id,
            owner_id: webhook.owner,
            url: &webhook.url,
            events: &webhook.filter.events,
            project_id: webhook.filter.project_id,
            description: &webhook.description,
            enabled: disabled.is_none(),
            disabled: disabled.map(|disabled| DisabledView {
                reason: disabled.reason,
                detail: &disabled.detail,
                at: disabled.at,
            }),
            public_key: webhook.keys.public_text(),
            previous_secret_until: webhook.retiring.as_ref().map(|retiring| retiring.until),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

/// Page of subscriptions.
#[derive(Serialize, ToSchema)]
struct WebhookPage<'a> {
    items: Vec<WebhookView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<WebhookId>,
}

/// Page of a list of subscriptions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<WebhookId>,
}

/// Lists the subscriptions of webhooks in the order of their creation.
#[utoipa::path(
    get, path = "/api/v1/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    params(ListQuery), responses((status = 200, body = WebhookPage, headers(("Link" = String)))),
)]
async fn list(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<ListQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = Subscriptions { state: &state, caller: &caller };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

struct Subscriptions<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
}

impl List for Subscriptions<'_> {
    type Item = Arc<Webhook>;
    type Cursor = WebhookId;

    async fn read(&self, after: Option<WebhookId>, limit: u32) -> Result<Page<Self::Item>, Error> {
        self.state.webhooks.webhooks(self.caller, after, limit).await
    }

    fn cursor(webhook: &Self::Item) -> WebhookId {
        webhook.id
    }

    fn write(&self, webhook: &Self::Item, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &WebhookView::from(&**webhook))
    }
}

/// Returns a subscription of a webhook, without its secret.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}", operation_id = "get_webhook", tag = "webhooks",
    params(("webhook_id" = Uuid, Path)),
    responses((status = 200, body = WebhookView), (status = 404, body = ProblemDocument)),
)]
async fn read(
    state: Data<State>,
    Segment(id): Segment<WebhookId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let webhook = state.webhooks.webhook(&caller, id).await?;
    Ok(HttpResponse::Ok().json(WebhookView::from(&*webhook)))
}

/// Subscription to create.
#[derive(Deserialize, ToSchema)]
struct NewWebhookBody {
    /// Address that receives the messages, with `https://`. It must not lead to an address that is not
    /// public, unless an operator has allowed its network.
    #[schema(min_length = 1, max_length = 2048)]
    url: String,
    /// Types of entries to send; all when absent or empty.
    #[schema(value_type = Option<Vec<vocabulary::EventType>>, max_items = 100)]
    events: Option<BTreeSet<EventType>>,
    /// Project whose log is sent; all logs when absent.
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// Description for people, in one line.
    #[schema(max_length = 500)]
    description: Option<String>,
}

/// Subscription that was just created or has a new secret, with the secret.
#[derive(Serialize, ToSchema)]
struct IssuedWebhookView<'a> {
    /// Secret with which the receiver verifies signatures of the version `v1`. It is shown here once.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw7ufM1m9u0Yk=")]
    secret: &'a str,
    #[serde(flatten)]
    webhook: WebhookView<'a>,
}

/// Creates a subscription, which sends the entries that are committed from now on.
///
/// The rights of the caller, who is the owner, limit the entries that are sent. The response has the secret, so
/// it is not kept for a repetition: a repeated request creates another subscription.
#[utoipa::path(
    post, path = "/api/v1/webhooks", operation_id = "create_webhook", tag = "webhooks",
    request_body = NewWebhookBody,
    responses(
        (status = 201, body = IssuedWebhookView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`too_many_webhooks`, `webhooks_unavailable`"),
    ),
)]
async fn create(
    state: Data<State>,
    Caller(caller): Caller,
    Json(body): Json<NewWebhookBody>,
) -> Result<HttpResponse, Problem> {
    let filter =
        WebhookFilter { events: body.events.unwrap_or_default(), project_id: body.project_id };
    let description = body.description.unwrap_or_default();
    let new = NewWebhook { url: body.url, filter, description };
    Ok(issued(&state.webhooks.create_webhook(new, caller).await?))
}

fn issued(issued: &IssuedWebhook) -> HttpResponse {
    HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(
        IssuedWebhookView {
            secret: issued.secret.expose(),
            webhook: WebhookView::from(&*issued.webhook),
        },
    )
}

/// Changes of a subscription; what is absent stays as it is.
#[derive(Deserialize, ToSchema)]
struct WebhookChangeBody {
    /// Address that receives the messages.
    #[schema(min_length = 1, max_length = 2048)]
    url: Option<String>,
    /// Types of entries to send; all when empty.
    #[schema(value_type = Option<Vec<vocabulary::EventType>>, max_items = 100)]
    events: Option<BTreeSet<EventType>>,
    /// Description for people, in one line.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// Whether anything is sent. A subscription that is enabled again goes on with the first entry that
    /// was not delivered.
    enabled: Option<bool>,
}

/// Changes a subscription, or disables or enables it.
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{webhook_id}", operation_id = "change_webhook", tag = "webhooks",
    params(("webhook_id" = Uuid, Path)), request_body = WebhookChangeBody,
    responses(
        (status = 200, body = WebhookView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`webhooks_unavailable`"),
    ),
)]
async fn change(
    state: Data<State>,
    Segment(id): Segment<WebhookId>,
    Caller(caller): Caller,
    Json(body): Json<WebhookChangeBody>,
) -> Result<HttpResponse, Problem> {
    let change = WebhookChange {
        url: body.url,
        events: body.events,
        description: body.description,
        enabled: body.enabled,
    };
    let webhook = state.webhooks.change_webhook(id, change, caller).await?;
    Ok(HttpResponse::Ok().json(WebhookView::from(&*webhook)))
}

/// Deletes a subscription with its deliveries.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{webhook_id}", operation_id = "delete_webhook",
    tag = "webhooks", params(("webhook_id" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ProblemDocument)),
)]
async fn remove(
    state: Data<State>,
    Segment(id): Segment<WebhookId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    state.webhooks.delete_webhook(id, caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Time for which the replaced secret still signs.
#[derive(Default, Deserialize, ToSchema)]
struct RotateSecretBody {
    /// Seconds for which messages are signed with the replaced secret too; as the server is configured
    /// when absent, 0 for not at all.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_s: Option<u32>,
}

/// Replaces the secret of a subscription, and its key pair.
///
/// For a while each message is signed with both, so that receivers can change over. The response has
/// the secret, so it is not kept for a repetition: a repeated request replaces the secret once more, and
/// the one before the last signs no more.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{webhook_id}/rotate-secret", operation_id = "rotate_webhook_secret",
    tag = "webhooks", params(("webhook_id" = Uuid, Path)), request_body = RotateSecretBody,
    responses(
        (status = 201, body = IssuedWebhookView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`webhooks_unavailable`"),
    ),
)]
async fn rotate(
    state: Data<State>,
    Segment(id): Segment<WebhookId>,
    Caller(caller): Caller,
    JsonOrDefault(body): JsonOrDefault<RotateSecretBody>,
) -> Result<HttpResponse, Problem> {
    if body.overlap_s.is_some_and(|overlap_s| overlap_s > MAX_OVERLAP_S) {
        return Err(Problem::invalid("overlap_s", format!("must be 0 to {MAX_OVERLAP_S}")));
    }
    let overlap = body.overlap_s.map(|overlap_s| Duration::from_secs(overlap_s.into()));
    Ok(issued(&state.webhooks.rotate_webhook_secret(id, overlap, caller).await?))
}

/// Attempt to deliver a message.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
struct DeliveryView<'a> {
    #[schema(value_type = Uuid)]
    id: DeliveryId,
    /// Id of the message, which is that of the entry.
    #[schema(value_type = Uuid)]
    message_id: EventId,
    /// Type of the message.
    event_type: &'a str,
    /// Project of the entry; null for the system log, and for a test.
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// Position of the entry in its log; null for a test.
    seq: Option<u64>,
    #[schema(value_type = vocabulary::DeliveryKind)]
    kind: DeliveryKind,
    /// Number of the attempt for this entry, from 1.
    attempt: u32,
    /// Whether the receiver has taken the message.
    delivered: bool,
    /// Status of the response; null without one.
    #[schema(value_type = Option<u32>, minimum = 100, maximum = 999)]
    http_status: Option<u16>,
    /// Reason for which it was not delivered; null if it was.
    error: Option<&'a str>,
    /// Duration in milliseconds.
    duration_ms: u64,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
}

impl<'a> From<&'a Delivery> for DeliveryView<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        let place = delivery.entry_place();
        Self {
            id: delivery.id,
            message_id: delivery.message_id,
            event_type: &delivery.event_type,
            project_id: place.and_then(|place| place.log.project()),
            seq: place.map(|place| place.seq),
            kind: delivery.kind,
            attempt: delivery.attempt,
            delivered: delivery.result.is_delivered(),
            http_status: delivery.result.http_status,
            error: delivery.result.error.as_deref(),
            duration_ms: delivery.result.duration_ms,
            started_at: delivery.started_at,
        }
    }
}

/// Page of attempts to deliver.
#[derive(Serialize, ToSchema)]
struct DeliveryPage<'a> {
    items: Vec<DeliveryView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<DeliveryId>,
}

/// Page of a list of attempts to deliver.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveriesQuery {
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<DeliveryId>,
}

/// Lists the attempts to deliver for a subscription that are kept, newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}/deliveries", operation_id = "list_webhook_deliveries",
    tag = "webhooks", params(("webhook_id" = Uuid, Path), DeliveriesQuery),
    responses(
        (status = 200, body = DeliveryPage, headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn deliveries(
    state: Data<State>,
    Segment(id): Segment<WebhookId>,
    Caller(caller): Caller,
    Query(query): Query<DeliveriesQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = Attempts { state: &state, caller: &caller, webhook: id };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

struct Attempts<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    webhook: WebhookId,
}

impl List for Attempts<'_> {
    type Item = Delivery;
    type Cursor = DeliveryId;

    async fn read(&self, after: Option<DeliveryId>, limit: u32) -> Result<Page<Delivery>, Error> {
        self.state.webhooks.deliveries(self.caller, self.webhook, after, limit).await
    }

    fn cursor(delivery: &Delivery) -> DeliveryId {
        delivery.id
    }

    fn write(&self, delivery: &Delivery, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &DeliveryView::from(delivery))
    }
}

/// Sends the message of an earlier attempt once more, and returns the new attempt when it is over.
///
/// The position of the subscription in the log stays as it is. The message has the same id, so a receiver
/// that has taken it before recognises it. A repeated request sends it again.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    operation_id = "redeliver_webhook", tag = "webhooks",
    params(("webhook_id" = Uuid, Path), ("delivery_id" = Uuid, Path)),
    responses(
        (status = 200, body = DeliveryView),
        (status = 404, body = ProblemDocument),
        (
            status = 409, body = ProblemDocument,
            description = "`not_an_entry`, `owner_may_not_read`, `webhooks_busy`, `webhooks_unavailable`"
        ),
    ),
)]
async fn redeliver(
    state: Data<State>,
    Segment(id): Segment<WebhookId>,
    Segment(delivery): Segment<DeliveryId, 1>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let delivery = state.webhooks.redeliver(id, delivery, caller).await?;
    Ok(HttpResponse::Ok().json(DeliveryView::from(&delivery)))
}

/// Sends a message of the type `webhook_test`, and returns the attempt when it is over.
///
/// A disabled subscription can be tested too. A repeated request sends another message.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{webhook_id}/test", operation_id = "test_webhook",
    tag = "webhooks", params(("webhook_id" = Uuid, Path)),
    responses(
        (status = 200, body = DeliveryView),
        (status = 404, body = ProblemDocument),
        (
            status = 409, body = ProblemDocument,
            description = "`webhooks_busy`, `webhooks_unavailable`"
        ),
    ),
)]
async fn test(
    state: Data<State>,
    Segment(id): Segment<WebhookId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let delivery = state.webhooks.test_webhook(id, caller).await?;
    Ok(HttpResponse::Ok().json(DeliveryView::from(&delivery)))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use botarmy_domain::ports::MockWebhooks;
    use botarmy_domain::{DomainError, SendResult, WebhookKeys};
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Fakes, NOW};

    const ID: &str = "0190a0b0-0000-7000-8000-00000000000a";

    fn webhook() -> Webhook {
        Webhook {
            id: ID.parse().unwrap(),
            owner: None,
            url: "https://hooks.example/a".to_owned(),
            filter: WebhookFilter { events: [EventType::TaskFailed].into(), project_id: None },
            description: "mail".to_owned(),
            disabled: None,
            keys: WebhookKeys::new([7; 32], [8; 32], [9; 32]),
            retiring: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    #[actix_web::test]
    async fn a_created_subscription_is_shown_with_its_secret_once() {
        let mut webhooks = MockWebhooks::new();
        webhooks
            .expect_create_webhook()
            .withf(|new, _| new.url == "https://hooks.example/a")
            .returning(|_, _| {
                let webhook = Arc::new(webhook());
                let secret = webhook.keys.secret_text();
                Ok(IssuedWebhook { webhook, secret })
            });
        webhooks.expect_webhook().returning(|_, _| Ok(Arc::new(webhook())));
        let fakes = Fakes { webhooks, ..Fakes::default() };
        let body = json!({"url": "https://hooks.example/a", "events": ["task_failed"]});
        let answers = fakes
            .send_all([
                TestRequest::post().uri("/api/v1/webhooks").set_json(body),
                TestRequest::get().uri(&format!("/api/v1/webhooks/{ID}")),
            ])
            .await;
        assert_eq!((answers[0].status, answers[1].status), (201, 200));
        assert_eq!(answers[0].header("cache-control"), "no-store");
        let secret = webhook().keys.secret_text();
        assert_eq!(answers[0].json()["secret"], secret.expose());
        let shown = answers[1].json();
        assert_eq!(shown["events"], json!(["task_failed"]));
        assert_eq!((&shown["enabled"], &shown["disabled"]), (&json!(true), &Value::Null));
        assert!(shown.get("secret").is_none() && !shown.to_string().contains(secret.expose()));
    }

    #[actix_web::test]
    async fn invalid_fields_are_refused() {
        for (body, field) in [
            (json!({}), "url"),
            (json!({"url": 1}), "url"),
            (json!({"url": "https://a.example", "events": ["typed"]}), "events"),
            (json!({"url": "https://a.example", "project_id": "x"}), "project_id"),
        ] {
            let request = TestRequest::post().uri("/api/v1/webhooks").set_json(body);
            let answer = Fakes::default().send(request).await;
            assert_eq!(answer.status, 422, "{}", answer.json());
            assert!(answer.field().starts_with(field), "{}", answer.json());
        }
        let uri = format!("/api/v1/webhooks/{ID}/rotate-secret");
        let request = TestRequest::post().uri(&uri).set_json(json!({"overlap_s": 2_592_001}));
        let answer = Fakes::default().send(request).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, "overlap_s"));
    }

    #[actix_web::test]
    async fn attempts_are_shown_with_their_places() {
        let project: ProjectId = "0190a0b0-0000-7000-8000-00000000000b".parse().unwrap();
        let delivery = move || Delivery {
            id: "0190a0b0-0000-7000-8000-00000000000c".parse().unwrap(),
            webhook_id: ID.parse().unwrap(),
            message_id: "0190a0b0-0000-7000-8000-00000000000d".parse().unwrap(),
            place: Some((project.uuid(), 7)),
            event_type: "task_failed".to_owned(),
            kind: DeliveryKind::Log,
            attempt: 2,
            result: SendResult {
                http_status: Some(500),
                error: Some("the status 500".to_owned()),
                ..SendResult::default()
            },
            started_at: NOW,
        };
        let mut webhooks = MockWebhooks::new();
        webhooks
            .expect_deliveries()
            .returning(move |_, _, _, _| Ok([delivery()].into_iter().collect()));
        webhooks
            .expect_test_webhook()
            .returning(|id, _| Err(DomainError::not_found("Webhook", id).into()));
        let fakes = Fakes { webhooks, ..Fakes::default() };
        let uri = format!("/api/v1/webhooks/{ID}");
        let answers = fakes
            .send_all([
                TestRequest::get().uri(&format!("{uri}/deliveries")),
                TestRequest::post().uri(&format!("{uri}/test")),
            ])
            .await;
        let shown = &answers[0].json()["items"][0];
        assert_eq!(shown["project_id"], project.to_string());
        assert_eq!((&shown["seq"], &shown["attempt"]), (&json!(7), &json!(2)));
        assert_eq!((&shown["delivered"], &shown["http_status"]), (&json!(false), &json!(500)));
        assert_eq!(answers[1].status, 404);
    }
}
