//! TLS: the driver's options, and a certificate and its key in two files made into the one that the driver reads.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::layer::{CertificateCheck, Layer};
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};

/// Certificates and keys are small; what is larger is something else.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// A file that holds a certificate and its key, in a folder that only this user may enter. Goes with this value.
#[derive(Debug)]
pub(crate) struct Joined {
    folder: PathBuf,
    path: PathBuf,
}

impl Joined {
    fn new(certificate: &Path, key: &Path) -> Result<Joined> {
        let pem = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Config, "cannot join certificate and key in a private file")
                .with_source(error)
        };
        let folder = private_folder().map_err(failed)?;
        let joined = Joined { path: folder.join("client.pem"), folder };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&joined.path).and_then(|mut file| file.write_all(&pem)).map_err(failed)?;
        Ok(joined)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_dir(&self.folder);
    }
}

fn private_folder() -> io::Result<PathBuf> {
    let name = format!("headwater-tls-{}", mongodb::bson::oid::ObjectId::new());
    let folder = std::env::temp_dir().join(name);
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder)?;
    Ok(folder)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut content))
        .map_err(|error| unreadable(path, error))?;
    Ok(content)
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let message = format!("the TLS file {} cannot be read: {error}", path.display());
    Error::new(ErrorKind::Config, message).with_source(error)
}

/// Checks that the files can be read, so that a wrong name shows at once and not in the first operation.
pub(super) fn check_files(layer: &Layer) -> Result<()> {
    for path in [&layer.ca_file, &layer.certificate_file, &layer.key_file].into_iter().flatten() {
        File::open(path).map_err(|error| unreadable(path, error))?;
    }
    Ok(())
}

/// Says of an encrypted key what is missing; the driver would only say that it finds no key.
fn check_key(path: &Path, has_password: bool) -> Result<()> {
    let content = read(path)?;
    let has = |needle: &str| content.windows(needle.len()).any(|part| part == needle.as_bytes());
    let problem = if has("Proc-Type: 4,ENCRYPTED") {
        "is encrypted in a form that is not supported: convert it (openssl pkcs8 -topk8)"
    } else if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") && !has_password {
        "is encrypted and needs a password (MONGO_SSL_KEYFILE_PASSWORD)"
    } else {
        return Ok(());
    };
    let message = format!("the TLS key in {} {problem}", path.display());
    Err(Error::new(ErrorKind::Config, message))
}

/// The driver's options, and what must be kept as long as the client is.
pub(super) fn options(layer: &Layer) -> Result<(mongodb::options::Tls, Option<Joined>)> {
    use mongodb::options::{Tls, TlsOptions};
    check_files(layer)?;
    let (path, joined) = match (&layer.certificate_file, &layer.key_file) {
        (Some(certificate), Some(key)) if certificate != key => {
            let joined = Joined::new(certificate, key)?;
            (Some(joined.path.clone()), Some(joined))
        }
        (Some(both), _) => (Some(both.clone()), None),
        (None, Some(_)) => {
            let message = "a TLS key needs its certificate (MONGO_SSL_CERTFILE)";
            return Err(Error::new(ErrorKind::Config, message));
        }
        (None, None) => (None, None),
    };
    if let Some(path) = layer.key_file.as_ref().or(layer.certificate_file.as_ref()) {
        check_key(path, layer.key_password.is_some())?;
    }
    let mut options = TlsOptions::default();
    options.ca_file_path = layer.ca_file.clone();
    options.cert_key_file_path = path;
    options.tls_certificate_key_file_password =
        layer.key_password.as_ref().map(|password| password.reveal().as_bytes().to_vec());
    if layer.certificates == Some(CertificateCheck::None) {
        options.allow_invalid_certificates = Some(true);
    }
    Ok((Tls::Enabled(options), joined))
}
