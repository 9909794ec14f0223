//! The page at `/docs` that shows the OpenAPI document, behind the feature `docs`.

use std::sync::Arc;

use actix_web::http::header::{self, ContentEncoding};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::new::<__path_page, _, _>(page), Endpoint::new::<__path_asset, _, _>(asset)]
}

/// Returns a page that shows the OpenAPI document.
#[utoipa::path(
    get, path = "/docs", operation_id = "get_docs_page", tag = "docs",
    responses((status = 200, content_type = "text/html", body = String)),
)]
async fn page(state: Data<State>) -> Result<HttpResponse, Problem> {
    serve(&state, "index.html")
}

/// Returns a file of the documentation page.
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "get_docs_file",
    tag = "docs", params(("file" = String, Path)),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn asset(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    serve(&state, request.match_info().get("file").unwrap_or_default())
}

fn serve(state: &State, name: &str) -> Result<HttpResponse, Problem> {
    let config = Arc::new(Config::from(state.public_path("/openapi.json")));
    let file = utoipa_swagger_ui::serve(name, config)
        .map_err(|error| Problem::internal(error.to_string()))?
        .ok_or_else(|| Problem::not_found("File", name))?;
    let mut response = HttpResponse::Ok();
    if file.gzpipped {
        response.insert_header(ContentEncoding::Gzip);
    }
    let charset = if file.content_type.starts_with("text/") { "; charset=utf-8" } else { "" };
    response.content_type(file.content_type + charset);
    response.insert_header((header::CACHE_CONTROL, "max-age=3600"));
    if name == "index.html" {
        // The page is at /docs without a slash, so its relative links need a base.
        let page = String::from_utf8_lossy(&file.bytes);
        let head = format!("<head><base href=\"{}\">", state.public_path("/docs/"));
        return Ok(response.body(page.replacen("<head>", &head, 1)));
    }
    Ok(response.body(file.bytes.into_owned()))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fakes, get};

    #[actix_web::test]
    async fn below_a_public_address_the_page_finds_its_files_and_its_document() {
        let mut fakes = Fakes::default();
        fakes.settings.public_url = Some("https://army.example/bot/army/".parse().unwrap());
        let paths = ["/bot/army/docs", "/docs", "/bot/army/docs/swagger-initializer.js"];
        let requests = paths.into_iter().chain(["/bot/army/openapi.json", "/bot/armyx/docs"]);
        let answers = fakes.send_all(requests.map(get)).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 200, 200, 404]);
        let text = |n: usize| String::from_utf8_lossy(&answers[n].body).into_owned();
        assert!(text(0).contains("<base href=\"/bot/army/docs/\">") && text(0) == text(1));
        assert!(text(2).contains("\"/bot/army/openapi.json\""), "{}", text(2));
        let servers = &answers[3].json()["servers"];
        assert_eq!(servers[0]["url"], "https://army.example/bot/army");
    }

    #[actix_web::test]
    async fn the_page_works_without_a_trailing_slash() {
        let requests = [
            get("/docs"),
            get("/docs/"),
            get("/docs/swagger-ui.css"),
            get("/docs/swagger-initializer.js"),
            get("/docs/nothing.js"),
            get("/openapi.json"),
        ];
        let answers = Fakes::default().send_all(requests).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 200, 200, 404, 200]);
        assert!(String::from_utf8_lossy(&answers[0].body).contains("<base href=\"/docs/\">"));
        assert!(answers[0].header("content-type").starts_with("text/html"));
        assert!(String::from_utf8_lossy(&answers[3].body).contains("/openapi.json"));
    }
}
