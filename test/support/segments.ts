import { IS_HEAD, MAY_REPEAT, NONE, OBJECTS } from '../../src/pulls/fold/columns.js'
import { createSegmentBuilder, type Segment } from '../../src/pulls/segments/segment.js'
import type { PendingRequest } from '../../src/pulls/requests/pending.js'

export type FileRequest = PendingRequest & { mayRepeat?: boolean }

/** The two numbers of a request's id: its first 16 hex digits. */
const idNumbers = (id: string): [high: number, low: number] => [
  Number.parseInt(id.slice(0, 8), 16),
  Number.parseInt(id.slice(8, 16), 16),
]

/** A segment with requests, whose ids are 16 hex digits. */
export const segmentOf = (requests: readonly FileRequest[]): Segment => {
  const builder = createSegmentBuilder()
  for (const request of requests) {
    const { origin, previous, who, fetchesTwice, tag, digest, mediaType } = request
    const [idHigh, idLow] = idNumbers(request.id)
    builder.add({
      ...{ at: request.at, idHigh, idLow },
      requester: builder.requester({
        ...{ origin, who },
        ...(previous !== undefined && { previous }),
        ...(fetchesTwice !== undefined && { fetchesTwice }),
      }),
      what: builder.what({
        ...{ tag, digest, mediaType },
        repository: request.repository,
        status: request.status,
        object: OBJECTS.indexOf(request.object),
        flags: (request.method === 'HEAD' ? IS_HEAD : 0) | (request.mayRepeat === true ? MAY_REPEAT : 0),
      }),
      bytes: request.bytes ?? NONE,
    })
  }
  return builder.segment()
}
