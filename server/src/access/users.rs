//! Users: what administrators and they themselves change.

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use model::access::{Permission, UserState, UserSummary, UsersView};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::{
    Access, Denied, Standing,
    api_keys::revoke_keys,
    audit::{self, Actor, Deed},
    invalid,
    keys::{random_token, token_hash},
    login::normalized,
    password, roles,
    sessions::end_sessions,
    throttle::{self, Subject},
};

/// A one-time link works for this long.
const LINK_LASTS: TimeDelta = TimeDelta::hours(48);
/// Users are no more than this on the page; there is no second page yet.
const MOST_USERS: i64 = 1000;

/// Keeps changes apart that must not both succeed: who becomes the first administrator, and who remains as the last.
const LOCK: i64 = 0x0055_5345_5253;

/// What a person types about themselves.
pub(super) fn checked(name: &str, email: &str) -> Result<(String, String), Denied> {
    let (name, email) = (name.trim().to_owned(), normalized(email));
    if name.is_empty() || name.chars().count() > 100 || !audit::is_one_line(&name) {
        return invalid("A name has 1 to 100 characters.");
    }
    let looks_right = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && email.len() <= 254
    });
    // Letters of other alphabets that look like ours would make two addresses pass for one.
    if !looks_right || !email.chars().all(|c| c.is_ascii_graphic() && !"<>\"'(),;:\\".contains(c)) {
        return invalid("That is not an e-mail address such as ann@example.com.");
    }
    Ok((name, email))
}

pub(super) async fn checked_password(password: &str, about: &[&str]) -> Result<(), Denied> {
    let about = about.iter().map(|text| (*text).to_owned()).collect();
    match password::judge(password.to_owned(), about).await? {
        Some(objection) => invalid(objection),
        None => Ok(()),
    }
}

/// A user as changes look at them.
struct Target {
    email: String,
    role: String,
    permissions: Vec<Permission>,
    disabled: bool,
}

impl Access {
    /// Whether this is the user's password. A wrong one counts as a failed login.
    ///
    /// # Errors
    /// It is wrong; too often; the database does not answer.
    pub async fn confirm_password(&self, user: Uuid, password: String, actor: &Actor) -> Result<(), Denied> {
        // Apart from logins: no stranger can keep somebody from changing their password.
        let subject = Subject::Confirmation(user);
        if let Some(until) = throttle::book(&self.pool, &subject).await? {
            return Err(Denied::TooMany(throttle::seconds_until(until)));
        }
        let hash = sqlx::query_scalar!("SELECT password_hash FROM streamlinehub.users WHERE id = $1", user)
            .fetch_one(&self.pool)
            .await?;
        if !password::verify(password, hash).await? {
            throttle::failed(&self.pool, &subject).await?;
            self.note(actor, &Deed::failure("password.confirm", &actor.name, "wrong password")).await?;
            return invalid("The password is wrong.");
        }
        throttle::succeeded(&self.pool, &subject).await?;
        Ok(())
    }

    /// Changes the password of the person who asks, ends their other sessions and, unless they keep them, revokes their API keys:
    /// whoever had the password may have made some. Answers how many keys.
    ///
    /// # Errors
    /// The current password is wrong, the new one not good; the database does not answer.
    pub async fn change_password(
        &self,
        standing: &Standing,
        session: Uuid,
        current: String,
        new: &str,
        keep_keys: bool,
        actor: &Actor,
    ) -> Result<u64, Denied> {
        self.confirm_password(standing.user, current, actor).await?;
        checked_password(new, &[&standing.name, &standing.email]).await?;
        let hash = password::hash(new.to_owned()).await?;
        let mut transaction = self.pool.begin().await?;
        store_password(&mut transaction, standing.user, &hash).await?;
        end_sessions(&mut transaction, standing.user, Some(session)).await?;
        let revoked = if keep_keys { 0 } else { revoke_keys(&mut transaction, standing.user).await? };
        let detail = format!("{revoked} API keys revoked");
        let deed = Deed::success("password.change", &standing.email).with_detail(&detail);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        self.forget(Some(standing.user));
        Ok(revoked)
    }

    /// Changes the name of the person who asks.
    ///
    /// # Errors
    /// The name is not good; the database does not answer.
    pub async fn change_name(&self, standing: &Standing, name: &str, actor: &Actor) -> Result<(), Denied> {
        let (name, _) = checked(name, &standing.email)?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("UPDATE streamlinehub.users SET name = $2 WHERE id = $1", standing.user, name)
            .execute(&mut *transaction)
            .await?;
        let deed = Deed::success("user.rename", &standing.email).with_detail(&name);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        self.forget(Some(standing.user));
        Ok(())
    }

