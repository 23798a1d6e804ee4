import type { Micros } from '../events/calendar.js'
import type { Requester } from '../events/registry-request.js'
import { createSealIds } from '../logs/line-hash.js'
import type { Requests } from '../logs/requests.js'
import { IS_HEAD, MAY_REPEAT, OBJECTS } from '../pulls/fold/columns.js'
import { createStoredRequesterOf, type StoredRequester } from '../pulls/requests/pending-of.js'
import { createRequestSink, numbered, type Numbered } from '../pulls/segments/request-sink.js'
import type { SegmentWhat } from '../pulls/segments/segment.js'
import { LOG_SOURCE } from '../pulls/segments/log-source.js'
import { keepSegments } from '../pulls/segments/segment-table.js'
import { createDerivedSalts } from '../requesters/derived-salts.js'
import type { LoggedRead } from '../sources/access-logs/logged-read.js'
import { originsBy, placesBy, saltWindowBy, type RequesterSettings } from './anonymous-requesters.js'
import type { Core } from './core.js'

type LogRequestsDeps = {
  config: RequesterSettings
  secrets: Pick<Core['secrets'], 'usersKey'>
} & Pick<Core, 'clientOf' | 'now'>

/** Collects the requests of files of a registry, each with what is stored of its requester. */
export const createLogRequests = ({
  config,
  secrets,
  clientOf,
  now,
}: LogRequestsDeps): ((registry: string) => Requests<What, Who>) => {
  const salts = createDerivedSalts(secrets.usersKey, config.pulls_salt_rotation)
  const window = saltWindowBy(config)
  const originOf = originsBy(config, secrets.usersKey, salts)
  const storedRequesterOf = createStoredRequesterOf({ originOf, clientOf, placeOf: placesBy(config).of })
  /** Origins change with the salt, and there are two of them for a time after it changed. */
  const stepOf = (at: Micros): number => {
    const { from } = salts.at(at)
    return 2 * from + (at - from <= window ? 1 : 0)
  }
  const seal = createSealIds(secrets.usersKey)
  return (registry) => {
    const sink = createRequestSink(registry, seal)
    return {
      what: (read) => whatOf(read),
      who: (requester) => ({ requester, step: NaN, stored: undefined }),
      add: ({ what, who, at, bytes, idHigh, idLow }) => {
        const step = stepOf(at)
        if (!who.stored || who.step !== step) {
          who.stored = numbered(storedRequesterOf({ source: LOG_SOURCE, requester: who.requester, at }))
          who.step = step
        }
        sink.add({ at, what, requester: who.stored, bytes, idHigh, idLow })
      },
      weight: sink.weight,
      take: () => {
        const segments = sink.take()
        return async (tx, file) => keepSegments(tx, { file, segments, now: now() })
      },
    }
  }
}

type What = Numbered<SegmentWhat<string | undefined>>
/** A requester, and what is stored of it at a time. */
type Who = { requester: Requester; step: number; stored: Numbered<StoredRequester> | undefined }

/** @returns undefined for a read of an unknown image */
const whatOf = (read: LoggedRead): What | undefined => {
  const { repository, method, status, digest } = read
  if (repository === undefined) return undefined
  return numbered({
    ...{ repository, status, digest },
    object: OBJECTS.indexOf(objectOf(read)),
    flags: (method === 'HEAD' ? IS_HEAD : 0) | (isOfBucket(read) ? MAY_REPEAT : 0),
    tag: 'tag' in read ? read.tag : undefined,
    mediaType: 'mediaType' in read ? read.mediaType : undefined,
  })
}

/** Cloud Storage may deliver a record twice. */
const isOfBucket = ({ class: of }: LoggedRead): boolean =>
  of === 'download' || of === 'partial' || of === 'not_modified' || of === 'head' || of === 'failed'

const objectOf = (read: LoggedRead): (typeof OBJECTS)[number] => {
  const { class: of } = read
  return of === 'manifest' || of === 'tags' || of === 'referrers' ? of : 'blob'
}
