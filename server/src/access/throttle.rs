//! Slows down guessing: after some failed attempts an account, and a network address, have to wait, each time longer.
//!
//! An attempt is booked before the password is looked at, so that many at once gain nothing, and taken back when it
//! succeeds. Accounts that do not exist are treated like those that do.

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
}

/// The longest that one has to wait, in seconds.
const LONGEST: i32 = 900;

/// Books an attempt. `Some`: it may not be made before then.
///
/// After the free attempts the wait doubles with each one: 2 s, 4 s, 8 s and so on up to 15 minutes. A day without a
/// failure forgets them all.
///
/// # Errors
/// The database does not answer.
pub async fn book(pool: &PgPool, subject: &Subject) -> Result<Option<DateTime<Utc>>> {
    let name = subject.name();
    let booked = sqlx::query_scalar!(
        "INSERT INTO streamlinehub.login_attempts AS a (subject, failures) VALUES ($1, 1)
         ON CONFLICT (subject) DO UPDATE SET
             failures = CASE WHEN a.last_at < now() - interval '1 day' THEN 1 ELSE least(a.failures + 1, 1000) END,
             last_at = now(),
             blocked_until = CASE
                 WHEN a.last_at < now() - interval '1 day' OR a.failures + 1 < $2 THEN NULL
                 ELSE now() + make_interval(secs => least($3, power(2, least(a.failures + 2 - $2, 20))))
             END
         WHERE a.blocked_until IS NULL OR a.blocked_until <= now()
         RETURNING failures",
        name,
        subject.free(),
        f64::from(LONGEST)
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

/// Forgets the failures of an account, or takes back the attempt of a network address, where others may have failed.
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
        Subject::Address(_) => {
            sqlx::query!(
                "UPDATE streamlinehub.login_attempts SET failures = greatest(failures - 1, 0), blocked_until = NULL
                 WHERE subject = $1",
                subject.name()
            )
            .execute(pool)
            .await?;
        }
    }
    Ok(())
}
