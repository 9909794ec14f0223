//! The OpenAPI document, generated from the list of endpoints. `docs/complete.rs` adds what holds for
//! all operations alike.

mod complete;
mod examples;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use botarmy_domain::Permission;
use botarmy_web::PublicUrl;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, Paths, Ref, RefOr, Required,
    ResponseBuilder, ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::State;
use crate::endpoint::{Endpoint, Requires};
use crate::error::ProblemDocument;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new::<__path_openapi, _, _>(openapi, Requires::Docs)]
}

/// Returns the document as JSON, for a server that clients reach under this address.
pub(crate) fn document(version: &str, public_url: Option<&PublicUrl>) -> String {
    let mut paths = Paths::new();
    let mut schemas = Vec::new();
    for endpoint in crate::endpoints() {
        let mut operation = (endpoint.operation)();
        if endpoint.is_keyed() {
            let key = Ref::new(format!("#/components/parameters/{}", complete::KEY));
            operation.parameters.get_or_insert_default().push(RefOr::Ref(key));
        }
        operation.security = Some(security(endpoint.requires));
        if let Some(permission) = endpoint.requires.permission() {
            let permission = ExtensionsBuilder::new().add("x-permission", permission.as_str());
            operation.extensions = Some(permission.build());
        }
        operation.tags = Some((endpoint.tags)().into_iter().map(str::to_owned).collect());
        paths.add_path_operation(&endpoint.path, endpoint.methods, operation);
        (endpoint.schemas)(&mut schemas);
    }
    paths.add_path_operation("/ws", vec![HttpMethod::Get], live());
    schemas.push((ProblemDocument::name().into_owned(), ProblemDocument::schema()));
    ProblemDocument::schemas(&mut schemas);
    let info = InfoBuilder::new()
        .title("BotArmy")
        .description(Some("The control plane for teams of AI agents."))
        .license(Some(LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).build()))
        .version(version)
        .build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(API_KEY, api_key())
        .security_scheme(LEASE_TOKEN, lease_token())
        .build();
    let server = public_url
        .map_or_else(|| "/".to_owned(), |url| format!("{}{}", url.origin(), url.prefix()));
    let document = OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url(server).build()]))
        .paths(paths)
        .components(Some(components))
        .build();
    let mut document = serde_json::to_value(document).expect("an OpenAPI document can be written");
    complete::complete(&mut document);
    serde_json::to_string_pretty(&document).expect("an OpenAPI document can be written")
}

/// Name of the scheme of API keys.
const API_KEY: &str = "api_key";
/// Name of the scheme of lease tokens.
const LEASE_TOKEN: &str = "lease_token";

/// Returns the credentials of which an operation takes one.
fn security(requires: Requires) -> Vec<SecurityRequirement> {
    let schemes: &[&str] = match requires {
        Requires::Public | Requires::Docs => &[],
        Requires::AnyCaller | Requires::Permission(_) => &[API_KEY],
        Requires::Lease => &[LEASE_TOKEN, API_KEY],
    };
    schemes.iter().map(|name| SecurityRequirement::new::<_, [&str; 0], _>(*name, [])).collect()
}

/// Returns the way in which requests carry an API key.
fn api_key() -> SecurityScheme {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An API key, `botarmy_k_…`. A server with `access.mode = \"open\"` takes requests without one. \
         What a caller may do is in `x-permission`, and in `GET /api/v1/access/me`.",
    ));
    SecurityScheme::Http(scheme.build())
}

/// Returns the way in which calls about a lease carry its token.
fn lease_token() -> SecurityScheme {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The `token` that came with the lease."));
    SecurityScheme::Http(scheme.build())
}

/// Returns a response with a problem document.
fn problem() -> utoipa::openapi::Response {
    let schema = Ref::from_schema_name(ProblemDocument::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().content("application/json", content).build()
}

/// Returns the operation of the WebSocket route, which is served beside this API.
fn live() -> utoipa::openapi::path::Operation {
    let text = || ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    let parameter = |name: &str, description: &str, schema: ObjectBuilder| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schema))
            .build()
    };
    OperationBuilder::new()
        .operation_id(Some("open_live_connection"))
        .tag("live")
        .summary(Some("Opens a WebSocket with the events of a project, or the global ones."))
        .parameter(parameter(
            "project_id",
            "Project, or `all`; global events only when absent.",
            text().pattern(Some(
                "^(all|[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32})$",
            )),
        ))
        .parameter(parameter(
            "after",
            "Position in the log of the project after which the stream begins.",
            ObjectBuilder::new()
                .schema_type(SchemaType::new(Type::Integer))
                .minimum(Some(0))
                .maximum(Some(i64::MAX as isize)),
        ))
        .security(SecurityRequirement::new::<_, [&str; 0], _>(API_KEY, []))
        .extensions(Some(
            ExtensionsBuilder::new().add("x-permission", Permission::ProjectRead.as_str()).build(),
        ))
        .response("101", ResponseBuilder::new().description("The connection becomes a WebSocket"))
        .response("404", problem())
        .response("426", problem())
        .build()
}

