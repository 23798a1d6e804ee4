import { execFile } from 'node:child_process'
import { request } from 'node:http'
import { promisify } from 'node:util'
import type { DockerRegistry } from './docker-registry.js'
import { artifactOf, pushBlob, putManifest } from './uploads.js'

const run = promisify(execFile)

const SCHEMA_2 = { accept: 'application/vnd.docker.distribution.manifest.v2+json' }
const ANY = {
  accept: [
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.oci.image.index.v1+json',
    SCHEMA_2.accept,
    'application/vnd.docker.distribution.manifest.list.v2+json',
  ].join(', '),
}
const ALL = '--all'
const AS_SCHEMA_2 = ['--format', 'v2s2']

type Answer = { status: number; digest: string; body: Buffer }
export type Step = { name: string; run: () => Promise<unknown> }

/**
 * What clients do with a registry, one thing after the other: pushes again and under new tags, of lists and artifacts, copies
 * and mounts; every way to pull and to ask; moved tags; deletes of tags, manifests, blobs and a child of an index.
 * @param registry open to anybody
 */
export const fortyThreeSteps = ({ host, copy, remove, folder }: DockerRegistry): Step[] => {
  const http = async (method: string, path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = request(`http://${host}/v2/${path}`, { method, headers }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const digest = String(response.headers['docker-content-digest'] ?? '')
          resolve({ status: response.statusCode ?? 0, digest, body: Buffer.concat(chunks) })
        })
      })
      asked.on('error', reject)
      asked.end()
    })
  const push = async (image: string, to: string, ...options: string[]): Promise<void> =>
    copy(`layout:${image}`, `registry:${to}`, 'nobody', ...options)
  const pull = async (from: string, to: string, ...options: string[]): Promise<void> =>
    copy(`registry:${from}`, to, 'nobody', ...options)
  const again = async (from: string, to: string): Promise<void> => copy(`registry:${from}`, `registry:${to}`, 'nobody')
  const json = async (path: string): Promise<Record<string, { digest: string }[] | undefined>> =>
    JSON.parse((await http('GET', path, ANY)).body.toString()) as Record<string, { digest: string }[]>
  const hello = 'hello blob'
  let image = ''
  let layer = ''
  let blob = ''
  let artifact = ''

  const steps: [string, () => Promise<unknown>][] = [
    ['push a schema 2 image by tag', async () => push('one', 'team/app:1.0', ...AS_SCHEMA_2)],
    ['push the same image again', async () => push('one', 'team/app:1.0', ...AS_SCHEMA_2)],
    ['a second tag for it', async () => again('team/app:1.0', 'team/app:latest')],
    ['push an OCI image', async () => push('two', 'team/oci:2.0', '--format', 'oci')],
    ['push an OCI index of two platforms', async () => push('both', 'team/multi:3', ALL)],
    ['push a Docker manifest list', async () => push('both', 'team/list:3', ALL, ...AS_SCHEMA_2)],
    ['pull a schema 2 image', async () => pull('team/app:1.0', 'folder:out1')],
    ['pull an index, all platforms', async () => pull('team/multi:3', `oci:${folder}/out2:x`, ALL)],
    ['pull an index, one platform', async () => pull('team/multi:3', `oci:${folder}/out3:x`)],
    ['ask for a digest', async () => (image = (await http('HEAD', 'team/app/manifests/1.0', ANY)).digest)],
    ['pull by digest', async () => pull(`team/app@${image}`, 'folder:out4')],
    [
      'inspect, which pulls manifest and config',
      async () => run('skopeo', ['inspect', '--tls-verify=false', `docker://${host}/team/app:1.0`]),
    ],
    ['HEAD of a manifest by tag', async () => http('HEAD', 'team/app/manifests/1.0', SCHEMA_2)],
    ['HEAD of a manifest by digest', async () => http('HEAD', `team/app/manifests/${image}`, SCHEMA_2)],
    [
      'GET with If-None-Match of its digest',
      async () => http('GET', 'team/app/manifests/1.0', { ...SCHEMA_2, 'if-none-match': `"${image}"` }),
    ],
    ['GET with an Accept that does not allow it', async () => http('GET', 'team/oci/manifests/2.0', SCHEMA_2)],
    ['GET of a list as schema 2', async () => http('GET', 'team/list/manifests/3', SCHEMA_2)],
    ['GET without Accept', async () => http('GET', 'team/app/manifests/1.0')],
    ['GET of an unknown manifest', async () => http('GET', 'team/app/manifests/nope', SCHEMA_2)],
    ['read a manifest', async () => (layer = (await json('team/app/manifests/1.0')).layers?.[0]?.digest ?? '')],
    ['HEAD of a blob', async () => http('HEAD', `team/app/blobs/${layer}`)],
    ['GET of a blob', async () => http('GET', `team/app/blobs/${layer}`)],
    ['GET of a part of a blob', async () => http('GET', `team/app/blobs/${layer}`, { range: 'bytes=0-9' })],
    [
      'GET of a blob through a proxy',
      async () =>
        http('GET', `team/app/blobs/${layer}`, {
          'x-forwarded-for': '203.0.113.9, 10.0.0.1',
          'x-forwarded-host': 'reg.example.com',
          'x-forwarded-proto': 'https',
        }),
    ],
    [
      'GET of a blob with an odd user agent',
      async () => http('GET', `team/app/blobs/${layer}`, { 'user-agent': 'x"y\\z\tq\u00ff<b>' }),
    ],
    ['mount a blob', async () => http('POST', `team/mounted/blobs/uploads/?mount=${layer}&from=team/app`)],
    [
      'mount from where it is not',
      async () => http('POST', `team/mounted2/blobs/uploads/?mount=${layer}&from=team/none`),
    ],
    ['copy between repositories', async () => again('team/app:1.0', 'other/app:1.0')],
    ['upload a blob', async () => (blob = await pushBlob(host, 'team/raw', hello))],
    ['upload the same blob again', async () => pushBlob(host, 'team/raw', hello)],
    [
      'push an artifact that refers to an image',
      async () => {
        await pushBlob(host, 'team/raw', '{}')
        artifact = artifactOf(image, hello)
        await putManifest(host, 'team/raw', artifact, 'sbom')
      },
    ],
    ['put it by its digest alone', async () => putManifest(host, 'team/raw', artifact)],
    ['move a tag to another image', async () => push('two', 'team/app:latest', ...AS_SCHEMA_2)],
    ['list tags', async () => http('GET', 'team/app/tags/list')],
    ['delete a manifest by its tag', async () => http('DELETE', 'team/oci/manifests/2.0')],
    [
      'delete it by its digest, as skopeo does',
      async () => remove('team/oci:2.0', 'nobody').catch(() => 'gone with its tag'),
    ],
    ['a third tag', async () => again('team/app:1.0', 'team/app:1')],
    ['a fourth tag', async () => again('team/app:1.0', 'team/app:stable')],
    ['delete a manifest that three tags refer to', async () => http('DELETE', `team/app/manifests/${image}`)],
    ['it still lives in the other repository', async () => http('GET', `other/app/manifests/${image}`, SCHEMA_2)],
    ['delete it again', async () => http('DELETE', `team/app/manifests/${image}`)],
    ['delete a blob', async () => http('DELETE', `team/raw/blobs/${blob}`)],
    ['delete the blob again', async () => http('DELETE', `team/raw/blobs/${blob}`)],
    [
      'delete a child of an index',
      async () => {
        const child = (await json('team/multi/manifests/3')).manifests?.[1]?.digest ?? ''
        await http('DELETE', `team/multi/manifests/${child}`)
      },
    ],
    ['push after the delete: the same image, same tag', async () => push('one', 'team/app:1.0', ...AS_SCHEMA_2)],
  ]
  return steps.map(([name, act]) => ({ name, run: act }))
}
