import { MICROS_PER_DAY, type Micros } from '../../events/calendar.js'
import { createPause } from '../../runtime/yield.js'
import type { WriteRows } from '../../storage/sql/copy-rows.js'
import type { StoredChain } from '../fold-job/chains.js'
import type { KnownManifests } from '../fold-job/known-manifests.js'
import type { Growth } from '../fold-job/totals.js'
import { idOf, isSameRow, NONE } from '../fold/columns.js'
import type { ContentsOf } from '../fold/contents.js'
import { createColumnFold, type FoldedColumns } from '../fold/fold-columns.js'
import type { PullOutcome } from '../fold/outcome.js'
import { renamedChain, type Renaming } from '../fold/renamed.js'
import { openOutcomesOf, type Chain } from '../fold/state.js'
import type { JoinWindows } from '../model/join-windows.js'
import { contentsInNumbers } from './contents-in-numbers.js'
import type { DayColumns } from './day-columns.js'
import { createOutcomeRows } from './outcome-rows.js'

/** The key of an outcome in its registry. */
export type OutcomeKey = { repository: string; at: Micros; id: string }

/** An outcome that may replace a stored one, so that it is written after all others. */
export type HeldOutcome = OutcomeKey & {
  isOpen: boolean
  /** The outcome as a row of COPY. */
  row: Uint8Array
  isInvocation: boolean
  isPull: boolean
}

export type FoldedPart = {
  held: HeldOutcome[]
  /** The numbers of the other outcomes. */
  growths: Growth[]
  /** The chains that later days may continue. */
  open: StoredChain[]
}

type FoldPartDeps = {
  registry: string
  start: Micros
  /** The chains that were open at the end of the day before. */
  earlier: readonly StoredChain[]
  /** Whether an outcome may be stored. */
  isStored: (at: Micros, id: () => string) => boolean
  reportsBlobs: (at: Micros) => boolean
  manifests: KnownManifests
  windows: JoinWindows
  write: WriteRows
}

/** Rows that are folded without a pause. */
const ROWS_AT_ONCE = 5_000
/** Bytes that are written at once. */
const CHUNK_BYTES = 1024 * 1024

