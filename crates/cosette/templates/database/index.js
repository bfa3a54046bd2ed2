// Keeps a row for each object of a bucket in a database: SQLite, or PostgreSQL by its URL.
'use strict';

const TABLE = `CREATE TABLE IF NOT EXISTS objects (
  bucket TEXT NOT NULL, key TEXT NOT NULL, size BIGINT NOT NULL, etag TEXT NOT NULL, time BIGINT NOT NULL,
  PRIMARY KEY (bucket, key))`;
// An event may come twice, or late: what is older than the row changes nothing.
const WRITE = `INSERT INTO objects (bucket, key, size, etag, time) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (bucket, key) DO UPDATE SET size = excluded.size, etag = excluded.etag, time = excluded.time
  WHERE objects.time <= excluded.time`;
const REMOVE = 'DELETE FROM objects WHERE bucket = ? AND key = ? AND time <= ?';

// Runs statements in one transaction, and closes.
async function connect(url) {
  if (/^postgres(ql)?:/.test(url)) {
    const { Client } = require('pg');
    const client = new Client({ connectionString: url });
    await client.connect();
    const run = (sql, values) => {
      let at = 0;
      return client.query(sql.replace(/\?/g, () => `$${(at += 1)}`), values);
    };
    await run('BEGIN');
    // PostgreSQL lets of two that make the table at once one fail; until the commit the other waits.
    await run('SELECT pg_advisory_xact_lock(1818326626)');
    return { run, close: () => client.end() };
  }
  // Comes with Node.js from 22.5 on.
  const { DatabaseSync } = require('node:sqlite');
  const database = new DatabaseSync(url.replace(/^sqlite:\/\/\//, ''));
  database.exec('PRAGMA busy_timeout = 20000; BEGIN IMMEDIATE');
  return { run: (sql, values = []) => database.prepare(sql).run(...values), close: () => database.close() };
}

exports.main_handler = async (event) => {
  const database = await connect(process.env.DATABASE_URL);
  try {
    await database.run(TABLE);
    for (const { cos, event: about } of event.Records) {
      const bucket = `${cos.cosBucket.name}-${cos.cosBucket.appid}`;
      const key = cos.cosObject.key.split('/').slice(3).join('/');
      if (about.eventName.startsWith('cos:ObjectRemove:')) {
        await database.run(REMOVE, [bucket, key, about.eventTime]);
      } else {
        const etag = (cos.cosObject.meta.ETag || '').replace(/"/g, '');
        await database.run(WRITE, [bucket, key, cos.cosObject.size, etag, about.eventTime]);
      }
      console.log(`${about.eventName} ${bucket}/${key}`);
    }
    await database.run('COMMIT');
  } finally {
    await database.close();
  }
};
