//! Passwords: which are taken, and how they are hashed and verified.

use std::{sync::LazyLock, thread::available_parallelism};

use anyhow::{Context, Result, anyhow};
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::{sync::Semaphore, task::spawn_blocking};
use zxcvbn::{Score, zxcvbn};

pub const SHORTEST: usize = 12;
/// Longer ones are refused and not cut: nobody types them, and each character costs time.
pub const LONGEST: usize = 128;

/// Half the cores hash, one at least; others wait. Each hash takes 19 MiB and some 20 to 50 milliseconds of a core, and the rest
/// of the program needs cores too, however many try to log in.
static HASHING: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from).div_ceil(2)));

/// Strength is judged by so many characters: it grows with more, and so does the time to find it, steeply.
const JUDGED: usize = 40;
/// And so many words about the person.
const WORDS: usize = 12;

/// Argon2id with m = 19 MiB, t = 2, p = 1 (OWASP Password Storage Cheat Sheet).
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("parameters within their bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Stands in for the password of an account that does not exist, so that it takes as long to answer.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash_now("nobody has this password").expect("the system gives random bytes"));

fn hash_now(password: &str) -> Result<String> {
    let hash: PasswordHash = argon2()
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow!("the password cannot be hashed: {error}"))?;
    Ok(hash.to_string())
}

/// Hashes on a thread where it holds up nobody.
///
/// # Errors
/// The system gives no random bytes.
pub async fn hash(password: String) -> Result<String> {
    let _turn = HASHING.acquire().await?;
    spawn_blocking(move || hash_now(&password)).await.context("hashing was cut off")?
}

/// Whether the password is that of the hash. Takes equally long when there is no hash, and says no.
///
/// # Errors
/// The hash is not of our kind.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool> {
    let _turn = HASHING.acquire().await?;
    let there = hash.is_some();
    let matches = spawn_blocking(move || {
        let hash = hash.as_deref().unwrap_or_else(|| NOBODY.as_str());
        match argon2().verify_password(password.as_bytes(), hash) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(anyhow!("a stored password hash is not of our kind: {error}")),
        }
    });
    Ok(matches.await.context("verifying was cut off")?? && there)
}

/// Makes the stand-in, so that the first unknown user is not answered later than others.
pub fn prepare() {
    LazyLock::force(&NOBODY);
}

/// As [`objection`], on a thread where it holds up nobody.
///
/// # Errors
/// The thread was cut off.
pub async fn judge(password: String, about: Vec<String>) -> Result<Option<String>> {
    let _turn = HASHING.acquire().await?;
    let judged = spawn_blocking(move || {
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        objection(&password, &about)
    });
    judged.await.context("judging a password was cut off")
}

/// Why a new password is not taken, in a sentence for the person; `None` if it is. `about` is what others know of the
/// person. There are no rules on which characters it has (NIST SP 800-63B 3.1.1.2).
pub fn objection(password: &str, about: &[&str]) -> Option<String> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Some(format!("The password needs at least {SHORTEST} characters; a few words are easy to remember."));
    }
    if length > LONGEST {
        return Some(format!("The password may have at most {LONGEST} characters."));
    }
    // A name with something around it is a name: what is left must be a password by itself.
    let plain = letters_and_digits(password);
    let is_mostly = |text: &str| {
        let name = letters_and_digits(text.split('@').next().unwrap_or_default());
        name.len() >= 4 && plain.contains(&name) && plain.len() - name.len() < SHORTEST
    };
    if about.iter().copied().any(is_mostly) {
        return Some("The password is mostly your name or address, which others know. Choose another one.".to_owned());
    }
    let mut known = vec!["streamlinehub", "streamline"];
    for text in about {
        known.push(text);
        known.extend(text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2));
    }
    known.retain(|word| word.len() <= JUDGED);
    known.truncate(WORDS);
    let judged = password.char_indices().nth(JUDGED).map_or(password, |(end, _)| &password[..end]);
    let estimate = zxcvbn(judged, &known);
    if estimate.score() >= Score::Three {
        return None;
    }
    let why = estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning).map(|warning| format!(" {warning}"));
    Some(format!("This password is among those that are tried first.{} Choose another one.", why.unwrap_or_default()))
}

fn letters_and_digits(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_and_personal_passwords_are_refused_and_composition_does_not_matter() {
        let about = ["ann.miller@example.com", "Ann Miller"];
        for weak in [
            "short",
            "password1234",
            "qwertyuiop12",
            "annmiller2026",
            "aaaaaaaaaaaaaaaa",
            "streamlinehub1",
            "iloveyou1234",
        ] {
            assert!(objection(weak, &about).is_some(), "{weak}");
        }
        for strong in ["correct horse battery staple", "tvlqmzkwreyhsd", "Überraschung im Kühlschrank"] {
            assert_eq!(objection(strong, &about), None, "{strong}");
        }
        assert!(objection(&"x7 ".repeat(50), &about).is_some(), "too long");
    }

    #[tokio::test]
    async fn only_the_same_password_is_right() {
        let hashed = hash("correct horse".to_owned()).await.expect("hashed");
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(verify("correct horse".to_owned(), Some(hashed.clone())).await.expect("verified"));
        assert!(!verify("correct horsf".to_owned(), Some(hashed)).await.expect("verified"));
        assert!(!verify("nobody has this password".to_owned(), None).await.expect("verified"), "nobody is nobody");
    }
}
