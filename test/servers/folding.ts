import type { RepositoryPath } from '../../src/events/reference.js'
import type { ManifestContents } from '../../src/pulls/fold/contents.js'
import { createFold } from '../support/fold.js'
import type { PullOutcome } from '../../src/pulls/fold/outcome.js'
import type { FoldRequest } from '../../src/pulls/fold/state.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'

const GET = {
  registry: 'r',
  repository: 'a' as RepositoryPath,
  origin: 'o',
  status: 200,
  method: 'GET',
  object: 'manifest',
} as const

/** What becomes of requests, each a GET of a manifest if it says nothing else, in the order in which the fold ends them. */
export const fold = (
  requests: readonly Partial<FoldRequest>[],
  contents: Readonly<Record<string, ManifestContents>> = {},
): PullOutcome[] => {
  const outcomes: PullOutcome[] = []
  const { add, end } = createFold({
    contentsOf: (digest) => contents[digest],
    windows: WINDOWS,
    emit: (one) => outcomes.push(one),
  })
  for (const [i, request] of requests.entries()) add({ ...GET, id: String(i).padStart(4, '0'), at: i, ...request })
  end()
  return outcomes
}
