import type { liveIn } from './inventory.js'

const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ')

/**
 * What an open registry itself answers, in the form of `liveIn`: its catalog, tag lists and where tags point, and in each
 * repository a HEAD of each digest that anybody ever saw, as a manifest and as a blob. Shares no code with the service.
 */
export const registryAnswers = async (host: string, digests: readonly string[]): ReturnType<typeof liveIn> => {
  const ask = async (path: string, method = 'GET'): Promise<Response> =>
    fetch(`http://${host}/v2/${path}`, { method, headers: { accept: ACCEPT } })
  const having = async (path: (digest: string) => string): Promise<string[]> => {
    const found = []
    for (const digest of digests) if ((await ask(path(digest), 'HEAD')).ok) found.push(digest)
    return found.sort()
  }
  const all: Awaited<ReturnType<typeof liveIn>> = {}
  const { repositories } = (await (await ask('_catalog')).json()) as { repositories: string[] }
  for (const name of repositories) {
    const list = (await (await ask(`${name}/tags/list`)).json()) as { tags?: string[] | null }
    const tags: Record<string, string> = {}
    for (const tag of list.tags ?? []) {
      const answer = await ask(`${name}/manifests/${tag}`, 'HEAD')
      if (answer.ok) tags[tag] = answer.headers.get('docker-content-digest') ?? ''
    }
    const manifests = await having((digest) => `${name}/manifests/${digest}`)
    const blobs = await having((digest) => `${name}/blobs/${digest}`)
    if (Object.keys(tags).length + manifests.length + blobs.length > 0) all[name] = { tags, manifests, blobs }
  }
  return all
}
