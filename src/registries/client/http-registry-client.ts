import { isFields } from '../../events/json.js'
import { isDigest, isRepositoryPath, isTag } from '../../events/reference.js'
import { pauseIn } from '../../events/retry-after.js'
import { sizeOf, type Descriptor, type Platform } from '../../events/descriptor.js'
import { fieldsIn } from './bounded-json.js'
import { challengesIn } from './challenges.js'
import { credentialsOf, type FindCredentials } from './credentials.js'
import { digestOf, isDigestOf, isVerifiable } from './digests.js'
import {
  AnswerTooLarge,
  createExchange,
  RegistryBusy,
  RegistryError,
  statusError,
  UnreadableManifest,
  type Answer,
} from './exchange.js'
import { digestedBytes, hasPlatform, platformIn, readManifest } from './read-manifest.js'
import type { FetchedManifest, RegistryClient } from './registry-client.js'
import { CATALOG, createRegistryAuth, remedy } from './registry-auth.js'
import { LARGEST_PAGE, ListTooLarge, pageIn, pathOfPage } from './list-pages.js'
import type { Registry } from '../registries.js'

/** All that there are: without one of them, a registry hides such manifests or writes others in their place. */
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ')

const MOST_REDIRECTS = 5
const TIME_LIMIT_MS = 10_000

type RegistryClientDeps = {
  /** For registries that have no credentials of their own. */
  findCredentials?: FindCredentials
  /** By which our own reads are known again in the notifications of the registry. */
  userAgent: string
  /** For requests to token servers, which get no key of our own reads. */
  tokenUserAgent?: string
  now: () => Date
  /** For one question with all that belongs to it: redirects, tokens, the body of the answer. */
  timeLimitMs?: number
}
type Asked = { area: string; path: string; method?: 'GET' | 'HEAD'; accept?: string; largestAnswer?: number }

/**
 * Asks a registry at the address that the operator gave, and nothing else: a redirect to another host is not followed, as
 * nobody knows whose it is. A manifest has at most 4 MiB, a page of a list 32 MiB, and each answer comes within 10 s. Manifests
 * and configs are those of their digest. Every method throws a RegistryError when there is no answer, or not the expected one:
 * a RegistryBusy if the registry or its token service asks to slow down.
 * @throws RegistryError for a registry without an address.
 */
