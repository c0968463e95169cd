//! Sessions, and the tokens that they are made of.
//!
//! A session has an access token, which is short-lived and signed, and a refresh token, which is random and stored hashed.
//! Each use of the refresh token gives a new one. A refresh token that comes a second time was stolen, from the user or by
//! the user's other half: the session ends.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use model::access::SessionSummary;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Access, Denied,
    audit::{self, Actor, Deed},
    keys::{random_token, token_hash},
    token::{self, Audience},
};

/// A device's description is cut to this.
const LONGEST_USER_AGENT: usize = 200;

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    pub user_agent: String,
}

impl Client {
    /// The network that one caller has: an address, or of IPv6 the 64 bits before what everybody chooses for themselves.
    pub fn network(&self) -> String {
        match self.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                format!("{}/64", Ipv6Addr::from(network))
            }
        }
    }

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

impl Access {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_known_by_network() {
        let network = |address: &str| {
            Client { address: address.parse().expect("an address"), user_agent: String::new() }.network()
        };
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2:ffff::1"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"));
    }
}
