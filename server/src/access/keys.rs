//! The program's own secrets: a file of master keys, from which the keys for each purpose are derived.
//!
//! The file has one key a line, `<id> <32 bytes in base 64>`, the newest first. The newest is used for whatever is made now;
//! the older ones still open and verify what was made with them. It is made at the first start, readable by its owner only.
//! Web processes that share a database share this file.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    digest,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac, rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

const LENGTH: usize = 32;

/// What a derived key is for. Keys of different purposes say nothing of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signs access tokens and the tokens between password and second factor.
    Token,
    /// Seals the secrets of authenticators.
    SecondFactor,
    /// Hashes recovery codes.
    RecoveryCode,
    /// Chains the lines of the audit log.
    Audit,
    /// Seals what one page has to tell the next.
    Flash,
    /// Seals by what a browser is known at the next login.
    Device,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Token => b"streamlinehub token v1",
            Purpose::SecondFactor => b"streamlinehub second factor v1",
            Purpose::RecoveryCode => b"streamlinehub recovery code v1",
            Purpose::Audit => b"streamlinehub audit v1",
            Purpose::Flash => b"streamlinehub flash v1",
            Purpose::Device => b"streamlinehub device v1",
        }
    }
}

#[derive(Clone)]
struct MasterKey {
    id: String,
    bytes: [u8; LENGTH],
}

/// The keys of the file.
pub struct KeyRing {
    path: PathBuf,
    keys: RwLock<Arc<Vec<MasterKey>>>,
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        LENGTH
    }
}

impl KeyRing {
    /// Reads the file, after making it where there is none.
    ///
    /// # Errors
    /// It cannot be read or made, or is not of this form.
    pub fn open(path: &Path) -> Result<KeyRing> {
        if !path.exists() {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
            }
            write(path, &[MasterKey::new()?])?;
        }
        Ok(KeyRing { path: path.to_owned(), keys: RwLock::new(Arc::new(read(path)?)) })
    }

    /// The file of the keys.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a new key in front. Other processes learn of it when they meet something that was made with it.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn rotate(&self) -> Result<String> {
        let mut keys = read(&self.path)?;
        keys.insert(0, MasterKey::new()?);
        write(&self.path, &keys)?;
        let id = keys[0].id.clone();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(id)
    }

    /// The id of the newest key, and what is derived from it.
    pub fn newest(&self, purpose: Purpose) -> (String, [u8; LENGTH]) {
        let keys = self.all();
        (keys[0].id.clone(), keys[0].derive(purpose))
    }

    /// What is derived from the key of this id. An unknown id makes the file be read again: another process may have
    /// put a new key there.
    pub fn find(&self, id: &str, purpose: Purpose) -> Option<[u8; LENGTH]> {
        let known = |keys: &[MasterKey]| keys.iter().find(|key| key.id == id).map(|key| key.derive(purpose));
        if let Some(found) = known(&self.all()) {
            return Some(found);
        }
        // Ids are of one length: nobody makes us read the file for anything else.
        if id.len() != ID_LENGTH {
            return None;
        }
        let keys = read(&self.path).ok()?;
        let found = known(&keys)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Some(found)
    }

    /// Encrypts and authenticates (AES-256-GCM): key id, a dot, and nonce, text and tag.
    ///
    /// # Errors
    /// Never in practice.
    pub fn seal(&self, purpose: Purpose, plain: &[u8]) -> Result<Vec<u8>> {
        let (id, key) = self.newest(purpose);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| anyhow!("a key of the wrong length"))?;
        let mut text = plain.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(purpose.label()), &mut text)
            .map_err(|_| anyhow!("it cannot be sealed"))?;
        Ok([id.as_bytes(), b".", nonce.as_ref(), &text].concat())
    }

    /// What was sealed; `None` if it was not sealed by us for this purpose.
    pub fn unseal(&self, purpose: Purpose, sealed: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = sealed.split_at_checked(ID_LENGTH)?;
        let (nonce, text) = rest.strip_prefix(b".")?.split_at_checked(12)?;
        let key = self.find(std::str::from_utf8(id).ok()?, purpose)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).ok()?;
        let nonce = aws_lc_rs::aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(purpose.label()), &mut text).ok()?;
        Some(plain.to_vec())
    }

    /// HMAC-SHA-256 with the newest key: its id, and the tag.
    pub fn mac(&self, purpose: Purpose, text: &[u8]) -> (String, Vec<u8>) {
        let (id, key) = self.newest(purpose);
        (id, hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text).as_ref().to_vec())
    }

    /// HMAC-SHA-256 with the key of this id.
    pub fn mac_with(&self, id: &str, purpose: Purpose, text: &[u8]) -> Option<Vec<u8>> {
        let key = self.find(id, purpose)?;
        Some(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text).as_ref().to_vec())
    }

    /// The same text's tags with every key, for what is looked up by its tag.
    pub fn macs(&self, purpose: Purpose, text: &[u8]) -> Vec<Vec<u8>> {
        let tag = |key: &MasterKey| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.derive(purpose)), text).as_ref().to_vec()
        };
        self.all().iter().map(tag).collect()
    }

    fn all(&self) -> Arc<Vec<MasterKey>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Characters of a key's id.
