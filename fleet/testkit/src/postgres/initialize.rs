//! The folder of a new instance: initdb, postgresql.conf, pg_hba.conf.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use anyhow::{Context, ensure};

use super::{Postgres, installation::Owner};

/// Many tests of one process share an instance, each with a few pools.
const CONNECTIONS: u32 = 400;

/// How an instance differs from the plain one: no password on loopback, no TLS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Connections over TCP must present this password of the user `postgres` (scram-sha-256).
    pub password: Option<String>,
    /// Connections over TCP must use TLS, and meet this certificate.
    pub certificate: Option<Certificate>,
    /// More lines of postgresql.conf.
    pub settings: Vec<String>,
}

/// A server's certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain, PEM.
    pub chain_pem: String,
    /// The private key, PEM.
    pub key_pem: String,
}

impl Postgres {
    pub(super) fn initialize(&self, options: &Options) -> anyhow::Result<()> {
        let data = self.data();
        let mut initdb = self.command("initdb");
        initdb.args([
            "--no-sync",
            "--no-instructions",
            "--encoding=UTF8",
            "--locale=C",
            "--username=postgres",
        ]);
        initdb.args(["--auth=trust", "-D"]).arg(&data);
        let output = initdb.output().context("initdb cannot be run")?;
        ensure!(
            output.status.success(),
            "initdb failed; may user id {:?} use {}? It said: {}",
            self.owner.map(|owner| owner.uid),
            self.folder.path().display(),
            String::from_utf8_lossy(&output.stderr)
        );
        let mut settings = String::new();
        let socket = self.folder.path().display();
        // fsync stays on: what these tests are about is what survives.
        write!(
            settings,
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{socket}'\n\
             max_connections = {CONNECTIONS}\nshared_buffers = '64MB'\nfsync = on\nsynchronous_commit = on\n\
             logging_collector = off\nlog_min_messages = warning\nlog_line_prefix = '%m [%p] %d '\n",
            self.port()
        )?;
        for line in &options.settings {
            writeln!(settings, "{line}")?;
        }
        if let Some(certificate) = &options.certificate {
            for (name, pem) in [
                ("server.crt", &certificate.chain_pem),
                ("server.key", &certificate.key_pem),
            ] {
                self.write(&data.join(name), pem)?;
            }
            settings.push_str("ssl = on\n");
        }
        fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| std::io::Write::write_all(&mut file, settings.as_bytes()))?;
        let host = if options.certificate.is_some() {
            "hostssl"
        } else {
            "host"
        };
        let method = if options.password.is_some() {
            "scram-sha-256"
        } else {
            "trust"
        };
        let rules = format!(
            "local all all trust\n{host} all all 127.0.0.1/32 {method}\nhost replication postgres 127.0.0.1/32 trust\n"
        );
        self.write(&data.join("pg_hba.conf"), &rules)?;
        if let Some(password) = &options.password {
            self.start_again()?;
            let quoted = password.replace('\'', "''");
            self.psql("postgres", &format!("ALTER USER postgres PASSWORD '{quoted}'"))?;
            self.stop()?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        if let Some(Owner { uid, gid }) = self.owner {
            chown(path, Some(uid), Some(gid))?;
        }
        Ok(())
    }
}
