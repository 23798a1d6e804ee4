import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { columnsOf } from '../../src/inventory/questions/question.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { machineClock, NOW } from '../servers/clock.js'
import { temporaryFolder } from '../servers/process.js'
import { API_TOKEN } from '../servers/service.js'
import { startStub, type Stub } from '../servers/stub.js'
import { tallyman, tallymanOnTerminal, type Result } from '../servers/tallyman.js'

/** ESC, BEL, CR, LF, NUL, DEL, C1, bidirectional controls, zero-width, separators, a tag, a filler, a lone surrogate. */
const HOSTILE =
  'x\u001b[31m\u001b]0;pwn\u0007\r\ntallyman: forged\u0000\u007f\u009b31m\u061c\u200e\u200f\u202a\u202e\u2066\u2069\u200b\ufeff\u2028\u2029\u{e0041}\ufe0f\u3164\ud800y'
const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u
const DAY = /^\d{4}-\d\d-\d\d/
/** Our own words, by which the command line finds values. */
const OURS = new Set(['columns', 'event_names', 'keys'])

const folder = temporaryFolder('hostile-output')
let app: TestApp
let between: Stub
let refusing: Stub
const lock = join(folder.path, 'tallyman.lock')

const PROGRESS = { registry: HOSTILE, repository: HOSTILE, done: 1, of: 2, requests: 1, drift: 1, notice: HOSTILE }
const REPORT = {
  ...{ registry: HOSTILE, repositories: 1, tags: 1, manifests: 1, blobs: 1, requests: 1, unchecked: 0, applied: false },
  drift: { missing: 1, stale: 0, different: 0 },
  drifted: [{ repository: HOSTILE, missing: 1, stale: 0, different: 0 }],
  differences: [
    { repository: HOSTILE, kind: 'missing', object: 'tag', name: HOSTILE, inventory: null, registry: HOSTILE },
  ],
  failed: 1,
  failures: [{ repository: HOSTILE, error: HOSTILE }],
}

/** An answer of the service in which every text and every name of a count ends with what is hostile. */
const spoiled = (value: unknown, key = ''): unknown => {
  if (typeof value === 'string') return DAY.test(value) || OURS.has(key) ? value : value + HOSTILE
  if (Array.isArray(value)) return value.map((one) => spoiled(one, key))
  if (typeof value !== 'object' || value === null) return value
  const isCounts = ['skips', 'refused', 'unreadableFields', 'stores'].includes(key)
  return Object.fromEntries(
    Object.entries(value).map(([name, its]) => [isCounts ? name + HOSTILE : name, spoiled(its, name)]),
  )
}

/** The same of lines, with a C1 control as it is: JSON need not escape one. */
const spoiledLines = (text: string): string =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.stringify(spoiled(JSON.parse(line))))
    .join('\n')

/**
 * A lock counts for 20 s after its last heartbeat, and a time further ahead makes a command wait for 20 s. Written again before
 * each command: so the command has 35 s.
 */
const serviceAt = (url: string): void => {
  const heartbeat = new Date(machineClock().getTime() + 15_000)
  writeFileSync(lock, JSON.stringify({ pid: process.ppid, host: hostname(), listen: url }))
  utimesSync(lock, heartbeat, heartbeat)
}

beforeAll(async () => {
  app = await openApp({ TALLYMAN_SQL_ROUTE: 'true' })
  const target = {
    repository: 'team/app',
    tag: '1.0',
    digest: `sha256:${'a'.repeat(64)}`,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    size: 500,
  }
  const events = [
    notified({ target }),
    notified({ target: { ...target, tag: '2.0' } }),
    notified({ action: 'delete', target: { repository: 'team/app', tag: '2.0' } }),
    notified({ action: 'sing' }),
  ]
  expect((await app.notify({ events })).status).toBe(200)
  await sql`
    insert into pulls.outcomes (id, what, at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind)
    values ('1', 'invocation', ${NOW}, 'registry.example', 'team/app', '1.0', true, 'origin', 'endpoint', 'notification', 1, 'docker', 'cli')
  `.execute(app.app.core.stores.database.sql)
  await app.post('/inventory/summary')
  between = await startStub(async ({ method, path, body }, response) => {
    if (path.startsWith('/inventory/reconcile?')) {
      response.end([{ progress: PROGRESS }, { result: REPORT }].map((line) => JSON.stringify(line)).join('\n'))
      return
    }
    const answer = await fetch(app.url + path, {
      method,
      headers: { authorization: `Bearer ${API_TOKEN}`, 'content-type': 'application/json' },
      ...(body !== '' && { body }),
    })
    const text = await answer.text()
    const question = QUESTIONS.find(({ name }) => new URL(path, app.url).pathname === `/inventory/${name}`)
    if (question && answer.ok) {
      const row = Object.fromEntries(
        Object.entries(columnsOf(question, {})).map(([name, kind]) => [name, kind === 'text' ? HOSTILE : 1]),
      )
      response.end(JSON.stringify({ items: [row], next: HOSTILE, notes: [HOSTILE], as_of: HOSTILE }))
      return
    }
    const isExport = path.endsWith('/export')
    response.writeHead(answer.status).end(isExport ? spoiledLines(text) : JSON.stringify(spoiled(JSON.parse(text))))
  })
  refusing = await startStub((_, response) => response.writeHead(500).end(JSON.stringify({ message: HOSTILE })))
})
afterAll(async () => {
  await Promise.all([between.stop(), refusing.stop(), app.close()])
  folder.remove()
})

