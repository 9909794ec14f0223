//! Packages, which clients reach under `/artifacts`: building, describing, downloading and deleting
//! them.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::package::{PackageSummary, archive_name};
use botarmy_domain::{Error, Package, Permission, ProjectId, Timestamp};
use botarmy_web::RETRY_AFTER_FULL_S;
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Query, Segment, Whole, in_range};
use crate::idempotency::{Keyed, reply};
use crate::range::{self, Part};
use crate::zip::{ZipError, ZipFile, zip_package};

/// Age from which a package is old when the client names none, in hours.
const MAX_AGE_HOURS: u32 = 24;
/// Largest age that a client can name, in hours: a hundred years.
const OLDEST_HOURS: u32 = 876_600;
/// Number of ZIPs that are built at the same time; each needs the memory of its largest document, a
/// few times, and a processor.
const ZIPS_AT_ONCE: usize = 2;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_cleanup, _, _>(cleanup, Permission::PackagesClean),
        Endpoint::new::<__path_cleanup_by_post, _, _>(cleanup_by_post, Permission::PackagesClean),
        Endpoint::new::<__path_generate, _, _>(generate, Permission::ProjectRun).heavy().keyed(),
        Endpoint::new::<__path_summary, _, _>(summary, Permission::ProjectRead),
        Endpoint::new::<__path_download, _, _>(download, Permission::ProjectRead)
            .heavy()
            .uncompressed(),
        Endpoint::new::<__path_remove, _, _>(remove, Permission::ProjectManage),
    ]
}

/// Result of building a package.
#[derive(Serialize, ToSchema)]
struct GeneratedView {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// Always `success`.
    status: &'static str,
    message: String,
    /// Number of files in the package.
    artifact_count: usize,
}

/// Builds the package of a project from the artifacts stored now.
#[utoipa::path(
    post, path = "/api/v1/artifacts/{project_id}/generate", operation_id = "generate_package",
    tag = "artifacts",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = GeneratedView), (status = 404, body = ProblemDocument)),
)]
async fn generate(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    let shape = move |package: &Arc<Package>| {
        let artifact_count = package.files.len();
        let message = format!("The package was made; it has {artifact_count} files.");
        let view = GeneratedView { project_id: id, status: "success", message, artifact_count };
        reply(StatusCode::OK, &view)
    };
    let generate = async |caller| state.operations.generate_package(id, caller).await;
    state.once(&keyed, caller, shape, generate).await
}

/// Description of a package.
#[derive(Serialize, ToSchema)]
struct SummaryView<'a> {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    project_name: &'a str,
    /// Number of files in the package.
    artifact_count: usize,
    /// Time at which the package was built; null without one.
    #[schema(value_type = Option<String>, format = DateTime)]
    generated_at: Option<Timestamp>,
    /// Whether the package exists; a download builds a missing one.
    download_available: bool,
    /// Files of the package or, without one, of the package that would be made now.
    artifacts: Vec<FileView<'a>>,
}

/// File of a package.
#[derive(Serialize, ToSchema)]
struct FileView<'a> {
    /// Path in the package.
    name: &'a str,
    /// Extension, such as `md`.
    file_type: &'a str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Size in bytes.
    size: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    digest: &'a str,
}

/// Describes the package of a project, or the one that would be made now.
#[utoipa::path(
    get, path = "/api/v1/artifacts/{project_id}/summary", operation_id = "get_package_summary",
    tag = "artifacts",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = SummaryView), (status = 404, body = ProblemDocument)),
)]
async fn summary(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let PackageSummary { project, package } = state.queries.package(&caller, id).await?;
    let contents = match &package {
        Some(package) => Arc::clone(package),
        None => Arc::new(state.queries.package_preview(&caller, id).await?),
    };
    let files = &contents.files;
    let artifacts: Vec<FileView<'_>> = files
        .iter()
        .map(|file| FileView {
            name: &file.name,
            file_type: &file.file_type,
            created_at: file.created_at,
            size: file.size,
            digest: &file.digest,
        })
        .collect();
    Ok(HttpResponse::Ok().json(SummaryView {
        project_id: id,
        project_name: &project.name,
        artifact_count: artifacts.len(),
        generated_at: package.as_ref().map(|package| package.generated_at),
        download_available: package.is_some(),
        artifacts,
    }))
}

