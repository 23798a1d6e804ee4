import { expect, test } from '@jest/globals'
import { networkIn } from '../../../src/requesters/location/network-record.js'

test.each([
  ["MaxMind's", { autonomous_system_number: 64496, autonomous_system_organization: 'Example' }, undefined],
  [
    "MaxMind's Enterprise",
    { traits: { autonomous_system_number: 64496, autonomous_system_organization: 'Example', user_type: 'college' } },
    'college',
  ],
  ["IPinfo's", { asn: 'AS64496', name: 'Example', domain: 'example.com', type: 'Hosting' }, 'hosting'],
  [
    "IPinfo's of places",
    { asn: 'AS64496', as_name: 'Example', as_domain: 'example.com', country_code: 'DE' },
    undefined,
  ],
])('a network is read from %s files, with its kind where they say it', (_, record, kind) => {
  expect(networkIn(record)).toEqual({ network: 'AS64496 Example', ...(kind !== undefined && { networkKind: kind }) })
})

test.each([null, undefined, 'text', 5, {}, { asn: 'none' }, { asn: {} }, { traits: null }, { country_code: 'DE' }])(
  '%j has none',
  (record) => {
    expect(networkIn(record)).toEqual({})
  },
)

test('what a file says is cut where it is long', () => {
  const { network = '', networkKind = '' } = networkIn({ asn: 'AS1', name: 'x'.repeat(1_000), type: 'y'.repeat(1_000) })
  expect([network.length, networkKind.length]).toEqual([128, 128])
})