/// Returns the OpenAPI document of this API.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_openapi_document", tag = "docs",
    responses((status = 200, body = Object)),
)]
async fn openapi(state: Data<State>) -> HttpResponse {
    let settings = &state.settings;
    let document = state
        .document
        .get_or_init(|| Bytes::from(document(&settings.version, settings.public_url.as_ref())));
    HttpResponse::Ok().content_type("application/json").body(document.clone())
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::test::TestRequest;
    use serde_json::Value;

    use crate::testing::Fakes;
    #[cfg(not(feature = "docs"))]
    use crate::testing::get;

    fn document() -> Value {
        serde_json::from_str(&crate::openapi()).unwrap()
    }

    #[test]
    fn it_is_openapi_3_1_and_every_reference_in_it_leads_somewhere() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(ids.insert(id), "{method} {path}");
                assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{path}");
            }
        }
    }

    #[test]
    fn no_two_summaries_are_alike_and_each_begins_with_a_verb_of_its_own_effect() {
        let document = document();
        let mut summaries = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let summary = operation["summary"].as_str().unwrap().to_owned();
                let opening = summary.split(' ').next().unwrap_or_default();
                let vague = ["Says", "Lets", "What", "Who", "How", "Where", "When", "Whether"];
                assert!(!vague.contains(&opening), "{method} {path}: {summary}");
                assert!(summary.ends_with('.'), "{method} {path} is cut: {summary}");
                assert!(summaries.insert(summary.clone()), "twice: {summary}");
            }
        }
    }

    #[test]
    fn every_operation_has_the_tag_that_the_page_groups_it_by() {
        let document = document();
        let mut tags = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let found = operation["tags"].as_array().unwrap();
                assert_eq!(found.len(), 1, "{method} {path}: {found:?}");
                tags.insert(found[0].as_str().unwrap().to_owned());
            }
        }
        let expected = [
            "access",
            "agents",
            "artifacts",
            "audit",
            "budgets",
            "context",
            "docs",
            "emergency stop",
            "health",
            "hitl",
            "live",
            "projects",
            "tasks",
            "webhooks",
            "workers",
        ];
        assert!(tags.iter().eq(expected), "{tags:?}");
    }

    #[test]
    fn the_licence_is_the_one_beside_the_code() {
        let licence = include_str!("../../../LICENSE");
        let name = document()["info"]["license"]["name"].as_str().unwrap().to_owned();
        assert_eq!(name, "MIT");
        assert!(licence.starts_with(&format!("{name} License")), "{licence:.80}");
    }

    #[actix_web::test]
    async fn every_path_in_it_is_served_and_no_other_method_of_it() {
        let document = document();
        let mut asked = Vec::new();
        let mut requests = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            // Served by whoever is mounted beside.
            if path == "/ws" {
                continue;
            }
            let uri = path.replace("{agent_type}", "coder").replace(['{', '}'], "");
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let listed = item[method.as_str().to_ascii_lowercase()].is_object();
                // With a bad body and a bad id, so that nothing behind it is asked.
                requests.push(TestRequest::with_uri(&uri).method(method.clone()).set_payload("["));
                asked.push((path, method, listed));
            }
        }
        let answers = Fakes::default().send_all(requests).await;
        for ((path, method, listed), answer) in asked.into_iter().zip(answers) {
            assert_eq!(answer.status != 405, listed, "{method} {path}: {}", answer.status);
            if !listed {
                let allow = answer.header("allow").to_owned();
                assert!(!allow.is_empty() && !allow.contains(method.as_str()), "{path}");
            }
        }
    }

    #[actix_web::test]
    async fn every_operation_refuses_an_unknown_parameter_and_an_unknown_field() {
        let document = document();
        let (mut asked, mut requests) = (Vec::new(), Vec::new());
        for (path, item) in document["paths"].as_object().unwrap() {
            // Served by whoever is mounted beside.
            if path == "/ws" {
                continue;
            }
            let uri = path
                .replace("{agent_type}", "coder")
                .replace("{lease}", &crate::leases::sample_token())
                .replace("{file}", "index.html");
            let uri = uri.split('/').map(|part| match part.strip_prefix('{') {
                Some(_) => crate::testing::project().id.to_string(),
                None => part.to_owned(),
            });
            let uri = uri.collect::<Vec<_>>().join("/");
            for (method, operation) in item.as_object().unwrap() {
                let method: Method = method.to_uppercase().parse().unwrap();
                let request = |uri: &str| TestRequest::with_uri(uri).method(method.clone());
                requests.push(request(&format!("{uri}?zzz=1")));
                asked.push((path, method.clone(), operation));
                if method != Method::GET {
                    // A parameter that is required comes before the body.
                    let query =
                        if path.ends_with("stop") { "?scope=everything&reason=x" } else { "" };
                    let query = if operation["requestBody"].is_object() { "" } else { query };
                    requests.push(request(&format!("{uri}{query}")).set_payload("{\"zzz\": 1}"));
                    asked.push((path, method.clone(), operation));
                }
            }
        }
        assert!(asked.len() > 60, "{}", asked.len());
        let mut fakes = Fakes::default();
        // The port is told of the three results of a worker that cannot be read.
        fakes.leases.expect_refuse().times(3).returning(|_, _| ());
        let answers = fakes.send_all(requests).await;
        for ((path, method, _), answer) in asked.into_iter().zip(answers) {
            assert_eq!((answer.status, answer.field().as_str()), (422, "zzz"), "{method} {path}");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("known"), "{method} {path}: {detail}");
        }
    }

    #[cfg(not(feature = "docs"))]
    #[actix_web::test]
    async fn without_its_feature_the_page_is_neither_served_nor_listed() {
        let requests = [get("/docs"), get("/docs/index.html"), get("/openapi.json")];
        let answers = Fakes::default().send_all(requests).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [404, 404, 200]);
        assert!(!answers[0].json()["detail"].as_str().unwrap().contains("/docs for"));
        let document = document();
        assert!(document["paths"].as_object().unwrap().keys().all(|path| !path.contains("docs")));
    }
}
