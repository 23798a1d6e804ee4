import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import pg from 'pg'

/** Databases of the shared Redis: more than suites ever use at the same time. */
export const REDIS_DATABASES = 1_024

type SharedDatabase = { url: string; drop: () => Promise<void> }

const variable = (name: string): string => {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set: test/global-setup.mjs starts the shared servers`)
  return value
}

const query = async (text: string): Promise<void> => {
  const client = new pg.Client({ connectionString: variable('TALLYMAN_TEST_POSTGRES') })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

/**
 * Creates a database on the PostgreSQL server that all suites of a run share: with all migrations applied, or empty. Only an empty
 * one may have another encoding than UTF8.
 */
export const createDatabase = async ({ isMigrated = true, encoding = 'UTF8' } = {}): Promise<SharedDatabase> => {
  const name = `suite_${randomUUID().replaceAll('-', '')}`
  await query(`create database ${name} template ${isMigrated ? 'migrated' : 'template0'} encoding '${encoding}'`)
  return {
    url: variable('TALLYMAN_TEST_POSTGRES').replace(/[^/]*$/, name),
    drop: async () => query(`drop database ${name} with (force)`),
  }
}

/** The URL of an empty database of the Redis server that all suites of a run share. */
export const takeRedisDatabase = async (): Promise<string> => {
  const url = variable('TALLYMAN_TEST_REDIS')
  const redis = new Redis(url)
  try {
    // Database 0 contains only this counter.
    const database = 1 + ((await redis.incr('taken')) % (REDIS_DATABASES - 1))
    await redis.select(database)
    await redis.flushdb()
    return `${url}/${database}`
  } finally {
    redis.disconnect()
  }
}
