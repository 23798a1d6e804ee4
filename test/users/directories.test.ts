import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { DirectoryUnavailable, type UserDirectory } from '../../src/users/directory.js'
import { createGitlabUsers } from '../../src/users/gitlab-users.js'
import { createHashedNames } from '../../src/users/hashed-names.js'
import { fixedClock } from '../servers/clock.js'
import { startStub, type Stub } from '../servers/stub.js'

describe('hashed names', () => {
  test('one person has one id, whatever the case, and another key gives another', () => {
    const directory = createHashedNames('a key')
    expect(directory.idOf('Alice')).toBe(directory.idOf('alice'))
    expect(directory.idOf('alice')).not.toBe(directory.idOf('bob'))
    expect(directory.idOf('alice')).not.toBe(createHashedNames('another key').idOf('alice'))
    expect(directory.idOf('alice')).toMatch(/^[\w-]{22}$/)
  })
})

/** Milliseconds that no answer of a stub takes, however busy the machine is. */
const PATIENT = 600_000

describe('a GitLab', () => {
  let stub: Stub
  let behave: 'answer' | 'fail' | 'hang' | 'lie'
  let refusal: number
  let clock: number
  let directory: UserDirectory
  beforeEach(async () => {
    behave = 'answer'
    refusal = 400
    clock = Date.parse('2026-11-21T12:00:00Z')
    stub = await startStub(({ path }, response) => {
      const name = new URL(path, 'http://x').searchParams.get('username')
      if (behave === 'hang') return
      if (name === 'refused') response.writeHead(refusal).end('{"error":"username is invalid"}')
      else if (behave === 'fail') response.writeHead(500).end()
      else if (behave === 'lie') response.end('{"not": "a list"}')
      else response.end(JSON.stringify(name === 'alice' ? [{ id: 17, username: 'Alice' }] : []))
    })
    directory = createGitlabUsers({
      url: `${stub.url}/api/v4/`,
      token: 'glpat',
      now: () => new Date(clock),
      patienceMs: PATIENT,
    })
  })
  afterEach(async () => stub.stop())

  test('is asked for the id of a name, with its token', async () => {
    expect(await directory.idOf('Alice')).toBe('17')
    expect(stub.requests).toMatchObject([
      { path: '/api/v4/users?username=alice', headers: { 'private-token': 'glpat' } },
    ])
    expect(await directory.idOf('bob')).toBeUndefined()
  })

  test('is asked once for one name, also by many events at once, and again after its time', async () => {
    await Promise.all(Array.from({ length: 20 }, async () => directory.idOf('alice')))
    await directory.idOf('ALICE')
    expect(stub.requests).toHaveLength(1)
    clock += 61 * 60_000
    expect(await directory.idOf('alice')).toBe('17')
    expect(stub.requests).toHaveLength(2)
  })

  test('a name it does not know is asked for again sooner', async () => {
    await directory.idOf('bob')
    clock += 6 * 60_000
    await directory.idOf('bob')
    expect(stub.requests).toHaveLength(2)
  })

  test.each(['fail', 'lie'] as const)('when it does %s, it is left alone for ten seconds', async (what) => {
    behave = what
    await expect(directory.idOf('alice')).rejects.toThrow(DirectoryUnavailable)
    behave = 'answer'
    await expect(directory.idOf('alice')).rejects.toThrow(/a moment ago/)
    clock += 11_000
    expect(await directory.idOf('alice')).toBe('17')
  })

  test('is asked at once if its rest began while the clock was ahead', async () => {
    clock += 7_200_000
    behave = 'fail'
    await expect(directory.idOf('alice')).rejects.toThrow(DirectoryUnavailable)
    behave = 'answer'
    clock -= 7_200_000
    expect(await directory.idOf('alice')).toBe('17')
  })

  test('is asked again for a name that it did not know while the clock was ahead', async () => {
    clock += 7_200_000
    await directory.idOf('bob')
    clock -= 7_200_000
    await directory.idOf('bob')
    expect(stub.requests).toHaveLength(2)
  })

  test('when it does not answer, an event waits no longer than its patience', async () => {
    behave = 'hang'
    const impatient = createGitlabUsers({ url: stub.url, token: 'glpat', now: fixedClock, patienceMs: 20 })
    await expect(impatient.idOf('alice')).rejects.toThrow('GitLab takes too long')
  })

  test.each([400, 414, 422])(
    'that answers %d to a name does not know it, and others go on being asked for',
    async (status) => {
      refusal = status
      expect(await directory.idOf('refused')).toBeUndefined()
      expect(await directory.idOf('Refused')).toBeUndefined()
      expect(await directory.idOf('alice')).toBe('17')
      expect(stub.requests).toHaveLength(2)
    },
  )

  test.each([401, 403, 404, 429])('that answers %d says nothing about the name, which waits', async (status) => {
    refusal = status
    await expect(directory.idOf('refused')).rejects.toThrow(DirectoryUnavailable)
    await expect(directory.idOf('alice')).rejects.toThrow(/a moment ago/)
  })

  test.each([
    '1e999',
    '-1.5',
    '9007199254740993',
    '""',
    '"a\\u0000b"',
    `"${'7'.repeat(65)}"`,
    'null',
    '{}',
    '[17]',
    'true',
  ])('that answers with the id %s is unavailable: the name waits, and the event is not lost', async (id) => {
    await stub.stop()
    stub = await startStub((_, response) => response.end(`[null, 7, {"id": ${id}, "username": "alice"}]`))
    const hostile = createGitlabUsers({ url: stub.url, token: 'glpat', now: fixedClock })
    await expect(hostile.idOf('alice')).rejects.toThrow(DirectoryUnavailable)
  })

  test.each([
    [429, '30', 30_000],
    [429, 'Sat, 21 Nov 2026 12:00:45 GMT', 45_000],
    [503, '20', 20_000],
    [429, '86400', 600_000],
  ])('that answers %d with Retry-After %s is not asked until then', async (status, retryAfter, pause) => {
    await stub.stop()
    clock = Date.parse('2026-11-21T12:00:00Z')
    let busy = true
    stub = await startStub((_, response) =>
      busy
        ? response.writeHead(status, { 'retry-after': retryAfter }).end()
        : response.end('[{"id":17,"username":"alice"}]'),
    )
    const slow = createGitlabUsers({ url: stub.url, token: 'glpat', now: () => new Date(clock) })
    await expect(slow.idOf('alice')).rejects.toThrow('asks to slow down')
    busy = false
    clock += pause - 1
    await expect(slow.idOf('alice')).rejects.toThrow(/a moment ago/)
    expect(stub.requests).toHaveLength(1)
    clock += 1
    expect(await slow.idOf('alice')).toBe('17')
  })

  test('is not followed to another address', async () => {
    await stub.stop()
    const other = await startStub((_, response) => response.end('[{"id":1,"username":"alice"}]'))
    stub = await startStub((_, response) => response.writeHead(302, { location: other.url }).end())
    const redirected = createGitlabUsers({ url: stub.url, token: 'glpat', now: fixedClock, patienceMs: PATIENT })
    await expect(redirected.idOf('alice')).rejects.toThrow(DirectoryUnavailable)
    expect(other.requests).toEqual([])
    await other.stop()
  })

  test('an answer of a megabyte is not read to its end', async () => {
    await stub.stop()
    stub = await startStub((_, response) => response.end(' '.repeat(1024 * 1024)))
    const large = createGitlabUsers({ url: stub.url, token: 'glpat', now: fixedClock, patienceMs: PATIENT })
    await expect(large.idOf('alice')).rejects.toThrow(/too large/)
  })
})
