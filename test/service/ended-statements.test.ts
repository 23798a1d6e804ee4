import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { notified } from '../servers/app.js'
import { eventually } from '../servers/process.js'
import { startService, type Service } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

const folder = embeddedFolder()
let service: Service

/** A database in which one repository, and the summary of the inventory, take for ever to be written. */
beforeAll(async () => {
  const database = await openPglite(folder.path)
  const db = database.sql
  await sql`create function endless() returns trigger language plpgsql as $$ begin loop null; end loop; end $$`.execute(
    db,
  )
  await sql`
    create trigger endless before insert on inventory.repositories
    for each row when (new.name = 'team/endless') execute function endless()
  `.execute(db)
  await sql`
    create trigger endless before insert or update on inventory.repository_totals
    for each row execute function endless()
  `.execute(db)
  await database.close()
  service = await startService(folder.path)
})
afterAll(async () => {
  await service.process.end()
  folder.remove()
})

const pushTo = (repository: string): object =>
  notified({
    target: {
      ...{ repository, tag: '1.0', size: 500, digest: `sha256:${'a'.repeat(64)}` },
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
    },
  })

const statusOf = async (repository: string): Promise<number> =>
  (await service.notify({ events: [pushTo(repository)] })).status

test('a statement that never ends fails what it was for, and the service goes on', async () => {
  expect(await statusOf('team/before')).toBe(200)
  const response = await service.notify({ events: [pushTo('team/endless')] })
  expect([response.status, await response.text()]).toEqual([504, expect.stringContaining('took too long')])
  expect(await statusOf('team/after')).toBe(200)
  expect((await fetch(`${service.url}/healthz`)).status).toBe(200)
})

test('a job whose statement never ends rests, and status says until when', async () => {
  await eventually('the summary rests', async () => {
    const { warnings } = (await (await service.get('/status')).json()) as { warnings: string[] }
    return warnings.some((warning) => /these jobs rest.*summarize until 20/.test(warning))
  })
  await eventually('the log says so', async () =>
    Promise.resolve(/"job":"summarize".*took too long and was ended; the job rests/.test(service.process.output())),
  )
  expect(await statusOf('team/later')).toBe(200)
})
