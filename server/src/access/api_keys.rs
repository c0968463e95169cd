//! API keys: what programs come with. A key belongs to a user and never does more than the user may.

use anyhow::{Context, Result};
use chrono::{TimeDelta, Utc};
use model::access::{ApiKeySummary, Permission};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Access, Denied, Standing,
    audit::{self, Actor, Deed},
    invalid,
    keys::{random_token, token_hash},
};

/// How every key begins, so that it is recognised wherever it leaks.
pub const PREFIX: &str = "slh_";
/// Characters of a key that are kept to tell it from others.
const SHOWN: usize = 10;
/// A user has no more keys that work.
const MOST: i64 = 50;

impl Access {
    /// Makes a key and answers it, this once.
    ///
    /// # Errors
    /// What was typed is not good, or more than the user may; the database does not answer.
    pub async fn create_api_key(
        &self,
        standing: &Standing,
        name: &str,
        permissions: &[Permission],
        days: u32,
        actor: &Actor,
    ) -> Result<String, Denied> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 || !audit::is_one_line(name) {
            return invalid("A key's name has 1 to 100 characters.");
        }
        if !(1..=365).contains(&days) {
            return invalid("A key is good for 1 to 365 days.");
        }
        if permissions.is_empty() {
            return invalid("Choose at least one permission.");
        }
        if let Some(missing) = permissions.iter().find(|permission| !standing.may(**permission)) {
            return Err(Denied::Forbidden(format!("You do not have the permission {} yourself.", missing.name())));
        }
        let mut transaction = self.pool.begin().await?;
        // One at a time, so that many at once do not pass the limit together.
        sqlx::query!("SELECT id FROM streamlinehub.users WHERE id = $1 FOR UPDATE", standing.user)
            .fetch_one(&mut *transaction)
            .await?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM streamlinehub.api_keys
               WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()"#,
            standing.user
        )
        .fetch_one(&mut *transaction)
        .await?;
        if count >= MOST {
            return invalid(format!("You have {MOST} keys already. Revoke one first."));
        }
        let key = format!("{PREFIX}{}", random_token()?);
        let names: Vec<String> = permissions.iter().map(|permission| permission.name().to_owned()).collect();
        sqlx::query!(
            "INSERT INTO streamlinehub.api_keys (user_id, name, prefix, key_hash, permissions, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            standing.user,
            name,
            &key[..SHOWN],
            token_hash(&key),
            &names,
            Utc::now() + TimeDelta::days(days.into())
        )
        .execute(&mut *transaction)
        .await?;
        let detail = format!("{}, for {days} days", names.join(" "));
        let deed = Deed::success("api-key.create", name).with_detail(&detail);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// Revokes a key: one's own, or with [`Permission::UsersManage`] anybody's.
    ///
    /// # Errors
    /// There is no such key; the database does not answer.
    pub async fn revoke_api_key(&self, key: Uuid, standing: &Standing, actor: &Actor) -> Result<(), Denied> {
        let of = if standing.may(Permission::UsersManage) { None } else { Some(standing.user) };
        let owner = sqlx::query_scalar!("SELECT user_id FROM streamlinehub.api_keys WHERE id = $1", key)
            .fetch_optional(&self.pool)
            .await?;
        if let Some(owner) = owner.filter(|owner| of.is_none() && *owner != standing.user) {
            self.check_manageable(owner, standing).await?;
        }
        let mut transaction = self.pool.begin().await?;
        let revoked = sqlx::query!(
            "UPDATE streamlinehub.api_keys k SET revoked_at = now() FROM streamlinehub.users u
             WHERE k.id = $1 AND u.id = k.user_id AND k.revoked_at IS NULL AND ($2::uuid IS NULL OR k.user_id = $2)
             RETURNING k.name, k.user_id, u.email",
            key,
            of
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(revoked) = revoked else { return invalid("There is no such key, or it is revoked already.") };
        let detail = format!("of {}", revoked.email);
        let deed = Deed::success("api-key.revoke", &revoked.name).with_detail(&detail);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        self.forget(Some(revoked.user_id));
        Ok(())
    }

    /// Revokes all keys of the person who asks; answers how many.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn revoke_own_api_keys(&self, standing: &Standing, actor: &Actor) -> Result<u64, Denied> {
        let mut transaction = self.pool.begin().await?;
        let revoked = revoke_keys(&mut transaction, standing.user).await?;
        let detail = format!("{revoked} API keys");
        let deed = Deed::success("api-key.revoke-all", &standing.email).with_detail(&detail);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        self.forget(Some(standing.user));
        Ok(revoked)
    }

    /// The keys of the person who asks, or for those who manage users everybody's, the newest first.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn api_keys(&self, standing: &Standing) -> Result<Vec<ApiKeySummary>> {
        let of = if standing.may(Permission::UsersManage) { None } else { Some(standing.user) };
        let rows = sqlx::query!(
            "SELECT k.id, k.name, k.prefix, u.email, k.permissions, k.created_at, k.expires_at, k.last_used_at, k.revoked_at
             FROM streamlinehub.api_keys k JOIN streamlinehub.users u ON u.id = k.user_id
             WHERE $1::uuid IS NULL OR k.user_id = $1 ORDER BY k.created_at DESC LIMIT 500",
            of
        )
        .fetch_all(&self.pool)
        .await
        .context("the API keys cannot be read")?;
        let summary = rows.into_iter().map(|row| ApiKeySummary {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            owner: row.email,
            permissions: row.permissions.iter().filter_map(|name| Permission::from_name(name)).collect(),
            created: row.created_at,
            expires: row.expires_at,
            last_used: row.last_used_at,
            revoked: row.revoked_at,
        });
        Ok(summary.collect())
    }
}

/// Revokes the keys of a user, as part of a change.
pub(super) async fn revoke_keys(connection: &mut PgConnection, user: Uuid) -> Result<u64, sqlx::Error> {
    let revoked = sqlx::query!(
        "UPDATE streamlinehub.api_keys SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL",
        user
    );
    Ok(revoked.execute(connection).await?.rows_affected())
}
