//! Style sheet, script, icons and manifest: part of the binary. Their names have a hash of their contents,
//! so that browsers keep them for ever and still get each change. They are compressed once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use botarmy_web::Problem;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Time for which browsers keep a file: a year.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Icon without a number.
const ICON: &str = include_str!("../assets/icon.svg");
/// Largest number that an icon shows; a dot stands for more.
const MAX_ON_ICON: usize = 9;

struct Asset {
    /// Name in the source.
    name: String,
    /// Name with the hash.
    file: String,
    kind: &'static str,
    text: Bytes,
    gzip: Bytes,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut assets = vec![
        asset("console.css", "text/css; charset=utf-8", include_str!("../assets/console.css")),
        asset("console.js", "text/javascript; charset=utf-8", include_str!("../assets/console.js")),
        asset("icon.svg", "image/svg+xml", ICON),
    ];
    let manifest = include_str!("../assets/console.webmanifest").replace("ICON", &assets[2].file);
    assets.push(asset("console.webmanifest", "application/manifest+json", &manifest));
    assets.extend((1..=MAX_ON_ICON + 1).map(|count| {
        let label = if count > MAX_ON_ICON { "•".to_owned() } else { count.to_string() };
        let badge = format!(
            "<g stroke=\"none\"><circle cx=\"16\" cy=\"6\" r=\"6\" fill=\"#e8890c\"/><text x=\"16\" y=\"9.4\" \
             text-anchor=\"middle\" font-family=\"sans-serif\" font-size=\"9.5\" font-weight=\"700\" \
             fill=\"#1f1300\">{label}</text></g></svg>"
        );
        asset(&icon_name(count), "image/svg+xml", &ICON.replace("</svg>", &badge))
    }));
    assets
});

fn asset(name: &str, kind: &'static str, text: &str) -> Asset {
    // The keys of this hasher are fixed, so that all replicas of one build use the same names.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let (stem, ending) = name.split_once('.').expect("files have an ending");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).expect("memory takes every byte");
    let gzip = encoder.finish().expect("memory takes every byte");
    Asset {
        name: name.to_owned(),
        file: format!("{stem}.{:016x}.{ending}", hasher.finish()),
        kind,
        text: Bytes::copy_from_slice(text.as_bytes()),
        gzip: gzip.into(),
    }
}

fn icon_name(count: usize) -> String {
    match count {
        0 => "icon.svg".to_owned(),
        _ => format!("icon-{}.svg", count.min(MAX_ON_ICON + 1)),
    }
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

/// Returns the path of the icon with this number.
pub(crate) fn icon(count: usize) -> String {
    path(&icon_name(count))
}

/// Returns a file.
pub(crate) async fn serve(
    name: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.file == *name);
    let asset = asset.ok_or_else(|| Problem::not_found("File", name.as_str()))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, asset.kind))
        .insert_header((header::CACHE_CONTROL, FOREVER))
        .insert_header((header::VARY, "accept-encoding"));
    if accepts_gzip(request.headers()) {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        return Ok(response.body(asset.gzip.clone()));
    }
    Ok(response.body(asset.text.clone()))
}

/// Whether the sender of a request reads gzip. Every browser says so without a weight.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("gzip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_sheet_and_script_are_small() {
        for (name, limit) in [("console.css", 10 * 1024), ("console.js", 8 * 1024)] {
            let asset = ASSETS.iter().find(|asset| asset.name == name).unwrap();
            assert!(asset.gzip.len() <= limit, "{name}: {} bytes", asset.gzip.len());
        }
    }

    #[test]
    fn each_number_has_an_icon() {
        assert_ne!(icon(0), icon(1));
        assert_eq!(icon(10), icon(99));
    }
}
