//! Authorities, certificates and keys of the TLS tests, as values and as files. Knows no sockets.

use std::path::{Path, PathBuf};

use pkcs8::pkcs5::pbes2;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Who signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its key.
pub(super) struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// When a certificate is valid, in years.
pub(super) const NOW: (i32, i32) = (2020, 2100);
pub(super) const PAST: (i32, i32) = (2001, 2002);
pub(super) const FUTURE: (i32, i32) = (2098, 2100);

impl Authority {
    pub(super) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Authority { issuer: Issuer::new(params, key), certificate: der, pem }
    }

    /// A certificate for a host or for a client of that name.
    pub(super) fn sign(&self, name: &str, valid: (i32, i32)) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(valid.0, 1, 1);
        params.not_after = date_time_ymd(valid.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }
}

impl Identity {
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone()]
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    pub(super) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The key as OpenSSL 3 encrypts it (PKCS#8, PBES2), with fewer rounds.
    pub(super) fn encrypted_key_pem(&self, password: &str) -> String {
        let rounds = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(2048, &[7; 16], [9; 16]);
        let der = self.key.serialize_der();
        let key = pkcs8::PrivateKeyInfoRef::try_from(&der[..]).unwrap();
        let encrypted = key.encrypt_with_params(rounds.unwrap(), password).unwrap();
        let pem = encrypted.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF).unwrap();
        pem.to_string()
    }
}

/// Files of one test, in a folder that goes with it.
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn new(test: &str) -> Files {
        let name = format!("headwater-it-tls-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Files(folder)
    }

    pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
