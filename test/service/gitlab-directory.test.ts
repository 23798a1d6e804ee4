import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { SignJWT } from 'jose'
import { NOW } from '../servers/clock.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { eventually, temporaryFolder } from '../servers/process.js'
import { startStub, type Stub } from '../servers/stub.js'

const PUSHERS = 'i_container_registry_push_tag_user'
const IDS: Record<string, number | undefined> = { alice: 17, bob: 18, dave: 19 }
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

describe('a registry of GitLab, whose users GitLab knows', () => {
  const folder = temporaryFolder('gitlab')
  let gitlab: Stub
  let app: TestApp
  let away = false
  let isGivenUp = false
  let clock = NOW.getTime()
  beforeAll(async () => {
    gitlab = await startStub(({ path }, response) => {
      // Silence, as of a GitLab that is overloaded.
      if (away) {
        response.once('close', () => (isGivenUp = true))
        return
      }
      const name = new URL(path, 'http://x').searchParams.get('username') ?? ''
      response.end(JSON.stringify(IDS[name] === undefined ? [] : [{ id: IDS[name], username: name }]))
    })
    const key = join(folder.path, 'key.pem')
    writeFileSync(key, publicKey.export({ type: 'spki', format: 'pem' }))
    const environment = {
      TALLYMAN_USER_DIRECTORY: 'gitlab',
      TALLYMAN_GITLAB_URL: `${gitlab.url}/api/v4`,
      TALLYMAN_GITLAB_TOKEN: 'glpat-secret',
      TALLYMAN_USER_TOKEN_KEY: key,
    }
    app = await openApp(environment, () => new Date(clock))
  })
  afterAll(async () => {
    await app.close()
    await gitlab.stop()
    folder.remove()
  })

  const by = (name: string, user?: string): unknown =>
    notified({ actor: { name, user_type: 'gitlab_or_ldap', ...(user !== undefined && { user }) } })
  const report = async (...events: unknown[]): Promise<unknown> => {
    const response = await app.notify({ events })
    return { status: response.status, ...((await response.json()) as object) }
  }
  const pushers = async (): Promise<number | undefined> => {
    const { counters } = (await (await app.get('/usage_data/counters')).json()) as {
      counters: { event: string; period: string; count: number }[]
    }
    return counters.find(({ event, period }) => event === PUSHERS && !period.includes('M'))?.count
  }
  const waiting = async (): Promise<number> =>
    ((await (await app.get('/status')).json()) as { unresolvedUsers: number }).unresolvedUsers

  /** Once GitLab has told apart all whom it did not in time: an event waits 0.3 s for it, which a busy machine may exceed. */
  const resolved = async (): Promise<void> =>
    eventually('all people are told apart', async () => {
      // Past the ten seconds for which GitLab is left alone.
      clock += 11_000
      return (await waiting()) === 0
    })

  test('counts people under its ids, and says whom it does not know', async () => {
    expect(await report(by('alice'), by('ALICE'), by('bob'), by('nobody'))).toMatchObject({ status: 200, repeated: 0 })
    await resolved()
    expect(await pushers()).toBe(2)
    expect(await (await app.get('/status')).json()).toMatchObject({ skips: { unknown_user: 1 } })
    expect(new Set(gitlab.requests.map(({ path }) => path))).toEqual(
      new Set(['alice', 'bob', 'nobody'].map((name) => `/api/v4/users?username=${name}`)),
    )
    expect(gitlab.requests[0]?.headers['private-token']).toBe('glpat-secret')
  })

  test('counts nobody twice, whether known by name or by the signed token', async () => {
    const token = async (id: number): Promise<string> =>
      new SignJWT({ user_info: { user_id: id } })
        .setProtectedHeader({ alg: 'RS256' })
        .setExpirationTime(new Date(NOW.getTime() + 60_000))
        .sign(privateKey)
    expect(await report(by('alice', await token(17)), by('erin', await token(20)))).toMatchObject({ recorded: 2 })
    expect(await waiting()).toBe(0)
    expect(await pushers()).toBe(3)
  })

  test('does not wait for it, and counts later whom it could not tell', async () => {
    away = true
    expect(await report(by('dave'))).toMatchObject({ status: 200, recorded: 1, skipped: {} })
    expect(isGivenUp).toBe(false)
    expect([await waiting(), await pushers()]).toEqual([1, 3])

    away = false
    await eventually('the request is given up', async () => Promise.resolve(isGivenUp))
    await resolved()
    expect(await pushers()).toBe(4)
    expect(await report(by('dave'))).toMatchObject({ recorded: 1, skipped: {} })
    expect(await pushers()).toBe(4)
  })

  test('the log tells no name and no token of all this', () => {
    expect(app.log().join('')).not.toMatch(/alice|bob|dave|erin|nobody|glpat/i)
  })
})