const ID_LENGTH: usize = 8;

impl MasterKey {
    fn new() -> Result<MasterKey> {
        Ok(MasterKey { id: URL_SAFE_NO_PAD.encode(random::<6>()?), bytes: random()? })
    }

    /// HKDF-SHA-256 (RFC 5869) with the purpose as its info.
    fn derive(&self, purpose: Purpose) -> [u8; LENGTH] {
        let info = [purpose.label()];
        let mut key = [0; LENGTH];
        let filled = Salt::new(HKDF_SHA256, &[])
            .extract(&self.bytes)
            .expand(&info, Length)
            .and_then(|output| output.fill(&mut key));
        filled.expect("one block of output is always there");
        key
    }
}

fn read(path: &Path) -> Result<Vec<MasterKey>> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("{} holds the program's keys and cannot be read; secrets.path may name another file", path.display())
    })?;
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let key = line.split_once(' ').and_then(|(id, bytes)| {
            let bytes = URL_SAFE_NO_PAD.decode(bytes).ok()?.try_into().ok()?;
            (id.len() == ID_LENGTH).then(|| MasterKey { id: id.to_owned(), bytes })
        });
        keys.push(key.with_context(|| format!("{} has a line that is no key", path.display()))?);
    }
    ensure!(!keys.is_empty(), "{} has no key", path.display());
    Ok(keys)
}

/// Writes a new file and puts it in the place of the old one, so that no reader meets half a file.
fn write(path: &Path, keys: &[MasterKey]) -> Result<()> {
    let temporary = path.with_extension("new");
    let problem = || format!("{} cannot be written", temporary.display());
    if temporary.exists() {
        std::fs::remove_file(&temporary).with_context(problem)?;
    }
    let mut file =
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary).with_context(problem)?;
    for key in keys {
        writeln!(file, "{} {}", key.id, URL_SAFE_NO_PAD.encode(key.bytes)).with_context(problem)?;
    }
    file.sync_all().with_context(problem)?;
    std::fs::rename(&temporary, path).with_context(problem)
}

/// Bytes that nobody can guess.
///
/// # Errors
/// The system gives none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    if rand::fill(&mut bytes).is_err() {
        bail!("the system gives no random bytes");
    }
    Ok(bytes)
}

/// A token of 256 bits, as it is handed out.
///
/// # Errors
/// The system gives no random bytes.
pub fn random_token() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// How a token of 256 bits is stored: it cannot be guessed from its SHA-256.
pub fn token_hash(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_with_an_older_key_is_still_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets/keys");
        let keys = KeyRing::open(&path).expect("a new file");
        let elsewhere = KeyRing::open(&path).expect("the same file");
        let sealed = keys.seal(Purpose::Flash, b"hello").expect("sealed");
        keys.rotate().expect("rotated");
        assert_eq!(keys.unseal(Purpose::Flash, &sealed).as_deref(), Some(b"hello".as_slice()));
        let newer = keys.seal(Purpose::Flash, b"again").expect("sealed");
        assert_eq!(elsewhere.unseal(Purpose::Flash, &newer).as_deref(), Some(b"again".as_slice()));
        assert_ne!(sealed[..ID_LENGTH], newer[..ID_LENGTH]);

        assert_eq!(keys.unseal(Purpose::SecondFactor, &sealed), None, "another purpose");
        let mut altered = sealed;
        *altered.last_mut().expect("a byte") ^= 1;
        assert_eq!(keys.unseal(Purpose::Flash, &altered), None);
        assert_eq!(keys.unseal(Purpose::Flash, b"short"), None);
    }

    #[test]
    fn the_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        KeyRing::open(&path).expect("a new file");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
