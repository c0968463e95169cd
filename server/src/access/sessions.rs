//! Logins, and the sessions that come of them.
//!
//! A session has an access token, which is short-lived and signed, and a refresh token, which is random and stored hashed.
//! Each use of the refresh token gives a new one. A refresh token that comes a second time was stolen, from the user or by
//! the user's other half: the session ends.

use std::net::IpAddr;

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use model::access::SessionSummary;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Access, Denied,
    audit::{self, Actor, Deed},
    keys::{random_token, token_hash},
    limits::Rate,
    password, second_factor,
    throttle::{self, Subject},
    token::{self, Audience},
};

/// Between password and second factor.
const SECOND_STEP_SECONDS: i64 = 300;
/// A device's description is cut to this.
const LONGEST_USER_AGENT: usize = 200;

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    pub user_agent: String,
}

impl Client {
    /// Somebody unknown from there.
    pub fn actor(&self, name: &str) -> Actor {
        Actor { id: None, name: name.to_owned(), address: self.address.to_string() }
    }
}

/// The tokens of a session, newly issued.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub session: Uuid,
    pub user: Uuid,
    pub access: String,
    pub access_seconds: i64,
    pub refresh: String,
    pub refresh_seconds: i64,
}

/// What came of a refresh token.
#[derive(Clone, Debug)]
pub enum Renewal {
    New(Box<Tokens>),
    /// Another page has just used it.
    Raced,
    /// It is not good any more.
    No,
}

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