    /// Gives a user another role.
    ///
    /// # Errors
    /// It is not allowed; the database does not answer.
    pub async fn change_role(&self, user: Uuid, role: &str, by: &Standing, actor: &Actor) -> Result<(), Denied> {
        let (mut transaction, target) = self.begin_change(user, by).await?;
        self.check_grant(&mut transaction, role, Some(by)).await?;
        sqlx::query!("UPDATE streamlinehub.users SET role = $2 WHERE id = $1", user, role)
            .execute(&mut *transaction)
            .await?;
        let detail = format!("{} to {role}", target.role);
        let deed = Deed::success("user.role", &target.email).with_detail(&detail);
        self.finish_change(transaction, user, actor, &deed).await
    }

    /// Disables a user, whose sessions end and whose keys stop to work, or enables them again.
    ///
    /// # Errors
    /// It is not allowed; the database does not answer.
    pub async fn set_disabled(&self, user: Uuid, disabled: bool, by: &Standing, actor: &Actor) -> Result<(), Denied> {
        let (mut transaction, target) = self.begin_change(user, by).await?;
        if target.disabled == disabled {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE streamlinehub.users SET disabled_at = CASE WHEN $2 THEN now() END WHERE id = $1",
            user,
            disabled
        )
        .execute(&mut *transaction)
        .await?;
        end_sessions(&mut transaction, user, None).await?;
        sqlx::query!("DELETE FROM streamlinehub.one_time_links WHERE user_id = $1 AND $2", user, disabled)
            .execute(&mut *transaction)
            .await?;
        let deed = Deed::success(if disabled { "user.disable" } else { "user.enable" }, &target.email);
        self.finish_change(transaction, user, actor, &deed).await
    }

    /// Takes a user's password and keys away, ends their sessions, and answers the token of a link with which they choose another.
    ///
    /// # Errors
    /// It is not allowed; the database does not answer.
    pub async fn reset(&self, user: Uuid, by: Option<&Standing>, actor: &Actor) -> Result<String, Denied> {
        let (mut transaction, target) = match by {
            Some(by) => self.begin_change(user, by).await?,
            None => {
                let mut transaction = self.pool.begin().await?;
                let target = target(&mut transaction, user).await?;
                (transaction, target)
            }
        };
        sqlx::query!(
            "UPDATE streamlinehub.users SET password_hash = NULL, password_changed_at = now() WHERE id = $1",
            user
        )
        .execute(&mut *transaction)
        .await?;
        revoke_keys(&mut transaction, user).await?;
        sqlx::query!("DELETE FROM streamlinehub.one_time_links WHERE user_id = $1", user)
            .execute(&mut *transaction)
            .await?;
        end_sessions(&mut transaction, user, None).await?;
        let token = link(&mut transaction, Some(user)).await?;
        self.finish_change(transaction, user, actor, &Deed::success("user.reset", &target.email)).await?;
        Ok(token)
    }

    /// Lets a user try to log in again at once.
    ///
    /// # Errors
    /// It is not allowed; the database does not answer.
    pub async fn unlock(&self, user: Uuid, by: &Standing, actor: &Actor) -> Result<(), Denied> {
        let (transaction, target) = self.begin_change(user, by).await?;
        throttle::succeeded(&self.pool, &Subject::Account(target.email.clone())).await?;
        self.finish_change(transaction, user, actor, &Deed::success("user.unlock", &target.email)).await
    }

    /// Whether the person may act on this user, as the other changes check it themselves.
    ///
    /// # Errors
    /// It is not allowed; the database does not answer.
    pub async fn check_manageable(&self, user: Uuid, by: &Standing) -> Result<(), Denied> {
        let mut connection = self.pool.acquire().await?;
        check_target(user, &target(&mut connection, user).await?, by)
    }

