import { kindNamed, networkNamed, type Network } from './network-csv.js'

/**
 * The network in a record of a MaxMind DB. Providers use different names for the fields: MaxMind's ASN and ISP files
 * (`autonomous_system_number`), its Enterprise file (the same in `traits`, with `user_type`), IPinfo's files (`asn` as `AS64496`,
 * `as_name` or `name`, `as_type` or `type`).
 * @param record the unchanged record of the file
 */
export const networkIn = (record: unknown): Partial<Network> => {
  const fields = fieldsOf(record)
  const all = { ...fields, ...fieldsOf(fields.traits) }
  const number = numberIn(all.autonomous_system_number ?? all.asn)
  if (number === undefined) return {}
  const name = firstText(all.autonomous_system_organization, all.as_name, all.name)
  const kind = firstText(all.user_type, all.as_type, all.type)
  return { network: networkNamed(number, name), ...(kind !== '' && { networkKind: kindNamed(kind) }) }
}

const fieldsOf = (record: unknown): Record<string, unknown> =>
  typeof record === 'object' && record !== null ? (record as Record<string, unknown>) : {}

const numberIn = (value: unknown): string | undefined => {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined
  return /^(?:AS)?(\d{1,10})$/.exec(String(value))?.[1]
}

const firstText = (...values: unknown[]): string =>
  values.find((value): value is string => typeof value === 'string') ?? ''