impl Access {
    /// The first step: account and password.
    ///
    /// # Errors
    /// [`Denied::TooMany`] after too many failures; the database does not answer.
    pub async fn log_in(&self, email: &str, password: String, client: &Client) -> Result<Login, Denied> {
        let email = normalized(email);
        let subjects = self.book_attempt(&email, client).await?;
        let user = sqlx::query!(
            "SELECT id, password_hash, disabled_at, totp_on FROM streamlinehub.users WHERE email = $1",
            email
        )
        .fetch_optional(&self.pool)
        .await?;
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
                self.attempt_failed(&subjects).await?;
                self.note(&client.actor(&email), &Deed::failure("login", &email, why)).await?;
                return Ok(Login::Wrong);
            }
        };
        if user.totp_on {
            let token = token::issue(&self.keys, Audience::SecondFactor, user.id, Uuid::nil(), SECOND_STEP_SECONDS)?;
            for subject in &subjects {
                throttle::goes_on(&self.pool, subject).await?;
            }
            return Ok(Login::NeedsCode(token));
        }
        self.end_attempt(&subjects).await?;
        Ok(Login::In(self.open_session(user.id, &email, client, "password").await?))
    }

    /// The second step: the code of the authenticator, or a recovery code.
    ///
    /// # Errors
    /// [`Denied::TooMany`] after too many failures; the token is no longer good; the database does not answer.
    pub async fn log_in_with_code(&self, token: &str, code: &str, client: &Client) -> Result<Login, Denied> {
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
        let subjects = self.book_attempt(&user.email, client).await?;
        let Some(kind) = second_factor::take(self, claims.sub, code).await? else {
            self.attempt_failed(&subjects).await?;
            self.note(&client.actor(&user.email), &Deed::failure("login", &user.email, "wrong code")).await?;
            return Ok(Login::Wrong);
        };
        self.end_attempt(&subjects).await?;
        Ok(Login::In(self.open_session(claims.sub, &user.email, client, kind.describe()).await?))
    }

    async fn book_attempt(&self, email: &str, client: &Client) -> Result<[Subject; 2], Denied> {
        let address = client.address.to_string();
        let subjects = [Subject::Account(email.to_owned()), Subject::Address(address.clone())];
        let too_many = self.limits.exceeded(&format!("login:{address}"), self.rates.logins).await;
        let mut wait = too_many.map(|wait| i64::try_from(wait.as_secs() + 1).unwrap_or(i64::MAX));
        if wait.is_none() {
            for subject in &subjects {
                if let Some(until) = throttle::book(&self.pool, subject).await? {
                    wait = Some((until - Utc::now()).num_seconds().max(0) + 1);
                    break;
                }
            }
        }
        if let Some(wait) = wait {
            // Once a minute is enough to know of it: a flood of attempts is no flood of lines.
            let about = format!("{address} {}", email.chars().take(254).collect::<String>());
            if self.noted.entry(about).or_insert(()).is_fresh() {
                self.note(&client.actor(email), &Deed::refused("login", email, "too many attempts")).await?;
            }
            return Err(Denied::TooMany(wait));
        }
        Ok(subjects)
    }

    async fn attempt_failed(&self, subjects: &[Subject]) -> Result<(), Denied> {
        for subject in subjects {
            throttle::failed(&self.pool, subject).await?;
        }
        Ok(())
    }

    async fn end_attempt(&self, subjects: &[Subject]) -> Result<(), Denied> {
        for subject in subjects {
            throttle::succeeded(&self.pool, subject).await?;
        }
        Ok(())
    }

    /// Begins a session of a user who has shown who they are.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn open_session(&self, user: Uuid, email: &str, client: &Client, how: &str) -> Result<Tokens, Denied> {
        let mut transaction = self.pool.begin().await?;
        let expires = Utc::now() + self.lifetimes.longest;
        let user_agent: String = client.user_agent.chars().take(LONGEST_USER_AGENT).collect();
        let session = sqlx::query_scalar!(
            "INSERT INTO streamlinehub.sessions (user_id, address, user_agent, expires_at) VALUES ($1, $2, $3, $4)
             RETURNING id",
            user,
            client.address.to_string(),
            user_agent,
            expires
        )
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query!("UPDATE streamlinehub.users SET last_login_at = now() WHERE id = $1", user)
            .execute(&mut *transaction)
            .await?;
        let tokens = self.issue(&mut transaction, user, session, expires).await?;
        let actor = Actor { id: Some(user), ..client.actor(email) };
        audit::append(&mut transaction, &self.keys, &actor, &Deed::success("login", email).with_detail(how)).await?;
        transaction.commit().await?;
        Ok(tokens)
    }

    async fn issue(
        &self,
        connection: &mut PgConnection,
        user: Uuid,
        session: Uuid,
        session_ends: DateTime<Utc>,
    ) -> Result<Tokens, Denied> {
        let refresh = random_token()?;
        let expires = (Utc::now() + self.lifetimes.idle).min(session_ends);
        sqlx::query!(
            "INSERT INTO streamlinehub.refresh_tokens (token_hash, session_id, expires_at) VALUES ($1, $2, $3)",
            token_hash(&refresh),
            session,
            expires
        )
        .execute(connection)
        .await?;
        let access_seconds = self.lifetimes.access.num_seconds();
        let access = token::issue(&self.keys, Audience::Access, user, session, access_seconds)?;
        let refresh_seconds = (expires - Utc::now()).num_seconds();
        Ok(Tokens { session, user, access, access_seconds, refresh, refresh_seconds })
    }

    /// New tokens for a refresh token that was not used before.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn renew(&self, refresh: &str, client: &Client) -> Result<Option<Tokens>, Denied> {
        match self.renew_or_wait(refresh, client, TimeDelta::zero()).await? {
            Renewal::New(tokens) => Ok(Some(*tokens)),
            Renewal::Raced | Renewal::No => Ok(None),
        }
    }

    /// As [`Access::renew`]. A token that was used less than `grace` ago is taken for that of another page of the same
    /// browser, which was opened at the same moment: it gets nothing, but the session goes on.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn renew_or_wait(&self, refresh: &str, client: &Client, grace: TimeDelta) -> Result<Renewal, Denied> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query!(
            "SELECT t.used_at, t.expires_at, s.id AS session, s.expires_at AS session_ends, s.ended_at,
                    u.id AS user_id, u.email, u.disabled_at
             FROM streamlinehub.refresh_tokens t
             JOIN streamlinehub.sessions s ON s.id = t.session_id
             JOIN streamlinehub.users u ON u.id = s.user_id
             WHERE t.token_hash = $1 FOR UPDATE OF t",
            token_hash(refresh)
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(Renewal::No) };
        if let Some(used) = row.used_at {
            if row.ended_at.is_none() && Utc::now() - used < grace {
                return Ok(Renewal::Raced);
            }
            if row.ended_at.is_none() {
                sqlx::query!("UPDATE streamlinehub.sessions SET ended_at = now() WHERE id = $1", row.session)
                    .execute(&mut *transaction)
                    .await?;
                let actor = Actor { id: Some(row.user_id), ..client.actor(&row.email) };
                let deed = Deed::refused("session.renew", &row.email, "a refresh token came twice: the session ends");
                audit::append(&mut transaction, &self.keys, &actor, &deed).await?;
                transaction.commit().await?;
                self.forget(Some(row.user_id));
            }
            return Ok(Renewal::No);
        }
        let now = Utc::now();
        if row.ended_at.is_some() || row.disabled_at.is_some() || row.expires_at <= now || row.session_ends <= now {
            return Ok(Renewal::No);
        }
        sqlx::query!(
            "UPDATE streamlinehub.refresh_tokens SET used_at = now() WHERE token_hash = $1",
            token_hash(refresh)
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "UPDATE streamlinehub.sessions SET last_used_at = now(), address = $2 WHERE id = $1",
            row.session,
            client.address.to_string()
        )
        .execute(&mut *transaction)
        .await?;
        let tokens = self.issue(&mut transaction, row.user_id, row.session, row.session_ends).await?;
        transaction.commit().await?;
        Ok(Renewal::New(Box::new(tokens)))
    }

    /// Ends a session; answers whose it was, `None` if it had ended before. With `of`, only if it is that user's.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn end_session(
        &self,
        session: Uuid,
        of: Option<Uuid>,
        actor: &Actor,
        action: &'static str,
    ) -> Result<Option<Uuid>, Denied> {
        let mut transaction = self.pool.begin().await?;
        let ended = sqlx::query!(
            "UPDATE streamlinehub.sessions s SET ended_at = now() FROM streamlinehub.users u
             WHERE s.id = $1 AND u.id = s.user_id AND s.ended_at IS NULL AND ($2::uuid IS NULL OR s.user_id = $2)
             RETURNING s.user_id, u.email",
            session,
            of
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(ended) = ended else { return Ok(None) };
        audit::append(&mut transaction, &self.keys, actor, &Deed::success(action, &ended.email)).await?;
        transaction.commit().await?;
        self.forget(Some(ended.user_id));
        Ok(Some(ended.user_id))
    }

    /// Ends the session that a refresh token belongs to, used or not; `by` says on whose behalf.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn end_session_of(&self, refresh: &str, by: &str, client: &Client) -> Result<(), Denied> {
        let session = sqlx::query_scalar!(
            "SELECT session_id FROM streamlinehub.refresh_tokens WHERE token_hash = $1",
            token_hash(refresh)
        )
        .fetch_optional(&self.pool)
        .await?;
        if let Some(session) = session {
            self.end_session(session, None, &client.actor(by), "session.end").await?;
        }
        Ok(())
    }

    /// Whose session it is.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn user_of_session(&self, session: Uuid) -> Result<Option<Uuid>, Denied> {
        let user = sqlx::query_scalar!("SELECT user_id FROM streamlinehub.sessions WHERE id = $1", session);
        Ok(user.fetch_optional(&self.pool).await?)
    }

    /// Ends the open sessions of a user, but for one; answers how many there were.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn end_sessions(&self, user: Uuid, but: Option<Uuid>, actor: &Actor) -> Result<u64, Denied> {
        let mut transaction = self.pool.begin().await?;
        let ended = end_sessions(&mut transaction, user, but).await?;
        let email = sqlx::query_scalar!("SELECT email FROM streamlinehub.users WHERE id = $1", user)
            .fetch_one(&mut *transaction)
            .await?;
        let detail = format!("{ended} sessions");
        let deed = Deed::success("session.end-all", &email).with_detail(&detail);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        self.forget(Some(user));
        Ok(ended)
    }

    /// The open sessions, the last used first: of a user, or of everybody.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn sessions(&self, of: Option<Uuid>, current: Option<Uuid>) -> Result<Vec<SessionSummary>> {
        let rows = sqlx::query!(
            "SELECT s.id, u.name, u.email, s.address, s.user_agent, s.began_at, s.last_used_at, s.expires_at
             FROM streamlinehub.sessions s JOIN streamlinehub.users u ON u.id = s.user_id
             WHERE s.ended_at IS NULL AND s.expires_at > now() AND s.last_used_at > now() - $2::float8 * interval '1 second'
               AND ($1::uuid IS NULL OR s.user_id = $1)
             ORDER BY s.last_used_at DESC LIMIT 500",
            of,
            f64::from(i32::try_from(self.lifetimes.idle.num_seconds()).unwrap_or(i32::MAX))
        )
        .fetch_all(&self.pool)
        .await
        .context("the sessions cannot be read")?;
        let summary = rows.into_iter().map(|row| SessionSummary {
            id: row.id,
            user: format!("{} <{}>", row.name, row.email),
            address: row.address,
            user_agent: row.user_agent,
            began: row.began_at,
            last_used: row.last_used_at,
            expires: row.expires_at,
            current: Some(row.id) == current,
        });
        Ok(summary.collect())
    }

    /// Whether the caller makes too many requests; `Some`: seconds to wait.
    pub async fn too_many(&self, caller: &str, rate: Rate) -> Option<u64> {
        self.limits.exceeded(caller, rate).await.map(|wait| wait.as_secs() + 1)
    }
}

/// Ends the open sessions of a user, but for one, as part of a change.
pub(crate) async fn end_sessions(
    connection: &mut PgConnection,
    user: Uuid,
    but: Option<Uuid>,
) -> Result<u64, sqlx::Error> {
    let ended = sqlx::query!(
        "UPDATE streamlinehub.sessions SET ended_at = now()
         WHERE user_id = $1 AND ended_at IS NULL AND ($2::uuid IS NULL OR id <> $2)",
        user,
        but
    )
    .execute(connection)
    .await?;
    Ok(ended.rows_affected())
}
