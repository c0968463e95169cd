//! Views and queries that people keep.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use model::saved::{MOST_SAVED, Saved, SavedKind};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{MOST_OF_OTHERS, Shelf, checks, no_item, not_yours};
use crate::access::{
    Denied,
    audit::{self, Actor, Deed},
    invalid,
};

/// All texts that one person keeps, in bytes: lists bring them along.
const LONGEST_IN_ALL: i64 = 1 << 20;

/// A view or query that is new.
#[derive(Clone, Debug)]
pub struct ItemDraft {
    pub kind: SavedKind,
    pub name: String,
    pub text: String,
    pub shared: bool,
}

/// What changes of a view or query; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct ItemChange {
    pub name: Option<String>,
    pub text: Option<String>,
    pub shared: Option<bool>,
}

struct Row {
    id: Uuid,
    kind: String,
    name: String,
    text: String,
    owner: String,
    mine: bool,
    shared: bool,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

impl TryFrom<Row> for Saved {
    type Error = anyhow::Error;

    fn try_from(row: Row) -> Result<Saved> {
        Ok(Saved {
            id: row.id,
            kind: SavedKind::from_name(&row.kind).context("a kind of saved thing")?,
            name: row.name,
            text: row.text,
            owner: row.owner,
            mine: row.mine,
            shared: row.shared,
            created: row.created_at,
            changed: row.changed_at,
        })
    }
}

impl Shelf<'_> {
    /// What the person may see, their own first, by name. `find` is part of a name; of what others share only the first
    /// 200 are there.
    ///
    /// # Errors
    /// `find` is no search; the database does not answer.
    pub async fn items(&self, find: &str) -> Result<Vec<Saved>, Denied> {
        let rows = sqlx::query_as!(
            Row,
            r#"(SELECT s.id AS "id!", s.kind AS "kind!", s.name AS "name!", s.text AS "text!", u.name AS "owner!",
                       true AS "mine!", s.shared AS "shared!", s.created_at AS "created_at!", s.changed_at AS "changed_at!"
                FROM streamlinehub.saved s JOIN streamlinehub.users u ON u.id = s.owner_id
                WHERE s.owner_id = $1 AND ($2 OR s.kind = 'view') AND s.name ILIKE $3
                ORDER BY lower(s.name), s.id)
               UNION ALL
               (SELECT s.id, s.kind, s.name, s.text, u.name, false, s.shared, s.created_at, s.changed_at
                FROM streamlinehub.saved s JOIN streamlinehub.users u ON u.id = s.owner_id
                WHERE s.shared AND s.owner_id <> $1 AND ($2 OR s.kind = 'view') AND s.name ILIKE $3
                ORDER BY lower(s.name), s.id LIMIT $4)"#,
            self.standing.user,
            self.sees_queries(),
            checks::search(find)?,
            MOST_OF_OTHERS
        )
        .fetch_all(&self.access.pool)
        .await?;
        Ok(rows.into_iter().map(Saved::try_from).collect::<Result<_>>()?)
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none that the person may see; the database does not answer.
    pub async fn item(&self, id: Uuid) -> Result<Saved, Denied> {
        let mut connection = self.access.pool.acquire().await?;
        self.item_on(&mut connection, id).await
    }

    async fn item_on(&self, connection: &mut PgConnection, id: Uuid) -> Result<Saved, Denied> {
        let row = sqlx::query_as!(
            Row,
            r#"SELECT s.id, s.kind, s.name, s.text, u.name AS owner, s.owner_id = $1 AS "mine!", s.shared, s.created_at,
                      s.changed_at
               FROM streamlinehub.saved s JOIN streamlinehub.users u ON u.id = s.owner_id
               WHERE s.id = $2 AND (s.owner_id = $1 OR s.shared) AND ($3 OR s.kind = 'view')"#,
            self.standing.user,
            id,
            self.sees_queries()
        )
        .fetch_optional(connection)
        .await?;
        match row {
            Some(row) => Ok(row.try_into()?),
            None => no_item(),
        }
    }

