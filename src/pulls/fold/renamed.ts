import type { Name } from './contents.js'
import type { OpenAside, OpenInvocation } from './open-invocation.js'
import type { PullOutcome } from './outcome.js'
import type { Chain } from './state.js'

/** How names of one form become names of another one: tags, digests and ids of HTTP requests; and the ids of requests. */
export type Renaming<From extends Name, To extends Name> = { name: (name: From) => To; id: (id: From) => To }

/** The same outcome, with other names. */
const renamedOutcome = <From extends Name, To extends Name>(
  outcome: PullOutcome<From>,
  { name, id }: Renaming<From, To>,
): PullOutcome<To> => {
  const { registry, repository, origin, at, bytes } = outcome
  const common = { registry, repository, origin, at, bytes, id: id(outcome.id) }
  if (outcome.what !== 'invocation') {
    return {
      ...common,
      what: outcome.what,
      ...(outcome.tag !== undefined && { tag: name(outcome.tag) }),
      ...(outcome.digest !== undefined && { digest: name(outcome.digest) }),
    }
  }
  const { what, last, by, tag, digest, gets, images, layers, startsSession } = outcome
  return {
    ...common,
    what,
    last,
    by,
    tag: tag === undefined ? undefined : name(tag),
    digest: digest === undefined ? undefined : name(digest),
    gets,
    images: images.map(name),
    layers,
    startsSession,
  }
}

/** A copy of a chain, with other names. */
export const renamedChain = <From extends Name, To extends Name>(
  chain: Chain<From>,
  renaming: Renaming<From, To>,
): Chain<To> => {
  const { name } = renaming
  const invocation = (open: OpenInvocation<From>): OpenInvocation<To> => ({
    ...(renamedOutcome(open, renaming) as OpenInvocation<To>),
    named: open.named.map(name),
    fetched: open.fetched.map(name),
    references: open.references.map(name),
    repeated: open.repeated.map(name),
    lastKind: open.lastKind,
    lastDigest: open.lastDigest === undefined ? undefined : name(open.lastDigest),
    fetchedLayers: open.fetchedLayers.map(name),
    configured: open.configured.map(name),
    active: open.active,
  })
  const aside = (open: OpenAside<From>): OpenAside<To> => ({
    ...(renamedOutcome(open, renaming) as OpenAside<To>),
    active: open.active,
    blobs: open.blobs.map(name),
  })
  const { key, open, artifacts, orphan, lastAt, awaitsSession, requests, quietUntil } = chain
  return {
    key,
    open: open.map(invocation),
    artifacts: artifacts.map(aside),
    ...(orphan && { orphan: aside(orphan) }),
    ...(lastAt !== undefined && { lastAt }),
    awaitsSession,
    requests: requests.map(([request, at]) => [name(request), at]),
    quietUntil,
  }
}
