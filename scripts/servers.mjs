// The programs that tests and benchmarks start for themselves.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const onPath = (program) => (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, program)))
const hasPostgres = () =>
  (existsSync('/usr/lib/postgresql') &&
    readdirSync('/usr/lib/postgresql').some((version) => existsSync(`/usr/lib/postgresql/${version}/bin/initdb`))) ||
  onPath('initdb')

/** Programs the tests start for themselves, and the Debian packages that bring them. */
const PARTS = [
  { name: 'Redis', package: 'redis-server', present: () => onPath('redis-server') },
  { name: 'PostgreSQL', package: 'postgresql', present: hasPostgres },
  { name: 'the registry of CNCF distribution', package: 'docker-registry', present: () => onPath('docker-registry') },
  { name: 'skopeo', package: 'skopeo', present: () => onPath('skopeo') },
  { name: 'Zstandard', package: 'zstd', present: () => onPath('zstd') },
]
/** What a run of the tests under another clock needs beside them. */
const FAKETIME = { name: 'faketime', package: 'faketime', present: () => onPath('faketime') }

const isDebian = () =>
  existsSync('/etc/os-release') && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'))

const NO_SERVICES = '/usr/sbin/policy-rc.d'

/** The packages would start their servers; the tests start private ones. */
const installPackages = (packages) => {
  const ours = !existsSync(NO_SERVICES)
  if (ours) writeFileSync(NO_SERVICES, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  const apt = (...args) => {
    const { status } = spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
    return status === 0
  }
  try {
    return apt('update') && apt('install', '-y', '--no-install-recommends', ...packages)
  } finally {
    if (ours) rmSync(NO_SERVICES)
  }
}

/**
 * On Debian and Ubuntu, as root, installs what is missing; elsewhere says what is, and ends the process.
 * @param {string[]} [names] of PARTS or FAKETIME; without, all of PARTS
 */
export const installServers = (names = PARTS.map(({ name }) => name)) => {
  const missing = () => [...PARTS, FAKETIME].filter(({ name, present }) => names.includes(name) && !present())
  const wanted = missing().map((part) => part.package)
  if (wanted.length > 0 && isDebian() && process.getuid?.() === 0) {
    console.error(`Installing ${wanted.join(', ')} …`)
    installPackages(wanted)
  }
  for (const { name, package: debian } of missing()) {
    console.error(
      `${name} is needed: install it (Debian and Ubuntu: apt install ${debian}) and see that it is on the PATH.`,
    )
  }
  if (missing().length > 0) process.exit(1)
}
