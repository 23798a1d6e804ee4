import { toHost } from '../../events/registry-host.js'
import type { LoggedRequest } from './log-format.js'
import { isReading, isWriting, readFieldsOf, type ClassifiedLine } from './logged-read.js'
import { parseRegistryPath, type RegistryPath } from './registry-path.js'

/** The classes of paths that name nothing to read. A GET of an upload asks for the state of a push. */
const CLASSES = {
  base: 'api_check',
  catalog: 'catalog',
  upload: 'push',
  invalid: 'bad_name',
  other: 'other_path',
} as const satisfies Record<Exclude<RegistryPath, { repository: unknown }>['endpoint'], string>

/** Decides what a request to a registry is. */
export const classifyRequest = (line: LoggedRequest): ClassifiedLine => {
  const { method, target, status } = line
  const path = parseRegistryPath(target)
  if (isWriting(method) && (path.endpoint !== 'other' || target.startsWith('/v2/'))) return { class: 'push' }
  if (path.endpoint === 'other') return { class: 'other_path' }
  if (!isReading(method)) return { class: 'other_method' }
  if (!('repository' in path)) return { class: CLASSES[path.endpoint] }
  if (status === 0) return { class: 'unanswered' }
  const { endpoint, ...names } = path
  const host = line.host === undefined ? undefined : toHost(line.host)
  return {
    class: endpoint,
    ...readFieldsOf(line, method),
    ...names,
    ...(host !== undefined && { host }),
    ...(line.mediaType !== undefined && { mediaType: line.mediaType }),
  }
}
