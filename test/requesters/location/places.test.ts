import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { PlacesError } from '../../../src/requesters/location/places-error.js'
import { openPlaces } from '../../../src/requesters/location/places.js'
import { temporaryFolder } from '../../servers/process.js'

const folder = temporaryFolder('places')
afterAll(() => {
  folder.remove()
})
const file = (name: string, text: string): string => {
  const path = join(folder.path, name)
  writeFileSync(path, text)
  return path
}

describe('the place of an address', () => {
  test('is a country, by the package that is installed, and says of when its data is', () => {
    const { of, stamps } = openPlaces({})
    expect(of('8.8.8.8')).toEqual({ country: 'US' })
    expect(of('2001:4860:4860::8888')).toEqual({ country: 'US' })
    expect(of('193.0.6.139')).toEqual({ country: 'NL' })
    expect(stamps.country).toMatch(/^20\d\d-\d\d-\d\d$/)
  })

  test('is not known where the file is damaged, and no request is lost by it', () => {
    const whole = readFileSync(
      createRequire(import.meta.url).resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb'),
    )
    // The records stand between the tree and the metadata.
    const end = whole.lastIndexOf('\xab\xcd\xefMaxMind.com', undefined, 'latin1')
    whole.fill(0xff, end - 20_000, end)
    const country = join(folder.path, 'damaged.mmdb')
    writeFileSync(country, whole)
    const { of } = openPlaces({ country })
    for (const address of ['8.8.8.8', '2001:4860:4860::8888', '193.0.6.139']) {
      expect(() => of(address)).not.toThrow()
    }
  })

  test.each(['10.0.0.1', '127.0.0.1', '::1', 'nonsense', ''])('is not known for %j', (address) => {
    expect(openPlaces({}).of(address)).toEqual({})
  })

  test('is a network and its kind, by a CSV of ranges in any order', () => {
    const network = file(
      'networks.csv',
      '2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,64500,Example Six\r\n' +
        '198.51.100.0,198.51.100.255,64496,"Example, Inc.",cloud\n' +
        '192.0.2.0,192.0.2.127,64497,Example University,Education\n',
    )
    const { of, stamps } = openPlaces({ network })
    expect(of('198.51.100.7')).toMatchObject({ network: 'AS64496 Example, Inc.', networkKind: 'cloud' })
    expect(of('192.0.2.127')).toMatchObject({ network: 'AS64497 Example University', networkKind: 'education' })
    expect(of('192.0.2.128').network).toBeUndefined()
    expect(of('2001:db8:1::9')).toMatchObject({ network: 'AS64500 Example Six' })
    expect(of('2001:db9::').network).toBeUndefined()
    expect(stamps.network).toMatch(/^20\d\d-\d\d-\d\d$/)
  })

  test.each([
    ['a CSV of something else', { network: file('prose.csv', 'first,last\nno,addresses\n') }],
    ['a database that is none', { country: file('none.mmdb', 'nothing') }],
    ['a file that is not there', { country: join(folder.path, 'gone.mmdb') }],
  ])('cannot be told by %s', (_, files) => {
    expect(() => openPlaces(files)).toThrow(PlacesError)
    expect(() => openPlaces(files)).toThrow(/^(?:country|network)_file: /)
  })
})