    /// Keeps something new.
    ///
    /// # Errors
    /// It is not good, or not for the person, or they keep as much as they may; the database does not answer.
    pub async fn create_item(&self, draft: &ItemDraft, actor: &Actor) -> Result<Saved, Denied> {
        self.check_kind(draft.kind)?;
        let (name, text) = (checks::name(&draft.name)?, checks::text(draft.kind, &draft.text)?);
        let mut transaction = self.access.pool.begin().await?;
        self.one_at_a_time(&mut transaction).await?;
        let id = sqlx::query_scalar!(
            "INSERT INTO streamlinehub.saved (owner_id, kind, name, text, shared) VALUES ($1, $2, $3, $4, $5) RETURNING id",
            self.standing.user,
            draft.kind.name(),
            name,
            text,
            draft.shared
        )
        .fetch_one(&mut *transaction)
        .await?;
        self.check_room(&mut transaction).await?;
        let item = self.item_on(&mut transaction, id).await?;
        let detail = format!("{}, {}", draft.kind.name(), seen_by(draft.shared));
        let deed = Deed::success("saved.create", &name).with_detail(&detail);
        audit::append(&mut transaction, &self.access.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(item)
    }

    /// Whether what the person keeps by now is within bounds.
    async fn check_room(&self, connection: &mut PgConnection) -> Result<(), Denied> {
        let kept = sqlx::query!(
            r#"SELECT count(*) AS "count!", coalesce(sum(octet_length(text)), 0)::bigint AS "bytes!"
               FROM streamlinehub.saved WHERE owner_id = $1"#,
            self.standing.user
        )
        .fetch_one(connection)
        .await?;
        if usize::try_from(kept.count).is_ok_and(|count| count > MOST_SAVED) {
            return invalid(format!("You keep {MOST_SAVED} views and queries already. Delete one first."));
        }
        if kept.bytes > LONGEST_IN_ALL {
            return invalid("Your views and queries are longer than a megabyte in all. Delete one first.");
        }
        Ok(())
    }

    /// Changes something of one's own.
    ///
    /// # Errors
    /// There is no such thing, it is somebody else's, or the change is not good; the database does not answer.
    pub async fn change_item(&self, id: Uuid, change: &ItemChange, actor: &Actor) -> Result<Saved, Denied> {
        let name = change.name.as_deref().map(checks::name).transpose()?;
        let mut transaction = self.access.pool.begin().await?;
        self.one_at_a_time(&mut transaction).await?;
        let before = self.own_item(&mut transaction, id).await?;
        let text = change.text.as_deref().map(|text| checks::text(before.kind, text)).transpose()?;
        sqlx::query!(
            "UPDATE streamlinehub.saved
             SET name = coalesce($2, name), text = coalesce($3, text), shared = coalesce($4, shared), changed_at = now()
             WHERE id = $1",
            id,
            name,
            text,
            change.shared
        )
        .execute(&mut *transaction)
        .await?;
        self.check_room(&mut transaction).await?;
        let after = self.item_on(&mut transaction, id).await?;
        let mut changes = vec![after.kind.name().to_owned()];
        if after.name != before.name {
            changes.push(format!("was called {}", before.name));
        }
        if after.text != before.text {
            changes.push("another text".to_owned());
        }
        if after.shared != before.shared {
            changes.push(seen_by(after.shared).to_owned());
        }
        let detail = changes.join(", ");
        let deed = Deed::success("saved.change", &after.name).with_detail(&detail);
        audit::append(&mut transaction, &self.access.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(after)
    }

    /// Deletes something of one's own, and every tile that shows it; answers its name.
    ///
    /// # Errors
    /// There is no such thing, or it is somebody else's; the database does not answer.
    pub async fn delete_item(&self, id: Uuid, actor: &Actor) -> Result<Saved, Denied> {
        let mut transaction = self.access.pool.begin().await?;
        let item = self.own_item(&mut transaction, id).await?;
        sqlx::query!("DELETE FROM streamlinehub.saved WHERE id = $1", id).execute(&mut *transaction).await?;
        let deed = Deed::success("saved.delete", &item.name).with_detail(item.kind.name());
        audit::append(&mut transaction, &self.access.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(item)
    }

    /// Something that the person may change. It stays as it is until the transaction ends.
    async fn own_item(&self, connection: &mut PgConnection, id: Uuid) -> Result<Saved, Denied> {
        sqlx::query!("SELECT id FROM streamlinehub.saved WHERE id = $1 FOR UPDATE", id)
            .fetch_optional(&mut *connection)
            .await?;
        let item = self.item_on(connection, id).await?;
        if item.mine { Ok(item) } else { not_yours() }
    }
}

/// How the audit log says who sees something.
pub(super) fn seen_by(shared: bool) -> &'static str {
    if shared { "shared" } else { "private" }
}
