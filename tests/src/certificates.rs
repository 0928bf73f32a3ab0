//! Creates a chain of certificates: a root authority, an intermediate authority, and certificates that it has signed.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// A root authority, and an intermediate authority that signs certificates.
pub struct Authority {
    /// The certificate of the root authority, in PEM.
    root: String,
    /// The certificate of the intermediate authority, in PEM. It is part of each chain.
    between: String,
    signs: Issuer<'static, KeyPair>,
}

/// A certificate with its chain and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, followed by the one that signed it.
    pub chain: String,
    /// Its key.
    pub key: String,
}

/// The files of a certificate.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The file with the chain.
    pub chain: PathBuf,
    /// The file with the key.
    pub key: PathBuf,
}

impl Authority {
    /// Creates an authority.
    ///
    /// # Panics
    /// If keys cannot be generated.
    #[must_use]
    pub fn found(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let parameters = authority(name);
        let root = parameters.self_signed(&key).expect("an authority signs itself").pem();
        let issuer = Issuer::new(parameters, key);
        let key = KeyPair::generate().expect("a key");
        let parameters = authority(&format!("{name}, signing"));
        let between = parameters.signed_by(&key, &issuer).expect("an authority signs another").pem();
        Self { root, between, signs: Issuer::new(parameters, key) }
    }

    /// The certificate to trust, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.root
    }

    /// A certificate for a server with this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Certificate {
        self.sign(name, vec![name.to_owned()], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client with this name.
    #[must_use]
    pub fn client(&self, name: &str) -> Certificate {
        self.sign(name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, name: &str, names: Vec<String>, purpose: ExtendedKeyUsagePurpose) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(names).expect("names that a certificate can carry");
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![purpose];
        parameters.use_authority_key_identifier_extension = true;
        let signed = parameters.signed_by(&key, &self.signs).expect("an authority signs");
        Certificate { chain: format!("{}{}", signed.pem(), self.between), key: key.serialize_pem() }
    }
}

impl Certificate {
    /// Writes the chain and the key to files whose names begin with `name`.
    ///
    /// # Panics
    /// If they cannot be written.
    #[must_use]
    pub fn write(&self, directory: &Path, name: &str) -> CertificateFiles {
        let write = |ending: &str, text: &str| {
            let path = directory.join(format!("{name}.{ending}"));
            std::fs::write(&path, text).expect("a file can be written");
            path
        };
        CertificateFiles { chain: write("pem", &self.chain), key: write("key", &self.key) }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}
