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
  type RegistryResponse,
} from './exchange.js'
import { digestedBytes, hasPlatform, platformIn, readManifest } from './read-manifest.js'
import type { FetchedManifest, RegistryClient } from './registry-client.js'
import { CATALOG, createRegistryAuth, remedy } from './registry-auth.js'
import { LARGEST_PAGE, ListTooLarge, pageIn, pathOfPage } from './list-pages.js'
import type { Registry } from '../registries.js'

/** All media types of manifests: a registry hides manifests of a type that is not accepted, or converts them. */
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ')

const MOST_REDIRECTS = 5
const TIME_LIMIT_MS = 10_000

type RegistryClientDeps = {
  /** Finds credentials for registries without configured ones. */
  findCredentials?: FindCredentials
  /** Identifies our own reads in the notifications of the registry. */
  userAgent: string
  /** For requests to token servers, which do not get the key of our own reads. */
  tokenUserAgent?: string
  now: () => Date
  /** The time limit of one request with its redirects, token requests and the body of the answer. */
  timeLimitMs?: number
}
type ClientRequest = { area: string; path: string; method?: 'GET' | 'HEAD'; accept?: string; largestAnswer?: number }

/**
 * Sends requests to a registry at the configured address only. It does not follow redirects to another host, whose owner is unknown.
 * A manifest has at most 4 MiB, a page of a list 32 MiB, and each answer must arrive within 10 s. The digests of manifests and
 * configs are verified. Every method throws a RegistryError without an answer, or for an unexpected one. It throws a RegistryBusy if
 * the registry or its token service asks to slow down.
 * @throws RegistryError for a registry without an address
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

  /** Follows redirects that stay on the registry's origin. */
  const follow = async (
    { path, method = 'GET', accept = 'application/json', largestAnswer }: ClientRequest,
    { authorization, signal }: { authorization: string | undefined; signal: AbortSignal },
  ): Promise<RegistryResponse> => {
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

  const ask = async (request: ClientRequest): Promise<RegistryResponse> => {
    const signal = AbortSignal.timeout(timeLimitMs)
    const authorization = await auth.known(request.area)
    const answer = await follow(request, { authorization, signal })
    if (answer.status !== 401) return answer
    const challenges = challengesIn(answer.headers.get('www-authenticate') ?? '')
    const better = await auth.answer(request.area, { challenges, refused: authorization, signal })
    return better === undefined ? answer : follow(request, { authorization: better, signal })
  }

  const failure = (answer: RegistryResponse, what: string): RegistryError => {
    const { status } = answer
    const message = isRedirect(status)
      ? `${base.host} redirects to another host for ${what}, which is not followed`
      : `${base.host} answered ${status} when asked for ${what}${remedy(status)}`
    return statusError(answer, message, now())
  }

  /** A web server at a wrong address also answers 404. Only a registry's 404 contains an error code for the missing object. */
  const expected = (answer: RegistryResponse, what: string): RegistryResponse | undefined => {
    if (answer.status === 200) return answer
    if (answer.status !== 404) throw failure(answer, what)
    if (isLackedBy(answer)) return undefined
    throw new RegistryError(
      `${base.host} answered 404 when asked for ${what}, but not as a registry does: check its address in the configuration`,
    )
  }

  /** The answer to HEAD has no body, so a 404 has no error code. Then a GET shows whether the registry itself lacks the object. */
  const askHead = async (request: ClientRequest): Promise<RegistryResponse> => {
    const answer = await ask({ ...request, method: 'HEAD' })
    return answer.status === 404 ? ask({ ...request, method: 'GET' }) : answer
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

  /** The platform is optional, so a failure does not fail the manifest. If the registry asks to slow down, the manifest is read later. */
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

  const list = async (area: string, path: string, next: string | undefined): Promise<RegistryResponse> =>
    ask({ area, path: pathOfPage(path, next), largestAnswer: LARGEST_PAGE }).catch((error: unknown) => {
      if (!(error instanceof AnswerTooLarge)) throw error
      throw new ListTooLarge(area === CATALOG ? 'repositories' : `tags of ${area}`, 'a page of more than 32 MiB')
    })

  return {
    manifest,
    catalog: async (next) => {
      const answer = await list(CATALOG, '/v2/_catalog', next)
      if (answer.status !== 200) throw failure(answer, 'its catalog')
      return pageIn(answer, { host: base.host, list: 'repositories', isName: isRepositoryPath, after: next })
    },
    tags: async (repository, next) => {
      const what = `the tags of ${checkedRepository(repository)}`
      const answer = expected(await list(repository, `/v2/${repository}/tags/list`, next), what)
      return answer ? pageIn(answer, { host: base.host, list: 'tags', isName: isTag, after: next }) : { names: [] }
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
      // A registry that stores its blobs elsewhere redirects only for existing blobs.
      if (isRedirect(answer.status)) return {}
      const found = expected(answer, `blob ${digest} of ${repository}`)
      const size = sizeOf(Number(found?.headers.get('content-length') ?? NaN))
      return found && { ...(size !== undefined && { size }) }
    },
  }
}

const baseOf = ({ name, url }: Registry): URL => {
  if (url === undefined || !URL.canParse(url))
    throw new RegistryError(`${name} has no address: give it a url in the configuration`)
  const { origin, pathname } = new URL(url)
  return new URL(pathname, origin)
}

/** Error codes of the distribution-spec 1.1, and Harbor's code for all three. */
const LACKING: ReadonlySet<unknown> = new Set(['NAME_UNKNOWN', 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NOT_FOUND'])

/** Whether the answer has a registry's error code for a missing object (distribution-spec 1.1, "Error Codes"). */
const isLackedBy = ({ body }: RegistryResponse): boolean => {
  const errors = fieldsIn(body)?.errors
  return Array.isArray(errors) && errors.some((error) => isFields(error) && LACKING.has(error.code))
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status)

const redirectOf = ({ status, headers }: RegistryResponse, from: URL): URL | undefined => {
  const location = isRedirect(status) ? headers.get('location') : null
  return location !== null && URL.canParse(location, from.href) ? new URL(location, from) : undefined
}

/** The digest of bytes: the promised one if it is correct, or a computed one if none was promised. */
const provenDigest = (bytes: Buffer, promised: string | null): string | undefined => {
  if (promised === null) return digestOf(bytes)
  if (!isVerifiable(promised)) return undefined
  return isDigestOf(promised, bytes) ? promised : undefined
}

const isText = (digest: string | null | undefined): digest is string => typeof digest === 'string' && isDigest(digest)

/** Only valid repositories and references may be part of a request's path. */
const checkedRepository = (repository: string): string => {
  if (!isRepositoryPath(repository)) throw new RegistryError('a repository has a name that registries do not have')
  return repository
}
const checkedReference = (reference: string): string => {
  if (!isTag(reference) && !isDigest(reference)) throw new RegistryError('this is neither a tag nor a digest')
  return reference
}
