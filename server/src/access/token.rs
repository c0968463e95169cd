//! Signed tokens (JWT, RFC 7519): short-lived, and of one algorithm, HS256, whatever their header says.

use anyhow::{Context, Result};
use chrono::Utc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys::{KeyRing, Purpose};

const ISSUER: &str = "streamlinehub";

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Requests within a session.
    Access,
    /// The second step of a login.
    SecondFactor,
}

impl Audience {
    fn name(self) -> &'static str {
        match self {
            Audience::Access => "streamlinehub:access",
            Audience::SecondFactor => "streamlinehub:second-factor",
        }
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// The user.
    pub sub: Uuid,
    /// The session; nil between password and second factor.
    pub sid: Uuid,
    pub jti: Uuid,
    /// Seconds since 1970, as all times here.
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
}

/// Issues a token.
///
/// # Errors
/// Never in practice.
pub fn issue(keys: &KeyRing, audience: Audience, user: Uuid, session: Uuid, seconds: i64) -> Result<String> {
    let (id, key) = keys.newest(Purpose::Token);
    let now = Utc::now().timestamp();
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: audience.name().to_owned(),
        sub: user,
        sid: session,
        jti: Uuid::new_v4(),
        iat: now,
        nbf: now,
        exp: now + seconds,
    };
    let header = Header { kid: Some(id), ..Header::new(Algorithm::HS256) };
    encode(&header, &claims, &EncodingKey::from_secret(&key)).context("a token cannot be signed")
}

/// What the token says, if we signed it for this and it is still good.
pub fn verify(keys: &KeyRing, audience: Audience, token: &str) -> Option<Claims> {
    let key = keys.find(&decode_header(token).ok()?.kid?, Purpose::Token)?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience.name()]);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    validation.validate_nbf = true;
    // The clocks of processes that share a database may differ by this many seconds.
    validation.leeway = 5;
    decode::<Claims>(token, &DecodingKey::from_secret(&key), &validation).ok().map(|token| token.claims)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn keys() -> (tempfile::TempDir, KeyRing) {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = KeyRing::open(&folder.path().join("keys")).expect("keys");
        (folder, keys)
    }

    #[test]
    fn a_token_is_good_for_its_purpose_and_its_time_only() {
        let (_folder, keys) = keys();
        let (user, session) = (Uuid::new_v4(), Uuid::new_v4());
        let token = issue(&keys, Audience::Access, user, session, 60).expect("a token");
        let claims = verify(&keys, Audience::Access, &token).expect("a good token");
        assert_eq!((claims.sub, claims.sid), (user, session));
        assert_eq!(verify(&keys, Audience::SecondFactor, &token), None);
        let expired = issue(&keys, Audience::Access, user, session, -6).expect("a token");
        assert_eq!(verify(&keys, Audience::Access, &expired), None);
        keys.rotate().expect("rotated");
        assert!(verify(&keys, Audience::Access, &token).is_some(), "older keys still verify");
    }

    #[test]
    fn what_is_altered_or_signed_otherwise_is_refused() {
        let (_folder, keys) = keys();
        let token = issue(&keys, Audience::Access, Uuid::new_v4(), Uuid::new_v4(), 60).expect("a token");
        let parts: Vec<&str> = token.split('.').collect();
        let kid = decode_header(&token).expect("a header").kid.expect("an id");
        let header = |text: String| URL_SAFE_NO_PAD.encode(text);
        for forged in [
            format!("{}.{}.", header(format!(r#"{{"alg":"none","kid":"{kid}"}}"#)), parts[1]),
            format!("{}.{}.{}", header(format!(r#"{{"alg":"none","kid":"{kid}"}}"#)), parts[1], parts[2]),
            format!("{}.{}.{}", header(format!(r#"{{"alg":"HS512","kid":"{kid}"}}"#)), parts[1], parts[2]),
            format!("{}.{}.{}", header(format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#)), parts[1], parts[2]),
            format!("{}.{}.{}", header(r#"{"alg":"HS256"}"#.to_owned()), parts[1], parts[2]),
            format!("{}.{}.{}", parts[0], parts[1], parts[2].chars().rev().collect::<String>()),
            format!("{}.{}.{}", parts[0], header("{}".to_owned()), parts[2]),
            String::new(),
            "...".to_owned(),
        ] {
            assert_eq!(verify(&keys, Audience::Access, &forged), None, "{forged}");
        }
        let (_other_folder, other) = self::keys();
        let foreign = issue(&other, Audience::Access, Uuid::new_v4(), Uuid::new_v4(), 60).expect("a token");
        assert_eq!(verify(&keys, Audience::Access, &foreign), None);
    }
}
