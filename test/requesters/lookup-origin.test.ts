import { expect, test } from '@jest/globals'
import { createLookupOriginOf } from '../../src/requesters/lookup-origin.js'
import { anEvent } from '../servers/events.js'

test('the hash of a client cannot be made from its address and the key once the salt is destroyed', () => {
  const event = anEvent({ address: '192.0.2.1', at: '2026-11-30T23:59:00Z' })
  const of = (text: string): string | undefined => createLookupOriginOf('a key', () => ({ from: 0, text }))(event)
  expect(of('of November')).toMatch(/^[\w-]{22}$/)
  expect(of('of November')).toBe(of('of November'))
  expect(of('of December')).not.toBe(of('of November'))
})

test('a client has another hash after the salt changed', () => {
  const midnight = anEvent({ at: '2026-12-01T00:00:00Z' }).at
  const lookupOriginOf = createLookupOriginOf('a key', (at) => ({
    from: at < midnight ? 0 : midnight,
    text: at < midnight ? 'a' : 'b',
  }))
  const at = (time: string): string | undefined => lookupOriginOf(anEvent({ address: '192.0.2.1', at: time }))
  expect(at('2026-11-30T23:00:00Z')).toBe(at('2026-11-30T23:59:00Z'))
  expect(at('2026-12-01T00:01:00Z')).not.toBe(at('2026-11-30T23:59:00Z'))
})
