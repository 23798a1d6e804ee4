import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE } from '../servers/manifests.js'
import { runsOn } from '../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

/** The definition, without a thought about speed: for each live tag, its newest closed life, and the first delete in it. */
const ENDED_LIVES = `
  select distinct on (l.tag) l.tag, l.digest, l.pushed, min(e.at) over (partition by l.tag, l.digest, l.pushed) as deleted
  from (
    select t.repository_id, t.name as tag, t.pointed_at, c.digest, c.at as pushed,
      lead(c.at) over (partition by t.repository_id, t.name order by c.at) as next_at
    from inventory.live_tags t
      join inventory.changes c on c.repository_id = t.repository_id and c.tag = t.name and c.action = 'push'
  ) l
    join inventory.changes e on e.repository_id = l.repository_id and e.action <> 'push'
      and (e.tag = l.tag or e.tag is null and (e.digest is null or e.digest = l.digest))
      and e.at >= l.pushed and e.at < coalesce(l.next_at, l.pointed_at)
  order by l.tag, l.pushed desc`

const step = fc.record({
  what: fc.constantFrom('push', 'push', 'push', 'delete tag', 'delete digest', 'delete all'),
  tag: fc.constantFrom('1', '2'),
  image: fc.constantFrom('a1', 'a2', 'a3'),
})
type Step = { what: string; tag: string; image: string }

/** Every step has its own minute, so that no two moments are the same. */
const eventOf = ({ what, tag, image }: Step, minute: number): Wanted => {
  const at = new Date(Date.UTC(2026, 10, 18, 10, minute)).toISOString()
  const digest = digestOf(image)
  if (what === 'push') return { object: 'manifest', mediaType: OCI_IMAGE, digest, tag, at }
  const named = what === 'delete tag' ? { tag } : what === 'delete digest' ? { digest } : {}
  return { action: 'delete', at, ...named }
}

describe.each(STORE_PAIRS)('regstat.deleted_tags, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  const rows = async (statement: string): Promise<unknown[][]> =>
    (await stores.database.readOnly(statement, { rows: 100, seconds: 10 })).rows

  test('has the newest closed life of each live tag, whatever was pushed and deleted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
        await stores.clear()
        const asking = createAsking(stores, new Date('2026-11-27T12:00:00Z'))
        await asking.ingest(...steps.map(eventOf))
        const columns = 'tag, digest, pushed, deleted'
        const live = `select tag, manifest_digest as digest, pushed, deleted from regstat.deleted_tags
          where tag in (select name from inventory.live_tags)`
        expect(await rows(`select ${columns} from (${live}) l order by tag`)).toEqual(
          await rows(`select ${columns} from (${ENDED_LIVES}) l order by tag`),
        )
      }),
      runsOn(stores.database, { postgresql: 30, pglite: 10 }),
    )
  })
})