/// Downloads the package of a project as a ZIP archive, and builds it if it does not exist.
#[utoipa::path(
    get, path = "/api/v1/artifacts/{project_id}/download", operation_id = "download_package",
    tag = "artifacts",
    params(
        ("project_id" = Uuid, Path),
        ("Range" = Option<String>, Header),
        ("If-Range" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header),
    ),
    responses(
        (status = 200, content_type = "application/zip", body = Vec<u8>, headers(
            ("ETag" = String), ("Content-Disposition" = String), ("Accept-Ranges" = String),
        )),
        (status = 206, content_type = "application/zip", body = Vec<u8>, headers(
            ("ETag" = String), ("Content-Range" = String),
        )),
        (status = 304, description = "The client has it already"),
        (status = 404, body = ProblemDocument),
        (status = 416, body = ProblemDocument),
    ),
)]
async fn download(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let PackageSummary { project, package } = state.queries.package(&caller, id).await?;
    let package = match package {
        Some(package) => package,
        None => state.operations.generate_package(id, caller.clone()).await?,
    };
    let etag = etag_of(&package);
    if range::is_known(&request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    let (package, zip) = packed(&state, package, caller.clone()).await?;
    let etag = etag_of(&package);
    let (mut response, part) = match range::part(&request, &etag, zip.len()) {
        Part::Unsatisfiable => {
            let detail = format!("The package has {} bytes.", zip.len());
            let range = HeaderValue::from_str(&format!("bytes */{}", zip.len()));
            let range = range.expect("a number is a header value");
            return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, detail)
                .with_header(header::CONTENT_RANGE, range));
        }
        Part::Whole => (HttpResponse::Ok(), 0..zip.len()),
        Part::Bytes(part) => {
            let mut response = HttpResponse::PartialContent();
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, zip.len());
            response.insert_header((header::CONTENT_RANGE, range));
            (response, part)
        }
    };
    Ok(response
        .content_type("application/zip")
        .insert_header((header::ETAG, etag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_DISPOSITION, disposition(&project.name)))
        .body(SizedStream::new(part.len() as u64, bytes_of(state, caller, id, zip, part))))
}

/// Number of bytes of a ZIP that are read from its file at once.
const CHUNK: usize = 128 * 1024;

/// Returns these bytes of a ZIP, a chunk at a time. A download can take long, and ends with the right of
/// its caller to read the project.
fn bytes_of(
    state: Data<State>,
    caller: botarmy_domain::Caller,
    project: ProjectId,
    zip: ZipFile,
    part: Range<usize>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let first = part.start;
    stream::try_unfold((state, caller, zip, part), move |(state, caller, zip, part)| async move {
        if part.is_empty() {
            return Ok(None);
        }
        let caller = if part.start == first {
            caller
        } else {
            still_reads(&state, caller, project).await.map_err(io::Error::other)?
        };
        let (start, len) = (part.start, part.len().min(CHUNK));
        let reading = zip.clone();
        let bytes =
            web::block(move || reading.read(start, len)).await.map_err(io::Error::other)??;
        Ok(Some((Bytes::from(bytes), (state, caller, zip, start + len..part.end))))
    })
}

/// Returns the caller as it is now. The project is read again only where its rights have changed.
async fn still_reads(
    state: &State,
    caller: botarmy_domain::Caller,
    project: ProjectId,
) -> Result<botarmy_domain::Caller, Error> {
    let now = state.current(&caller)?;
    if now.rights() != caller.rights() {
        state.queries.project(&now, project).await?;
    }
    Ok(now)
}

/// Returns the entity tag of a package's ZIP: the package's digest, which is over everything that
/// goes into the ZIP.
fn etag_of(package: &Package) -> String {
    format!("\"{}\"", package.digest)
}

