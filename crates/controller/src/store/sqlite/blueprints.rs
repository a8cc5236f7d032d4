//! Blueprints on disk: each without its specs, the specs once each, by hash.

use std::collections::BTreeMap;
use std::sync::Arc;

use archetype_model::HostName;
use archetype_model::blueprint::Blueprint;
use archetype_model::spec::HostSpec;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::{StoreError, Target, failed, rows};
use crate::clock;
use crate::store::BLUEPRINTS_KEPT;

/// The target with its specs.
pub(super) async fn target(readers: &SqlitePool) -> Result<Option<Target>, StoreError> {
    let row = sqlx::query("SELECT digest, body FROM blueprints JOIN target ON target.blueprint = blueprints.digest")
        .fetch_optional(readers)
        .await
        .map_err(failed("read the target"))?;
    let Some(row) = row else { return Ok(None) };
    let digest: String = row.try_get("digest").map_err(failed("read the target"))?;
    let mut blueprint: Blueprint = rows::document(&row, "body", "the target")?;
    blueprint.specs = specs(readers, &digest).await?;
    // By the digest that it was written with it is known, also where another version wrote it, which told more or less.
    Ok(Some(Target { digest, blueprint: Arc::new(blueprint) }))
}

async fn specs(readers: &SqlitePool, digest: &str) -> Result<BTreeMap<HostName, Arc<HostSpec>>, StoreError> {
    let found = sqlx::query(
        "SELECT host, body FROM blueprint_specs JOIN specs ON specs.hash = blueprint_specs.spec WHERE blueprint = $1",
    )
    .bind(digest)
    .fetch_all(readers)
    .await
    .map_err(failed("read the specs"))?;
    found.iter().map(|row| Ok((rows::name(row, "host")?, rows::document(row, "body", "a spec")?))).collect()
}

/// Writes a blueprint and makes it the target, if its parent is the target.
pub(super) async fn set_target(connection: &mut SqliteConnection, target: &Target) -> Result<(), StoreError> {
    let now: Option<String> = sqlx::query_scalar("SELECT blueprint FROM target")
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("read the target"))?;
    if now != target.blueprint.parent {
        return Err(StoreError::Overtaken);
    }
    put(connection, target).await?;
    sqlx::query(
        "INSERT INTO target (one, blueprint) VALUES (1, $1)
         ON CONFLICT (one) DO UPDATE SET blueprint = excluded.blueprint",
    )
    .bind(&target.digest)
    .execute(&mut *connection)
    .await
    .map_err(failed("write the target"))?;
    prune(connection, target.blueprint.number).await
}

async fn put(connection: &mut SqliteConnection, target: &Target) -> Result<(), StoreError> {
    let write = "write a blueprint";
    let bare = Blueprint { specs: BTreeMap::new(), ..(*target.blueprint).clone() };
    sqlx::query("INSERT INTO blueprints (digest, number, parent, body, created_at_ms) VALUES ($1, $2, $3, $4, $5)")
        .bind(&target.digest)
        .bind(bare.number as i64)
        .bind(&bare.parent)
        .bind(rows::json(&bare))
        .bind(clock::now_ms() as i64)
        .execute(&mut *connection)
        .await
        .map_err(failed(write))?;
    for (host, spec) in &target.blueprint.specs {
        let hash = archetype_model::digest(spec);
        sqlx::query("INSERT INTO specs (hash, body) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING")
            .bind(&hash)
            .bind(rows::json(spec))
            .execute(&mut *connection)
            .await
            .map_err(failed(write))?;
        sqlx::query("INSERT INTO blueprint_specs (blueprint, host, spec) VALUES ($1, $2, $3)")
            .bind(&target.digest)
            .bind(host.as_str())
            .bind(&hash)
            .execute(&mut *connection)
            .await
            .map_err(failed(write))?;
    }
    Ok(())
}

/// Removes blueprints of long ago, and specs that none names any more.
async fn prune(connection: &mut SqliteConnection, number: u64) -> Result<(), StoreError> {
    let oldest = number.saturating_sub(BLUEPRINTS_KEPT) as i64;
    let gone = sqlx::query("DELETE FROM blueprints WHERE number < $1")
        .bind(oldest)
        .execute(&mut *connection)
        .await
        .map_err(failed("remove old blueprints"))?;
    if gone.rows_affected() > 0 {
        sqlx::query("DELETE FROM specs WHERE hash NOT IN (SELECT spec FROM blueprint_specs)")
            .execute(&mut *connection)
            .await
            .map_err(failed("remove old specs"))?;
    }
    Ok(())
}
