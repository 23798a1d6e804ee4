import { performance } from 'node:perf_hooks'
import { ask } from '../src/inventory/questions/ask.js'
import type { Question } from '../src/inventory/questions/question.js'
import { QUESTIONS } from '../src/inventory/questions/questions.js'
import type { Database } from '../src/storage/sql/database.js'
import { openPostgres } from '../src/storage/sql/postgres.js'
import { fillOnce, settle } from './filled.js'
import { percentile, sampleOf, type Row } from './sample.js'
import { query } from './servers.js'

const NOW = new Date('2026-11-21T00:00:00Z')
const PAGE_MS = 100
/** Of questions that are asked for one thing, or add up everything. */
const SUM_MS = 2_000

type Parameters = Record<string, string>

/** What each question is asked for, beside everything: one repository of many images, one of few, a registry, nothing at all. */
const variants = (question: Question, images: readonly Parameters[]): Parameters[] => {
  const { parameters } = question
  const image = (i: number): Parameters => images[i % images.length] ?? {}
  if (question.name === 'tree') return images.map(({ repository = '', tag = '' }) => ({ repository, reference: tag }))
  if (question.name === 'tag-history') return images.map(({ repository = '', tag = '' }) => ({ repository, tag }))
  const ages = 'older_than' in parameters ? 'older_than' : 'unused_for' in parameters ? 'unused_for' : undefined
  const required: Parameters[] = ages === undefined ? [{}] : ['90d', '12m', '700d'].map((age) => ({ [ages]: age }))
  return required.flatMap((base) => [
    base,
    ...('registry' in parameters
      ? [
          { ...base, registry: 'mirror.example' },
          { ...base, registry: 'nowhere.example' },
        ]
      : []),
    ...('repository' in parameters
      ? [0, 1, 2].map((i) => ({ ...base, registry: 'registry.example', repository: image(i * 7).repository ?? '' }))
      : []),
    ...('prefix' in parameters ? [{ ...base, prefix: 'group-5/' }] : []),
    ...('actor' in parameters
      ? [
          { ...base, actor: 'user-7' },
          { ...base, actor: 'nobody' },
        ]
      : []),
    ...('since' in parameters ? [{ ...base, since: '28d' }] : []),
    ...('state' in parameters ? [{ ...base, state: 'deleted' }] : []),
  ])
}

/** Walks the pages of each variant, some of the way. */
const timesOf = async (
  { sql }: Database,
  question: Question,
  asked: Parameters[],
  times: number,
): Promise<number[]> => {
  const measured: number[] = []
  for (let i = 0; measured.length < times; i++) {
    let cursor: string | undefined
    for (let page = 0; page < 3; page++) {
      const parameters = { ...asked[i % asked.length], ...(cursor !== undefined && { cursor }) }
      const start = performance.now()
      const answer = await ask(sql, question, parameters, NOW)
      measured.push(performance.now() - start)
      if (answer.next === null) break
      cursor = answer.next
    }
  }
  return measured
}

/** Asks every question of a database that has been filled. Each measured value is a 95th percentile. */
const measureQuestions = async (url: string, times: number): Promise<Row[]> => {
  const database = openPostgres(url)
  try {
    const images = await query<Parameters>(
      url,
      `select repository, name as tag from inventory.live_tags where repository_id % 97 in (1, 2) and registry = 'registry.example'
       order by repository_id, name limit 40`,
    )
    const rows: Row[] = []
    for (const question of QUESTIONS) {
      const asked = variants(question, images)
      await timesOf(database, question, asked, asked.length)
      const measured = await timesOf(database, question, asked, Math.max(times, asked.length))
      const { median, times: count } = sampleOf(measured)
      const p95 = percentile(measured, 0.95)
      const most = question.name === 'totals' ? SUM_MS : PAGE_MS
      rows.push({
        measured: `${question.name}: p95 of a page`,
        unit: 'ms',
        sample: { median: p95, least: Math.min(...measured), most: Math.max(...measured), times: count },
        target: { most },
        note: `half of them under ${median.toFixed(1)} ms`,
      })
    }
    return rows
  } finally {
    await database.close()
  }
}

/**
 * Asks an inventory of ten million blobs, a million manifests and half a million tags everything.
 * @param url of a database that is empty, and filled first; or that was filled by an earlier run.
 */
export const benchInventoryQuestions = async (url: string, { rounds }: { rounds: number }): Promise<Row[]> => {
  await fillOnce(url)
  const seconds = await settle(url, () => NOW)
  return [
    { measured: 'making the summary', unit: 's', sample: sampleOf([seconds]) },
    ...(await measureQuestions(url, rounds * 6)),
  ]
}
