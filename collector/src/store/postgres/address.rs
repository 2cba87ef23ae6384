//! Which database: `postgres://user:password@host:port/database?sslmode=…`.

use std::fmt;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::error::PostgresError;
use super::tls::Roots;

/// Where a database is, and how it is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    config: Config,
    is_dsql: bool,
    roots: Roots,
}

/// Hosts of RDS and Aurora, in the partitions of AWS and of China
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>).
const RDS: [&str; 2] = [".rds.amazonaws.com", ".rds.amazonaws.com.cn"];
/// What libpq calls the roots that everybody has.
const SYSTEM_ROOTS: &str = "system";

/// The role of a cluster that everybody starts with; AWS's own connectors take it for the default as well.
const ADMIN: &str = "admin";
/// The database of a cluster: it has one.
const ONE_DATABASE: &str = "postgres";

/// Aurora DSQL's hosts: `<cluster>.dsql.<region>.on.aws`
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/authentication-token-cli.html>).
const DSQL: (&str, &str) = (".dsql.", ".on.aws");

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// A server on another machine is spoken to by TLS; `sslmode=disable` alone has it otherwise. One on this machine is by whom
    /// `sslmode` asks for it. Whoever is spoken to by TLS has to prove who it is, by a certificate of roots that everybody has, of
    /// RDS's for a host of RDS, or of those in the file that `sslrootcert` names.
    ///
    /// # Errors
    /// With what is wrong with it, and never with the password in it.
    pub fn parse(url: &str) -> Result<Self, PostgresError> {
        let url = url.trim();
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(PostgresError::Url("it begins with postgres://".to_owned()));
        }
        let (url, root_file) = without_root_file(url);
        // Whatever is verified is verified in full.
        let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            PostgresError::Url(why)
        })?;
        if config.get_hosts().is_empty() {
            return Err(PostgresError::Url("it names no host".to_owned()));
        }
        let is_dsql = config.get_hosts().iter().any(is_dsql);
        let is_near = config.get_hosts().iter().all(is_near);
        let is_said = url.contains("sslmode=");
        let roots = match root_file {
            Some(file) if file != SYSTEM_ROOTS => Roots::File(file),
            None if config.get_hosts().iter().all(is_rds) => Roots::Rds,
            _ => Roots::Public,
        };
        // Who says by whom a server has to prove who it is wants it proven.
        let may_be_plain = is_near && !matches!(roots, Roots::File(_));
        if is_dsql || (!may_be_plain && (!is_said || config.get_ssl_mode() == SslMode::Prefer)) {
            config.ssl_mode(SslMode::Require);
        } else if may_be_plain && !is_said {
            config.ssl_mode(SslMode::Disable);
        }
        if is_dsql && config.get_user().is_none() {
            config.user(ADMIN);
        }
        if is_dsql && config.get_dbname().is_none() {
            config.dbname(ONE_DATABASE);
        }
        config.application_name("koala");
        Ok(Self { config, is_dsql, roots })
    }

    /// The URL of a cluster of Aurora DSQL, by its endpoint, for its administrator.
    ///
    /// # Errors
    /// When it is no cluster's.
    pub fn of_cluster(endpoint: &str) -> Result<Self, PostgresError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let url = endpoint.chars().all(is_name).then(|| Self::parse(&format!("postgres://{endpoint}")).ok()).flatten();
        url.filter(Self::is_dsql).ok_or_else(|| {
            PostgresError::Url(
                "it begins with postgres://, or is an endpoint <cluster>.dsql.<region>.on.aws".to_owned(),
            )
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The role that connects, where the URL names one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// Whether a password stands in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The host and the region of a cluster of Aurora DSQL.
    #[must_use]
    pub fn dsql_cluster(&self) -> Option<(&str, &str)> {
        let cluster = self.config.get_hosts().iter().find(|host| is_dsql(host))?;
        let Host::Tcp(host) = cluster else { return None };
        let (_, rest) = host.split_once(DSQL.0)?;
        Some((host, rest.strip_suffix(DSQL.1)?))
    }

    /// Whether it is a cluster of Aurora DSQL.
    #[must_use]
    pub fn is_dsql(&self) -> bool {
        self.is_dsql
    }
}

/// Without the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or("postgres");
        write!(formatter, "postgres://{host}:{port}/{database}")
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DatabaseUrl({self})")
    }
}

fn is_dsql(host: &Host) -> bool {
    matches!(host, Host::Tcp(host) if host.contains(DSQL.0) && host.ends_with(DSQL.1))
}

fn is_rds(host: &Host) -> bool {
    matches!(host, Host::Tcp(host) if RDS.iter().any(|suffix| host.ends_with(suffix)))
}

