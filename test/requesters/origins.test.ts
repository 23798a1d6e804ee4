import { describe, expect, test } from '@jest/globals'
import { PREFIXES } from '../../src/requesters/address.js'
import { createOriginOf, type OriginOf } from '../../src/requesters/origins.js'
import { periodOf, type Salt } from '../../src/requesters/salts.js'

const MINUTE = 60_000_000
const MIDNIGHT = Date.parse('2026-12-01T00:00:00Z') * 1_000
const NOVEMBER: Salt = { ...periodOf(MIDNIGHT - 1, 'monthly'), text: 'of November' }
const DECEMBER: Salt = { ...periodOf(MIDNIGHT, 'monthly'), text: 'of December' }

const originWith = (key = 'a key', ipv4 = 32): OriginOf =>
  createOriginOf({
    key,
    salts: {
      at: (at) => (at < MIDNIGHT ? NOVEMBER : DECEMBER),
      before: (salt) => (salt === DECEMBER ? NOVEMBER : undefined),
    },
    prefixes: { ...PREFIXES, ipv4 },
    window: 30 * MINUTE,
  })
const WHO = { address: '192.0.2.17', userAgent: 'containerd/1.7.0', user: 'alice' }

describe('an origin', () => {
  test('tells neither address nor agent nor name', () => {
    const { origin, endpoint } = originWith()(WHO, MIDNIGHT - MINUTE)
    expect(origin).toMatch(/^[\w-]{22}$/)
    expect(endpoint).toMatch(/^[\w-]{22}$/)
    expect(endpoint).not.toBe(origin)
  })

  test.each([
    ['another address', { ...WHO, address: '192.0.2.18' }, true, true],
    ['another agent', { ...WHO, userAgent: 'docker/27.0.0' }, true, false],
    ['another name', { ...WHO, user: 'bob' }, true, false],
    ['no name', { address: WHO.address, userAgent: WHO.userAgent }, true, false],
    ['more space in the agent', { ...WHO, userAgent: ' containerd/1.7.0  ' }, false, false],
    // Where the name ends and the agent begins is part of what is hashed.
    ['a name that runs into the agent', { ...WHO, userAgent: 'lice containerd/1.7.0', user: 'a' }, true, false],
  ])('of %s', (_, who, isOther, isElsewhere) => {
    const originOf = originWith()
    const [one, other] = [originOf(WHO, MIDNIGHT - MINUTE), originOf(who, MIDNIGHT - MINUTE)]
    expect(one.origin !== other.origin).toBe(isOther)
    expect(one.endpoint !== other.endpoint).toBe(isElsewhere)
  })

  test('is another with another key, and in another month', () => {
    const at = MIDNIGHT - MINUTE
    expect(originWith('another key')(WHO, at).origin).not.toBe(originWith()(WHO, at).origin)
    expect(originWith()(WHO, MIDNIGHT).origin).not.toBe(originWith()(WHO, at).origin)
  })

  test('is known by its former name just after the salt changed, and not later', () => {
    const before = originWith()(WHO, MIDNIGHT - MINUTE)
    expect(before.previous).toBeUndefined()
    expect(originWith()(WHO, MIDNIGHT + MINUTE).previous).toBe(before.origin)
    expect(originWith()(WHO, MIDNIGHT + 31 * MINUTE).previous).toBeUndefined()
  })

  test('is the same for neighbours where the operator wants that', () => {
    const originOf = originWith('a key', 24)
    expect(originOf({ ...WHO, address: '192.0.2.200' }, MIDNIGHT)).toEqual(originOf(WHO, MIDNIGHT))
  })
})
