import { describe, expect, test } from '@jest/globals'
import type { ReportedBy } from '../../src/events/reported-item.js'
import { createRegistries } from '../../src/registries/registries.js'
import {
  createLearned,
  MOST_HOSTS,
  MOST_HOSTS_OF_REGISTRY,
  MOST_PROCESSES,
  type Learned,
} from '../../src/registries/learned.js'
import { resolveSender } from '../../src/registries/resolve-sender.js'

const learnedWith = (configured: Record<string, string[]> = {}): Learned =>
  createLearned(createRegistries(() => Object.entries(configured).map(([name, aliases]) => ({ name, aliases }))))

/** Resolves and learns senders one after the other, and returns the registry of each. */
const placed = (learned: Learned, senders: ReportedBy[]): string[] =>
  senders
    .map((sender) => {
      const { key, learnsHost, learnsProcess, formerKey } = resolveSender(learned, sender)
      if (learnsHost === true && sender.host !== undefined) learned.setHost(sender.host, key)
      if (learnsProcess === true && sender.instance !== undefined) learned.setProcess(sender.instance, key)
      if (formerKey !== undefined) learned.setHost(formerKey, key)
      return key
    })
    .map(learned.nameOf)

const from = (text: string): ReportedBy[] =>
  text.split(' ').map((one) => {
    const [instance = '', host = ''] = one.split('@')
    return { ...(instance !== '' && { instance }), ...(host !== '' && { host }) }
  })

