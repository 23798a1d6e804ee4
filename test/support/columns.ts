import { isReferrerTag, isUuid } from '../../src/events/reference.js'
import { FETCHES_TWICE, IS_HEAD, MAY_REPEAT, NONE, OBJECTS, type RequestColumns } from '../../src/pulls/fold/columns.js'
import type { ContentsOf, DigestSet, ManifestContents } from '../../src/pulls/fold/contents.js'
import { foldColumns } from '../../src/pulls/fold/fold-columns.js'
import type { ChainKey, PullOutcome } from '../../src/pulls/fold/outcome.js'
import type { Chain, FoldRequest } from '../../src/pulls/fold/state.js'
import type { JoinWindows } from '../../src/pulls/model/join-windows.js'

export type ColumnRequest = FoldRequest & { previous?: string; mayRepeat?: boolean }

/** Numbers for texts, in the order in which they occur first. */
const createNumbers = (): { numberOf: (text: string | undefined) => number; texts: string[] } => {
  const numbers = new Map<string, number>()
  const texts: string[] = []
  return {
    texts,
    numberOf: (text) => {
      if (text === undefined) return NONE
      let number = numbers.get(text)
      if (number === undefined) {
        numbers.set(text, (number = texts.length))
        texts.push(text)
      }
      return number
    },
  }
}

/** Requests in columns, and the texts of their numbers. */
export type ColumnFold = {
  columns: RequestColumns
  ids: readonly string[]
  names: ReturnType<typeof createNumbers>
  chains: ReturnType<typeof createNumbers>
}

/** The rows of requests. Their ids differ in the first 8 bytes, or are UUIDs that differ in them. */
export const columnsOf = (requests: readonly ColumnRequest[]): ColumnFold => {
  const length = requests.length
  const [names, chains, mediaTypes] = [createNumbers(), createNumbers(), createNumbers()]
  const requestId = new Int32Array(length)
  const columns: RequestColumns = {
    length,
    at: new Float64Array(length),
    chain: new Int32Array(length),
    previous: new Int32Array(length),
    object: new Uint8Array(length),
    flags: new Uint8Array(length),
    status: new Uint16Array(length),
    tag: new Int32Array(length),
    digest: new Int32Array(length),
    requestId,
    mediaType: new Int32Array(length),
    mediaTypes: mediaTypes.texts,
    bytes: new Float64Array(length),
    ids: new Uint32Array(2 * length),
  }
  requests.forEach((request, row) => {
    const keyOf = (origin: string): string => JSON.stringify([request.registry, request.repository, origin])
    columns.at[row] = request.at
    columns.chain[row] = chains.numberOf(keyOf(request.origin))
    columns.previous[row] = request.previous === undefined ? NONE : chains.numberOf(keyOf(request.previous))
    columns.object[row] = OBJECTS.indexOf(request.object)
    columns.flags[row] =
      (request.method === 'HEAD' ? IS_HEAD : 0) |
      (request.fetchesTwice === true ? FETCHES_TWICE : 0) |
      (request.mayRepeat === true ? MAY_REPEAT : 0)
    columns.status[row] = request.status
    columns.tag[row] = names.numberOf(request.tag)
    columns.digest[row] = names.numberOf(request.digest)
    requestId[row] = names.numberOf(request.requestId)
    columns.mediaType[row] = mediaTypes.numberOf(request.mediaType)
    columns.bytes[row] = request.bytes ?? NONE
    columns.ids.set(numbersOf(request.id), 2 * row)
  })
  return { columns, ids: requests.map(({ id }) => id), names, chains }
}

/** The numbers have the order of the texts. */
const numbersOf = (id: string): [number, number] => {
  const bytes = Buffer.alloc(8)
  if (isUuid(id)) bytes.write(id.replaceAll('-', '').slice(0, 16), 'hex')
  else bytes.write(id)
  return [bytes.readUInt32BE(0), bytes.readUInt32BE(4)]
}

/** Folds requests from columns, with all of their outcomes: the closed ones and the open ones, with their names as texts. */
export const foldInColumns = (
  { columns, ids, names, chains }: ColumnFold,
  { contentsOf, windows }: { contentsOf: ContentsOf; windows: JoinWindows },
): PullOutcome[] => {
  const outcomes: PullOutcome[] = []
  const textOf = (number: number): string => names.texts[number] ?? ''
  const named = (outcome: PullOutcome<number>): void => {
    const { id, tag, digest, ...rest } = outcome
    outcomes.push({
      ...rest,
      id: ids[id] ?? '',
      ...(tag !== undefined && { tag: textOf(tag) }),
      ...(digest !== undefined && { digest: textOf(digest) }),
      ...('images' in rest && { images: rest.images.map(textOf) }),
    } as PullOutcome)
  }
  const { open } = foldColumns(columns, new Map<number, Chain<number>>(), {
    chainCount: chains.texts.length,
    keyOf: (chain) => {
      const [registry, repository, origin] = JSON.parse(chains.texts[chain] ?? '[]') as [string, string, string]
      return { registry, repository, origin } satisfies ChainKey
    },
    contentsOf: (digest) => {
      const contents = contentsOf(textOf(digest))
      return contents && inNumbers(contents, names.numberOf)
    },
    isReferrerTag: (tag) => isReferrerTag(textOf(tag)),
    windows,
    emit: named,
    end: columns.at.reduce((latest, one) => Math.max(latest, one), 0) + 1,
    onRow: () => undefined,
    onEnd: () => undefined,
  })
  for (const chain of open.values()) {
    for (const one of [...chain.open, ...chain.artifacts, ...(chain.orphan ? [chain.orphan] : [])]) named(one)
  }
  return outcomes
}

/** Contents with numbers in place of digests. */
export const inNumbers = (contents: ManifestContents, numberOf: (text: string) => number): ManifestContents<number> => {
  const numbers = (digests: DigestSet): DigestSet<number> => new Set([...(digests as Set<string>)].map(numberOf))
  if (contents.kind === 'index') return { kind: 'index', children: numbers(contents.children) }
  if (contents.kind === 'image') {
    const { config } = contents
    return {
      kind: 'image',
      layers: numbers(contents.layers),
      ...(config !== undefined && { config: numberOf(config) }),
    }
  }
  const { blobs, children } = contents
  return { kind: 'artifact', ...(blobs && { blobs: numbers(blobs) }), ...(children && { children: numbers(children) }) }
}
