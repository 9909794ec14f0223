//! Previews of applications that agents wrote. They run in a frame without an origin of its own: they
//! cannot read cookies, storage or the page around them, and they cannot ask for anything from elsewhere.
//!
//! A preview is read with the token in its address, because requests from such a frame have no cookie.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Data, ReqData};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use botarmy_domain::package::check_path;
use botarmy_domain::{Artifact, ContextId, SourceCode, SourceFile};
use botarmy_web::{ErrorPage, Preview, Problem, preview_path};

use crate::Console;
use crate::blocking::blocking;
use crate::html;
use crate::view::document;
use crate::view::shim;

/// Policy of previews. `sandbox` takes their origin away, wherever they are shown; `connect-src` and
/// `form-action` keep them from sending anything, and so does `webrtc` where a browser knows it.
const POLICY: &str = "sandbox allow-scripts allow-forms allow-modals; default-src 'self' \
     'unsafe-inline' data: blob:; connect-src 'none'; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'self'; webrtc 'block'";
/// Policy of a preview that is refused: a text that the frame shows.
const REFUSED_POLICY: &str = "sandbox; default-src 'none'; frame-ancestors 'self'";

/// Headers of previews. A frame without an origin is foreign to its own files, so they may be read from
/// everywhere by those who know the token.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    ),
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // A name that is looked up can carry what an application knows.
    (HeaderName::from_static("x-dns-prefetch-control"), HeaderValue::from_static("off")),
];

/// Returns a file of the application.
pub(crate) async fn file(
    console: Data<Console>,
    botarmy_web::Caller(caller): botarmy_web::Caller,
    preview: Option<ReqData<Preview>>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let Some(Preview(id)) = preview.map(ReqData::into_inner) else {
        return Err(Problem::not_found("Preview", "without a token"));
    };
    // The frame is a part of a page of the console, and no page of its own: there it could send the
    // browser elsewhere.
    let destination = request.headers().get("sec-fetch-dest").map(HeaderValue::as_bytes);
    if destination == Some(b"document") {
        return Ok(html::redirect(&console.path(&page_of(id))));
    }
    let path = request.match_info().get("path").unwrap_or_default().to_owned();
    let artifact = console.queries.artifact(&caller, id).await?;
    let (kind, body) = blocking(move || read(&artifact, &path)).await??;
    let mut response = HttpResponse::Ok();
    for header in HEADERS {
        response.insert_header(header);
    }
    Ok(response.insert_header((header::CONTENT_TYPE, kind)).body(body))
}

/// Returns the kind and the content of a file of this artifact.
fn read(artifact: &Artifact, path: &str) -> Result<(&'static str, String), Problem> {
    let code = document::source_code(artifact.meta.artifact_type, &artifact.content);
    let code = code.ok_or_else(|| Problem::not_found("Preview", artifact.meta.id))?;
    let file = find(&code, path).ok_or_else(|| Problem::not_found("File", path))?;
    let kind = content_type(&file.extension());
    let body = if kind == HTML { shim::add(&file.content) } else { file.content.clone() };
    Ok((kind, body))
}

/// Returns the path of the page of the console that shows this preview.
fn page_of(artifact: ContextId) -> String {
    format!("/console/artifacts/{artifact}?view=preview")
}

/// Returns the file with this path, which a package may also have.
fn find<'a>(code: &'a SourceCode, path: &str) -> Option<&'a SourceFile> {
    check_path(path).ok()?;
    code.file(path)
}

/// Returns the first page of an application that can be shown; `None` if it has no page.
pub(crate) fn entry(code: &SourceCode) -> Option<&str> {
    let is_page = |file: &&SourceFile| {
        content_type(&file.extension()) == HTML && check_path(&file.path).is_ok()
    };
    let named = code.file(&code.entry).filter(is_page);
    let file = named.or_else(|| code.files.iter().find(is_page))?;
    Some(&file.path)
}

const HTML: &str = "text/html; charset=utf-8";

/// Returns the kind of a file by its ending. All are text.
fn content_type(extension: &str) -> &'static str {
    match extension {
        "html" | "htm" => HTML,
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "xml" => "application/xml; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

/// Returns the error of a request for a preview as a page for its frame; `None` for another request. No
/// other page of the console may be shown in a frame.
pub(crate) fn error(problem: &Problem, target: &str) -> Option<ErrorPage> {
    let path = target.split('?').next().unwrap_or_default();
    preview_path(path)?;
    let mut headers = problem.headers().to_vec();
    headers.extend([
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(REFUSED_POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    let status = match problem.status_code() {
        // An address with a token is no place to sign in.
        StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
        status => status,
    };
    Some(ErrorPage { status, headers, body: problem.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(files: &[&str], entry: &str) -> SourceCode {
        let files = files.iter().map(|path| SourceFile::new(path, "x")).collect();
        SourceCode { files, entry: entry.to_owned() }
    }

    #[test]
    fn a_file_is_found_by_its_own_path_only() {
        let code = code(&["index.html", "a/b.js", "../x", "/etc/passwd", "a\\b"], "");
        assert!(find(&code, "index.html").is_some() && find(&code, "a/b.js").is_some());
        for path in
            ["", "../x", "/etc/passwd", "a\\b", "a/../index.html", "./index.html", "INDEX.HTML"]
        {
            assert_eq!(find(&code, path), None, "{path}");
        }
    }

    #[test]
    fn a_preview_begins_with_a_page() {
        assert_eq!(entry(&code(&["a.js", "b.html"], "a.js")), Some("b.html"));
        assert_eq!(
            entry(&code(&["b.html", "app/index.html"], "app/index.html")),
            Some("app/index.html")
        );
        assert_eq!(entry(&code(&["main.py"], "main.py")), None);
        assert_eq!(entry(&code(&["../x.html"], "../x.html")), None);
    }
}