const ARGUMENTS: Record<string, string[]> = {
  'counters unique': ['--events', 'i_container_registry_push_tag_user', '--start', '2026-10-26', '--end', '2026-11-30'],
  'counters export': ['-'],
  'counters import': [HOSTILE.replaceAll('\0', '')],
  'clients test': [HOSTILE.replaceAll('\0', '')],
  'inventory tree': ['--repository', 'team/app', '--reference', '1.0'],
  'inventory tag-history': ['--repository', 'team/app', '--tag', '1.0'],
  'inventory old-images': ['--older-than', '1d'],
  'inventory unused-images': ['--unused-for', '1d'],
  'registries join': [HOSTILE, HOSTILE],
  'pulls forget': ['--repository', HOSTILE],
  sql: [`select name as "a${String.fromCharCode(0x9b)}b", name from inventory.repositories`],
}

/** Every command with its help. `serve` is left out: it runs until it is stopped, and its lines are log lines. */
const commandsBelow = async (...path: string[]): Promise<{ path: string[]; help: string }[]> => {
  const { out } = await tallyman({}, ...path, '--help')
  const [list = ''] = (out.split('\nCommands:\n')[1] ?? '').split('\n\n')
  const names = [...list.matchAll(/^ {2}([a-z][a-z-]*)(?= )/gm)].map(([, name = '']) => name)
  const below = names.filter((name) => name !== 'help' && name !== 'serve')
  const commands = await Promise.all(below.map(async (name) => commandsBelow(...path, name)))
  return [...(out.includes('[command]') && path.length === 0 ? [] : [{ path, help: out }]), ...commands.flat()]
}

/** What a person would see of every command, in every format, with a service that listens at a URL. */
const runs = async (url: string, onTerminal: boolean): Promise<(Result & { args: string[] })[]> => {
  const environment = { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN }
  const results = []
  for (const { path, help } of await commandsBelow()) {
    const required = ARGUMENTS[path.join(' ')] ?? []
    for (const format of ['', '--json', '--csv', '--ndjson', '--wide']) {
      if (format !== '' && !new RegExp(`^ {2}${format}`, 'm').test(help)) continue
      const args = [...path, ...required, ...(format === '' ? [] : [format])]
      serviceAt(url)
      results.push({
        args,
        ...(await (onTerminal ? tallymanOnTerminal(100, environment, ...args) : tallyman(environment, ...args))),
      })
    }
  }
  return results
}

describe.each([
  ['on a terminal', true],
  ['in a pipe', false],
])('%s no unprintable character', (_, onTerminal) => {
  test('of an answer reaches a reader, except as the exact value of a CSV file', async () => {
    const results = await runs(between.url, onTerminal)
    expect(results.length).toBeGreaterThan(100)
    let answered = 0
    for (const { args, out, err } of results) {
      const isExact = !onTerminal && args.includes('--csv')
      if (!isExact) expect([args, UNPRINTABLE.exec(out)]).toEqual([args, null])
      expect([args, UNPRINTABLE.exec(err)]).toEqual([args, null])
      expect([args, /^tallyman: forged/m.exec(`${isExact ? '' : out}\n${err}`)]).toEqual([args, null])
      if (args.includes('--json') && out !== '') JSON.parse(out)
      if (out.includes(isExact ? '\u009b' : '\\u009b')) answered++
    }
    expect(answered).toBeGreaterThan(100)
  })

  test('of an error reaches a reader', async () => {
    for (const { args, out, err } of await runs(refusing.url, onTerminal)) {
      // The heading of an empty CSV file ends with CR LF.
      expect([args, UNPRINTABLE.exec(out.replaceAll('\r\n', '\n') + err)]).toEqual([args, null])
      expect([args, /^tallyman: forged/m.exec(err)]).toEqual([args, null])
    }
  })
})

describe('JSON means the same', () => {
  test('of a list', async () => {
    serviceAt(between.url)
    const { out } = await tallyman(
      { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN },
      ...['registries', '--json'],
    )
    const { registries } = JSON.parse(out) as { registries: { name: string }[] }
    expect(registries[0]?.name).toBe(`registry.example${HOSTILE}`)
  })
})

test('CSV in a file has the exact value, and a terminal an escaped one', async () => {
  serviceAt(between.url)
  const environment = { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN }
  const exact = HOSTILE.toWellFormed()
  const command = ['sql', 'select name from inventory.repositories', '--csv']
  expect((await tallyman(environment, ...command)).out).toContain(`"team/app${exact}"\r\n`)
  const { out } = await tallymanOnTerminal(80, environment, ...command)
  expect(out.split('\n')).toHaveLength(3)
  expect(out).toContain(
    'team/appx\\u001b[31m\\u001b]0;pwn\\u0007\\u000d\\u000atallyman: forged\\u0000\\u007f\\u009b31m',
  )
})

describe('what is read from a file', () => {
  const unlocked = { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN }
  test.each([
    ['the kind of a line', '{"kind":"\\u001b]0;pwn\\u0007\\u009b\\u202e"}', ['counters', 'import']],
    ['the version of an export', '{"kind":"tallyman-counters","version":"\u009b\u202e"}', ['counters', 'import']],
  ])('%s', async (_, line, command) => {
    rmSync(lock, { force: true })
    const file = join(folder.path, 'export.ndjson')
    writeFileSync(file, line.includes('version') ? line : `{"kind":"tallyman-counters","version":1}\n${line}\n`)
    const { code, err } = await tallyman(unlocked, ...command, file, '--other-users')
    expect(code).toBe(1)
    expect(err).toContain('\\u')
    expect(UNPRINTABLE.exec(err)).toBeNull()
  })
})
