//! Slows down guessing: after some failed attempts an account, and a network address, have to wait, each time longer.
//!
//! An attempt is booked before the password is looked at, so that many at once gain little. Accounts that do not exist are
//! treated like those that do.

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// What is slowed down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The address that was typed, in lower case.
    Account(String),
    /// The network address.
    Address(String),
}

impl Subject {
    fn name(&self) -> String {
        match self {
            // Stored whole but bounded, whatever was typed.
            Subject::Account(email) => format!("account:{}", email.chars().take(254).collect::<String>()),
            Subject::Address(address) => format!("address:{address}"),
        }
    }

    /// So many may fail before it has to wait. Many people may share a network address.
    fn free(&self) -> i32 {
        match self {
            Subject::Account(_) => 5,
            Subject::Address(_) => 50,
        }
    }

    /// So many may be under way at once, which is what guessing in parallel gains.
    fn at_once(&self) -> i32 {
        match self {
            Subject::Account(_) => 10,
            Subject::Address(_) => 100,
        }
    }
}

/// The longest that one has to wait, in seconds.
const LONGEST: i32 = 900;

/// Whole seconds until then, at least one.
pub fn seconds_until(until: DateTime<Utc>) -> i64 {
    (until - Utc::now()).num_seconds().max(0) + 1
}

/// Books an attempt. `Some`: it may not be made before then. Whoever books says how it went, by [`failed`] or [`succeeded`];
/// of whom nothing is heard for a minute is forgotten.
///
/// # Errors
/// The database does not answer.
pub async fn book(pool: &PgPool, subject: &Subject) -> Result<Option<DateTime<Utc>>> {
    let name = subject.name();
    let booked = sqlx::query_scalar!(
        "INSERT INTO streamlinehub.login_attempts AS a (subject, pending) VALUES ($1, 1)
         ON CONFLICT (subject) DO UPDATE SET
             failures = CASE WHEN a.last_at < now() - interval '1 day' THEN 0 ELSE a.failures END,
             pending = CASE WHEN a.last_at < now() - interval '1 minute' THEN 1 ELSE a.pending + 1 END,
             last_at = now()
         WHERE (a.blocked_until IS NULL OR a.blocked_until <= now())
           AND (a.pending < $2 OR a.last_at < now() - interval '1 minute')
         RETURNING failures",
        name,
        subject.at_once()
    )
    .fetch_optional(pool)
    .await?;
    if booked.is_some() {
        return Ok(None);
    }
    let until = sqlx::query_scalar!("SELECT blocked_until FROM streamlinehub.login_attempts WHERE subject = $1", name)
        .fetch_optional(pool)
        .await?;
    Ok(Some(until.flatten().unwrap_or_else(Utc::now)))
}

/// After the free attempts the wait doubles with each failure: 2 s, 4 s, 8 s and so on up to 15 minutes. A day without
/// any attempt forgets them all.
///
/// # Errors
/// The database does not answer.
pub async fn failed(pool: &PgPool, subject: &Subject) -> Result<()> {
    sqlx::query!(
        "UPDATE streamlinehub.login_attempts a SET
             pending = greatest(pending - 1, 0),
             failures = least(failures + 1, 1000),
             blocked_until = CASE
                 WHEN failures + 1 < $2 THEN NULL
                 ELSE now() + make_interval(secs => least($3, power(2, least(failures + 2 - $2, 20))))
             END
         WHERE subject = $1",
        subject.name(),
        subject.free(),
        f64::from(LONGEST)
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets the failures of an account. Those of a network address stay: others may have failed there.
///
/// # Errors
/// The database does not answer.
pub async fn succeeded(pool: &PgPool, subject: &Subject) -> Result<()> {
    match subject {
        Subject::Account(_) => {
            sqlx::query!("DELETE FROM streamlinehub.login_attempts WHERE subject = $1", subject.name())
                .execute(pool)
                .await?;
        }
        Subject::Address(_) => goes_on(pool, subject).await?,
    }
    Ok(())
}

/// The attempt is neither right nor wrong yet: there is a second step, which is booked by itself.
///
/// # Errors
/// The database does not answer.
pub async fn goes_on(pool: &PgPool, subject: &Subject) -> Result<()> {
    sqlx::query!(
        "UPDATE streamlinehub.login_attempts SET pending = greatest(pending - 1, 0) WHERE subject = $1",
        subject.name()
    )
    .execute(pool)
    .await?;
    Ok(())
}
