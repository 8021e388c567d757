"""What nothing refers to any more, and what an interrupted registry left half-done."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aioecrpublic.local.blobs import BlobStore
    from aioecrpublic.local.database import Database


def collect_garbage(database: Database, blobs: BlobStore) -> None:
    """Remove files that no row names, and rows of uploads that have no file; run while nothing else does."""
    with database.transaction() as cursor:
        layers = {row["digest"] for row in cursor.rows("SELECT DISTINCT digest FROM layer")}
        logos = {
            row["logo"]
            for row in cursor.rows(
                "SELECT json_extract(catalog, '$.logo') AS logo FROM repository WHERE catalog IS NOT NULL"
            )
        }
        uploads = {row["id"] for row in cursor.rows("SELECT id FROM upload")}
        files = set(blobs.uploads())
        for upload_id in uploads - files:
            cursor.run("DELETE FROM upload WHERE id = ?", upload_id)
    for upload_id in files - uploads:
        blobs.drop_upload(upload_id)
    for digest in set(blobs.digests()) - layers - logos:
        blobs.drop(digest)
