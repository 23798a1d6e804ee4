import type { z } from 'zod'
import { RefusedRequest } from './problem.js'

const NO_OBJECT = 'the body is missing or no object; send JSON with "content-type: application/json"'

/**
 * Parses parameters by a schema.
 * @param at where the parameters are if the request has several sets of them, such as `events[3]`
 * @throws RefusedRequest 400 that names all invalid parameters
 */
export const checked = <T>(schema: z.ZodType<T>, parameters: unknown, at?: string): T => {
  const { success, data, error } = schema.safeParse(parameters)
  if (success) return data
  const nameOf = (...path: PropertyKey[]): string => [...(at === undefined ? [] : [at]), ...path].join('.')
  const problems = error.issues.flatMap(({ path, message, ...issue }) => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => `${nameOf(...path, key)}: is not a parameter of this request`)
    if (path.length === 0 && at === undefined && issue.code === 'invalid_type') return [NO_OBJECT]
    return [`${nameOf(...path)}: ${message.endsWith('received undefined') ? 'is missing' : message}`]
  })
  throw new RefusedRequest(400, problems.join('; '))
}
