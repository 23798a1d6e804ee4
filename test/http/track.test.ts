import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import express, { type ErrorRequestHandler } from 'express'
import { problemOf } from '../../src/http/problem.js'
import { trackRoutes } from '../../src/http/track.js'
import { openApp, type TestApp } from '../servers/app.js'
import { RULES } from '../servers/counting.js'
import { temporaryFolder } from '../servers/process.js'
import { startStub, type Stub } from '../servers/stub.js'

const USERS = 'i_container_registry_push_tag_user'

describe('counting from outside by username, with a GitLab', () => {
  let gitlab: Stub
  let app: TestApp
  let isUnavailable = false
  beforeAll(async () => {
    gitlab = await startStub(({ path }, response) => {
      if (isUnavailable) response.writeHead(502).end()
      else response.end(path.endsWith('=alice') ? '[{"id":17,"username":"alice"}]' : '[]')
    })
    app = await openApp({
      TALLYMAN_USER_DIRECTORY: 'gitlab',
      TALLYMAN_GITLAB_URL: gitlab.url,
      TALLYMAN_GITLAB_TOKEN: 'glpat',
    })
  })
  afterAll(async () => {
    await app.close()
    await gitlab.stop()
  })
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const response = await app.post(`/usage_data/${path}`, body)
    return { status: response.status, ...((await response.json()) as object) }
  }
  const waiting = async (): Promise<unknown> =>
    ((await (await app.get('/status')).json()) as { unresolvedUsers: number }).unresolvedUsers

  test('a name that it does not know counts for no user, and the answer contains the reason', async () => {
    const skipped = { status: 200, recorded: 0, skipped: { unknown_user: 1 } }
    expect(await post('increment_unique_users', { event: USERS, username: 'nobody' })).toEqual(skipped)
    expect(await post('track_event', { event: USERS, username: 'nobody' })).toEqual(skipped)
    const events = [
      { event: USERS, username: 'nobody' },
      { event: USERS, username: 'alice' },
    ]
    expect(await post('track_events', { events })).toMatchObject({ recorded: 1, skipped: { unknown_user: 1 } })
    expect(await waiting()).toBe(0)
  })

  test('a deploy token is no user: its name is hashed, and the GitLab is not asked for it', async () => {
    const event = 'i_container_registry_push_tag_deploy_token'
    const answer = await post('track_event', { event, username: 'deployer' })
    expect(answer).toEqual({ status: 200, recorded: 1, skipped: {} })
  })

  test('an id that could be taken for a name that waits is refused', async () => {
    expect(await post('track_event', { event: USERS, user_id: '?alice' })).toEqual({
      status: 400,
      message: '400 Bad Request: user_id: begins with a question mark, and no id does',
    })
  })

  test('while it is unavailable the name stays unresolved, and the answer reports success', async () => {
    isUnavailable = true
    const recorded = { status: 200, recorded: 1, skipped: {} }
    expect(await post('track_event', { event: USERS, username: 'Bob' })).toEqual(recorded)
    expect(await post('increment_unique_users', { event: USERS, username: 'carol' })).toEqual(recorded)
    expect(await waiting()).toBe(2)
  })
})

describe('counting from outside by username, where ids come from the tokens of GitLab', () => {
  const DEPLOY_TOKENS = 'i_container_registry_push_tag_deploy_token'
  let folder: ReturnType<typeof temporaryFolder>
  let app: TestApp
  beforeAll(async () => {
    folder = temporaryFolder('keys')
    const key = join(folder.path, 'key.pem')
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    writeFileSync(key, publicKey.export({ type: 'spki', format: 'pem' }))
    app = await openApp({ TALLYMAN_USER_TOKEN_KEY: key })
  })
  afterAll(async () => {
    await app.close()
    folder.remove()
  })

  test.each([USERS, DEPLOY_TOKENS])('a name would only be hashed, and counts for no user: %s', async (event) => {
    const answer = await app.post('/usage_data/track_event', { event, username: 'alice' })
    expect(await answer.json()).toEqual({ recorded: 0, skipped: { no_user_token: 1 } })
    const byId = await app.post('/usage_data/track_event', { event, user_id: 17 })
    expect(await byId.json()).toEqual({ recorded: 1, skipped: {} })
  })
})

test('when a store does not answer, it says that sending again may count twice, not that nothing was stored', async () => {
  const silent = Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT' })
  const routes = trackRoutes({
    track: async () => Promise.reject(silent),
    rules: RULES,
    identifyName: (name) => ({ member: name }),
    hashed: { idOf: (text) => text },
  })
  const answerProblem: ErrorRequestHandler = (error, _request, response, next) => {
    if (response.headersSent) next(error)
    else response.json(problemOf(error))
  }
  const server = express().use(routes).use(answerProblem).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}/usage_data/increment_counter?event=x`, { method: 'POST' })
  expect(await answer.json()).toEqual({
    status: 503,
    message: expect.stringMatching(
      /the event may have been counted, and if you send it again, totals may count it twice$/,
    ),
  })
  server.closeAllConnections()
  server.close()
})