/** Folds a part of the requests of a day, and writes its outcomes. The result does not depend on the order of the rows. */
export const foldPart = async (day: DayColumns, deps: FoldPartDeps): Promise<FoldedPart> => {
  const { registry, start, earlier, isStored, reportsBlobs, manifests, windows, write } = deps
  const { columns, names, repositories, origins, chains, whos } = day
  /** Ids of earlier days, which have the numbers after the rows. */
  const earlierIds: string[] = []
  const repeats = new Map<number, number>()
  const idText = (id: number): string =>
    earlierIds[id - columns.length] ?? withRepeat(idOf(columns, id), repeats.get(id))
  const toTexts: Renaming<number, string> = { name: names.textOf, id: idText }
  const toNumbers: Renaming<string, number> = {
    name: names.numberOf,
    id: (id) => columns.length + earlierIds.push(id) - 1,
  }

  const numberedChains = new Map<number, Chain<number>>()
  const earlierWhos = earlier.map(({ chain, who }) => {
    const number = chains.numberOf(repositories.numberOf(chain.key.repository), origins.numberOf(chain.key.origin))
    numberedChains.set(number, renamedChain(chain, toNumbers))
    return [number, whos.numberOf(who)] as const
  })
  const whoOfChain = new Int32Array(chains.count()).fill(NONE)
  for (const [number, who] of earlierWhos) whoOfChain[number] = who

  const { buffer, add } = createOutcomeRows(day, {
    ...{ registry, reportsBlobs, platforms: manifests.platforms },
    writeId: ({ text, hex }, id) => {
      if (id >= columns.length || repeats.has(id)) text(idText(id))
      else hex(columns.ids[2 * id] ?? 0, columns.ids[2 * id + 1] ?? 0)
    },
  })
  const held: HeldOutcome[] = []
  const growths = createGrowths(registry)
  let current = NONE
  const repositoryNow = (): string => repositories.textOf(chains.firstOf(current))
  const take = (outcome: PullOutcome<number>, isOpen: boolean): void => {
    const before = buffer.length()
    add(outcome, current, whoOfChain[current] ?? NONE)
    const isInvocation = outcome.what === 'invocation'
    const isPull = isInvocation && outcome.gets > 0
    const { at } = outcome
    if (!isOpen && at >= start && !isStored(at, () => idText(outcome.id))) {
      if (isInvocation) growths.add(chains.firstOf(current), isPull)
      return
    }
    const row = Buffer.from(buffer.bytes(before))
    buffer.cutTo(before)
    held.push({ repository: repositoryNow(), at, id: idText(outcome.id), isOpen, row, isInvocation, isPull })
  }

  const contentsBy: (ContentsOf<number> | undefined)[] = []
  let contentsOf: ContentsOf<number> = () => undefined
  const moveTo = (chain: number): void => {
    if (chain === current) return
    current = chain
    const repository = chains.firstOf(chain)
    contentsOf = contentsBy[repository] ??= contentsInNumbers(manifests.contentsIn(repositoryNow()), names)
  }
  let rowBefore = NONE
  const fold = createColumnFold(columns, numberedChains, {
    chainCount: chains.count(),
    keyOf: (chain) => ({
      registry,
      repository: repositories.textOf(chains.firstOf(chain)),
      origin: origins.textOf(chains.secondOf(chain)),
    }),
    contentsOf: (digest) => contentsOf(digest),
    isReferrerTag: day.isReferrerTag,
    windows,
    emit: (outcome) => {
      take(outcome, false)
    },
    end: start + MICROS_PER_DAY,
    onRow: (chain, row) => {
      if (rowBefore !== NONE && isSameRow(columns, row, rowBefore)) repeats.set(row, (repeats.get(rowBefore) ?? 0) + 1)
      rowBefore = row
      if (whoOfChain[chain] === NONE) whoOfChain[chain] = day.whoOf(row)
      moveTo(chain)
    },
    onEnd: (chain) => {
      // Rows of other chains are other lines, even if their hashes are equal.
      rowBefore = NONE
      moveTo(chain)
    },
  })

  const pause = createPause()
  const writeRows = async (): Promise<void> => {
    await write(buffer.bytes())
    buffer.cutTo(0)
  }
  while (fold.advance(ROWS_AT_ONCE)) {
    if (buffer.length() >= CHUNK_BYTES) await writeRows()
    await pause()
  }
  const { open }: FoldedColumns = fold.end()
  const stored: StoredChain[] = []
  for (const [number, chain] of open) {
    moveTo(number)
    for (const one of openOutcomesOf(chain)) take(one, true)
    stored.push({ chain: renamedChain(chain, toTexts), who: whos.textOf(whoOfChain[number] ?? NONE) })
  }
  if (buffer.length() > 0) await writeRows()
  return { held, growths: growths.all(repositories.textOf), open: stored }
}

/** Equal lines are different requests, and have different ids. */
const withRepeat = (id: string, repeat: number | undefined): string => (repeat === undefined ? id : `${id}-${repeat}`)

type Growths = {
  add: (repository: number, isPull: boolean) => void
  all: (textOf: (repository: number) => string) => Growth[]
}

/** Counts invocations and pulls by the numbers of repositories. */
const createGrowths = (registry: string): Growths => {
  const growths = new Map<number, { invocations: number; pulls: number }>()
  return {
    add: (repository, isPull) => {
      let growth = growths.get(repository)
      if (!growth) growths.set(repository, (growth = { invocations: 0, pulls: 0 }))
      growth.invocations++
      if (isPull) growth.pulls++
    },
    all: (textOf) => [...growths].map(([number, growth]) => ({ registry, repository: textOf(number), ...growth })),
  }
}
