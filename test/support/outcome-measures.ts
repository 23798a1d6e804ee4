import { platformPullsOf, type Invocation, type PullOutcome } from '../../src/pulls/fold/outcome.js'

/** The measures of one outcome or of many: each is a sum over outcomes (docs/definitions-of-numbers.md defines each). */
export const MEASURES = [
  'invocations',
  'pulls',
  'checks',
  'downloads_confirmed',
  'downloads_assumed',
  'manifest_only_pulls',
  'platform_pulls',
  'manifest_gets',
  'sessions',
  'pull_by_tag',
  'pull_by_digest',
  'version_check',
  'artifact_fetches',
  'orphan_blob_sessions',
  'failed_requests',
  'bytes',
] as const
type Measure = (typeof MEASURES)[number]
export type Measures = Record<Measure, number>

const ZEROS = Object.freeze(Object.fromEntries(MEASURES.map((name) => [name, 0])) as Measures)

/**
 * The numbers that an outcome adds to each measure.
 * @param showsBlobs whether the source reports requests for blobs; if not, each pull counts as a download
 */
export const measuresOf = (outcome: PullOutcome, showsBlobs: boolean): Measures => {
  switch (outcome.what) {
    case 'artifact':
      return { ...ZEROS, artifact_fetches: 1, manifest_gets: 1, bytes: outcome.bytes }
    case 'orphan':
      return { ...ZEROS, orphan_blob_sessions: 1, bytes: outcome.bytes }
    case 'failure':
      return { ...ZEROS, failed_requests: 1 }
    case 'invocation':
      return ofInvocation(outcome, showsBlobs)
  }
}

const ofInvocation = (
  { gets, images, layers, by, startsSession, bytes }: Invocation,
  showsBlobs: boolean,
): Measures => {
  const isPull = gets > 0
  const pulls = Number(isPull)
  return {
    ...ZEROS,
    invocations: 1,
    pulls,
    checks: 1 - pulls,
    downloads_confirmed: Number(isPull && showsBlobs && layers > 0),
    downloads_assumed: showsBlobs ? 0 : pulls,
    manifest_only_pulls: Number(isPull && showsBlobs && layers === 0),
    platform_pulls: platformPullsOf({ gets, images }),
    manifest_gets: gets,
    sessions: Number(startsSession),
    // Docker counts a HEAD by digest alone as a pull (docs.docker.com, "Insights and analytics").
    pull_by_tag: Number(by === 'tag' && isPull),
    pull_by_digest: Number(by === 'digest'),
    version_check: Number(by === 'tag' && !isPull),
    bytes,
  }
}
