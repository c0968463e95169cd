//! How users come in: the first administrator by a link that the server prints, everybody else by invitation.

use anyhow::Result;
use model::access::ADMIN;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Access, Denied, Standing,
    audit::{self, Actor, Deed},
    invalid,
    keys::{random_token, token_hash},
    password,
    sessions::{Client, Tokens, end_sessions},
    throttle::{self, Subject},
    users::{checked, checked_password, link, lock, server_itself, store_password},
};

const NO_SET_UP: &str = "This link is not good any more. The server prints a new one when it starts and has no users.";

impl Access {
    /// Whether there is nobody yet.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn has_no_users(&self) -> Result<bool> {
        let empty = sqlx::query_scalar!(r#"SELECT NOT EXISTS (SELECT 1 FROM streamlinehub.users) AS "empty!""#)
            .fetch_one(&self.pool)
            .await?;
        Ok(empty)
    }

    /// A token with which the first administrator can be set up, in the place of all earlier ones.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn set_up_token(&self) -> Result<String> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("DELETE FROM streamlinehub.one_time_links WHERE user_id IS NULL")
            .execute(&mut *transaction)
            .await?;
        let token = link(&mut transaction, None).await?;
        transaction.commit().await?;
        Ok(token)
    }

    /// Makes the first administrator and begins their session.
    ///
    /// # Errors
    /// The token or what was typed is not good, or there is a user by now; the database does not answer.
    pub async fn set_up(
        &self,
        token: &str,
        name: &str,
        email: &str,
        password: &str,
        client: &Client,
    ) -> Result<Tokens, Denied> {
        let (name, email) = checked(name, email)?;
        // Whoever has no good link costs us no more than a look.
        let good = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM streamlinehub.one_time_links
               WHERE token_hash = $1 AND user_id IS NULL AND expires_at > now()) AS "good!""#,
            token_hash(token)
        )
        .fetch_one(&self.pool)
        .await?;
        if !good {
            return invalid(NO_SET_UP);
        }
        checked_password(password, &[&name, &email]).await?;
        let hash = password::hash(password.to_owned()).await?;
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction).await?;
        let used = sqlx::query!(
            "DELETE FROM streamlinehub.one_time_links
             WHERE token_hash = $1 AND user_id IS NULL AND expires_at > now()
               AND NOT EXISTS (SELECT 1 FROM streamlinehub.users)",
            token_hash(token)
        )
        .execute(&mut *transaction)
        .await?;
        if used.rows_affected() == 0 {
            return invalid(NO_SET_UP);
        }
        let user = insert_user(&mut transaction, &name, &email, ADMIN, Some(&hash)).await?;
        let actor = Actor { id: Some(user), ..client.actor(&email) };
        audit::append(&mut transaction, &self.keys, &actor, &Deed::success("user.set-up", &email)).await?;
        transaction.commit().await?;
        self.open_session(user, &email, client, "set-up link").await
    }

    /// Makes an administrator with a password of our own making, for trying things out; answers it. `None` if there is a
    /// user already.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn demo_administrator(&self, email: &str) -> Result<Option<String>> {
        let password: String = random_token()?.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
        let hash = password::hash(password.clone()).await?;
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction).await?;
        let empty = sqlx::query_scalar!(r#"SELECT NOT EXISTS (SELECT 1 FROM streamlinehub.users) AS "empty!""#)
            .fetch_one(&mut *transaction)
            .await?;
        if !empty {
            return Ok(None);
        }
        insert_user(&mut transaction, "Demo administrator", email, ADMIN, Some(&hash)).await?;
        let deed = Deed::success("user.create", email).with_detail("demo administrator");
        audit::append(&mut transaction, &self.keys, &server_itself(), &deed).await?;
        transaction.commit().await?;
        Ok(Some(password))
    }

    /// Makes a user without a password; answers the token of the link with which they choose one.
    ///
    /// # Errors
    /// What was typed is not good; the database does not answer.
    pub async fn create_user(
        &self,
        name: &str,
        email: &str,
        role: &str,
        by: Option<&Standing>,
        actor: &Actor,
    ) -> Result<String, Denied> {
        let (name, email) = checked(name, email)?;
        let mut transaction = self.pool.begin().await?;
        self.check_grant(&mut transaction, role, by).await?;
        let taken = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM streamlinehub.users WHERE email = $1) AS "taken!""#,
            email
        )
        .fetch_one(&mut *transaction)
        .await?;
        if taken {
            return invalid("There is a user with this address already.");
        }
        let user = insert_user(&mut transaction, &name, &email, role, None).await?;
        let token = link(&mut transaction, Some(user)).await?;
        let detail = format!("role {role}");
        let deed = Deed::success("user.invite", &email).with_detail(&detail);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(token)
    }

    /// Chooses a password by a one-time link, and begins a session, unless there is a second factor to show.
    ///
    /// # Errors
    /// The link or the password is not good; the database does not answer.
    pub async fn accept(&self, token: &str, password: &str, client: &Client) -> Result<Option<Tokens>, Denied> {
        let stale = "This link is not good any more. Ask for a new one.";
        let user = sqlx::query!(
            "SELECT u.id, u.email, u.name, u.totp_on FROM streamlinehub.one_time_links l
             JOIN streamlinehub.users u ON u.id = l.user_id
             WHERE l.token_hash = $1 AND l.expires_at > now() AND u.disabled_at IS NULL",
            token_hash(token)
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(user) = user else { return invalid(stale) };
        checked_password(password, &[&user.name, &user.email]).await?;
        let hash = password::hash(password.to_owned()).await?;
        let mut transaction = self.pool.begin().await?;
        // Used once, even by two at the same moment.
        let used = sqlx::query!("DELETE FROM streamlinehub.one_time_links WHERE token_hash = $1", token_hash(token))
            .execute(&mut *transaction)
            .await?;
        if used.rows_affected() == 0 {
            return invalid(stale);
        }
        store_password(&mut transaction, user.id, &hash).await?;
        end_sessions(&mut transaction, user.id, None).await?;
        let actor = Actor { id: Some(user.id), ..client.actor(&user.email) };
        let deed = Deed::success("password.choose", &user.email).with_detail("one-time link");
        audit::append(&mut transaction, &self.keys, &actor, &deed).await?;
        transaction.commit().await?;
        self.forget(Some(user.id));
        throttle::succeeded(&self.pool, &Subject::Account(user.email.clone())).await?;
        if user.totp_on {
            return Ok(None);
        }
        Ok(Some(self.open_session(user.id, &user.email, client, "one-time link").await?))
    }
}

async fn insert_user(
    connection: &mut PgConnection,
    name: &str,
    email: &str,
    role: &str,
    password_hash: Option<&str>,
) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO streamlinehub.users (name, email, role, password_hash, password_changed_at)
         VALUES ($1, $2, $3, $4, now()) RETURNING id",
        name,
        email,
        role,
        password_hash
    )
    .fetch_one(connection)
    .await
}
