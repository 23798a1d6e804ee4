import { isFields, type Fields } from '../../events/json.js'
import { FileError } from '../../runtime/file-error.js'
import { readTextFile } from '../../runtime/read-file.js'
import { askCredentialHelper } from './credential-helper.js'
import type { Credentials, FindCredentials } from './credentials.js'
import { RegistryError } from './exchange.js'

/** Docker Hub's key in `auths`, and its server name for helpers. */
const DOCKER_HUB = 'https://index.docker.io/v1/'
const DOCKER_HUB_HOSTS: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

type DockerCredentialsOptions = {
  /** A config.json as `docker login` writes it. */
  file: string
  /** The environment of helpers; default: the environment of this process. */
  env?: NodeJS.ProcessEnv
}

/**
 * Finds credentials in Docker's configuration (Docker's docs, "docker login"): from a host's own helper (`credHelpers`), from the
 * helper for all hosts (`credsStore`), then from `auths`. The file is read each time, because other programs write it.
 * The function throws a RegistryError that names the file and the key, and contains no secret.
 */
export const createDockerCredentials =
  ({ file, env }: DockerCredentialsOptions): FindCredentials =>
  async (hosts) => {
    const config = parseConfig(textOf(file), file)
    for (const host of hosts.map(hostOfKey)) {
      const { helpers, entry } = sourcesFor(config, host, file)
      for (const { name, server } of helpers) {
        const found = await askCredentialHelper(name, server, env)
        if (found) return found
      }
      const credentials = entry && credentialsIn(entry.fields, `${file}: auths["${entry.key}"]`)
      if (credentials) return credentials
    }
    return undefined
  }

/** Bytes. */
const LARGEST_CONFIG = 4 * 1_048_576

/** Reads the file without waiting for a pipe: the read is synchronous, and the service would answer no requests meanwhile. */
const textOf = (file: string): string => {
  try {
    return readTextFile(file, { bytes: LARGEST_CONFIG, patience: 0 })
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    throw new RegistryError(`${error.message}; docker_config names Docker's config.json, readable for Tallyman`)
  }
}

const parseConfig = (text: string, file: string): Fields => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's message may quote a password.
    throw new RegistryError(`${file} is not JSON`)
  }
  if (!isFields(value)) throw new RegistryError(`${file} is not an object of JSON`)
  return value
}

type CredentialSources = { helpers: { name: string; server: string }[]; entry?: { key: string; fields: Fields } }

/** The sources of credentials for a host, in the order to try. A helper gets the key exactly as the file contains it. */
const sourcesFor = (config: Fields, host: string, file: string): CredentialSources => {
  const own = entryFor(objectAt(config, 'credHelpers', file), host)
  const entry = entryFor(objectAt(config, 'auths', file), host)
  const { credsStore } = config
  const name = (value: unknown, key: string): string => {
    if (typeof value === 'string' && HELPER_NAME.test(value)) return value
    throw new RegistryError(`${file}: ${key} is not the name of a helper: letters, digits, ".", "_" and "-"`)
  }
  return {
    helpers: [
      ...(own ? [{ name: name(own.value, `credHelpers["${own.key}"]`), server: own.key }] : []),
      ...(credsStore === undefined || credsStore === ''
        ? []
        : [{ name: name(credsStore, 'credsStore'), server: host === 'docker.io' ? DOCKER_HUB : host }]),
    ],
    ...(entry && { entry: { key: entry.key, fields: isFields(entry.value) ? entry.value : {} } }),
  }
}

const HELPER_NAME = /^[a-zA-Z0-9._-]+$/

const objectAt = (config: Fields, key: string, file: string): Fields => {
  const value = config[key] ?? {}
  if (!isFields(value)) throw new RegistryError(`${file}: ${key} is not an object`)
  return value
}

/** The entry whose key is the host itself, else the first one whose key means that host. */
const entryFor = (entries: Fields, host: string): { key: string; value: unknown } | undefined => {
  const keys = Object.keys(entries).filter((key) => hostOfKey(key) === host)
  const key = keys.find((one) => one === host) ?? keys[0]
  return key === undefined ? undefined : { key, value: entries[key] }
}

/** The host of a key such as `https://Host:5000/v1/`, `host:5000/v2` or `host:443`, with its port unless that is the default one. */
const hostOfKey = (key: string): string => {
  const host = key
    .toLowerCase()
    .replace(/^[a-z]+:\/\//, '')
    .replace(/[/?#].*$/s, '')
    .replace(key.toLowerCase().startsWith('http:') ? /:80$/ : /:443$/, '')
  return DOCKER_HUB_HOSTS.has(host) ? 'docker.io' : host
}

/** The credentials in an entry of `auths`; undefined if the entry is empty, as it is with a helper. */
const credentialsIn = (entry: Fields, where: string): Credentials | undefined => {
  const text = (key: string): string => {
    const value = entry[key] ?? ''
    if (typeof value !== 'string') throw new RegistryError(`${where}.${key} is not text`)
    return value
  }
  const identityToken = text('identitytoken')
  if (identityToken !== '') return { identityToken }
  const auth = text('auth')
  if (auth === '') {
    const [username, password] = [text('username'), text('password')]
    return username === '' ? undefined : { username, password }
  }
  // Docker sometimes pads the end with NULs.
  const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = decoded.indexOf(':')
  if (colon < 1) throw new RegistryError(`${where}.auth is not the base64 of user:password`)
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}
