import { describe, expect, test } from '@jest/globals'
import { createIsOwnRead, ownReadAgent, userAgentOf } from '../../../src/inventory/registry/own-reads.js'
import { createRegistries, type Registry } from '../../../src/inventory/registry/registries.js'

const A: Registry = { name: 'a.example', aliases: ['a.internal'], url: 'https://a.example' }
const B: Registry = { name: 'b.example', aliases: [], url: 'https://b.internal:5000' }
const agentFor = (registry: string, secret = 'secret'): string => ownReadAgent('1.0', secret, registry)

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
      [],
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
    expect(learned({ registry: 'b.internal:5000', userAgent: agentFor('b.example') })).toBe(false)
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

  test('of a registry that is never asked counts for nothing', () => {
    const isOwn = createIsOwnRead(
      'secret',
      createRegistries(() => [{ name: 'a.example', aliases: [] }]),
    )
    expect(isOwn({ registry: 'a.example', userAgent: agentFor('a.example') })).toBe(false)
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
