//! TLS to a PostgreSQL server, whose certificate is of an authority that the test makes.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use koala_collector::store::postgres::{DatabaseUrl, PostgresStore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::postgres_server::Database;

/// The name that the server's certificate has.
const NAME: &str = "db.example.com";

/// An authority of a test's own.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Gives the server a certificate of an authority's, while it runs.
async fn have_server_show(database: &Database, authority: &CertifiedIssuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let client = database.client().await;
    let data: String = client.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    let owner = std::fs::metadata(&data).unwrap();
    for (name, pem) in [("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())] {
        let file = Path::new(&data).join(name);
        std::fs::write(&file, pem).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    for set in ["ssl_cert_file = 'tls.crt'", "ssl_key_file = 'tls.key'", "ssl = on"] {
        client.batch_execute(&format!("ALTER SYSTEM SET {set}")).await.unwrap();
    }
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    for _ in 0..500 {
        // A new connection sees what is in force.
        let is_on: String = database.client().await.query_one("SHOW ssl", &[]).await.unwrap().get(0);
        if is_on == "on" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the server does not speak TLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_to_prove_who_it_is() {
    let database = Database::new().await;
    let (authority, other) = (authority("Ours"), authority("Theirs"));
    have_server_show(&database, &authority).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = |name: &str, pem: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, pem).unwrap();
        file.to_str().unwrap().replace('/', "%2F")
    };
    let (right, wrong) = (roots("right.pem", authority.pem()), roots("wrong.pem", other.pem()));
    let both = roots("both.pem", other.pem() + &authority.pem());
    let port = database.url.split("127.0.0.1:").nth(1).unwrap().split('/').next().unwrap();
    let options = database.url.split('?').nth(1).unwrap();
    // By its name, on this machine.
    let at =
        |name: &str, more: &str| format!("postgres://koala@{name}:{port}/postgres?hostaddr=127.0.0.1&{options}{more}");
    let open = async |url: String| PostgresStore::open(&DatabaseUrl::parse(&url).unwrap()).await;

    for file in [&right, &both] {
        open(at(NAME, &format!("&sslrootcert={file}"))).await.expect("the right authority");
    }
    for (why, url, said) in [
        ("another authority", at(NAME, &format!("&sslrootcert={wrong}")), "UnknownIssuer"),
        ("an authority that nobody knows", at(NAME, ""), "UnknownIssuer"),
        ("one that nobody knows, of RDS", at("koala.abc.eu-west-1.rds.amazonaws.com", ""), "UnknownIssuer"),
        ("another name", at("other.example.com", &format!("&sslrootcert={right}")), "not valid for name"),
        ("the address in place of the name", at("127.0.0.1", &format!("&sslrootcert={right}")), "not valid for name"),
        // No mode of libpq's that encrypts lets a server be anybody.
        ("mode require", at(NAME, "&sslmode=require"), "UnknownIssuer"),
        ("mode prefer", at(NAME, "&sslmode=prefer"), "UnknownIssuer"),
        (
            "mode verify-ca",
            at("other.example.com", &format!("&sslmode=verify-ca&sslrootcert={right}")),
            "not valid for name",
        ),
    ] {
        let refused = open(url).await.map(drop).expect_err(why).to_string();
        assert!(refused.contains(said), "{why}: {refused}");
    }
    // Who says so is on their own, and on this machine nobody is in between.
    open(at(NAME, "&sslmode=disable")).await.expect("without TLS");
    open(database.url.clone()).await.expect("without TLS");
}
