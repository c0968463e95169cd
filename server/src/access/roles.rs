//! Roles: those that every installation has, and the company's own.

use anyhow::{Context, Result};
use model::access::{BUILT_IN_ROLES, Permission, Role};
use sqlx::PgPool;

use super::{
    Access, Denied, Standing,
    audit::{self, Actor, Deed},
    invalid,
};

/// What a role may do: for a built-in one by the program's own table, for others by what is stored.
pub fn permissions_of(role: &str, stored: &[String]) -> Vec<Permission> {
    match BUILT_IN_ROLES.iter().find(|built_in| built_in.name == role) {
        Some(built_in) => built_in.permissions.to_vec(),
        None => stored.iter().filter_map(|name| Permission::from_name(name)).collect(),
    }
}

/// What a user of the role may do: nothing while a second factor is missing that the role asks for.
pub fn rights_of(role: &str, stored: &[String], must_enrol: bool) -> Vec<Permission> {
    if must_enrol { Vec::new() } else { permissions_of(role, stored) }
}

/// Writes the built-in roles into the database, where users refer to them.
///
/// # Errors
/// The database does not answer.
pub async fn write_built_in(pool: &PgPool) -> Result<()> {
    for role in BUILT_IN_ROLES {
        sqlx::query!(
            "INSERT INTO streamlinehub.roles (name, description, built_in) VALUES ($1, $2, true)
             ON CONFLICT (name) DO NOTHING",
            role.name,
            role.description
        )
        .execute(pool)
        .await
        .context("the roles cannot be written")?;
    }
    Ok(())
}

/// A role as an administrator wants it.
#[derive(Clone, Debug)]
pub struct RoleDraft {
    pub name: String,
    pub description: String,
    pub permissions: Vec<Permission>,
    pub requires_second_factor: bool,
}

impl Access {
    /// All roles, the built-in ones first.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn roles(&self) -> Result<Vec<Role>> {
        let rows = sqlx::query!(
            r#"SELECT name, description, built_in, permissions, requires_second_factor,
                      (SELECT count(*) FROM streamlinehub.users u WHERE u.role = r.name) AS "users!"
               FROM streamlinehub.roles r ORDER BY built_in DESC, name"#
        )
        .fetch_all(&self.pool)
        .await
        .context("the roles cannot be read")?;
        let mut roles: Vec<Role> = rows
            .into_iter()
            .map(|row| Role {
                permissions: permissions_of(&row.name, &row.permissions),
                name: row.name,
                description: row.description,
                built_in: row.built_in,
                requires_second_factor: row.requires_second_factor,
                users: row.users,
            })
            .collect();
        // From the least to the most, as the table has them.
        let place = |role: &Role| BUILT_IN_ROLES.iter().position(|built_in| built_in.name == role.name);
        roles.sort_by_key(|role| place(role).unwrap_or(BUILT_IN_ROLES.len()));
        Ok(roles)
    }

    /// Makes a role or changes it. Of a built-in one only whether it requires a second factor can change. Nobody gives a
    /// role more than they have, nor takes from one that has more.
    ///
    /// # Errors
    /// The draft is not good, or not allowed; the database does not answer.
    pub async fn save_role(&self, draft: &RoleDraft, by: &Standing, actor: &Actor) -> Result<(), Denied> {
        let mut transaction = self.pool.begin().await?;
        let before = sqlx::query!(
            "SELECT built_in, permissions FROM streamlinehub.roles WHERE name = $1 FOR UPDATE",
            draft.name
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let old = before.as_ref().map(|before| permissions_of(&draft.name, &before.permissions)).unwrap_or_default();
        let built_in = before.as_ref().is_some_and(|before| before.built_in);
        let new = if built_in { old.clone() } else { draft.permissions.clone() };
        if let Some(missing) = old.iter().chain(&new).find(|permission| !by.may(**permission)) {
            return Err(Denied::Forbidden(format!(
                "The role has the permission {}, which you do not have yourself.",
                missing.name()
            )));
        }
        let well_named = draft.name.len() >= 2
            && draft.name.len() <= 40
            && draft.name.starts_with(|c: char| c.is_ascii_lowercase())
            && draft.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !well_named {
            return invalid("A role's name has 2 to 40 small letters, digits and hyphens, and begins with a letter.");
        }
        if draft.description.chars().count() > 200 || !audit::is_one_line(&draft.description) {
            return invalid("A role's description is one line of at most 200 characters.");
        }
        if new.is_empty() {
            return invalid("A role needs at least one permission.");
        }
        let names: Vec<String> = new.iter().map(|permission| permission.name().to_owned()).collect();
        if built_in {
            sqlx::query!(
                "UPDATE streamlinehub.roles SET requires_second_factor = $2 WHERE name = $1",
                draft.name,
                draft.requires_second_factor
            )
            .execute(&mut *transaction)
            .await?;
        } else {
            sqlx::query!(
                "INSERT INTO streamlinehub.roles (name, description, permissions, requires_second_factor)
                 VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE
                 SET description = $2, permissions = $3, requires_second_factor = $4",
                draft.name,
                draft.description,
                &names,
                draft.requires_second_factor
            )
            .execute(&mut *transaction)
            .await?;
        }
        let detail = format!(
            "{}{}",
            names.join(" "),
            if draft.requires_second_factor { ", requires a second factor" } else { "" }
        );
        let action = if before.is_some() { "role.change" } else { "role.create" };
        let deed = Deed::success(action, &draft.name).with_detail(&detail);
        audit::append(&mut transaction, &self.keys, actor, &deed).await?;
        transaction.commit().await?;
        self.forget(None);
        Ok(())
    }

    /// Deletes a role that nobody has.
    ///
    /// # Errors
    /// It is built in, or somebody has it; the database does not answer.
    pub async fn delete_role(&self, name: &str, by: &Standing, actor: &Actor) -> Result<(), Denied> {
        let mut transaction = self.pool.begin().await?;
        let stored = sqlx::query_scalar!("SELECT permissions FROM streamlinehub.roles WHERE name = $1", name)
            .fetch_optional(&mut *transaction)
            .await?;
        if permissions_of(name, &stored.unwrap_or_default()).iter().any(|permission| !by.may(*permission)) {
            return Err(Denied::Forbidden("This role may do more than you may yourself.".to_owned()));
        }
        let used = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM streamlinehub.users WHERE role = $1) AS "used!""#,
            name
        )
        .fetch_one(&mut *transaction)
        .await?;
        if used {
            return invalid("Somebody has this role. Give them another one first.");
        }
        let deleted = sqlx::query!("DELETE FROM streamlinehub.roles WHERE name = $1 AND NOT built_in", name)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return invalid("There is no such role, or it is built in.");
        }
        audit::append(&mut transaction, &self.keys, actor, &Deed::success("role.delete", name)).await?;
        transaction.commit().await?;
        Ok(())
    }
}
