import type { Micros } from '../../src/events/calendar.js'
import { isReferrerTag } from '../../src/events/reference.js'
import { addToChain, closeChain, closeUntil } from '../../src/pulls/fold/chain.js'
import { startChain, type Chain, type FoldDeps, type FoldRequest } from '../../src/pulls/fold/state.js'

export type Fold = {
  /** Adds the next request. Requests come in the order of `inOrder`, at least those of one origin in one repository. */
  add: (request: FoldRequest) => void
  /** Emits all open outcomes. */
  end: () => void
}

/** After so many requests, closed chains are removed, so that memory does not grow with the length of the stream. */
const SWEEP_AFTER = 100_000

/**
 * Folds requests into invocations and the outcomes counted beside them. The result depends only on the requests and their order
 * (docs/definitions-of-numbers.md). Each origin in each repository is folded independently.
 */
export const createFold = (given: Omit<FoldDeps, 'isReferrerTag'>): Fold => {
  const deps = { ...given, isReferrerTag }
  const registries = new Map<string, Map<string, Map<string, Chain>>>()
  let added = 0
  let latest: Micros = -Infinity

  let current: Chain | undefined

  const chainOf = ({ registry, repository, origin }: FoldRequest): Chain => {
    // A pull consists of several consecutive requests.
    const key = current?.key
    if (current && key?.origin === origin && key.repository === repository && key.registry === registry) return current
    let repositories = registries.get(registry)
    if (!repositories) registries.set(registry, (repositories = new Map<string, Map<string, Chain>>()))
    let chains = repositories.get(repository)
    if (!chains) repositories.set(repository, (chains = new Map<string, Chain>()))
    let chain = chains.get(origin)
    if (!chain) chains.set(origin, (chain = startChain({ registry, repository, origin })))
    current = chain
    return chain
  }

  const all = (): Map<string, Chain>[] => [...registries.values()].flatMap((one) => [...one.values()])

  const sweep = (): void => {
    current = undefined
    for (const chains of all()) {
      for (const [origin, chain] of chains) {
        closeUntil(chain, latest, deps)
        if (isOver(chain, latest, deps)) chains.delete(origin)
      }
    }
  }

  return {
    add: (request) => {
      addToChain(chainOf(request), request, deps)
      if (request.at > latest) latest = request.at
      if (++added % SWEEP_AFTER === 0) sweep()
    },
    end: () => {
      for (const chains of all()) for (const chain of chains.values()) closeChain(chain, deps)
      registries.clear()
      current = undefined
    },
  }
}

/** Whether a chain can be removed: no request after a moment depends on it. */
const isOver = (
  { open, artifacts, orphan, lastAt, requests }: Chain,
  at: Micros,
  { windows }: Pick<FoldDeps, 'windows'>,
): boolean =>
  open.length === 0 &&
  artifacts.length === 0 &&
  !orphan &&
  requests.length === 0 &&
  (lastAt === undefined || at - lastAt > windows.session)
