//! Style sheet, script and icon: part of the binary. Their names have a hash of their contents, so that
//! browsers keep them for ever and still get each change.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;
use botarmy_web::Problem;

/// Time for which browsers keep a file: a year.
const FOREVER: &str = "public, max-age=31536000, immutable";

struct Asset {
    /// Name in the source.
    name: &'static str,
    /// Name with the hash.
    file: String,
    kind: &'static str,
    text: &'static str,
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset("console.css", "text/css; charset=utf-8", include_str!("../assets/console.css")),
        asset("console.js", "text/javascript; charset=utf-8", include_str!("../assets/console.js")),
        asset("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ]
});

fn asset(name: &'static str, kind: &'static str, text: &'static str) -> Asset {
    // The keys of this hasher are fixed, so that all replicas of one build use the same names.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let (stem, ending) = name.split_once('.').expect("files have an ending");
    Asset { name, file: format!("{stem}.{:016x}.{ending}", hasher.finish()), kind, text }
}

/// Returns the path of the file with this name in the source.
///
/// # Panics
/// For a name that no file has.
pub(crate) fn path(name: &str) -> String {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.expect("templates name existing files");
    format!("/console/assets/{}", asset.file)
}

/// Returns a file.
pub(crate) async fn serve(name: Path<String>) -> Result<HttpResponse, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.file == *name);
    let asset = asset.ok_or_else(|| Problem::not_found("File", name.as_str()))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, asset.kind))
        .insert_header((header::CACHE_CONTROL, FOREVER))
        .body(asset.text))
}
