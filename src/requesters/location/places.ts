import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isIP } from 'node:net'
import { Reader, type Response } from 'mmdb-lib'
import { FileError } from '../../runtime/file-error.js'
import { readBoundedFile, readTextFile } from '../../runtime/read-file.js'
import { networksInCsv, type Network } from './network-csv.js'
import { networkIn } from './network-record.js'
import { PlacesError } from './places-error.js'

/** The location of an address, as far as the files contain it. */
export type Place = { country?: string } & Partial<Network>

export type Places = {
  of: (address: string) => Place
  /** The date of the data in each file in use, as YYYY-MM-DD. */
  stamps: { country?: string; network?: string }
}

type Files = {
  /** A MaxMind DB of countries. Without it, the optional package is used if it is installed. */
  country?: string
  /** A MaxMind DB of autonomous systems, or a CSV (network-csv.ts). */
  network?: string
}

const NOWHERE: Place = Object.freeze({})

/**
 * Opens the files of countries and networks. All files are optional, and locations are looked up in these files only.
 * @throws PlacesError
 */
export const openPlaces = ({ country, network }: Files): Places => {
  const countryFile = country ?? packagedCountries()
  const countries = countryFile === undefined ? undefined : openMmdb(countryFile, 'country_file')
  const networks = network === undefined ? undefined : openNetworks(network)
  return {
    of: (address) => {
      if (isIP(address) === 0) return NOWHERE
      const code = countries && countryIn(recordOf(countries, address))
      return { ...(code !== undefined && { country: code }), ...networks?.of(address) }
    },
    stamps: {
      ...(countries && { country: dayOf(countries.metadata.buildEpoch) }),
      ...(networks && { network: networks.stamp }),
    },
  }
}

const packagedCountries = (): string | undefined => {
  try {
    const require = createRequire(import.meta.url)
    return require.resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb')
  } catch {
    return undefined
  }
}

/** Bytes. The largest files of countries and networks have some 100 MB. */
const LARGEST_FILE = 1_073_741_824
/** Bytes. A CSV file becomes one string, and a string has at most 512 MiB. */
const LARGEST_CSV = 268_435_456

/** @param setting the setting that names the file */
const openMmdb = (file: string, setting: 'country_file' | 'network_file'): Reader<Response> => {
  try {
    return new Reader<Response>(readBoundedFile(file, { bytes: LARGEST_FILE }))
  } catch (error) {
    if (error instanceof FileError) throw new PlacesError(`${setting}: ${error.message}; expected a MaxMind DB (.mmdb)`)
    throw new PlacesError(`${setting}: ${file} cannot be read, expected a MaxMind DB (.mmdb)`)
  }
}

/** The record of an address. A record in a damaged part of the file is treated as missing, so that the request still counts. */
const recordOf = (reader: Reader<Response>, address: string): unknown => {
  try {
    return reader.get(address)
  } catch {
    return undefined
  }
}

const openNetworks = (file: string): { of: (address: string) => Partial<Network>; stamp: string } => {
  if (!file.endsWith('.csv')) {
    const reader = openMmdb(file, 'network_file')
    return { of: (address) => networkIn(recordOf(reader, address)), stamp: dayOf(reader.metadata.buildEpoch) }
  }
  try {
    const networkOf = networksInCsv(readTextFile(file, { bytes: LARGEST_CSV }))
    return { of: (address) => networkOf(address) ?? NOWHERE, stamp: dayOf(statSync(file).mtime) }
  } catch (error) {
    if (error instanceof FileError) throw new PlacesError(`network_file: ${error.message}`)
    throw new PlacesError(`network_file: ${file} cannot be used: ${(error as Error).message}`)
  }
}

const dayOf = (date: Date): string => date.toISOString().slice(0, 10)

/** MaxMind's files nest the country, other files have it at the top level. */
const countryIn = (record: unknown): string | undefined => {
  const { country_code, country } = (record ?? {}) as { country_code?: unknown; country?: { iso_code?: unknown } }
  const code = country_code ?? country?.iso_code
  return typeof code === 'string' && /^[A-Z]{2}$/.test(code) ? code : undefined
}
