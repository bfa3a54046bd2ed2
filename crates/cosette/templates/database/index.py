"""Keeps a row for each object of a bucket in a database: SQLite, or PostgreSQL by its URL."""

import os
import sqlite3
from urllib.parse import unquote, urlsplit

TABLE = """CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, size BIGINT NOT NULL, etag TEXT NOT NULL, time BIGINT NOT NULL,
    PRIMARY KEY (bucket, key))"""
# An event may come twice, or late: what is older than the row changes nothing.
WRITE = """INSERT INTO objects (bucket, key, size, etag, time) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (bucket, key) DO UPDATE SET size = excluded.size, etag = excluded.etag, time = excluded.time
    WHERE objects.time <= excluded.time"""
REMOVE = "DELETE FROM objects WHERE bucket = ? AND key = ? AND time <= ?"


def connect(url):
    """A connection, and the mark that stands for a value in its statements."""
    if not url.startswith(("postgres://", "postgresql://")):
        return sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20), "?"
    import pg8000.dbapi

    at = urlsplit(url)
    return (
        pg8000.dbapi.connect(
            user=unquote(at.username or "postgres"),
            password=unquote(at.password) if at.password else None,
            host=at.hostname or "127.0.0.1",
            port=at.port or 5432,
            database=at.path.lstrip("/") or "postgres",
        ),
        "%s",
    )


def main_handler(event, context):
    connection, mark = connect(os.environ["DATABASE_URL"])
    try:
        cursor = connection.cursor()
        if mark == "%s":
            # PostgreSQL lets of two that make the table at once one fail; until the commit the other waits.
            cursor.execute("SELECT pg_advisory_xact_lock(1818326626)")
        cursor.execute(TABLE)
        for record in event["Records"]:
            cos, about = record["cos"], record["event"]
            bucket = f"{cos['cosBucket']['name']}-{cos['cosBucket']['appid']}"
            key, time = cos["cosObject"]["key"].split("/", 3)[3], about["eventTime"]
            if about["eventName"].startswith("cos:ObjectRemove:"):
                cursor.execute(REMOVE.replace("?", mark), (bucket, key, time))
            else:
                etag = cos["cosObject"]["meta"].get("ETag", "").strip('"')
                row = (bucket, key, cos["cosObject"]["size"], etag, time)
                cursor.execute(WRITE.replace("?", mark), row)
            print(f"{about['eventName']} {bucket}/{key}")
        connection.commit()
    finally:
        connection.close()
