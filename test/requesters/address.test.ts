import { describe, expect, test } from '@jest/globals'
import { clientAddress, networkOf, PREFIXES, trustIn } from '../../src/requesters/address.js'

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

describe('the client behind proxies', () => {
  const isTrusted = trustIn(['10.0.0.0/8', '2001:db8::1'])

  test.each([
    ['nobody forwards', '198.51.100.1', undefined, '198.51.100.1'],
    ['a stranger says that it forwards', '198.51.100.1', '203.0.113.9', '198.51.100.1'],
    ['a trusted proxy forwards', '10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['the client wrote an address before', '10.0.0.1', '1.2.3.4, 203.0.113.9', '203.0.113.9'],
    ['two proxies forward', '10.0.0.1', '1.2.3.4, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    ['the client wrote a trusted address before', '10.0.0.1', '10.9.9.9, 203.0.113.9', '203.0.113.9'],
    ['a proxy forwards over IPv6', '2001:db8::1', '203.0.113.9', '203.0.113.9'],
    ['a proxy forwards for itself', '10.0.0.1', '10.0.0.2', '10.0.0.2'],
    ['somebody wrote no address', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['somebody wrote very much', '10.0.0.1', `${'1.2.3.4,'.repeat(10_000)}203.0.113.9`, '203.0.113.9'],
  ])('is known when %s', (_, peer, forwarded, client) => {
    expect(clientAddress(peer, forwarded, isTrusted)).toBe(client)
  })

  test('is nobody that a wrong network would trust', () => {
    expect(() => trustIn(['10.0.0.0/99'])).toThrow('"10.0.0.0/99" is not a network, expected one like 10.0.0.0/8')
  })
})