/// A URL without `sslrootcert`, which the client library does not know, and the file that it names.
fn without_root_file(url: &str) -> (String, Option<String>) {
    const NAME: &str = "sslrootcert=";
    let Some((before, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let file = query.split('&').find_map(|part| part.strip_prefix(NAME));
    let file = file.map(|file| percent_decode_str(file).decode_utf8_lossy().into_owned());
    let others: Vec<&str> = query.split('&').filter(|part| !part.starts_with(NAME)).collect();
    let url = if others.is_empty() { before.to_owned() } else { format!("{before}?{}", others.join("&")) };
    (url, file)
}

/// Whether nobody is between us and a host.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Tcp(host) => {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_spoken_to_by_tls_unless_it_is_said_otherwise() {
        let mode = |url| DatabaseUrl::parse(url).expect("a URL").config.get_ssl_mode();
        assert_eq!(mode("postgres://koala@db.example.com/koala"), SslMode::Require);
        assert_eq!(mode("postgresql://db.example.com/koala?sslmode=prefer"), SslMode::Require);
        assert_eq!(mode("postgres://db.example.com/koala?sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgres://db.example.com/koala?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://koala@127.0.0.1:5433/koala"), SslMode::Disable);
        assert_eq!(mode("postgres://localhost/koala?sslmode=require"), SslMode::Require);
        assert_eq!(mode("postgres://foo.dsql.eu-west-1.on.aws/postgres?sslmode=disable"), SslMode::Require);
    }

    #[test]
    fn roots_are_everybodys_or_of_rds_for_its_hosts_or_of_a_file() {
        let parse = |url| DatabaseUrl::parse(url).expect("a URL");
        let roots = |url| parse(url).roots;
        assert_eq!(roots("postgres://db.example.com/koala"), Roots::Public);
        assert_eq!(roots("postgres://foo.dsql.eu-west-1.on.aws"), Roots::Public);
        assert_eq!(roots("postgres://koala.abc.eu-west-1.rds.amazonaws.com/koala"), Roots::Rds);
        assert_eq!(roots("postgres://koala.abc.eu-west-1.rds.amazonaws.com/koala?sslrootcert=system"), Roots::Public);
        assert_eq!(roots("postgres://rds.amazonaws.com.example.com/koala"), Roots::Public);
        let file = "postgres://localhost/koala?sslrootcert=%2Fetc%2Four%20ca.pem&connect_timeout=3";
        assert_eq!(roots(file), Roots::File("/etc/our ca.pem".to_owned()));
        assert_eq!(parse(file).config.get_ssl_mode(), SslMode::Require);
        assert_eq!(
            parse("postgres://localhost/koala?sslrootcert=ca.pem&sslmode=disable").config.get_ssl_mode(),
            SslMode::Disable
        );
    }

    #[test]
    fn a_cluster_of_aurora_dsql_is_known_by_its_host() {
        let parse = |url| DatabaseUrl::parse(url).expect("a URL");
        let cluster = parse("postgres://foo.dsql.eu-west-1.on.aws");
        assert!(cluster.is_dsql());
        assert_eq!(cluster.dsql_cluster(), Some(("foo.dsql.eu-west-1.on.aws", "eu-west-1")));
        assert_eq!(cluster.to_string(), "postgres://foo.dsql.eu-west-1.on.aws:5432/postgres");
        assert_eq!(cluster.user(), Some("admin"));
        assert_eq!(parse("postgres://koala@foo.dsql.eu-west-1.on.aws/postgres").user(), Some("koala"));
        let cluster = DatabaseUrl::of_cluster("foo.dsql.eu-west-1.on.aws").expect("a cluster");
        assert_eq!(
            (cluster.user(), cluster.to_string()),
            (Some("admin"), "postgres://foo.dsql.eu-west-1.on.aws:5432/postgres".to_owned())
        );
        for other in ["db.example.com", "", "ada:s3cret@foo.dsql.eu-west-1.on.aws", "foo.dsql.eu-west-1.on.aws.example"]
        {
            let why = DatabaseUrl::of_cluster(other).expect_err(other).to_string();
            assert!(why.contains("postgres://") && !why.contains("s3cret"), "{why}");
        }
        for other in ["postgres://foo.dsql.eu-west-1.on.aws.example/postgres", "postgres://db.example.com/dsql"] {
            assert_eq!(parse(other).dsql_cluster(), None, "{other}");
        }
    }

    #[test]
    fn a_url_that_is_wrong_is_told_without_the_password() {
        for url in ["mysql://db/koala", "db.example.com", "postgres://ada:s3cret@db:port/koala", "postgres://"] {
            let why = DatabaseUrl::parse(url).expect_err(url).to_string();
            assert!(why.starts_with("the URL of the database:") && !why.contains("s3cret"), "{why}");
        }
        let shown = format!("{:?}", DatabaseUrl::parse("postgres://ada:s3cret@db:5433/koala"));
        assert!(shown.contains("postgres://db:5433/koala") && !shown.contains("s3cret"), "{shown}");
    }
}