describe('which registry a sender is', () => {
  test.each([
    ['a host of a known process is of its registry', 'p1@a p1@b @b', 'a a a'],
    ['a new process joins the registry of its host', 'p1@a p2@a p2@b p3@b', 'a a a a'],
    ['a known process stays, whatever host a client wrote', 'p1@a p2@b p1@b p2@a', 'a b a b'],
    ['a process that was restarted, or has replicas, joins by any host', 'p1@a p1@b p2@b p3@a', 'a a a a'],
    ['without a process the host decides', '@a @b @a', 'a b a'],
    ['a host under which nothing was recorded joins when a process reports it', '@b p1@a p1@b @b', 'b a a a'],
    ['nothing is known without host and process', ' p1@a ', 'unknown a unknown'],
    ['local hosts are names as any others', 'p1@localhost:5000 p1@a', 'localhost:5000 localhost:5000'],
  ])('%s', (_, senders, expected) => {
    // What a host without a process was called at first is settled as its alias.
    const learned = learnedWith()
    const keys = from(senders).map((sender) => placed(learned, [sender])[0])
    expect(keys.join(' ')).toBe(expected)
  })

  test('events without host and process are of the registry that their registry was joined to', () => {
    const learned = learnedWith()
    learned.setHost('unknown', 'a')
    expect(resolveSender(learned, {})).toEqual({ key: 'a' })
  })

  test('two registries that exist are in conflict, and never merge', () => {
    const learned = learnedWith()
    placed(learned, from('p1@a p2@b'))
    expect(resolveSender(learned, { instance: 'p1', host: 'b' })).toEqual({ key: 'a', conflict: 'b' })
    expect(resolveSender(learned, { instance: 'p2', host: 'a' })).toEqual({ key: 'b', conflict: 'a' })
  })

  describe('of which no host can be read', () => {
    test('is a registry of its own until its process reports a host', () => {
      const learned = learnedWith()
      const [first, second, third] = placed(learned, from('p1 p2 p1'))
      expect(first).toMatch(/^unknown@[0-9a-f]{16}$/)
      expect(third).toBe(first)
      expect(second).not.toBe(first)
      expect(placed(learned, from('p1@a p1 p2@a p2'))).toEqual(['a', 'a', 'a', 'a'])
      // What was recorded before goes along.
      expect([first, second].map((name) => learned.ownerOf(name ?? ''))).toEqual(['a', 'a'])
    })
  })

  describe('where the configuration names hosts', () => {
    test.each([
      ['a host that it names is of its registry', { c: ['a'] }, 'p1@a @a', 'c c'],
      ['a registry takes the name that it gives to its first host', { c: ['a', 'b'] }, 'p1@a p1@b @a @b', 'c c c c'],
      ['a known process does not take a name that was not heard yet', { b: [] }, 'p1@a p1@b @a', 'a a a'],
      ['nor that of an alias', { c: ['b'] }, 'p1@a p1@b p1@c @a @b', 'a a a a c'],
      ['the registry of that name is another one when it is heard', { b: [] }, 'p1@a p1@b p2@b p2@x @a', 'a a b b a'],
      ['a known process does not take the name of a registry that exists', { c: [] }, 'p1@c p2@a p2@c', 'c a a'],
      [
        'a registry that it names stays when its process reports a host of another',
        { c: [], d: [] },
        'p1@c p1@d',
        'c c',
      ],
    ])('%s', (_, configured, senders, expected) => {
      expect(placed(learnedWith(configured), from(senders)).join(' ')).toBe(expected)
    })

    test('its word wins over what was learned, also when it comes later', () => {
      let named: Record<string, string[]> = {}
      const registries = createRegistries(() => Object.entries(named).map(([name, aliases]) => ({ name, aliases })))
      const learned = createLearned(registries)
      expect(placed(learned, from('p1@a p1@b p2@x'))).toEqual(['a', 'a', 'x'])
      named = { c: ['b'] }
      registries.reload()
      const seen = learned.with({ hosts: new Map(), processes: new Map() })
      expect(placed(seen, from('p1@a p1@b p2@x p3@b p4@a'))).toEqual(['c', 'c', 'x', 'c', 'c'])
    })

    test('a registry whose hosts it gives to two keeps its own name, and is in conflict with both', () => {
      let named: Record<string, string[]> = {}
      const registries = createRegistries(() => Object.entries(named).map(([name, aliases]) => ({ name, aliases })))
      const learned = createLearned(registries)
      placed(learned, from('p1@a p1@b p1@c'))
      named = { b: [], c: [] }
      registries.reload()
      const seen = learned.with({ hosts: new Map(), processes: new Map() })
      expect(placed(seen, from('p1@a'))).toEqual(['a'])
      expect(resolveSender(seen, { instance: 'p1', host: 'b' })).toEqual({ key: 'a', conflict: 'b' })
      expect(resolveSender(seen, { instance: 'p1', host: 'c' })).toEqual({ key: 'a', conflict: 'c' })
    })
  })

  describe('has bounds:', () => {
    test('hosts of one registry', () => {
      const learned = learnedWith()
      for (let i = 0; i < MOST_HOSTS_OF_REGISTRY + 10; i++) placed(learned, [{ instance: 'p1', host: `h${i}` }])
      expect(learned.hosts.size).toBe(MOST_HOSTS_OF_REGISTRY)
      expect(resolveSender(learned, { instance: 'p1', host: 'another' })).toEqual({ key: 'h0' })
      expect(placed(learned, from('p2@b'))).toEqual(['b'])
    })

    test('hosts in all, and processes', () => {
      const learned = learnedWith()
      for (let i = 0; i < MOST_HOSTS + 10; i++) placed(learned, [{ instance: `p${i}`, host: `h${i}` }])
      expect([learned.hosts.size, learned.processes.size]).toEqual([MOST_HOSTS, MOST_PROCESSES])
      // Further processes are of the registry of their host, as if they had said nothing.
      expect(resolveSender(learned, { instance: 'new', host: 'h7' })).toEqual({ key: 'h7' })
      expect(resolveSender(learned, { instance: 'new', host: 'new' })).toEqual({ key: 'new' })
      expect(resolveSender(learned, { instance: 'new' })).toEqual({ key: 'unknown' })
      expect(resolveSender(learned, { instance: 'p7', host: 'new' })).toEqual({ key: 'h7' })
    })
  })
})
