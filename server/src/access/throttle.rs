//! Slows down guessing: after some failed attempts an account, and a network, have to wait, each time longer.
//!
//! * A failure counts for half after a quarter of an hour, for a quarter after two of them, and so on: what is mistyped now and
//!   then never adds up.
//! * Who gets in after all gives the network back what they had mistyped themselves, and no more: nobody pays for a guesser's
//!   failures with good logins of their own.
//! * A browser in which the person has logged in before has a count of its own: strangers cannot make it wait.
//!
//! An attempt is booked before the password is looked at, so that many at once gain little. Accounts that do not exist are
//! treated like those that do.

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// What is slowed down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The address that was typed, in lower case.
    Account(String),
    /// Where it came from, see [`super::sessions::Client::network`].
    Network(String),
    /// A browser that the person has logged in with before.
    Device(Uuid),
    /// Somebody who is signed in and shows again who they are.
    Confirmation(Uuid),
}

impl Subject {
    fn name(&self) -> String {
        match self {
            // Stored whole but bounded, whatever was typed.
            Subject::Account(email) => format!("account:{}", email.chars().take(254).collect::<String>()),
            Subject::Network(network) => format!("network:{network}"),
            Subject::Device(device) => format!("device:{device}"),
            Subject::Confirmation(user) => format!("confirmation:{user}"),
        }
    }

    /// So many may fail before it has to wait. Many people may share a network.
    fn free(&self) -> i32 {
        match self {
            Subject::Account(_) | Subject::Device(_) | Subject::Confirmation(_) => 5,
            Subject::Network(_) => 50,
        }
    }

    /// So many may be under way at once, which is what guessing in parallel gains.
    fn at_once(&self) -> i32 {
        match self {
            Subject::Account(_) | Subject::Device(_) | Subject::Confirmation(_) => 10,
            Subject::Network(_) => 100,
        }
    }
}

/// The longest that one has to wait, in seconds.
const LONGEST: f64 = 900.0;
/// After so many seconds a failure counts for half.
const HALF_LIFE: f64 = 900.0;
/// Failures beyond those that are free, of which no more are counted: the longest wait is reached before.
const MOST_BEYOND: f64 = 12.0;

/// Whole seconds until then, at least one.
pub fn seconds_until(until: DateTime<Utc>) -> i64 {
    (until - Utc::now()).num_seconds().max(0) + 1
}

/// Books an attempt. `Some`: it may not be made before then. Whoever books says how it went, by [`failed`], [`succeeded`] or
/// [`goes_on`]; of whom nothing is heard for a minute is forgotten.
///
/// # Errors
/// The database does not answer.
pub async fn book(pool: &PgPool, subject: &Subject) -> Result<Option<DateTime<Utc>>> {
    let name = subject.name();
    let booked = sqlx::query(
        "INSERT INTO streamlinehub.login_attempts AS a (subject, pending) VALUES ($1, 1)
         ON CONFLICT (subject) DO UPDATE SET
             pending = CASE WHEN a.last_at < now() - interval '1 minute' THEN 1 ELSE a.pending + 1 END,
             last_at = now()
         WHERE (a.blocked_until IS NULL OR a.blocked_until <= now())
           AND (a.pending < $2 OR a.last_at < now() - interval '1 minute')",
    )
    .bind(&name)
    .bind(subject.at_once())
    .execute(pool)
    .await?;
    if booked.rows_affected() > 0 {
        return Ok(None);
    }
    let until: Option<Option<DateTime<Utc>>> =
        sqlx::query_scalar("SELECT blocked_until FROM streamlinehub.login_attempts WHERE subject = $1")
            .bind(name)
            .fetch_optional(pool)
            .await?;
    Ok(Some(until.flatten().unwrap_or_else(Utc::now)))
}

/// After the free attempts the wait doubles with each failure: 2 s, 4 s, 8 s and so on up to 15 minutes.
///
/// # Errors
/// The database does not answer.
pub async fn failed(pool: &PgPool, subject: &Subject) -> Result<()> {
    let (name, free) = (subject.name(), f64::from(subject.free()));
    let mut transaction = pool.begin().await?;
    let count: Option<f64> = sqlx::query_scalar(
        "UPDATE streamlinehub.login_attempts SET
             pending = greatest(pending - 1, 0),
             failures = least(
                 failures * power(0.5::float8, extract(epoch FROM now() - failed_at)::float8 / $2) + 1, $3),
             failed_at = now()
         WHERE subject = $1 RETURNING failures",
    )
    .bind(&name)
    .bind(HALF_LIFE)
    .bind(free + MOST_BEYOND)
    .fetch_optional(&mut *transaction)
    .await?;
    // A failure of a moment ago is still a whole one.
    let beyond = count.unwrap_or_default().round() - free;
    let wait = (beyond >= 0.0).then(|| (beyond + 1.0).exp2().min(LONGEST));
    sqlx::query(
        "UPDATE streamlinehub.login_attempts SET blocked_until = now() + make_interval(secs => $2) WHERE subject = $1",
    )
    .bind(name)
    .bind(wait)
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

/// Forgets the failures of a subject; answers how many they counted for.
///
/// # Errors
/// The database does not answer.
pub async fn succeeded(pool: &PgPool, subject: &Subject) -> Result<f64> {
    let counted: Option<f64> = sqlx::query_scalar(
        "DELETE FROM streamlinehub.login_attempts WHERE subject = $1
         RETURNING failures * power(0.5::float8, extract(epoch FROM now() - failed_at)::float8 / $2)",
    )
    .bind(subject.name())
    .bind(HALF_LIFE)
    .fetch_optional(pool)
    .await?;
    Ok(counted.unwrap_or_default().min(f64::from(subject.free())))
}

/// A good login from a network that had failed so often before.
///
/// # Errors
/// The database does not answer.
pub async fn give_back(pool: &PgPool, subject: &Subject, failures: f64) -> Result<()> {
    sqlx::query(
        "UPDATE streamlinehub.login_attempts SET
             pending = greatest(pending - 1, 0),
             failures = greatest(
                 failures * power(0.5::float8, extract(epoch FROM now() - failed_at)::float8 / $2) - $3, 0),
             failed_at = now()
         WHERE subject = $1",
    )
    .bind(subject.name())
    .bind(HALF_LIFE)
    .bind(failures)
    .execute(pool)
    .await?;
    Ok(())
}

/// The attempt is neither right nor wrong yet: there is a second step, which is booked by itself.
///
/// # Errors
/// The database does not answer.
pub async fn goes_on(pool: &PgPool, subject: &Subject) -> Result<()> {
    sqlx::query("UPDATE streamlinehub.login_attempts SET pending = greatest(pending - 1, 0) WHERE subject = $1")
        .bind(subject.name())
        .execute(pool)
        .await?;
    Ok(())
}
