//! Dashboards of one's own.

use model::saved::{DashboardDetail, DashboardSummary, MOST_DASHBOARDS, Tile, TileView, TileWidth};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{DashboardDraft, MOST_OF_OTHERS, Shelf, checks, items::seen_by, no_dashboard, not_yours};
use crate::access::{
    Denied,
    audit::{self, Actor, Deed},
    invalid,
};

/// What changes of a dashboard; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct DashboardChange {
    pub name: Option<String>,
    pub shared: Option<bool>,
}

impl Shelf<'_> {
    /// Those that the person may see, their own first, by name; of what others share the first 200.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn dashboards(&self) -> Result<Vec<DashboardSummary>, Denied> {
        let rows = sqlx::query!(
            r#"SELECT d.id, d.name, u.name AS owner, d.owner_id = $1 AS "mine!", d.shared, d.created_at, d.changed_at,
                      (SELECT count(*) FROM streamlinehub.dashboard_tiles t WHERE t.dashboard_id = d.id) AS "tiles!"
               FROM streamlinehub.dashboards d JOIN streamlinehub.users u ON u.id = d.owner_id
               WHERE d.owner_id = $1 OR d.shared
               ORDER BY d.owner_id = $1 DESC, lower(d.name), d.id LIMIT $2"#,
            self.standing.user,
            MOST_OF_OTHERS + i64::try_from(MOST_DASHBOARDS).unwrap_or_default()
        )
        .fetch_all(&self.access.pool)
        .await?;
        let summary = rows.into_iter().map(|row| DashboardSummary {
            id: row.id,
            name: row.name,
            owner: row.owner,
            mine: row.mine,
            shared: row.shared,
            tiles: row.tiles,
            created: row.created_at,
            changed: row.changed_at,
        });
        Ok(summary.collect())
    }

    /// One of them, with what is on it.
    ///
    /// # Errors
    /// There is none that the person may see; the database does not answer.
    pub async fn dashboard(&self, id: Uuid) -> Result<DashboardDetail, Denied> {
        let mut connection = self.access.pool.acquire().await?;
        self.dashboard_on(&mut connection, id).await
    }

    pub(super) async fn dashboard_on(
        &self,
        connection: &mut PgConnection,
        id: Uuid,
    ) -> Result<DashboardDetail, Denied> {
        let row = sqlx::query!(
            r#"SELECT d.id, d.name, u.name AS owner, d.owner_id = $1 AS "mine!", d.shared, d.created_at, d.changed_at
               FROM streamlinehub.dashboards d JOIN streamlinehub.users u ON u.id = d.owner_id
               WHERE d.id = $2 AND (d.owner_id = $1 OR d.shared)"#,
            self.standing.user,
            id
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return no_dashboard() };
        let tiles = sqlx::query!(
            r#"SELECT t.id, t.width, t.view_id, s.name, s.text,
                      (s.shared OR s.owner_id = d.owner_id OR s.owner_id = $2) AS "readable!"
               FROM streamlinehub.dashboard_tiles t
               JOIN streamlinehub.dashboards d ON d.id = t.dashboard_id
               JOIN streamlinehub.saved s ON s.id = t.view_id
               WHERE t.dashboard_id = $1 ORDER BY t.position"#,
            id,
            self.standing.user
        )
        .fetch_all(connection)
        .await?;
        let tiles = tiles.into_iter().map(|tile| Tile {
            id: tile.id,
            width: TileWidth::from_name(&tile.width).unwrap_or_default(),
            view: tile.view_id,
            shows: tile.readable.then_some(TileView { name: tile.name, query: tile.text }),
        });
        Ok(DashboardDetail {
            id: row.id,
            name: row.name,
            owner: row.owner,
            mine: row.mine,
            shared: row.shared,
            tiles: tiles.collect(),
            created: row.created_at,
            changed: row.changed_at,
        })
    }

    /// Makes a new one.
    ///
    /// # Errors
    /// The draft is not good, or the person has as many as they may; the database does not answer.
    pub async fn create_dashboard(&self, draft: &DashboardDraft, actor: &Actor) -> Result<DashboardDetail, Denied> {
        let name = checks::name(&draft.name)?;
        let mut transaction = self.access.pool.begin().await?;
        self.one_at_a_time(&mut transaction).await?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM streamlinehub.dashboards WHERE owner_id = $1"#,
            self.standing.user
        )
        .fetch_one(&mut *transaction)
        .await?;
        if usize::try_from(count).is_ok_and(|count| count >= MOST_DASHBOARDS) {
            return invalid(format!("You have {MOST_DASHBOARDS} dashboards already. Delete one first."));
        }
        let id = sqlx::query_scalar!(
            "INSERT INTO streamlinehub.dashboards (owner_id, name, shared) VALUES ($1, $2, $3) RETURNING id",
            self.standing.user,
            name,
            draft.shared
        )
        .fetch_one(&mut *transaction)
        .await?;
        self.write_tiles(&mut transaction, id, &[], &draft.tiles).await?;
        let dashboard = self.dashboard_on(&mut transaction, id).await?;
        let deed = Deed::success("dashboard.create", &name).with_detail(seen_by(draft.shared));
        audit::append(&mut transaction, &self.access.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(dashboard)
    }

    /// Renames one's own, shares it, or takes that back.
    ///
    /// # Errors
    /// There is no such dashboard, it is somebody else's, or the change is not good; the database does not answer.
    pub async fn change_dashboard(
        &self,
        id: Uuid,
        change: &DashboardChange,
        actor: &Actor,
    ) -> Result<DashboardDetail, Denied> {
        let mut transaction = self.access.pool.begin().await?;
        let before = self.own_dashboard(&mut transaction, id).await?;
        let after = self.write_dashboard(&mut transaction, &before, change).await?;
        let deed_detail = changes(&before, &after);
        let deed = Deed::success("dashboard.change", &after.name).with_detail(&deed_detail);
        audit::append(&mut transaction, &self.access.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(after)
    }

    /// Makes one's own into what the draft says, tiles included.
    ///
    /// # Errors
    /// There is no such dashboard, it is somebody else's, or the draft is not good; the database does not answer.
    pub async fn replace_dashboard(
        &self,
        id: Uuid,
        draft: &DashboardDraft,
        actor: &Actor,
    ) -> Result<DashboardDetail, Denied> {
        let mut transaction = self.access.pool.begin().await?;
        let before = self.own_dashboard(&mut transaction, id).await?;
        let there: Vec<Uuid> = before.tiles.iter().map(|tile| tile.view).collect();
        self.write_tiles(&mut transaction, id, &there, &draft.tiles).await?;
        let change = DashboardChange { name: Some(draft.name.clone()), shared: Some(draft.shared) };
        let after = self.write_dashboard(&mut transaction, &before, &change).await?;
        let detail = changes(&before, &after);
        let deed = Deed::success("dashboard.change", &after.name).with_detail(&detail);
        audit::append(&mut transaction, &self.access.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(after)
    }

    async fn write_dashboard(
        &self,
        connection: &mut PgConnection,
        before: &DashboardDetail,
        change: &DashboardChange,
    ) -> Result<DashboardDetail, Denied> {
        let name = change.name.as_deref().map(checks::name).transpose()?;
        sqlx::query!(
            "UPDATE streamlinehub.dashboards
             SET name = coalesce($2, name), shared = coalesce($3, shared), changed_at = now() WHERE id = $1",
            before.id,
            name,
            change.shared
        )
        .execute(&mut *connection)
        .await?;
        self.dashboard_on(connection, before.id).await
    }

    /// Deletes one's own; the views stay. Answers its name.
    ///
    /// # Errors
    /// There is no such dashboard, or it is somebody else's; the database does not answer.
    pub async fn delete_dashboard(&self, id: Uuid, actor: &Actor) -> Result<String, Denied> {
        let mut transaction = self.access.pool.begin().await?;
        let before = self.own_dashboard(&mut transaction, id).await?;
        sqlx::query!("DELETE FROM streamlinehub.dashboards WHERE id = $1", id).execute(&mut *transaction).await?;
        let deed = Deed::success("dashboard.delete", &before.name);
        audit::append(&mut transaction, &self.access.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(before.name)
    }

    /// A dashboard that the person may change. Nobody else changes it until the transaction ends.
    pub(super) async fn own_dashboard(
        &self,
        connection: &mut PgConnection,
        id: Uuid,
    ) -> Result<DashboardDetail, Denied> {
        sqlx::query!("SELECT id FROM streamlinehub.dashboards WHERE id = $1 FOR UPDATE", id)
            .fetch_optional(&mut *connection)
            .await?;
        let dashboard = self.dashboard_on(connection, id).await?;
        if dashboard.mine { Ok(dashboard) } else { not_yours() }
    }
}

/// How the audit log says what is different.
fn changes(before: &DashboardDetail, after: &DashboardDetail) -> String {
    let mut changes = Vec::new();
    if after.name != before.name {
        changes.push(format!("was called {}", before.name));
    }
    if after.shared != before.shared {
        changes.push(seen_by(after.shared).to_owned());
    }
    if after.tiles != before.tiles {
        changes.push(format!("{} tiles", after.tiles.len()));
    }
    changes.join(", ")
}