export const createRegistryClient = (registry: Registry, deps: RegistryClientDeps): RegistryClient => {
  const { userAgent, tokenUserAgent = 'tallyman', now, findCredentials, timeLimitMs = TIME_LIMIT_MS } = deps
  const base = baseOf(registry)
  const exchange = createExchange(userAgent)
  const credentials = credentialsOf(registry, { find: findCredentials, now })
  const auth = createRegistryAuth({
    registry: { name: registry.name, url: base, tokenHost: registry.tokenHost },
    credentials,
    exchange: createExchange(tokenUserAgent),
    now,
  })

  /** Follows redirects as long as they stay where they began. */
  const follow = async (
    { path, method = 'GET', accept = 'application/json', largestAnswer }: Asked,
    { authorization, signal }: { authorization: string | undefined; signal: AbortSignal },
  ): Promise<Answer> => {
    const headers = { accept, ...(authorization !== undefined && { authorization }) }
    let url = new URL(base.pathname.replace(/\/+$/, '') + path, base)
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
      const answer = await exchange({
        url,
        method,
        headers,
        signal,
        ...(largestAnswer !== undefined && { largestAnswer }),
      })
      const next = redirectOf(answer, url)
      if (next?.origin !== base.origin) return answer
      url = next
    }
    throw new RegistryError(`${base.host} redirects more than ${MOST_REDIRECTS} times`)
  }

  const ask = async (asked: Asked): Promise<Answer> => {
    const signal = AbortSignal.timeout(timeLimitMs)
    const authorization = await auth.known(asked.area)
    const answer = await follow(asked, { authorization, signal })
    if (answer.status !== 401) return answer
    const challenges = challengesIn(answer.headers.get('www-authenticate') ?? '')
    const better = await auth.answer(asked.area, { challenges, refused: authorization, signal })
    return better === undefined ? answer : follow(asked, { authorization: better, signal })
  }

  const failure = (answer: Answer, what: string): RegistryError => {
    const { status } = answer
    const message = isRedirect(status)
      ? `${base.host} sends to another host for ${what}, which is not followed`
      : `${base.host} answered ${status} when asked for ${what}${remedy(status)}`
    return statusError(answer, message, now())
  }

  /** Whoever has not what is asked for answers 404, a web server at a wrong address too: only a registry names what it lacks. */
  const expected = (answer: Answer, what: string): Answer | undefined => {
    if (answer.status === 200) return answer
    if (answer.status !== 404) throw failure(answer, what)
    if (isLackedBy(answer)) return undefined
    throw new RegistryError(
      `${base.host} answered 404 when asked for ${what}, and not as a registry does: look whether its address in the ` +
        'configuration is right',
    )
  }

  /** The answer to HEAD has no body, so nobody knows who lacks something: GET tells. */
  const askHead = async (asked: Asked): Promise<Answer> => {
    const answer = await ask({ ...asked, method: 'HEAD' })
    return answer.status === 404 ? ask({ ...asked, method: 'GET' }) : answer
  }

  const askManifest = async (by: typeof ask, repository: string, reference: string) =>
    expected(
      await by({
        area: checkedRepository(repository),
        path: `/v2/${repository}/manifests/${checkedReference(reference)}`,
        accept: MANIFEST_TYPES,
      }),
      `manifest ${reference} of ${repository}`,
    )

  const manifest = async (repository: string, reference: string): Promise<FetchedManifest | undefined> => {
    const answer = await askManifest(ask, repository, reference)
    if (!answer) return undefined
    const bytes = digestedBytes(answer.body)
    const unreadable = `${base.host} answered with no manifest for ${reference} of ${repository}`
    if (!bytes) throw new UnreadableManifest(unreadable)
    const digest = provenDigest(bytes, isDigest(reference) ? reference : answer.headers.get('docker-content-digest'))
    if (digest === undefined) {
      throw new RegistryError(`${base.host} answered with other bytes than those of ${reference} of ${repository}`)
    }
    const read = readManifest(bytes, answer.headers.get('content-type'))
    if (!read) throw new UnreadableManifest(unreadable)
    const platform =
      read.platform ?? (await platformOf(repository, read.config === undefined ? undefined : read.contents[0]))
    return { ...read, digest, size: bytes.length, ...(platform && { platform }) }
  }

  /** Nice to know, so a failure is none of the manifest's; but what is only refused for now is asked for again. */
  const platformOf = async (repository: string, config: Descriptor | undefined): Promise<Platform | undefined> => {
    if (!config || !hasPlatform(config)) return undefined
    const path = `/v2/${repository}/blobs/${config.digest}`
    const answer = await ask({ area: repository, path, accept: '*/*' }).catch((error: unknown) => {
      if (error instanceof RegistryBusy) throw error
      return undefined
    })
    if (answer && pauseIn(answer, now())) throw failure(answer, `blob ${config.digest} of ${repository}`)
    return answer?.status === 200 && isDigestOf(config.digest, answer.body) ? platformIn(answer.body) : undefined
  }

  const list = async (area: string, path: string, next: string | undefined): Promise<Answer> =>
    ask({ area, path: pathOfPage(path, next), largestAnswer: LARGEST_PAGE }).catch((error: unknown) => {
      if (!(error instanceof AnswerTooLarge)) throw error
      throw new ListTooLarge(area === CATALOG ? 'repositories' : `tags of ${area}`, 'a page of more than 32 MiB')
    })

  return {
    manifest,
    catalog: async (next) => {
      const answer = await list(CATALOG, '/v2/_catalog', next)
      if (answer.status !== 200) throw failure(answer, 'its catalog')
      return pageIn(answer, { host: base.host, list: 'repositories', isName: isRepositoryPath, asked: next })
    },
    tags: async (repository, next) => {
      const what = `the tags of ${checkedRepository(repository)}`
      const answer = expected(await list(repository, `/v2/${repository}/tags/list`, next), what)
      return answer ? pageIn(answer, { host: base.host, list: 'tags', isName: isTag, asked: next }) : { names: [] }
    },
    digestOf: async (repository, tag) => {
      const answer = await askManifest(askHead, repository, tag)
      const digest = answer?.headers.get('docker-content-digest')
      if (answer && !isText(digest)) return (await manifest(repository, tag))?.digest
      return isText(digest) ? digest : undefined
    },
    blob: async (repository, digest) => {
      const path = `/v2/${checkedRepository(repository)}/blobs/${checkedReference(digest)}`
      const answer = await askHead({ area: repository, path, accept: '*/*' })
      // A registry that keeps its blobs elsewhere sends there only for those that it has.
      if (isRedirect(answer.status)) return {}
      const found = expected(answer, `blob ${digest} of ${repository}`)
      const size = sizeOf(Number(found?.headers.get('content-length') ?? NaN))
      return found && { ...(size !== undefined && { size }) }
    },
  }
}

const baseOf = ({ name, url }: Registry): URL => {
  if (url === undefined || !URL.canParse(url)) throw new RegistryError(`${name} has no address to be asked at`)
  const { origin, pathname } = new URL(url)
  return new URL(pathname, origin)
}

/** Codes of the distribution-spec 1.1, and what Harbor says instead of all three. */
const LACKING: ReadonlySet<unknown> = new Set(['NAME_UNKNOWN', 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NOT_FOUND'])

/** Whether a registry says itself that it does not have what it was asked for (distribution-spec 1.1, "Error Codes"). */
const isLackedBy = ({ body }: Answer): boolean => {
  const errors = fieldsIn(body)?.errors
  return Array.isArray(errors) && errors.some((error) => isFields(error) && LACKING.has(error.code))
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status)

const redirectOf = ({ status, headers }: Answer, from: URL): URL | undefined => {
  const location = isRedirect(status) ? headers.get('location') : null
  return location !== null && URL.canParse(location, from.href) ? new URL(location, from) : undefined
}

/** The digest that bytes have: the one that was promised, or one of our own when none was that can be proven. */
const provenDigest = (bytes: Buffer, promised: string | null): string | undefined => {
  if (promised === null) return digestOf(bytes)
  if (!isVerifiable(promised)) return undefined
  return isDigestOf(promised, bytes) ? promised : undefined
}

const isText = (digest: string | null | undefined): digest is string => typeof digest === 'string' && isDigest(digest)

/** What stands in a path was checked at the door; nothing else may be asked for. */
const checkedRepository = (repository: string): string => {
  if (!isRepositoryPath(repository)) throw new RegistryError('a repository has a name that registries do not have')
  return repository
}
const checkedReference = (reference: string): string => {
  if (!isTag(reference) && !isDigest(reference)) throw new RegistryError('this is neither a tag nor a digest')
  return reference
}
