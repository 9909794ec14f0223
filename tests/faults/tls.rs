//! Encrypted connections to PostgreSQL.

use std::path::Path;
use std::time::{Duration, Instant};

use botarmy_tests::cluster::Cluster;
use botarmy_tests::server::{TIMEOUT, command};
use botarmy_tests::services::{self, PostgresServer};
use serde_json::json;

/// Writes a self-signed certificate for this name.
pub(crate) fn certificate(folder: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    write(folder, name, &made.cert.pem(), &made.signing_key.serialize_pem());
}

/// Writes a certificate and its key for servers that run as another user.
fn write(folder: &Path, name: &str, certificate: &str, private_key: &str) {
    let key = folder.join(format!("{name}.key"));
    std::fs::write(folder.join(format!("{name}.crt")), certificate).unwrap();
    std::fs::write(&key, private_key).unwrap();
    // The server requires that only it can read its key.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    if let Some((user, group)) = services::user() {
        std::os::unix::fs::chown(&key, Some(user), Some(group)).unwrap();
    }
}

async fn encrypted(folder: &Path, name: &str) -> Option<(PostgresServer, String)> {
    certificate(folder, name);
    let file = |ending: &str| folder.join(format!("{name}.{ending}")).display().to_string();
    let (certificate, key) = (file("crt"), file("key"));
    let settings = [("ssl", "on"), ("ssl_cert_file", &*certificate), ("ssl_key_file", &*key)];
    PostgresServer::with_database(&settings).await
}

/// Returns the number of encrypted and of unencrypted connections of servers.
async fn connections(admin: &tokio_postgres::Client) -> (i64, i64) {
    let open = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) \
                FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE application_name = 'botarmy'";
    let row = admin.query_one(open, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

/// Returns the output of a server that does not start.
fn refused(url: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path())
        .args(["serve", "--port", "0"])
        .env("BOTARMY_STORE__URL", url)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_checked_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_postgres, url)) = encrypted(folder.path(), "127.0.0.1").await else { return };
    let root = folder.path().join("127.0.0.1.crt");
    let checked = format!("{url}?sslmode=verify-full&sslrootcert={}", root.display());
    let admin = services::connect(&url).await.unwrap();
    for url in [checked, format!("{url}?sslmode=prefer")] {
        let server = Cluster::on(&url, None).replica("all").await;
        assert_eq!(server.post("/api/v1/projects", json!({"name": "Secret"})).await.0, 201);
        let (encrypted, open) = connections(&admin).await;
        println!("{url}: {encrypted} connections are encrypted, {open} are not");
        assert!(encrypted > 0, "{url}: no connection is encrypted");
        assert_eq!(open, 0, "{url}: a connection is not encrypted");
        drop(server);
        // Connections of this server must not count as those of the next one.
        let started = Instant::now();
        while connections(&admin).await != (0, 0) {
            assert!(started.elapsed() < TIMEOUT, "connections outlive their server");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    // No authority of this system has signed it.
    let said = refused(&format!("{url}?sslmode=require"));
    assert!(said.contains("UnknownIssuer"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_postgres, url)) = encrypted(folder.path(), "elsewhere.example").await else {
        return;
    };
    let root = folder.path().join("elsewhere.example.crt");
    let checked = format!("sslmode=verify-full&sslrootcert={}", root.display());
    let said = refused(&format!("{url}?{checked}"));
    assert!(said.contains("not valid for name"), "{said}");
    // Only the name is wrong: under the right one the same file is accepted.
    let named = url.replace("@127.0.0.1", "@elsewhere.example");
    let named = format!("{named}?hostaddr=127.0.0.1&{checked}");
    let server = Cluster::on(&named, None).replica("all").await;
    assert_eq!(server.post("/api/v1/projects", json!({"name": "Secret"})).await.0, 201);
    // A file that cannot be read is reported as such.
    let said = refused(&format!("{url}?{checked}.missing"));
    assert!(said.contains("cannot be read") && !said.contains("valid for"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_encryption_is_refused_where_it_is_asked_for() {
    let Some(database) = services::database().await else { return };
    let said = refused(&format!("{}?sslmode=require", database.url()));
    assert!(said.to_lowercase().contains("tls") || said.contains("encrypt"), "{said}");
}

/// Writes a certificate as `openssl req -x509` makes one: it signed itself, for this name, and is an
/// authority by its form.
fn authority(folder: &Path, name: &str) -> rcgen::Issuer<'static, rcgen::KeyPair> {
    let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap().pem();
    write(folder, name, &certificate, &key.serialize_pem());
    rcgen::Issuer::new(parameters, key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_named_certificate_is_accepted_where_it_signed_itself() {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "127.0.0.1");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (file("127.0.0.1.crt"), file("127.0.0.1.key"));
    let settings = [("ssl", "on"), ("ssl_cert_file", &*certificate), ("ssl_key_file", &*key)];
    let Some((_postgres, url)) = PostgresServer::with_database(&settings).await else { return };
    let checked = format!("{url}?sslmode=verify-full&sslrootcert={certificate}");
    let server = Cluster::on(&checked, None).replica("all").await;
    assert_eq!(server.post("/api/v1/projects", json!({"name": "Secret"})).await.0, 201);
    // Another one of the same form and name is not.
    let other = tempfile::tempdir().unwrap();
    authority(other.path(), "127.0.0.1");
    let other = other.path().join("127.0.0.1.crt");
    let said = refused(&format!("{url}?sslmode=verify-full&sslrootcert={}", other.display()));
    assert!(said.contains("invalid peer certificate"), "{said}");
    // And not under another name.
    let named = url.replace("@127.0.0.1", "@elsewhere.example");
    let said = refused(&format!(
        "{named}?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={certificate}"
    ));
    assert!(said.contains("not valid for name"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_opens_a_database_that_asks_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let issuer = authority(folder.path(), "127.0.0.1");
    // The name of the role is the common name.
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "botarmy");
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = rcgen::KeyPair::generate().unwrap();
    let client = parameters.signed_by(&key, &issuer).unwrap();
    write(folder.path(), "client", &client.pem(), &key.serialize_pem());
    let hba = folder.path().join("pg_hba.conf");
    std::fs::write(
        &hba,
        "hostssl botarmy all 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 trust\n",
    )
    .unwrap();
    let (certificate, key) = (file("127.0.0.1.crt"), file("127.0.0.1.key"));
    let hba = hba.display().to_string();
    let settings = [
        ("ssl", "on"),
        ("ssl_cert_file", &*certificate),
        ("ssl_key_file", &*key),
        ("ssl_ca_file", &*certificate),
        ("hba_file", &*hba),
    ];
    let Some((_postgres, url)) = PostgresServer::with_database(&settings).await else { return };
    let checked = format!("{url}?sslmode=verify-full&sslrootcert={certificate}");
    let said = refused(&checked);
    assert!(said.contains("certificate"), "{said}");
    let with = format!("{checked}&sslcert={}&sslkey={}", file("client.crt"), file("client.key"));
    let server = Cluster::on(&with, None).replica("all").await;
    assert_eq!(server.post("/api/v1/projects", json!({"name": "Secret"})).await.0, 201);
    let said = refused(&format!("{checked}&sslcert={}&sslkey=/missing.key", file("client.crt")));
    assert!(said.contains("the private key of sslkey cannot be read"), "{said}");
    let said = refused(&format!("{checked}&sslcert={}", file("client.crt")));
    assert!(said.contains("names sslcert and not sslkey"), "{said}");
}
