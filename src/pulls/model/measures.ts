import type { CountedNumber, CountedSketch } from './counted.js'

/** The definition of a measure, and how it is computed: as a sum of counted numbers, or as the distinct members of sketches. */
export type Measure = { definition: string } & (
  { add: readonly CountedNumber[]; subtract?: readonly CountedNumber[] } | { distinct: CountedSketch }
)

const MEASURE_TABLE = {
  invocations: { definition: 'intents to obtain or verify an image: pulls and checks', add: ['invocations'] },
  pulls: { definition: 'invocations with at least one GET that was answered with a manifest', add: ['pulls'] },
  checks: {
    definition: 'invocations that only checked for changes (HEAD, or 304)',
    add: ['invocations'],
    subtract: ['pulls'],
  },
  downloads: {
    definition: 'pulls with at least one layer; all pulls if a registry does not report layers',
    add: ['downloads_confirmed', 'downloads_assumed'],
  },
  downloads_confirmed: { definition: 'pulls with at least one layer', add: ['downloads_confirmed'] },
  downloads_assumed: { definition: 'pulls from registries that do not report layers', add: ['downloads_assumed'] },
  manifest_only_pulls: {
    definition:
      'pulls without a layer, from registries that report layers: the client had the image, inspected it, or is an updater',
    add: ['pulls'],
    subtract: ['downloads_confirmed', 'downloads_assumed'],
  },
  platform_pulls: {
    definition: 'the manifests of images that each pull fetched, at least one per pull; Docker Hub counts in this way',
    add: ['platform_pulls'],
  },
  manifest_gets: {
    definition: 'GETs that were answered with a manifest, as Harbor and Quay count',
    add: ['manifest_gets'],
  },
  sessions: {
    definition:
      'sessions with an invocation: requests of an origin in a repository without a pause longer than the session gap',
    add: ['sessions'],
  },
  pull_by_tag: { definition: "Docker's pull_by_tag: pulls that began with a tag", add: ['pull_by_tag'] },
  pull_by_digest: {
    definition: "Docker's pull_by_digest: invocations that began with a digest, including checks",
    add: ['pull_by_digest'],
  },
  version_check: { definition: "Docker's version_check: checks that began with a tag", add: ['version_check'] },
  artifact_fetches: {
    definition: 'GETs of signatures, attestations and other artifacts; never pulls',
    add: ['artifact_fetches'],
  },
  orphan_blob_sessions: {
    definition: 'sessions in which layers were fetched without a manifest before them',
    add: ['orphan_blob_sessions'],
  },
  failed_requests: {
    definition: 'requests that were answered with 4xx or 5xx; notifications never report any',
    add: ['failed_requests'],
  },
  bytes: { definition: 'bytes of manifests and blobs, if the source reports them', add: ['bytes'] },
  unique_origins: {
    definition: 'distinct pullers by address, client and name: too high if people use several tools',
    distinct: 'origins',
  },
  unique_endpoints: {
    definition: 'distinct pullers by address: too low if people share an address',
    distinct: 'endpoints',
  },
  unique_sources: {
    definition: 'distinct origins with an invocation, including origins that only checked',
    distinct: 'sources',
  },
} as const satisfies Record<string, Measure>

export type MeasureName = keyof typeof MEASURE_TABLE
export const MEASURE_NAMES = Object.keys(MEASURE_TABLE) as MeasureName[]
export const measure = (name: MeasureName): Measure => MEASURE_TABLE[name]
