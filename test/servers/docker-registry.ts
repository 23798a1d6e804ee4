import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
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
  /** Starts a second process on the same storage that notifies nobody, so that looking changes nothing. @returns its host */
  silent: () => Promise<string>
  /** The folder that `folder:` and `layout:` are in. */
  folder: string
  /** Puts blobs into a repository as if they had been uploaded long ago: no client waits, and nothing is notified. */
  hold: (repository: string, blobs: readonly string[]) => void
  /** By its own clock, which may be another than that of the test: libfaketime does not reach programs written in Go. */
  now: () => Promise<Date>
  /** Asks the registry itself as alice; the status. */
  ask: (method: string, path: string) => Promise<number>
  stop: () => Promise<void>
}

const SCHEMA_2 = 'application/vnd.docker.distribution.manifest.v2+json'

type Options = {
  /** Where it sends notifications, with the token it shows there. */
  notify?: { endpoint: string; token: string; references?: boolean }
  /** The part `notifications` of its configuration, as somebody would paste it. */
  notifications?: unknown
  /** Anybody may do anything; else the users alice and bob may. */
  open?: boolean
  /** The address of the registry that it is a pull-through cache of. */
  upstream?: string
}

/** Debian's docker-registry (CNCF distribution). */
export const startDockerRegistry = async ({
  notify,
  notifications: pasted,
  open = false,
  upstream,
}: Options): Promise<DockerRegistry> => {
  const port = await freePort()
  const folder = temporaryFolder('registry')
  const host = `127.0.0.1:${port}`
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder.path, 'data') }, delete: { enabled: true } },
    http: { addr: host, secret: 'x' },
    ...(upstream !== undefined && { proxy: { remoteurl: upstream } }),
    ...(!open && { auth: { htpasswd: { realm: 'r', path: join(ROOT, 'test/fixtures/registry.htpasswd') } } }),
  }
  const notifications = notify
    ? {
        events: { includereferences: notify.references ?? false },
        endpoints: [
          {
            name: 'tallyman',
            url: notify.endpoint,
            headers: { Authorization: [`Bearer ${notify.token}`] },
            timeout: '2s',
            threshold: 3,
            backoff: '100ms',
          },
        ],
      }
    : pasted
  const file = join(folder.path, 'config.yml')
  writeFileSync(file, stringify({ ...config, ...(notifications !== undefined && { notifications }) }))
  const layout = join(folder.path, 'layout')
  writeImages(layout)
  const processes = [startProcess('docker-registry', ['serve', file])]
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
    folder: folder.path,
    hold: (repository, blobs) => {
      const root = join(folder.path, 'data', 'docker', 'registry', 'v2')
      for (const blob of blobs) {
        const hex = createHash('sha256').update(blob).digest('hex')
        const data = join(root, 'blobs', 'sha256', hex.slice(0, 2), hex)
        const link = join(root, 'repositories', repository, '_layers', 'sha256', hex)
        for (const made of [data, link]) mkdirSync(made, { recursive: true })
        writeFileSync(join(data, 'data'), blob)
        writeFileSync(join(link, 'link'), `sha256:${hex}`)
      }
    },
    silent: async () => {
      const addr = `127.0.0.1:${await freePort()}`
      writeFileSync(`${file}.silent`, stringify({ ...config, http: { ...config.http, addr } }))
      processes.push(startProcess('docker-registry', ['serve', `${file}.silent`]))
      await eventually(
        'the silent registry answers',
        async () => (await fetch(`http://${addr}/v2/`, { headers: login })).ok,
      )
      return addr
    },
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
    now: async () => new Date((await fetch(`http://${host}/v2/`, { headers: login })).headers.get('date') ?? NaN),
    ask: async (method, path) =>
      (await fetch(`http://${host}${path}`, { method, headers: { ...login, accept: SCHEMA_2 } })).status,
    stop: async () => {
      await Promise.all(processes.map(async (one) => one.end('SIGKILL')))
      folder.remove()
    },
  }
}