/// Returns the package's ZIP. A package that cannot be built again to the byte, because this version
/// lays it out differently, is replaced by a new one.
async fn packed(
    state: &State,
    package: Arc<Package>,
    caller: botarmy_domain::Caller,
) -> Result<(Arc<Package>, ZipFile), Problem> {
    if let Some(zip) = zipped(state, &package, &caller).await? {
        return Ok((package, zip));
    }
    tracing::warn!(project.id = %package.project_id, "A package is outdated; it is made anew");
    let package = state.operations.generate_package(package.project_id, caller.clone()).await?;
    let zip = zipped(state, &package, &caller).await?;
    let zip = zip.ok_or_else(|| Problem::internal("a package differs from its own record"))?;
    Ok((package, zip))
}

/// Returns the ZIP of exactly what the package's record lists, or `None` when it cannot be built.
async fn zipped(
    state: &State,
    package: &Arc<Package>,
    caller: &botarmy_domain::Caller,
) -> Result<Option<ZipFile>, Problem> {
    if let Some(zip) = state.zips.get(&package.digest) {
        return Ok(Some(zip));
    }
    let _turn = state.zips.turn.acquire().await.map_err(Problem::internal)?;
    // Another request may have built it while this one waited.
    if let Some(zip) = state.zips.get(&package.digest) {
        return Ok(Some(zip));
    }
    let folders = vec![state.settings.spool.clone(), std::env::temp_dir()];
    let zip = zip_package(&*state.queries, package, caller, folders).await?;
    if let Some(zip) = &zip {
        state.zips.put(&package.digest, zip.clone());
    }
    Ok(zip)
}

impl From<ZipError> for Problem {
    fn from(error: ZipError) -> Self {
        let is_full = error.is_full();
        match error {
            ZipError::Contents(error) => error.into(),
            ZipError::File(error) if is_full => Self::unavailable(
                "There is no room for the ZIP of this package on the disk. An operator has to \
                 free space on it.",
                RETRY_AFTER_FULL_S,
            )
            .with_cause(error),
            error => Self::internal(error),
        }
    }
}

/// Returns `attachment` with the file name of a project's package. Characters that a quoted text
/// cannot carry are in the extended form (RFC 6266, RFC 8187).
fn disposition(project: &str) -> String {
    let name = archive_name(project);
    let plain: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Result of a deletion.
#[derive(Serialize, ToSchema)]
struct MessageView {
    message: String,
}

/// Deletes the package of a project.
///
/// The artifacts stay, so the package can be built again.
#[utoipa::path(
    delete, path = "/api/v1/artifacts/{project_id}/artifacts", operation_id = "delete_package",
    tag = "artifacts",
    params(("project_id" = Uuid, Path)),
    responses((status = 200, body = MessageView), (status = 404, body = ProblemDocument)),
)]
async fn remove(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let removed = state.operations.delete_package(id, caller.clone()).await?;
    let project = state.queries.project(&caller, id).await?;
    let message = if removed {
        format!("The package of \"{}\" was removed.", project.name)
    } else {
        format!("There was no package of \"{}\".", project.name)
    };
    Ok(HttpResponse::Ok().json(MessageView { message }))
}

/// Age of the packages to delete.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CleanupQuery {
    /// Age in hours from which a package is deleted; 24 when absent.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 876_600)]
    max_age_hours: Option<Whole>,
}

/// Result of a clean-up.
#[derive(Serialize, ToSchema)]
struct CleanupView {
    message: String,
    /// Number of deleted packages.
    removed: u32,
}

/// Deletes old packages.
#[utoipa::path(
    delete, path = "/api/v1/artifacts/cleanup-old", operation_id = "delete_old_packages",
    tag = "artifacts", params(CleanupQuery),
    responses((status = 200, body = CleanupView)),
)]
async fn cleanup(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<CleanupQuery>,
) -> Result<HttpResponse, Problem> {
    let hours = in_range("max_age_hours", query.max_age_hours, MAX_AGE_HOURS, 0..=OLDEST_HOURS)?;
    let removed = state.operations.delete_old_packages(hours, caller).await?;
    let message = format!("{removed} packages older than {hours} hours were removed.");
    Ok(HttpResponse::Ok().json(CleanupView { message, removed }))
}

