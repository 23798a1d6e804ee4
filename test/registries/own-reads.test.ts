import { describe, expect, test } from '@jest/globals'
import { createIsOwnRead, ownReadAgent, userAgentOf } from '../../src/registries/own-reads.js'
import { createRegistries, type Registry } from '../../src/registries/registries.js'

const A: Registry = { name: 'a.example', aliases: ['a.internal'], url: 'https://a.example' }
const B: Registry = { name: 'b.example', aliases: [], url: 'https://b.internal:5000' }
const agentFor = (name: string, secret = 'secret'): string =>
  ownReadAgent('1.0', secret, [A, B].find((one) => one.name === name) ?? { name })

describe('the User-Agent of our own reads', () => {
  const isOwnRead = createIsOwnRead(
    'secret',
    createRegistries(() => [A, B]),
  )

  test('counts for events of the registry that it was sent to, and for no other', () => {
    const registries = ['a.example', 'b.example', 'c.example', 'unknown', 'unknown@0123456789abcdef']
    const accepted = (asked: string): string[] =>
      registries.filter((registry) => isOwnRead({ registry, userAgent: agentFor(asked) }))
    expect([accepted('a.example'), accepted('b.example'), accepted('c.example')]).toEqual([
      ['a.example'],
      ['b.example'],
      // A command may ask a registry that the configuration of this process does not contain.
      ['c.example'],
    ])
    expect(agentFor('a.example')).not.toBe(agentFor('b.example'))
  })

  test('counts for the registry that the host of the url is resolved to: events of a read may report that', () => {
    expect(isOwnRead({ registry: 'b.internal:5000', userAgent: agentFor('b.example') })).toBe(true)
    const learned = createIsOwnRead('secret', {
      list: () => [B],
      nameOf: (host) => (host === 'b.internal:5000' ? 'localhost:5000' : host),
    })
    expect(learned({ registry: 'localhost:5000', userAgent: agentFor('b.example') })).toBe(true)
    expect(learned({ registry: 'c.internal:5000', userAgent: agentFor('b.example') })).toBe(false)
  })

  test('cannot be made without the secret, and that of an earlier version, the same for all registries, counts as a pull', () => {
    for (const userAgent of [
      undefined,
      '',
      'tallyman/1.0',
      userAgentOf('1.0'),
      agentFor('a.example', 'another'),
      `${agentFor('a.example')} docker/24`,
      agentFor('a.example').replace('tallyman', 'docker'),
      'tallyman/1.0 (7e40a01a7b3caecf)',
    ])
      expect(isOwnRead({ registry: 'a.example', ...(userAgent !== undefined && { userAgent }) })).toBe(false)
  })

  test('still counts when the registry is renamed, with the previous name as an alias', () => {
    let registries = [A]
    const configured = createRegistries(() => registries)
    const isOwn = createIsOwnRead('secret', configured)
    const event = { registry: 'new.example', userAgent: agentFor('a.example') }
    expect(isOwn(event)).toBe(false)
    registries = [{ name: 'new.example', aliases: ['a.example'], url: 'https://a.example' }]
    configured.reload()
    expect(isOwn(event)).toBe(true)
    registries = []
    configured.reload()
    expect(isOwn(event)).toBe(false)
  })

  test('counts in a process that does not know the registry, its alias or its url', () => {
    const asked = { name: 'registry.example', url: 'http://127.0.0.1:5702' }
    const userAgent = ownReadAgent('1.0', 'secret', asked)
    const events = [
      { registry: '127.0.0.1:5702', host: '127.0.0.1:5702' },
      { registry: 'registry.example', host: '10.0.0.5:5000' },
      { registry: 'registry.example' },
      { registry: 'first.example', host: '127.0.0.1:5702' },
      // Whoever pulls from another registry can send any host.
      { registry: 'other.example', host: '127.0.0.1:5702' },
      { registry: 'other.example', host: 'registry.example' },
    ]
    const acceptedBy = (registries: Registry[], nameOf = (host: string): string => host): boolean[] => {
      const isOwn = createIsOwnRead('secret', { list: () => registries, nameOf })
      return events.map((event) => isOwn({ ...event, userAgent }))
    }
    const learned = (host: string): string => (host === '127.0.0.1:5702' ? 'first.example' : host)
    for (const registries of [[], [{ name: 'registry.example', aliases: [] }]]) {
      expect(acceptedBy(registries)).toEqual([true, true, true, false, false, false])
      expect(acceptedBy(registries, learned)).toEqual([true, true, true, true, false, false])
    }
  })

  test('is that of the operator who asks, whatever two registries behind one host are called', () => {
    const isOwn = createIsOwnRead(
      'secret',
      createRegistries(() => [
        { name: 'one', aliases: [], url: 'https://shared.example/one' },
        { name: 'two', aliases: [], url: 'https://shared.example/two' },
      ]),
    )
    const accepted = (registry: string): boolean[] =>
      ['one', 'two'].map((asked) => isOwn({ registry, userAgent: agentFor(asked) }))
    expect([accepted('shared.example'), accepted('one'), accepted('two')]).toEqual([
      [true, true],
      [true, false],
      [false, true],
    ])
  })
})
