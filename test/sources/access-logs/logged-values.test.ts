import { expect, test } from '@jest/globals'
import {
  bytesIn,
  firstAddressIn,
  mediaTypeIn,
  nameIn,
  refererIn,
  statusIn,
  textIn,
  userAgentIn,
} from '../../../src/sources/access-logs/logged-values.js'

test.each([
  [['203.0.113.7:40312'], '203.0.113.7'],
  [['-', undefined, null, 7, ['203.0.113.5'], '198.51.100.9, 10.0.0.1', '203.0.113.7'], '198.51.100.9'],
  [['unknown, 10.0.0.1'], undefined],
  [[], undefined],
])('the first address in %j is %p', (values, address) => {
  expect(firstAddressIn(values)).toBe(address)
})

test.each([
  [200, 200],
  ['499', 499],
  ['0', 0],
  [0, 0],
  ['000', 0],
  ['-', 0],
  [-1, 0],
  ['', undefined],
  [undefined, undefined],
  ['0200', undefined],
  [20, undefined],
  [200.5, undefined],
  [1_000, undefined],
  [true, undefined],
])('the status in %p is %p', (value, status) => {
  expect(statusIn(value)).toBe(status)
})

test.each([
  ['400', 400],
  ['+400', 400],
  [400, 400],
  ['0', 0],
  ['-1', undefined],
  ['-', undefined],
  [1.5, undefined],
  [-1, undefined],
  ['9'.repeat(16), undefined],
  ['1e3', undefined],
])('the bytes in %p are %p', (value, bytes) => {
  expect(bytesIn(value)).toBe(bytes)
})

test.each([
  [textIn, 'a'.repeat(1_024), 'a'.repeat(1_024)],
  [textIn, 'a'.repeat(1_025), undefined],
  [textIn, 'a\0', undefined],
  [textIn, '\ud800', undefined],
  [textIn, '-', undefined],
  [nameIn, 'ä', 'ä'],
  [nameIn, 'a\ufffd', undefined],
  [nameIn, '€'.repeat(683), undefined],
  [userAgentIn, `${'a'.repeat(511)}😀`, 'a'.repeat(511)],
  [userAgentIn, 'a'.repeat(5_000), 'a'.repeat(512)],
  [refererIn, 'https://a/v2/b/blobs/c?X-Amz-Signature=secret#x', 'https://a/v2/b/blobs/c'],
  [refererIn, '?secret', undefined],
  [mediaTypeIn, 'application/json; charset=utf-8', 'application/json'],
  [mediaTypeIn, 'json', undefined],
])('case %#: a text is used if it can be stored', (read, value, text) => {
  expect(read(value)).toBe(text)
})
