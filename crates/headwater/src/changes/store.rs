//! Where resume tokens are kept between two runs of a program. Knows no streams.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mongodb::bson::Document;

use super::token::ResumeToken;
use crate::BoxFuture;

/// More than any server's token has, by far.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// Keeps the last token of a change stream, so that the next run of the program goes on behind it.
pub trait TokenStore: Send + Sync {
    /// The token that was saved last; nothing if there is none.
    fn load(&self) -> BoxFuture<'_, io::Result<Option<ResumeToken>>>;

    /// Saves a token. When it returns, the token survives a crash, or the one before is still there.
    fn save<'a>(&'a self, token: &'a ResumeToken) -> BoxFuture<'a, io::Result<()>>;
}

/// A token in a file of its own. A crash while it is written leaves the one before.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// use headwater::bson::doc;
/// use headwater::{FileTokenStore, ResumeToken, TokenStore};
///
/// let path = std::env::temp_dir().join(format!("headwater-doc-token-{}", std::process::id()));
/// let store = FileTokenStore::new(&path);
/// assert!(store.load().await?.is_none());
/// let token = ResumeToken::from(doc! { "_data": "8263" });
/// store.save(&token).await?;
/// assert_eq!(store.load().await?, Some(token));
/// std::fs::remove_file(path)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FileTokenStore {
    path: PathBuf,
}

impl FileTokenStore {
    /// A store in that file, whose folder must be there. One stream per file.
    pub fn new(path: impl Into<PathBuf>) -> FileTokenStore {
        FileTokenStore { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl TokenStore for FileTokenStore {
    fn load(&self) -> BoxFuture<'_, io::Result<Option<ResumeToken>>> {
        let path = self.path.clone();
        Box::pin(aside(move || load(&path)))
    }

    fn save<'a>(&'a self, token: &'a ResumeToken) -> BoxFuture<'a, io::Result<()>> {
        let (path, token) = (self.path.clone(), token.clone());
        Box::pin(aside(move || save(&path, &token)))
    }
}

/// Runs what blocks on a thread that may.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn load(path: &Path) -> io::Result<Option<ResumeToken>> {
    let bytes = match fs::metadata(path) {
        Ok(metadata) if metadata.len() > TOKEN_BYTES_MAX => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file holds no token"));
        }
        Ok(_) => fs::read(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let document = Document::from_reader(bytes.as_slice())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some(ResumeToken::from(document)))
}

fn save(path: &Path, token: &ResumeToken) -> io::Result<()> {
    let bytes = token.as_document().to_vec().map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[tokio::test]
    async fn r15_a_token_survives_and_a_half_written_one_does_not_count() {
        let path = std::env::temp_dir().join(format!("headwater-token-{}", std::process::id()));
        let store = FileTokenStore::new(&path);
        assert_eq!(store.load().await.unwrap(), None);
        for data in ["one", "two"] {
            store.save(&ResumeToken::from(doc! { "_data": data })).await.unwrap();
        }
        let half = path.with_file_name(format!("headwater-token-{}.new", std::process::id()));
        fs::write(&half, b"\x20").unwrap();
        let kept = store.load().await.unwrap().unwrap();
        assert_eq!(kept.as_document(), &doc! { "_data": "two" });
        fs::write(&path, b"not a token").unwrap();
        assert_eq!(store.load().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::remove_file(half).unwrap();
        fs::remove_file(path).unwrap();
    }
}
