//! What is on a dashboard: views, in an order.

use model::saved::{MOST_TILES, TileWidth};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Shelf, TileDraft};
use crate::access::{
    Denied,
    audit::{self, Actor, Deed},
    invalid,
};

/// What happens to the tiles of a dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileChange {
    /// A view is added at the end.
    Add(TileDraft),
    Remove(Uuid),
    /// It changes places with the one before it.
    Up(Uuid),
    /// It changes places with the one behind it.
    Down(Uuid),
    Width(Uuid, TileWidth),
}

impl TileChange {
    /// How the audit log says it.
    fn name(self) -> &'static str {
        match self {
            TileChange::Add(_) => "a view was added",
            TileChange::Remove(_) => "a view was taken off",
            TileChange::Up(_) | TileChange::Down(_) => "a view was moved",
            TileChange::Width(_, TileWidth::Half) => "a view is half as wide as the page",
            TileChange::Width(_, TileWidth::Full) => "a view is as wide as the page",
        }
    }

    /// Changes the tiles; says whether the tile that is meant was there.
    fn apply(self, tiles: &mut Vec<TileDraft>) -> bool {
        let place = |id| tiles.iter().position(|tile| tile.id == id);
        match self {
            TileChange::Add(tile) => tiles.push(tile),
            TileChange::Remove(id) => match place(id) {
                Some(place) => _ = tiles.remove(place),
                None => return false,
            },
            TileChange::Up(id) => match place(id) {
                Some(0) => {}
                Some(place) => tiles.swap(place, place - 1),
                None => return false,
            },
            TileChange::Down(id) => match place(id) {
                Some(place) if place + 1 < tiles.len() => tiles.swap(place, place + 1),
                Some(_) => {}
                None => return false,
            },
            TileChange::Width(id, width) => match tiles.iter_mut().find(|tile| tile.id == id) {
                Some(tile) => tile.width = width,
                None => return false,
            },
        }
        true
    }
}

impl Shelf<'_> {
    /// Changes what is on one's own dashboard; answers its name.
    ///
    /// # Errors
    /// There is no such dashboard, tile or view, the dashboard is somebody else's or full; the database does not answer.
    pub async fn change_tiles(&self, dashboard: Uuid, change: TileChange, actor: &Actor) -> Result<String, Denied> {
        let mut transaction = self.access.pool.begin().await?;
        let before = self.own_dashboard(&mut transaction, dashboard).await?;
        let there: Vec<Uuid> = before.tiles.iter().map(|tile| tile.view).collect();
        let mut tiles: Vec<TileDraft> = before
            .tiles
            .into_iter()
            .map(|tile| TileDraft { id: tile.id, view: tile.view, width: tile.width })
            .collect();
        if !change.apply(&mut tiles) {
            return Err(Denied::Missing("This view is on the dashboard no longer.".to_owned()));
        }
        self.write_tiles(&mut transaction, dashboard, &there, &tiles).await?;
        sqlx::query!("UPDATE streamlinehub.dashboards SET changed_at = now() WHERE id = $1", dashboard)
            .execute(&mut *transaction)
            .await?;
        let deed = Deed::success("dashboard.change", &before.name).with_detail(change.name());
        audit::append(&mut transaction, &self.access.keys, actor, &deed).await?;
        transaction.commit().await?;
        Ok(before.name)
    }

    /// Writes the tiles of a dashboard that nobody else changes meanwhile. Views that were `there` already may stay though they
    /// are shared no longer; others have to be ones that the person may see.
    pub(super) async fn write_tiles(
        &self,
        connection: &mut PgConnection,
        dashboard: Uuid,
        there: &[Uuid],
        tiles: &[TileDraft],
    ) -> Result<(), Denied> {
        if tiles.len() > MOST_TILES {
            return invalid(format!("A dashboard has at most {MOST_TILES} views. Take one off first."));
        }
        let wanted: Vec<Uuid> = tiles.iter().map(|tile| tile.view).collect();
        // Locked, so that none is deleted before the tiles are written.
        let views = sqlx::query!(
            r#"SELECT id, (owner_id = $2 OR shared) AS "readable!" FROM streamlinehub.saved
               WHERE id = ANY($1) AND kind = 'view' ORDER BY id FOR KEY SHARE"#,
            &wanted,
            self.standing.user
        )
        .fetch_all(&mut *connection)
        .await?;
        let is_there = |view: Uuid| views.iter().any(|known| known.id == view);
        let may_be_new = |view: Uuid| views.iter().any(|known| known.id == view && known.readable);
        if let Some(tile) = tiles.iter().find(|tile| !there.contains(&tile.view) && !may_be_new(tile.view)) {
            return invalid(format!(
                "A dashboard shows views of yours and such as are shared; there is none with the id {}.",
                tile.view
            ));
        }
        sqlx::query!("DELETE FROM streamlinehub.dashboard_tiles WHERE dashboard_id = $1", dashboard)
            .execute(&mut *connection)
            .await?;
        // One that was there may just have been deleted.
        for (place, tile) in tiles.iter().filter(|tile| is_there(tile.view)).enumerate() {
            sqlx::query!(
                "INSERT INTO streamlinehub.dashboard_tiles (id, dashboard_id, view_id, width, position)
                 VALUES ($1, $2, $3, $4, $5)",
                tile.id,
                dashboard,
                tile.view,
                tile.width.name(),
                i16::try_from(place).unwrap_or(i16::MAX)
            )
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_move_within_the_dashboard() {
        let tiles: Vec<TileDraft> = (0..3).map(|_| TileDraft::new(Uuid::new_v4(), TileWidth::Half)).collect();
        let after = |change: TileChange| {
            let mut moved = tiles.clone();
            let found = change.apply(&mut moved);
            let places: Vec<_> =
                moved.iter().filter_map(|tile| tiles.iter().position(|before| before.id == tile.id)).collect();
            found.then_some(places)
        };
        let [first, second, third] = [tiles[0].id, tiles[1].id, tiles[2].id];
        assert_eq!(after(TileChange::Up(second)), Some(vec![1, 0, 2]));
        assert_eq!(after(TileChange::Up(first)), Some(vec![0, 1, 2]));
        assert_eq!(after(TileChange::Down(second)), Some(vec![0, 2, 1]));
        assert_eq!(after(TileChange::Down(third)), Some(vec![0, 1, 2]));
        assert_eq!(after(TileChange::Remove(second)), Some(vec![0, 2]));
        assert_eq!(after(TileChange::Remove(Uuid::new_v4())), None);
        assert_eq!(after(TileChange::Width(Uuid::new_v4(), TileWidth::Full)), None);
    }
}
