//! Logins: the password, the second factor, and how often may be tried.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Access, Denied,
    audit::Deed,
    password, second_factor,
    sessions::{Client, Tokens},
    throttle::{self, Subject},
    token::{self, Audience},
};

/// Between password and second factor.
const SECOND_STEP_SECONDS: i64 = 300;

/// How a login went on.
#[derive(Clone, Debug)]
pub enum Login {
    In(Tokens),
    /// The password was right; with this token and a code it goes on.
    NeedsCode(String),
    /// The account or the password is wrong, or the code. The answer does not say which.
    Wrong,
}

/// An address as it is stored and compared.
pub fn normalized(email: &str) -> String {
    email.trim().to_lowercase().replace(char::is_control, "\u{fffd}")
}

/// A browser that somebody has logged in with before, as its cookie shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub id: Uuid,
    pub user: Uuid,
}

impl Device {
    pub fn new(user: Uuid) -> Device {
        Device { id: Uuid::new_v4(), user }
    }
}

impl Access {
    /// The first step: account and password.
    ///
    /// # Errors
    /// [`Denied::TooMany`] after too many failures; the database does not answer.
    pub async fn log_in(
        self: &Arc<Self>,
        email: &str,
        password: String,
        client: &Client,
        device: Option<Device>,
    ) -> Result<Login, Denied> {
        let (access, email, client) = (Arc::clone(self), normalized(email), client.clone());
        to_the_end(async move { access.first_step(&email, password, &client, device).await }).await
    }

    async fn first_step(
        &self,
        email: &str,
        password: String,
        client: &Client,
        device: Option<Device>,
    ) -> Result<Login, Denied> {
        let user = sqlx::query!(
            "SELECT id, password_hash, disabled_at, totp_on FROM streamlinehub.users WHERE email = $1",
            email
        )
        .fetch_optional(&self.pool)
        .await?;
        let device = device.filter(|device| user.as_ref().is_some_and(|user| user.id == device.user));
        let attempt = self.book_attempt(email, client, device).await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        // Longer ones are nobody's; they would only cost time.
        let password = if password.chars().count() > password::LONGEST { String::new() } else { password };
        let right = password::verify(password, hash).await?;
        let user = match user {
            Some(user) if right && user.disabled_at.is_none() => user,
            user => {
                let why = match user {
                    None => "there is no such account",
                    Some(_) if right => "the account is disabled",
                    Some(_) => "wrong password",
                };
                self.attempt_failed(&attempt).await?;
                self.note(&client.actor(email), &Deed::failure("login", email, why)).await?;
                return Ok(Login::Wrong);
            }
        };
        if user.totp_on {
            let token = token::issue(&self.keys, Audience::SecondFactor, user.id, Uuid::nil(), SECOND_STEP_SECONDS)?;
            for subject in &attempt {
                throttle::goes_on(&self.pool, subject).await?;
            }
            return Ok(Login::NeedsCode(token));
        }
        self.end_attempt(&attempt).await?;
        Ok(Login::In(self.open_session(user.id, email, client, "password").await?))
    }

    /// The second step: the code of the authenticator, or a recovery code.
    ///
    /// # Errors
    /// [`Denied::TooMany`] after too many failures; the token is no longer good; the database does not answer.
    pub async fn log_in_with_code(
        self: &Arc<Self>,
        token: &str,
        code: &str,
        client: &Client,
        device: Option<Device>,
    ) -> Result<Login, Denied> {
        let (access, token, code, client) = (Arc::clone(self), token.to_owned(), code.to_owned(), client.clone());
        to_the_end(async move { access.second_step(&token, &code, &client, device).await }).await
    }

    async fn second_step(
        &self,
        token: &str,
        code: &str,
        client: &Client,
        device: Option<Device>,
    ) -> Result<Login, Denied> {
        let Some(claims) = token::verify(&self.keys, Audience::SecondFactor, token) else {
            return Err(Denied::Invalid("The login took too long. Begin again.".to_owned()));
        };
        let user = sqlx::query!(
            "SELECT email, password_changed_at FROM streamlinehub.users
             WHERE id = $1 AND disabled_at IS NULL AND password_hash IS NOT NULL",
            claims.sub
        )
        .fetch_optional(&self.pool)
        .await?;
        // A first step that was made with a password of before is worth nothing.
        let stale = |changed: DateTime<Utc>| claims.iat < changed.timestamp();
        let Some(user) = user.filter(|user| !user.password_changed_at.is_some_and(stale)) else {
            return Ok(Login::Wrong);
        };
        let device = device.filter(|device| device.user == claims.sub);
        let attempt = self.book_attempt(&user.email, client, device).await?;
        let Some(kind) = second_factor::take(self, claims.sub, code).await? else {
            self.attempt_failed(&attempt).await?;
            self.note(&client.actor(&user.email), &Deed::failure("login", &user.email, "wrong code")).await?;
            return Ok(Login::Wrong);
        };
        self.end_attempt(&attempt).await?;
        Ok(Login::In(self.open_session(claims.sub, &user.email, client, kind.describe()).await?))
    }

    /// What an attempt counts against: a known browser by itself, all others by account and network.
    async fn book_attempt(&self, email: &str, client: &Client, device: Option<Device>) -> Result<Vec<Subject>, Denied> {
        let (subjects, caller) = match device {
            Some(device) => (vec![Subject::Device(device.id)], format!("login:device:{}", device.id)),
            None => {
                let network = client.network();
                let caller = format!("login:{network}");
                (vec![Subject::Account(email.to_owned()), Subject::Network(network)], caller)
            }
        };
        let too_many = self.limits.exceeded(&caller, self.rates.logins).await;
        let mut wait = too_many.map(|wait| i64::try_from(wait.as_secs() + 1).unwrap_or(i64::MAX));
        if wait.is_none() {
            for (place, subject) in subjects.iter().enumerate() {
                if let Some(until) = throttle::book(&self.pool, subject).await? {
                    wait = Some(throttle::seconds_until(until));
                    // It is not made, so the others are not under way either.
                    for booked in &subjects[..place] {
                        throttle::goes_on(&self.pool, booked).await?;
                    }
                    break;
                }
            }
        }
        if let Some(wait) = wait {
            self.note_once(&client.actor(email), &Deed::refused("login", email, "too many attempts")).await?;
            return Err(Denied::TooMany(wait));
        }
        Ok(subjects)
    }

    /// Somebody came with a token or a key that is not good.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn note_bad_token(&self, client: &Client, path: &str) -> Result<(), Denied> {
        let deed = Deed::failure("token", path, "a token or key that is not good, or not any more");
        self.note_once(&client.actor("unknown"), &deed).await
    }

    async fn attempt_failed(&self, subjects: &[Subject]) -> Result<(), Denied> {
        for subject in subjects {
            throttle::failed(&self.pool, subject).await?;
        }
        Ok(())
    }

    async fn end_attempt(&self, subjects: &[Subject]) -> Result<(), Denied> {
        let mut own = 0.0;
        for subject in subjects {
            match subject {
                Subject::Network(_) => throttle::give_back(&self.pool, subject, own).await?,
                _ => own += throttle::succeeded(&self.pool, subject).await?,
            }
        }
        Ok(())
    }
}

/// An attempt that has begun is carried out, counted and noted, whether or not its caller still waits: who breaks it off gains
/// nothing, and leaves no attempt under way behind.
async fn to_the_end(attempt: impl Future<Output = Result<Login, Denied>> + Send + 'static) -> Result<Login, Denied> {
    tokio::spawn(attempt).await.context("an attempt to log in came to no end")?
}
