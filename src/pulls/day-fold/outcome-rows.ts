import type { Micros } from '../../events/calendar.js'
import { createRowBuffer, type RowBuffer } from '../../storage/sql/row-buffer.js'
import { invocationValuesOf, OUTCOME_COLUMNS, textsOfWho } from '../fold-job/outcome-values.js'
import { platformOf, type PlatformsOf } from '../fold-job/platform.js'
import type { PullOutcome } from '../fold/outcome.js'
import type { Who } from '../requests/pending.js'
import type { DayColumns } from './day-columns.js'
import { createNumbering } from './numbering.js'

/** Outcomes as rows of COPY with OUTCOME_COLUMNS. */
export type OutcomeRows = {
  buffer: RowBuffer
  add: (outcome: PullOutcome<number>, chain: number, who: number) => void
}

type OutcomeRowsDeps = {
  registry: string
  /** Writes the id of an outcome. */
  writeId: (buffer: RowBuffer, id: number) => void
  reportsBlobs: (at: Micros) => boolean
  platforms: PlatformsOf
}

/** Texts occur in many rows, so each is encoded once. */
export const createOutcomeRows = (
  {
    names,
    repositories,
    origins,
    chains,
    whos,
  }: Pick<DayColumns, 'names' | 'repositories' | 'origins' | 'chains' | 'whos'>,
  { registry, writeId, reportsBlobs, platforms }: OutcomeRowsDeps,
): OutcomeRows => {
  const buffer = createRowBuffer()
  /** The few names of kinds and platforms. */
  const kinds = createNumbering()
  const { write: writeNumberOfKind } = encodedOnce(buffer, (encoded, kind) => {
    encoded.text(kinds.textOf(kind))
  })
  const writeKind = (text: string): void => {
    writeNumberOfKind(kinds.numberOf(text))
  }
  const { write: writeName } = encodedOnce(buffer, (encoded, name) => {
    encoded.text(names.textOf(name))
  })
  const { write: writeRepository } = encodedOnce(buffer, (encoded, repository) => {
    encoded.text(registry)
    encoded.text(repositories.textOf(repository))
  })
  const { write: writeOrigin } = encodedOnce(buffer, (encoded, origin) => {
    encoded.text(origins.textOf(origin))
  })
  const systems: (System | undefined)[] = []
  const whoColumns = encodedOnce(buffer, (encoded, number) => {
    const who = JSON.parse(whos.textOf(number)) as Who
    systems[number] = systemIn(who)
    for (const text of textsOfWho(who)) {
      if (text === null) encoded.null()
      else encoded.text(text)
    }
    encoded.boolean(who.signedIn)
  })
  const platformsOf: PlatformsOf<number> = (digest, repository) => platforms(names.textOf(digest), repository)
  const writeNameIfKnown = (name: number | undefined): void => {
    if (name === undefined) buffer.null()
    else writeName(name)
  }
  return {
    buffer,
    add: (outcome, chain, who) => {
      whoColumns.encode(who)
      const { platform, from } = platformOf(outcome, systems[who] ?? UNKNOWN, platformsOf)
      const { byTag, gets, layers, startsSession, platformPulls } = invocationValuesOf(outcome)
      buffer.start(OUTCOME_COLUMNS.length)
      writeId(buffer, outcome.id)
      writeKind(outcome.what)
      buffer.moment(outcome.at)
      writeRepository(chains.firstOf(chain))
      writeOrigin(chains.secondOf(chain))
      writeNameIfKnown(outcome.tag)
      writeNameIfKnown(outcome.digest)
      buffer.bigint(outcome.bytes)
      buffer.boolean(byTag)
      buffer.int(gets)
      buffer.int(layers)
      buffer.boolean(startsSession)
      buffer.boolean(reportsBlobs(outcome.at))
      writeKind(platform)
      if (from === undefined) buffer.null()
      else writeKind(from)
      buffer.int(platformPulls)
      whoColumns.write(who)
    },
  }
}

type System = Pick<Who, 'os' | 'arch'>

const UNKNOWN: System = {}
const systemIn = ({ os, arch }: Who): System => (os === undefined || arch === undefined ? UNKNOWN : { os, arch })

type EncodedOnce = { encode: (number: number) => void; write: (number: number) => void }

/** Writes the values of a number. They are encoded once, and then copied. */
const encodedOnce = (buffer: RowBuffer, encode: (encoded: RowBuffer, number: number) => void): EncodedOnce => {
  const encoded = createRowBuffer()
  const starts: number[] = []
  const ends: number[] = []
  const encodeOnce = (number: number): void => {
    if (starts[number] !== undefined) return
    starts[number] = encoded.length()
    encode(encoded, number)
    ends[number] = encoded.length()
  }
  return {
    encode: encodeOnce,
    write: (number) => {
      encodeOnce(number)
      buffer.values(encoded, starts[number] ?? 0, ends[number] ?? 0)
    },
  }
}
