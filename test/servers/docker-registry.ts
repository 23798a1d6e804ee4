import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { writeImages } from './images.js'
import { eventually, freePort, startProcess, temporaryFolder } from './process.js'
import { ROOT } from './service.js'

const run = promisify(execFile)

export type DockerRegistry = {
  host: string
  /** Copies with skopeo as alice, bob or nobody; `layout:one`, `registry:team/app:1` and `folder:x` name places. */
  copy: (from: string, to: string, who: string, ...options: string[]) => Promise<void>
  /** Deletes the manifest a tag points to. */
  remove: (image: string, who: string) => Promise<void>
  /** Asks the registry itself as alice; the status. */
  ask: (method: string, path: string) => Promise<number>
  stop: () => Promise<void>
}

const SCHEMA_2 = 'application/vnd.docker.distribution.manifest.v2+json'

type Options = { endpoint: string; token: string }

/** Debian's docker-registry (CNCF distribution) that notifies an endpoint, with the users alice and bob. */
export const startDockerRegistry = async ({ endpoint, token }: Options): Promise<DockerRegistry> => {
  const port = await freePort()
  const folder = temporaryFolder('registry')
  const host = `127.0.0.1:${port}`
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder.path, 'data') }, delete: { enabled: true } },
    http: { addr: host, secret: 'x' },
    auth: { htpasswd: { realm: 'r', path: join(ROOT, 'test/fixtures/registry.htpasswd') } },
    notifications: {
      endpoints: [
        {
          name: 'tallyman',
          url: endpoint,
          headers: { Authorization: [`Bearer ${token}`] },
          timeout: '2s',
          threshold: 3,
          backoff: '100ms',
        },
      ],
    },
  }
  const file = join(folder.path, 'config.yml')
  writeFileSync(file, stringify(config))
  const layout = join(folder.path, 'layout')
  writeImages(layout)
  const registry = startProcess('docker-registry', ['serve', file])
  const login = { authorization: `Basic ${Buffer.from('alice:secret').toString('base64')}` }
  await eventually('the registry answers', async () => (await fetch(`http://${host}/v2/`, { headers: login })).ok)

  const place = (name: string): string =>
    name
      .replace(/^layout:/, `oci:${layout}:`)
      .replace(/^registry:/, `docker://${host}/`)
      .replace(/^folder:/, `dir:${folder.path}/`)
  const as = (who: string, side: string): string[] => (who === 'nobody' ? [] : [`--${side}creds`, `${who}:secret`])
  const skopeo = async (...args: string[]): Promise<void> => {
    await run('skopeo', args, { env: { ...process.env, XDG_DATA_HOME: folder.path, XDG_RUNTIME_DIR: folder.path } })
  }
  return {
    host,
    copy: async (from, to, who, ...options) => {
      const creds = [
        ...(from.startsWith('registry:') ? as(who, 'src-') : []),
        ...(to.startsWith('registry:') ? as(who, 'dest-') : []),
      ]
      await skopeo(
        'copy',
        '-q',
        '--src-tls-verify=false',
        '--dest-tls-verify=false',
        ...creds,
        ...options,
        place(from),
        place(to),
      )
    },
    remove: async (image, who) => skopeo('delete', '--tls-verify=false', ...as(who, ''), `docker://${host}/${image}`),
    ask: async (method, path) =>
      (await fetch(`http://${host}${path}`, { method, headers: { ...login, accept: SCHEMA_2 } })).status,
    stop: async () => {
      await registry.end('SIGKILL')
      folder.remove()
    },
  }
}
