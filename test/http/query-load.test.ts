import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import express from 'express'
import type { KyselyPlugin } from 'kysely'
import { inventoryRoutes } from '../../src/http/inventory.js'
import { answerProblem } from '../../src/http/server.js'
import { takeQueryTurns } from '../../src/http/query-turns.js'
import type { RegistryNames } from '../../src/registries/registry-names.js'
import { fixedClock } from '../servers/clock.js'
import { eventually } from '../servers/process.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const QUESTION = '/inventory/unused-images?unused_for=90d&without_kind=scanner&limit=1000'

const asGiven = async (name: string): Promise<string> => Promise.resolve(name)
const UNNAMED: RegistryNames = {
  nameOf: asGiven,
  recordedAs: async (name) => Promise.resolve([name]),
  valuesOf: async (names) => Promise.resolve([...names]),
}

describe.each(STORE_PAIRS)('questions on %s', (_name, open) => {
  let stores: TestStores
  let server: Server
  let url: string
  let running: number
  let mostRunning: number
  /** No question gets its rows before. */
  let gate: Promise<void>

  /** Each question runs its statements one after the other: so many statements are so many questions. */
  const counting: KyselyPlugin = {
    transformQuery: ({ node }) => {
      mostRunning = Math.max(mostRunning, ++running)
      return node
    },
    transformResult: async ({ result }) => {
      await gate
      running--
      return result
    },
  }

  beforeEach(async () => {
    running = mostRunning = 0
    gate = Promise.resolve()
    stores = await open()
    const { database } = stores
    const app = express()
    app.use(takeQueryTurns(database.engine))
    app.use(
      inventoryRoutes({
        database: { ...database, sql: database.sql.withPlugin(counting) },
        registries: { list: () => [] },
        registryNames: UNNAMED,
        summarize: async () => Promise.resolve(),
        now: fixedClock,
      }),
    )
    app.use(answerProblem(() => undefined))
    server = createServer(app)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(async () => {
    server.closeAllConnections()
    server.close()
    await stores.close()
  })

  const atOnce = (): number => (stores.database.engine === 'pglite' ? 1 : 3)

  test('run few at once, and what a notification writes goes in between', async () => {
    let answered = 0
    const questions = Array.from({ length: 40 }, async () => {
      const { status } = await fetch(url + QUESTION)
      answered++
      return status
    })
    await eventually('the first question runs', async () => Promise.resolve(running > 0))
    await stores.database.run({ name: 'write', text: 'select 1' }, [])
    expect(answered).toBeLessThan(40)
    expect(new Set(await Promise.all(questions))).toEqual(new Set([200]))
    expect(mostRunning).toBe(atOnce())
  })

  test('beyond 50 that wait are refused, with the time to come again', async () => {
    let open = (): void => undefined
    gate = new Promise((resolve) => (open = resolve))
    let answered = 0
    const asked = Array.from({ length: 100 }, async () => {
      const answer = await fetch(url + QUESTION)
      answered++
      return answer
    })
    await eventually('those beyond are answered', async () => Promise.resolve(answered === 50 - atOnce()))
    open()
    const answers = await Promise.all(asked)
    const refused = answers.filter(({ status }) => status === 503)
    expect(refused).toHaveLength(50 - atOnce())
    expect(refused[0]?.headers.get('retry-after')).toBe('5')
    expect(await refused[0]?.json()).toEqual({ message: expect.stringContaining('too many queries at once') })
    expect(answers.filter(({ status }) => status === 200).length).toBe(50 + atOnce())
  })

  test('end their turns after a refusal, and when their clients disconnect before the answer', async () => {
    for (let i = 0; i < 5; i++) expect((await fetch(`${url}/inventory/images?limit=x`)).status).toBe(400)
    for (let i = 0; i < 5; i++) {
      mostRunning = 0
      const client = request(url + QUESTION).on('error', () => undefined)
      client.end()
      await eventually('the question runs', async () => Promise.resolve(mostRunning > 0))
      client.destroy()
    }
    expect((await fetch(url + QUESTION)).status).toBe(200)
  })
})
