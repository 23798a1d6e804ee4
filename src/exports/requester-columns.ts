import { createRecentMap } from '../runtime/recent-map.js'
import type { Who } from '../pulls/requests/pending.js'
import { optional, required, type Column, type Value } from './columns.js'

/** The columns about a requester, as `GET /requests` names them. An address is never stored, so no column can contain one. */
export const REQUESTER_COLUMNS: readonly Column[] = [
  required('source', 'text'),
  required('endpoint', 'text'),
  required('client', 'text'),
  optional('client_version', 'text'),
  required('kind', 'text'),
  optional('os', 'text'),
  optional('arch', 'text'),
  optional('country', 'text'),
  optional('network', 'text'),
  optional('network_kind', 'text'),
  required('signed_in', 'boolean'),
]

/** The number of requesters that are remembered. */
const MOST = 10_000

/** Reads the values of REQUESTER_COLUMNS from a `Who` as text. Many requests have one requester, so the results are remembered. */
export const createRequesterValues = (): ((who: string) => readonly Value[]) => {
  const known = createRecentMap<readonly Value[]>(MOST)
  return (who) => {
    let values = known.get(who)
    if (!values) known.set(who, (values = valuesOf(JSON.parse(who) as Who)))
    return values
  }
}

const valuesOf = ({ endpoint, source, client, version, kind, ...rest }: Who): readonly Value[] => {
  const { os, arch, country, network, networkKind, signedIn } = rest
  const some = [os, arch, country, network, networkKind].map((value) => value ?? null)
  return [source, endpoint, client, version ?? null, kind, ...some, signedIn]
}
