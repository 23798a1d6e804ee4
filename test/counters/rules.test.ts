import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { loadRules, type RepositoryState, type Rules } from '../../src/counters/rules.js'
import { createDefinitionReader, DefinitionError } from '../../src/definitions/definition-file.js'
import type { Action } from '../../src/events/registry-event.js'
import { anEvent, DIGEST } from '../servers/events.js'
import { ROOT } from '../servers/service.js'

const read = createDefinitionReader(join(ROOT, 'definitions', 'schema'))
const load = (name: string): Rules => loadRules(join(ROOT, 'definitions', 'events', `${name}.yml`), read)
const folder = mkdtempSync(join(tmpdir(), 'tallyman-rules-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const X = 'i_container_registry_'
const USER_TYPES = ['personal_access_token', 'build', 'gitlab_or_ldap']
const TWINS = [
  ...USER_TYPES.map((type) => [type, 'user']),
  ['deploy_token', 'deploy_token'],
  ['robot', 'actor'],
  [undefined, 'actor'],
]

type Case = { action: Action; tag?: string; digest?: string; state: RepositoryState; counts: string[] }
const push = (tag: string | undefined, state: RepositoryState, name: string): Case => ({
  action: 'push',
  ...(tag !== undefined && { tag }),
  digest: DIGEST,
  state,
  counts: [name],
})
const remove = (tag: string | undefined, digest: string | undefined, ...counts: string[]): Case => ({
  action: 'delete',
  ...(tag !== undefined && { tag }),
  ...(digest !== undefined && { digest }),
  state: 'known',
  counts,
})

/** The table of the merge request that started this: what each event counts for, without the totals of its action. */
const PUSHES = [
  push('latest', 'known', 'push_tag'),
  push('latest', 'unknown', 'push_tag'),
  push(undefined, 'known', 'push_repository'),
  push(undefined, 'unknown', 'create_repository'),
]
const DELETES = [
  remove('latest', undefined, 'delete_tag'),
  remove('latest', DIGEST, 'delete_tag', 'delete_manifest'),
  remove(undefined, undefined, 'delete_repository'),
  remove(undefined, DIGEST, 'delete_repository', 'delete_manifest'),
]
const LATER_DELETES = [
  remove('latest', undefined, 'delete_tag'),
  remove('latest', DIGEST, 'delete_manifest'),
  remove(undefined, undefined, 'delete_repository'),
  remove(undefined, DIGEST, 'delete_manifest'),
]

const counted = (rules: Rules, { action, tag, digest, state }: Case, type: string | undefined): string[] =>
  rules
    .matching(
      anEvent({
        action,
        name: 'alice',
        ...(tag && { tag }),
        ...(digest && { digest }),
        ...(type !== undefined && { type }),
      }),
      state,
    )
    .map(({ name }) => name)
    .filter((name) => name !== `${X}${action}`)
    .sort()

describe.each([
  ['registry', [...PUSHES, ...DELETES]],
  ['registry-manifest-deletes', [...PUSHES, ...LATER_DELETES]],
])('the rules %s', (file, cases) => {
  const rules = load(file)

  test.each(cases.flatMap((one) => TWINS.map(([type, twin]) => ({ ...one, type, twin }))))(
    '$action tag $tag digest $digest repository $state by $type counts $counts',
    ({ type, twin, ...one }) => {
      const expected = one.counts.map((name) => (name === 'delete_manifest' ? X + name : `${X}${name}_${String(twin)}`))
      expect(counted(rules, one, type)).toEqual(expected.sort())
    },
  )

  test('a pull by tag and one without count for their users; a HEAD is a check and counts for no user', () => {
    const names = (event: object): string[] =>
      rules.matching(anEvent({ action: 'pull', name: 'a', ...event }), 'known').map(({ name }) => name)
    expect(names({ tag: '1', type: 'build' })).toEqual([`${X}pull_tag_user`, `${X}pull`])
    expect(names({ type: 'build' })).toEqual([`${X}pull_repository_user`, `${X}pull`])
    expect(names({})).toEqual([`${X}pull_repository_actor`, `${X}pull`])
    expect(names({ tag: '1', type: 'build', method: 'HEAD' })).toEqual([`${X}check`])
  })

  test.each<Action>(['mount', 'rename'])('a %s is only counted', (action) => {
    expect(rules.matching(anEvent({ action, name: 'a', type: 'build' }), 'unknown').map(({ name }) => name)).toEqual([
      X + action,
    ])
  })
})

describe('a rules file of an operator', () => {
  const write = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }

  test('extends another, replaces an event and adds its own', () => {
    const file = write(
      'mine.yml',
      `extends: ${join(ROOT, 'definitions/events/registry.yml')}
events:
  - { name: i_container_registry_push, description: Tagged pushes, category: mine, when: { action: push, tag: present }, aggregations: [total] }
  - { name: deploys, description: Deployments, category: mine, unique: user, aggregations: [weekly, total] }
`,
    )
    const rules = loadRules(file, read)
    expect(rules.events.size).toBe(load('registry').events.size + 1)
    expect(rules.events.get('deploys')).toMatchObject({ unique: 'user' })
    expect(rules.matching(anEvent({ action: 'push' }), 'known').map(({ name }) => name)).not.toContain(
      'i_container_registry_push',
    )
  })

  test.each([
    [
      'an unknown action',
      '{ name: a, description: d, category: c, when: { action: fly }, aggregations: [total] }',
      /events\[0\]\.when\.action is "fly", expected one of push, pull/,
    ],
    ['a missing description', '{ name: a, category: c, aggregations: [total] }', /events\[0\]\.description is missing/],
    [
      'an unknown key',
      '{ name: a, description: d, category: c, aggregations: [total], colour: red }',
      /events\[0\]\.colour is not a key/,
    ],
    [
      'a name with capitals',
      '{ name: A, description: d, category: c, aggregations: [total] }',
      /events\[0\]\.name is "A", expected text like/,
    ],
    [
      'weekly without a unique',
      '{ name: a, description: d, category: c, aggregations: [weekly] }',
      /events\[0\]\.unique is missing/,
    ],
    [
      'a unique without use',
      '{ name: a, description: d, category: c, unique: user, aggregations: [total] }',
      /events\[0\]\.unique has no use/,
    ],
    [
      'a total that depends on the repository',
      '{ name: a, description: d, category: c, when: { action: push, repository: unknown }, aggregations: [total] }',
      /cannot depend on events\[0\]\.when\.repository/,
    ],
  ])('%s is refused, naming file and key', (_, event, message) => {
    const file = write('wrong.yml', `events:\n  - ${event}\n`)
    expect(() => loadRules(file, read)).toThrow(DefinitionError)
    expect(() => loadRules(file, read)).toThrow(message)
    expect(() => loadRules(file, read)).toThrow(file)
  })

  test('all errors are reported together', () => {
    const file = write('many.yml', 'events:\n  - { name: A, description: d }\n  - 7\n')
    expect(() => loadRules(file, read)).toThrow(
      /events\[0\]\.category is missing[^]*events\[0\]\.name[^]*events\[1\] is 7, expected object/,
    )
  })

  test('an event declared twice, a circle, broken YAML and a missing file are refused', () => {
    const event = '{ name: a, description: d, category: c, aggregations: [total] }'
    expect(() => loadRules(write('twice.yml', `events: [${event}, ${event}]`), read)).toThrow(
      /event a is declared twice/,
    )
    expect(() => loadRules(write('circle.yml', 'extends: circle.yml\nevents: []'), read)).toThrow(/in a circle/)
    expect(() => loadRules(write('broken.yml', 'events: ['), read)).toThrow(/not YAML/)
    expect(() => loadRules(join(folder, 'nowhere.yml'), read)).toThrow(/cannot be read/)
  })
})
