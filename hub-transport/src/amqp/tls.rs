//! Reads and checks the TLS certificates once, before the first connection, for both client libraries.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{AmqpSettings, TlsFiles};
use crate::{Error, ErrorKind, Operation, Result};

/// The TLS configuration. `None` if the address does not use TLS.
///
/// # Errors
/// `Configuration` if a file or the name of a node cannot be used. The message contains it.
pub fn client_config(settings: &AmqpSettings) -> Result<Option<Arc<ClientConfig>>> {
    let TlsFiles { ca, client_cert, client_key } = &settings.tls;
    let identity = match (client_cert, client_key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(refuse("a client certificate and its key must be given together")),
    };
    if !settings.address.tls {
        return Ok(None);
    }
    for name in settings.address.server_names() {
        if let Err(error) = ServerName::try_from(name) {
            return Err(refuse(format!("{name:?} is not a valid name for a certificate")).with_source(error));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse("TLS is not available").with_source(error))?
        .with_root_certificates(authorities(ca.as_deref())?);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            builder.with_client_auth_cert(read_certificates(certificate)?, read_key(key)?).map_err(|error| {
                let message =
                    format!("the certificate {} does not match the key {}", certificate.display(), key.display());
                refuse(message).with_source(error)
            })?
        }
    };
    Ok(Some(Arc::new(config)))
}

/// The trusted certificate authorities: those of the system and those in the file.
fn authorities(file: Option<&Path>) -> Result<RootCertStore> {
    let mut authorities = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    authorities.add_parsable_certificates(native.certs);
    for error in native.errors {
        tracing::debug!(%error, "cannot read a certificate authority of the system");
    }
    if let Some(file) = file {
        for certificate in read_certificates(file)? {
            authorities.add(certificate).map_err(|error| {
                refuse(format!("{} contains an unusable certificate", file.display())).with_source(error)
            })?;
        }
    }
    if authorities.is_empty() {
        return Err(refuse("there are no trusted certificate authorities: neither in this system nor in a file"));
    }
    Ok(authorities)
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(file)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(format!("{} is not a PEM file", file.display())).with_source(error))?;
    if certificates.is_empty() {
        return Err(refuse(format!("there is no certificate in {}", file.display())));
    }
    Ok(certificates)
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&read(file)?)
        .map_err(|error| refuse(format!("there is no private key in {}", file.display())).with_source(error))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| refuse(format!("{} cannot be read", file.display())).with_source(error))
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, Operation::Configure, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str, tls: TlsFiles) -> AmqpSettings {
        AmqpSettings { tls, ..AmqpSettings::new(address.parse().unwrap()) }
    }

    fn refused(address: &str, tls: TlsFiles) -> String {
        let error = client_config(&settings(address, tls)).expect_err("it cannot be used");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.message().to_owned()
    }

    #[test]
    fn without_tls_nothing_is_read() {
        let files = TlsFiles { ca: Some("/nowhere/ca.pem".into()), ..TlsFiles::default() };
        assert!(client_config(&settings("h", files)).unwrap().is_none());
    }

    #[test]
    fn the_name_of_every_node_is_checked() {
        let name = "r_2-".repeat(70);
        assert!(refused(&format!("amqps://r1,{name}"), TlsFiles::default()).contains(&name));
    }

    #[test]
    fn unusable_files_are_named() {
        let missing = TlsFiles { ca: Some("/nowhere/ca.pem".into()), ..TlsFiles::default() };
        assert_eq!(refused("amqps://h", missing), "/nowhere/ca.pem cannot be read");
        let no_pem = TlsFiles { ca: Some("Cargo.toml".into()), ..TlsFiles::default() };
        assert_eq!(refused("amqps://h", no_pem), "there is no certificate in Cargo.toml");
        let half = TlsFiles { client_key: Some("key.pem".into()), ..TlsFiles::default() };
        assert!(refused("h", half).contains("together"));
    }
}
