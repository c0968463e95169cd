//! The SQL statements that people ran: the newest of each person, for that person.

use anyhow::Result;
use model::lake::PastStatement;
use sqlx::PgPool;
use uuid::Uuid;

/// So many are kept for each person.
const KEPT: i64 = 50;

/// Writes one down. The same statement again moves to the front.
///
/// # Errors
/// The database does not answer.
pub(super) async fn add(pool: &PgPool, user: Uuid, sql: &str) -> Result<()> {
    // PostgreSQL's text holds everything but this.
    let sql = sql.replace('\0', "\u{fffd}");
    let mut transaction = pool.begin().await?;
    sqlx::query!("DELETE FROM streamlinehub.statements WHERE user_id = $1 AND sql = $2", user, sql)
        .execute(&mut *transaction)
        .await?;
    sqlx::query!("INSERT INTO streamlinehub.statements (user_id, sql) VALUES ($1, $2)", user, sql)
        .execute(&mut *transaction)
        .await?;
    sqlx::query!(
        "DELETE FROM streamlinehub.statements WHERE user_id = $1 AND id NOT IN
             (SELECT id FROM streamlinehub.statements WHERE user_id = $1 ORDER BY id DESC LIMIT $2)",
        user,
        KEPT
    )
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

/// The newest first.
///
/// # Errors
/// The database does not answer.
pub(super) async fn of(pool: &PgPool, user: Uuid) -> Result<Vec<PastStatement>> {
    let rows = sqlx::query_as!(
        PastStatement,
        "SELECT sql, at FROM streamlinehub.statements WHERE user_id = $1 ORDER BY id DESC LIMIT $2",
        user,
        KEPT
    );
    Ok(rows.fetch_all(pool).await?)
}
