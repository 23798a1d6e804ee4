import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { parseTimestamp } from '../../../src/events/calendar.js'
import { isDigest, type RepositoryPath, type Tag } from '../../../src/events/reference.js'
import { behaviourOf } from '../../../src/pulls/model/behaviour.js'
import type { FoldRequest } from '../../../src/pulls/fold/state.js'
import type { ContentsOf, ManifestContents } from '../../../src/pulls/fold/contents.js'
import { columnsOf, foldInColumns } from '../../support/columns.js'
import { createFold } from '../../support/fold.js'
import { MEASURES, measuresOf, type Measures } from '../../support/outcome-measures.js'
import type { PullOutcome } from '../../../src/pulls/fold/outcome.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'

type Known =
  | { kind: 'index'; children: string[] }
  | { kind: 'image'; platform: string | null; config: string; layers: string[] }
  | { kind: 'artifact' }
type Vector = {
  id: string
  blobs_visible: boolean
  catalog?: Record<string, Record<string, Known>>
  requests: {
    t: string
    origin: string
    method: 'GET' | 'HEAD'
    path: string
    status?: number
    ua?: string
    digest?: string
    media_type?: string
    request_id?: string
  }[]
  expected: Record<string, unknown>
}
type Vectors = {
  defaults: { double_fetch_clients: string[]; behaviour: { period_compare_tolerance_s: number } }
  vectors: Vector[]
}
type Behaviours = Record<string, Record<string, { pattern: string; likely: string; period_s?: number }>>

const { defaults, vectors } = JSON.parse(
  readFileSync(new URL('../../fixtures/pull-vectors.json', import.meta.url), 'utf8'),
) as Vectors
const TWICE = defaults.double_fetch_clients.map((pattern) => new RegExp(pattern))

const requestOf = (wanted: Vector['requests'][number], i: number): FoldRequest => {
  const [, repository = '', part = '', reference = ''] =
    /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.+)$/.exec(wanted.path) ?? []
  const digest = isDigest(reference) ? reference : wanted.digest
  return {
    id: String(i).padStart(4, '0'),
    at: parseTimestamp(wanted.t) ?? NaN,
    registry: 'registry.example',
    repository: repository as RepositoryPath,
    object: part === 'manifests' ? 'manifest' : part === 'blobs' ? 'blob' : (part as 'tags' | 'referrers'),
    method: wanted.method,
    status: wanted.status ?? 200,
    origin: wanted.origin,
    fetchesTwice: TWICE.some((pattern) => pattern.test(wanted.ua ?? '')),
    ...(part === 'manifests' && !isDigest(reference) && { tag: reference as Tag }),
    ...(digest !== undefined && isDigest(digest) && { digest }),
    ...(wanted.media_type !== undefined && { mediaType: wanted.media_type }),
    ...(wanted.request_id !== undefined && { requestId: wanted.request_id }),
  }
}

const contentsIn = ({ catalog = {} }: Vector): Map<string, ManifestContents> =>
  new Map(
    Object.values(catalog).flatMap((manifests) =>
      Object.entries(manifests).map(([digest, known]): [string, ManifestContents] => {
        if (known.kind === 'index') return [digest, { kind: 'index', children: new Set(known.children) }]
        if (known.kind === 'artifact') return [digest, known]
        const { layers, config, platform } = known
        return [digest, { kind: 'image', layers: new Set(layers), config, ...(platform !== null && { platform }) }]
      }),
    ),
  )

const foldObjects = (requests: readonly FoldRequest[], contentsOf: ContentsOf): PullOutcome[] => {
  const outcomes: PullOutcome[] = []
  const { add, end } = createFold({ contentsOf, windows: WINDOWS, emit: (outcome) => outcomes.push(outcome) })
  requests.forEach(add)
  end()
  return outcomes
}

/** The forms in which requests are folded. */
const FORMS = ['objects', 'columns'] as const
type Form = (typeof FORMS)[number]

const fold = (
  vector: Vector,
  form: Form,
): { outcomes: PullOutcome[]; sums: Measures; contents: Map<string, ManifestContents> } => {
  const contents = contentsIn(vector)
  const requests = vector.requests.map(requestOf)
  const contentsOf = (digest: string): ManifestContents | undefined => contents.get(digest)
  const outcomes =
    form === 'columns'
      ? foldInColumns(columnsOf(requests), { contentsOf, windows: WINDOWS })
      : foldObjects(requests, contentsOf)
  const all = outcomes.map((outcome) => measuresOf(outcome, vector.blobs_visible))
  const sums = Object.fromEntries(
    MEASURES.map((name) => [name, all.reduce((sum, measures) => sum + measures[name], 0)]),
  ) as Measures
  return { outcomes, sums, contents }
}

test('there are 41 worked cases', () => {
  expect(vectors).toHaveLength(41)
})

test.each(FORMS.flatMap((form) => vectors.map((vector) => ({ ...vector, form }))))('$id in $form', (vector) => {
  const { outcomes, sums, contents } = fold(vector, vector.form)
  const invocations = outcomes.filter((one) => one.what === 'invocation')
  const origins = (some: { origin: string }[]): number => new Set(some.map(({ origin }) => origin)).size
  const platforms: Record<string, number> = {}
  for (const digest of invocations.flatMap(({ images }) => images)) {
    const known = contents.get(digest)
    const platform = (known?.kind === 'image' ? known.platform : undefined) ?? 'unknown'
    platforms[platform] = (platforms[platform] ?? 0) + 1
  }
  const { pull_by_tag, pull_by_digest, version_check, platform_pulls, ...others } = sums
  const found: Record<string, unknown> = {
    ...others,
    unique_pullers: origins(invocations.filter(({ gets }) => gets > 0)),
    unique_sources: origins(invocations),
    docker_actions: { pull_by_tag, pull_by_digest, version_check },
    hub_platform_pulls: platform_pulls,
    platforms,
  }
  const { behaviour, ...expected } = vector.expected
  for (const [origin, repositories] of Object.entries((behaviour as Behaviours | undefined) ?? {})) {
    for (const [repository, { pattern, likely, period_s }] of Object.entries(repositories)) {
      const its = invocations
        .filter((one) => one.origin === origin && one.repository === repository)
        .sort((a, b) => a.at - b.at)
      const references = new Set(its.map(({ tag, digest }) => tag ?? digest)).size
      const found = behaviourOf({ times: its.map(({ at }) => at), references })
      expect(found).toMatchObject({ pattern, likely })
      expect(found.period === undefined).toBe(period_s === undefined)
      expect(Math.abs((found.period ?? 0) - (period_s ?? 0))).toBeLessThanOrEqual(
        defaults.behaviour.period_compare_tolerance_s,
      )
    }
  }
  expect(Object.keys(expected).filter((name) => !(name in found))).toEqual([])
  expect(found).toMatchObject(expected)
})
