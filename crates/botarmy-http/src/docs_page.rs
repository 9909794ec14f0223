//! The page at `/docs` that shows the OpenAPI document, behind the feature `docs`.

use std::sync::Arc;

use actix_web::http::header::{self, ContentEncoding};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use crate::State;
use crate::endpoint::{Endpoint, Requires};
use crate::error::{Problem, ProblemDocument};

/// Policy of the page: that of every page, the images that its style sheet holds, and the style sheet
/// inside the logo, by its digest.
const POLICY: &str = "default-src 'self'; \
     style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
     img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_page, _, _>(page, Requires::Docs),
        Endpoint::new::<__path_asset, _, _>(asset, Requires::Docs),
    ]
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
    // The page would send the document's address to a validator elsewhere.
    let config = Config::from(state.public_path("/openapi.json")).validator_url("none");
    let config = Arc::new(config);
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
        response.insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
        // The page is at /docs without a slash, so its links have to name the folder. A base for
        // them is not possible: the policy of pages forbids it, also to whatever is put into one.
        let page = String::from_utf8_lossy(&file.bytes);
        let folder = state.public_path("/docs/");
        let page = ["href=\"", "src=\""].into_iter().fold(page.into_owned(), |page, attribute| {
            let replaced = format!("{attribute}{folder}");
            page.replace(&format!("{attribute}./"), attribute).replace(attribute, &replaced)
        });
        return Ok(response.body(page));
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
        assert!(text(0).contains("src=\"/bot/army/docs/swagger-ui-bundle.js\""), "{}", text(0));
        assert_eq!(text(0), text(1));
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
        let page = String::from_utf8_lossy(&answers[0].body);
        let links: Vec<_> = ["href=\"", "src=\""]
            .iter()
            .flat_map(|attribute| page.split(attribute).skip(1))
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect();
        assert!(
            links.len() > 5 && links.iter().all(|link| link.starts_with("/docs/")),
            "{links:?}"
        );
        for answer in Fakes::default().send_all(links.iter().map(|link| get(link))).await {
            assert_eq!(answer.status, 200, "{links:?}");
        }
        let policy = answers[0].header("content-security-policy");
        assert!(policy.contains("base-uri 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.contains("<base") && !page.contains("style="), "{page}");
        assert!(answers[0].header("content-type").starts_with("text/html"));
        assert!(String::from_utf8_lossy(&answers[3].body).contains("/openapi.json"));
    }
}