/// Deletes old packages, for clients that cannot send DELETE.
#[utoipa::path(
    post, path = "/api/v1/artifacts/cleanup-old", operation_id = "delete_old_packages_by_post",
    tag = "artifacts", params(CleanupQuery),
    responses((status = 200, body = CleanupView)),
)]
async fn cleanup_by_post(
    state: Data<State>,
    caller: Caller,
    query: Query<CleanupQuery>,
) -> Result<HttpResponse, Problem> {
    cleanup(state, caller, query).await
}

/// Largest number of kept ZIPs; each is an open file.
const MAX_KEPT: usize = 64;

/// The ZIPs that were built last, by digest, up to a number of bytes and [`MAX_KEPT`]. They are in
/// temporary files.
pub(crate) struct ZipCache {
    kept: Mutex<Kept>,
    limit: usize,
    turn: Semaphore,
}

#[derive(Default)]
struct Kept {
    /// Least recently used first.
    zips: VecDeque<(String, ZipFile)>,
    bytes: usize,
}

impl ZipCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self { kept: Mutex::default(), limit, turn: Semaphore::new(ZIPS_AT_ONCE) }
    }

    fn get(&self, digest: &str) -> Option<ZipFile> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.zips.iter().position(|(known, _)| known == digest)?;
        let zip = kept.zips.remove(at)?;
        let found = zip.1.clone();
        kept.zips.push_back(zip);
        Some(found)
    }

    fn put(&self, digest: &str, zip: ZipFile) {
        if zip.len() > self.limit {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.zips.iter().any(|(known, _)| known == digest) {
            return;
        }
        kept.bytes += zip.len();
        kept.zips.push_back((digest.to_owned(), zip));
        while kept.bytes > self.limit || kept.zips.len() > MAX_KEPT {
            let Some((_, oldest)) = kept.zips.pop_front() else { return };
            kept.bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use botarmy_domain::{Artifact, ArtifactType, DomainError, Error, package};
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, NOW, artifact, get, no, project, raw, unknown};

    fn sources() -> Vec<Arc<Artifact>> {
        let files = json!({"files": [
            {"path": "src/main.py", "content": "print(1)\n"},
            {"path": "../../etc/passwd", "content": "root"},
            {"path": "C:\\windows\\x", "content": ""},
        ]});
        vec![artifact(1, ArtifactType::SourceCode, files)]
    }

    fn next(after: Option<botarmy_domain::ContextId>) -> Result<Vec<Arc<Artifact>>, Error> {
        Ok(if after.is_none() { sources() } else { Vec::new() })
    }

    fn made() -> Arc<Package> {
        Arc::new(package::build(&project(), &sources(), NOW))
    }

    fn summary_of(package: Option<Arc<Package>>) -> PackageSummary {
        PackageSummary { project: project().into(), package }
    }

    fn path(rest: &str) -> String {
        format!("/api/v1/artifacts/{}{rest}", project().id)
    }

    /// A project whose package was made.
    fn packaged() -> Fakes {
        let mut fakes = Fakes::default();
        fakes.queries.expect_package().returning(|_, _| Ok(summary_of(Some(made()))));
        fakes.queries.expect_package_sources().times(0..=2).returning(|_, _, after| next(after));
        fakes
    }

    #[actix_web::test]
    async fn a_download_is_a_zip_without_hostile_files() {
        let answer = packaged().send(get(&path("/download"))).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/zip"));
        assert_eq!(answer.header("etag"), format!("\"{}\"", made().digest));
        assert_eq!(
            answer.header("content-disposition"),
            "attachment; filename=\"To_do_artifacts.zip\""
        );
        let mut archive = ::zip::ZipArchive::new(Cursor::new(answer.body)).unwrap();
        let names: Vec<String> = archive.file_names().map(|n| n.unwrap().to_string()).collect();
        assert_eq!(
            names,
            ["README.md", "manifest.json", "project_summary.md", "source/src/main.py"]
        );
        for n in 0..archive.len() {
            assert!(archive.by_index(n).unwrap().enclosed_name().is_some());
        }
        let mut manifest = String::new();
        archive.by_name("manifest.json").unwrap().read_to_string(&mut manifest).unwrap();
        assert!(manifest.contains("../../etc/passwd"), "{manifest}");
    }

    #[test]
    fn a_download_has_a_name_that_can_be_saved() {
        let name = disposition("bill\u{202e}gpj");
        assert_eq!(name, "attachment; filename=\"billgpj_artifacts.zip\"");
        let name = disposition(&"語".repeat(255));
        let (plain, extended) = name.split_once("; filename*=UTF-8''").unwrap();
        assert!(plain.ends_with("_artifacts.zip\"") && extended.ends_with("_artifacts.zip"));
        assert_eq!(extended.matches("%E8%AA%9E").count(), 80, "{extended}");
    }

    #[actix_web::test]
    async fn parts_of_a_download_make_up_the_whole() {
        let ranged = |range: &str| get(&path("/download")).insert_header(("range", range));
        let answers = packaged()
            .send_all([
                get(&path("/download")),
                ranged("bytes=0-99"),
                ranged("bytes=100-"),
                ranged("bytes=99999999-"),
                ranged("bytes=0-9").insert_header(("if-range", "\"other\"")),
                get(&path("/download"))
                    .insert_header(("if-none-match", format!("\"{}\"", made().digest))),
                get(&path("/download")).insert_header(("accept-encoding", "gzip")),
            ])
            .await;
        let whole = &answers[0].body;
        assert_eq!((answers[1].status, answers[2].status), (206, 206));
        assert_eq!([&answers[1].body[..], &answers[2].body[..]].concat(), whole[..]);
        assert_eq!(answers[1].header("content-range"), format!("bytes 0-99/{}", whole.len()));
        assert_eq!(answers[3].status, 416);
        assert_eq!(answers[3].header("content-range"), format!("bytes */{}", whole.len()));
        assert_eq!((answers[4].status, &answers[4].body), (200, whole));
        assert_eq!((answers[5].status, answers[5].body.len()), (304, 0));
        assert_eq!((answers[6].header("content-encoding"), &answers[6].body), ("", whole));
    }

    #[actix_web::test]
    async fn a_missing_or_outdated_package_is_made_by_the_download() {
        let outdated = || {
            let mut package = (*made()).clone();
            package.digest = "0".repeat(64);
            Arc::new(package)
        };
        for stored in [None, Some(outdated())] {
            let mut fakes = Fakes::default();
            fakes.queries.expect_package().returning(move |_, _| Ok(summary_of(stored.clone())));
            fakes.queries.expect_package_sources().returning(|_, _, after| next(after));
            fakes.operations.expect_generate_package().times(1).returning(|_, _| Ok(made()));
            let answer = fakes.send(get(&path("/download"))).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("etag"), format!("\"{}\"", made().digest));
        }
    }

    #[actix_web::test]
    async fn a_summary_lists_the_files_also_before_there_is_a_package() {
        let body = packaged().send(get(&path("/summary"))).await.json();
        assert_eq!(
            (&body["artifact_count"], &body["download_available"]),
            (&4.into(), &true.into())
        );
        assert_eq!(body["generated_at"], "2027-01-15T08:00:00.000000Z");
        assert_eq!(body["artifacts"][3]["name"], "source/src/main.py");
        assert_eq!(
            (&body["artifacts"][3]["file_type"], &body["artifacts"][3]["size"]),
            (&"py".into(), &9.into())
        );
        let mut fakes = Fakes::default();
        fakes.queries.expect_package().returning(|_, _| Ok(summary_of(None)));
        fakes.queries.expect_package_preview().returning(|_, _| Ok((*made()).clone()));
        let preview = fakes.send(get(&path("/summary"))).await.json();
        assert_eq!(preview["artifacts"], body["artifacts"]);
        assert_eq!(
            (&preview["generated_at"], &preview["download_available"], &preview["artifact_count"]),
            (&json!(null), &json!(false), &json!(4))
        );
    }

    #[actix_web::test]
    async fn a_package_is_made_and_removed() {
        let mut fakes = Fakes::default();
        fakes.operations.expect_generate_package().returning(|_, _| Ok(made()));
        fakes.operations.expect_delete_package().returning(|_, _| Ok(true));
        fakes.queries.expect_project().returning(|_, _| Ok(project().into()));
        let delete = actix_web::test::TestRequest::delete().uri(&path("/artifacts"));
        let answers = fakes.send_all([raw(&path("/generate"), ""), delete]).await;
        assert_eq!(
            answers[0].json(),
            json!({
                "project_id": project().id, "status": "success", "artifact_count": 4,
                "message": "The package was made; it has 4 files.",
            })
        );
        assert_eq!(answers[1].json(), json!({"message": "The package of \"To do\" was removed."}));
    }

    #[actix_web::test]
    async fn old_packages_are_removed_by_either_method() {
        let mut fakes = Fakes::default();
        fakes.operations.expect_delete_old_packages().times(1).returning(|hours, _| {
            assert_eq!(hours, 24);
            Ok(3)
        });
        fakes.operations.expect_delete_old_packages().times(1).returning(|hours, _| {
            assert_eq!(hours, 48);
            Ok(0)
        });
        let path = "/api/v1/artifacts/cleanup-old";
        let delete =
            |query: &str| actix_web::test::TestRequest::delete().uri(&format!("{path}{query}"));
        let answers = fakes
            .send_all([
                delete(""),
                raw(&format!("{path}?max_age_hours=48"), ""),
                delete("?max_age_hours=-1"),
                delete("?max_age_hours=old"),
            ])
            .await;
        assert_eq!(answers[0].json()["removed"], 3);
        assert_eq!(answers[1].json()["removed"], 0);
        assert!(answers[2..].iter().all(|a| a.status == 422 && a.field() == "max_age_hours"));
    }

    #[actix_web::test]
    async fn an_unknown_project_is_404_everywhere() {
        let mut fakes = Fakes::default();
        let refuse = || Err(DomainError::not_found("Project", unknown()).into());
        fakes.queries.expect_package().returning(|_, id| Err(no("Project", id)));
        fakes.operations.expect_generate_package().returning(move |_, _| refuse());
        let refuse = || Err(DomainError::not_found("Project", unknown()).into());
        fakes.operations.expect_delete_package().returning(move |_, _| refuse());
        fakes.queries.expect_project().returning(|_, id| Err(no("Project", id)));
        let at = |rest: &str| format!("/api/v1/artifacts/{}{rest}", unknown());
        let answers = fakes
            .send_all([
                get(&at("/summary")),
                get(&at("/download")),
                raw(&at("/generate"), ""),
                actix_web::test::TestRequest::delete().uri(&at("/artifacts")),
            ])
            .await;
        assert!(answers.iter().all(|answer| answer.status == 404));
    }

    #[test]
    fn the_cache_keeps_what_was_used_last_and_never_too_much() {
        let cache = ZipCache::new(10);
        cache.put("a", ZipFile::of(b"1234"));
        cache.put("b", ZipFile::of(b"1234"));
        assert!(cache.get("a").is_some());
        cache.put("c", ZipFile::of(b"1234"));
        assert!(cache.get("b").is_none() && cache.get("a").is_some() && cache.get("c").is_some());
        cache.put("large", ZipFile::of(b"12345678901"));
        assert!(cache.get("large").is_none() && cache.get("a").is_some());
        let empty = (0..2 * MAX_KEPT).map(|n| n.to_string());
        empty.for_each(|digest| cache.put(&digest, ZipFile::of(b"")));
        assert_eq!(cache.kept.lock().unwrap().zips.len(), MAX_KEPT, "each is an open file");
    }

    #[test]
    fn a_file_name_cannot_leave_its_header_or_its_folder() {
        for (project, expected) in [
            ("My App", "attachment; filename=\"My_App_artifacts.zip\""),
            ("../a\"b\\c\r\nX: y", "attachment; filename=\".._a_b_c__X__y_artifacts.zip\""),
            (
                "Größe 日",
                "attachment; filename=\"Gr__e___artifacts.zip\"; \
                 filename*=UTF-8''Gr%C3%B6%C3%9Fe_%E6%97%A5_artifacts.zip",
            ),
        ] {
            assert_eq!(disposition(project), expected);
            assert!(HeaderValue::from_str(&disposition(project)).is_ok());
        }
    }
}