    /// A user's id by their address.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn find_user(&self, email: &str) -> Result<Option<Uuid>> {
        let found = sqlx::query_scalar!("SELECT id FROM streamlinehub.users WHERE email = $1", normalized(email));
        Ok(found.fetch_optional(&self.pool).await?)
    }

    /// The users, for an administrator.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn users(&self, by: &Standing) -> Result<UsersView> {
        let rows = sqlx::query!(
            r#"SELECT u.id, u.name, u.email, u.role, u.password_hash IS NULL AS "invited!", u.disabled_at, u.totp_on,
                      u.last_login_at, u.created_at, r.permissions, a.blocked_until AS "blocked_until?",
                      (SELECT count(*) FROM streamlinehub.sessions s
                       WHERE s.user_id = u.id AND s.ended_at IS NULL AND s.expires_at > now()) AS "sessions!"
               FROM streamlinehub.users u JOIN streamlinehub.roles r ON r.name = u.role
               LEFT JOIN streamlinehub.login_attempts a ON a.subject = 'account:' || u.email
               ORDER BY u.name, u.email LIMIT $1"#,
            MOST_USERS
        )
        .fetch_all(&self.pool)
        .await
        .context("the users cannot be read")?;
        let users = rows.into_iter().map(|row| {
            let target = Target {
                permissions: roles::permissions_of(&row.role, &row.permissions),
                role: row.role,
                email: row.email,
                disabled: row.disabled_at.is_some(),
            };
            UserSummary {
                id: row.id,
                name: row.name,
                state: match (target.disabled, row.invited) {
                    (true, _) => UserState::Disabled,
                    (false, true) => UserState::Invited,
                    (false, false) => UserState::Active,
                },
                second_factor: row.totp_on,
                sessions: row.sessions,
                last_login: row.last_login_at,
                created: row.created_at,
                locked_until: row.blocked_until.filter(|until: &DateTime<Utc>| *until > Utc::now()),
                manageable: check_target(row.id, &target, by).is_ok(),
                email: target.email,
                role: target.role,
            }
        });
        let users = users.collect();
        let mut grantable_roles = Vec::new();
        for role in self.roles().await? {
            if role.permissions.iter().all(|permission| by.may(*permission)) {
                grantable_roles.push(role.name);
            }
        }
        Ok(UsersView { users, grantable_roles })
    }

    /// Nobody gives a role that may do more than they may themselves. The command line may give any.
    pub(super) async fn check_grant(
        &self,
        connection: &mut PgConnection,
        role: &str,
        by: Option<&Standing>,
    ) -> Result<(), Denied> {
        let stored = sqlx::query_scalar!("SELECT permissions FROM streamlinehub.roles WHERE name = $1", role)
            .fetch_optional(connection)
            .await?;
        let Some(stored) = stored else { return invalid(format!("There is no role {role}.")) };
        let more = |by: &Standing| roles::permissions_of(role, &stored).iter().any(|permission| !by.may(*permission));
        if by.is_some_and(more) {
            return Err(Denied::Forbidden("This role may do more than you may yourself.".to_owned()));
        }
        Ok(())
    }

    async fn begin_change(
        &self,
        user: Uuid,
        by: &Standing,
    ) -> Result<(Transaction<'static, Postgres>, Target), Denied> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction).await?;
        let target = target(&mut transaction, user).await?;
        check_target(user, &target, by)?;
        Ok((transaction, target))
    }

    /// Writes the audit line and commits. Since nobody acts on themselves, an administrator remains.
    async fn finish_change(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        user: Uuid,
        actor: &Actor,
        deed: &Deed<'_>,
    ) -> Result<(), Denied> {
        audit::append(&mut transaction, &self.keys, actor, deed).await?;
        transaction.commit().await?;
        self.forget(Some(user));
        Ok(())
    }
}

/// Nobody acts on themselves here, so that no mistake locks the last administrator out; nor on somebody who may do more.
fn check_target(user: Uuid, target: &Target, by: &Standing) -> Result<(), Denied> {
    if user == by.user {
        return Err(Denied::Forbidden("You cannot do this to yourself; ask another administrator.".to_owned()));
    }
    if target.permissions.iter().any(|permission| !by.may(*permission)) {
        return Err(Denied::Forbidden("This user may do more than you may yourself.".to_owned()));
    }
    Ok(())
}

async fn target(connection: &mut PgConnection, user: Uuid) -> Result<Target, Denied> {
    let row = sqlx::query!(
        "SELECT u.email, u.role, u.disabled_at, r.permissions
         FROM streamlinehub.users u JOIN streamlinehub.roles r ON r.name = u.role WHERE u.id = $1 FOR UPDATE OF u",
        user
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return invalid("There is no such user.") };
    Ok(Target {
        permissions: roles::permissions_of(&row.role, &row.permissions),
        email: row.email,
        role: row.role,
        disabled: row.disabled_at.is_some(),
    })
}

pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", LOCK).execute(connection).await?;
    Ok(())
}

pub(super) async fn store_password(connection: &mut PgConnection, user: Uuid, hash: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE streamlinehub.users SET password_hash = $2, password_changed_at = now() WHERE id = $1",
        user,
        hash
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The token of a new one-time link.
pub(super) async fn link(connection: &mut PgConnection, user: Option<Uuid>) -> Result<String> {
    let token = random_token()?;
    sqlx::query!(
        "INSERT INTO streamlinehub.one_time_links (token_hash, user_id, expires_at) VALUES ($1, $2, $3)",
        token_hash(&token),
        user,
        Utc::now() + LINK_LASTS
    )
    .execute(connection)
    .await?;
    Ok(token)
}

/// What the program does by itself.
pub fn server_itself() -> Actor {
    Actor { id: None, name: "server".to_owned(), address: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_checked_and_made_alike() {
        assert_eq!(
            checked(" Ann Miller ", " Ann@Example.COM ").expect("good"),
            ("Ann Miller".to_owned(), "ann@example.com".to_owned())
        );
        for email in [
            "\u{ff41}nn@example.com",
            "ann\u{200b}@example.com",
            "",
            "ann",
            "@example.com",
            "ann@",
            "a@b@c",
            "ann@exa mple.com",
            "<ann@example.com>",
            "a\n@b.c",
        ] {
            assert!(checked("Ann", email).is_err(), "{email}");
        }
        for name in ["", "  ", "a\u{0}b", "a\u{202e}b"] {
            assert!(checked(name, "ann@example.com").is_err(), "{name}");
        }
    }
}
