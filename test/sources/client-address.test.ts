import { expect, test } from '@jest/globals'
import { addressBeforePort, addressOf, firstAddressOf } from '../../src/sources/client-address.js'

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['203.0.113.7:41230', '203.0.113.7'],
  ['2001:db8::1', '2001:db8::1'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['[fe80::1%eth0]:443', 'fe80::1'],
  ['::ffff:203.0.113.7', '::ffff:203.0.113.7'],
  ['', undefined],
  ['-', undefined],
  ['1', undefined],
  ['0x7f.1', undefined],
  ['203.0.113.256', undefined],
  ['localhost:80', undefined],
  ['unix:', undefined],
  ['[fe80::1%25eth0]:80', 'fe80::1'],
  ['203.0.113.7:x', undefined],
  ['[::1', undefined],
  ['[::1]x', undefined],
  ['1'.repeat(60_000), undefined],
  ['1:'.repeat(30_000), undefined],
])('the address in %j is %j', (text, address) => {
  expect(addressOf(text)).toBe(address)
})

test.each([
  ['203.0.113.7:41230', '203.0.113.7'],
  ['2001:db8::1:4000', '2001:db8::1'],
  ['[2001:db8::1]:4000', '2001:db8::1'],
  ['203.0.113.7', undefined],
  ['-', undefined],
])('the address before the port of %j is %j', (text, address) => {
  expect(addressBeforePort(text)).toBe(address)
})

test.each([
  [' 198.51.100.9 , 10.0.0.1', '198.51.100.9'],
  ['[2001:db8::7]:40312,10.0.0.1', '2001:db8::7'],
  ['203.0.113.7', '203.0.113.7'],
  ['unknown, 10.0.0.1', undefined],
  ['', undefined],
  [',10.0.0.1', undefined],
])('the first address in %j is %j', (text, address) => {
  expect(firstAddressOf(text)).toBe(address)
})
