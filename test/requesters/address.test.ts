import { describe, expect, test } from '@jest/globals'
import { networkOf, PREFIXES } from '../../src/requesters/address.js'

describe('the network of an address', () => {
  test.each([
    ['192.0.2.17', '192.0.2.17', true],
    ['192.0.2.17', '192.0.2.18', false],
    // One machine: a dual-stack proxy writes IPv4 as IPv6.
    ['192.0.2.17', '::ffff:192.0.2.17', true],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['2001:db8:1:2::1', '2001:DB8:0001:0002:0:0:0:1', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
  ])('of %s and %s is the same: %s', (a, b, same) => {
    expect(networkOf(a, PREFIXES) === networkOf(b, PREFIXES)).toBe(same)
  })

  test('is shorter where the operator wants neighbours to be one', () => {
    const near = { ipv4: 20, ipv6: 56 }
    expect(networkOf('192.0.15.255', near)).toBe(networkOf('192.0.0.1', near))
    expect(networkOf('192.0.16.0', near)).not.toBe(networkOf('192.0.15.255', near))
    expect(networkOf('2001:db8:0:ff::1', near)).toBe(networkOf('2001:db8:0:1::1', near))
    expect(networkOf('2001:db8:0:100::1', near)).not.toBe(networkOf('2001:db8:0:1::1', near))
  })

  test.each(['', 'unknown', '192.0.2.256', '192.0.2.1; drop', '1'.repeat(1_000), '[::1]'])(
    'of what is no address is none: %j',
    (text) => {
      expect(networkOf(text, PREFIXES)).toBeUndefined()
    },
  )
})
