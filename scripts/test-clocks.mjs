// npm run test:clocks: runs tests as on other days, in other time zones. CONTRIBUTING.md explains it.
import { spawnSync } from 'node:child_process'
import { root } from './install.mjs'
import { JEST } from './jest.mjs'
import { installServers } from './servers.mjs'
import { suitesWithoutServer } from './suites.mjs'
import { temporaryFiles } from './temporary-files.mjs'

const DAY_MS = 86_400_000

/** The next moment, in milliseconds since 1970, that is called so in some year: `02-29T12:00:00Z`. */
const next = (moment) => {
  const year = new Date().getUTCFullYear()
  const times = Array.from({ length: 10 }, (_, i) => new Date(`${year + i}-${moment}`))
  // In a year without 29 February, that is 1 March.
  return times.find((time) => time > Date.now() && time.toISOString().includes(moment.slice(0, 5))).getTime()
}

/** When and where a run takes place: always later than now, so that no shift is ever over. */
const SHIFTS = {
  'forty-days': { at: () => Date.now() + 40 * DAY_MS, zone: 'Pacific/Kiritimati' },
  'new-year': { at: () => next('12-31T23:59:00Z'), zone: 'America/St_Johns' },
  'leap-day': { at: () => next('02-29T12:00:00Z'), zone: 'Pacific/Kiritimati' },
}

/** Runs Node.js from a moment on in a time zone. The clock moves on; timers run by the real one. */
const nodeAt = ({ at, zone }, args, { stdio = 'pipe', env = {} } = {}) =>
  spawnSync('faketime', ['-m', '-f', `+${Math.round((at - Date.now()) / 1000)}s`, process.execPath, ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', stdio, stdio],
    maxBuffer: 1024 ** 3,
    env: { ...process.env, ...temporaryFiles(), ...env, TZ: zone, DONT_FAKE_MONOTONIC: '1' },
  })

/** A clock that is not shifted would let every test pass and show nothing. */
const expectShifted = (shift) => {
  const script = 'Date.now() + " " + Intl.DateTimeFormat().resolvedOptions().timeZone'
  const { stdout, stderr } = nodeAt(shift, ['-p', script])
  const [found, zone] = String(stdout).trim().split(' ')
  if (Math.abs(Number(found) - shift.at) < 600_000 && zone === shift.zone) return
  console.error(`faketime does not shift the clock: expected ${shift.at} ${shift.zone}, found ${stdout}${stderr}`)
  process.exit(1)
}

/** @returns whether all tests passed. Their output is shown if not, or if somebody waits for just these. */
const run = (name, what, jestArguments, options) => {
  const shift = { at: SHIFTS[name].at(), zone: SHIFTS[name].zone }
  expectShifted(shift)
  console.log(`${name}: ${what} at ${new Date(shift.at).toISOString()} in ${shift.zone}`)
  const { status, stdout, stderr } = nodeAt(shift, [...JEST, '--ci', '--silent', ...jestArguments], options)
  if (status !== 0) console.error(stdout ?? '', stderr ?? '')
  if (stdout !== null) console.log(/^\d+ passed, .*$/m.exec(stdout)?.[0] ?? 'no test ran')
  return status === 0
}

/** The suites for one of these shifts. The embedded database takes most of the time: each suite on it meets one shift. */
const suitesFor = (names, name) => {
  const { pure, embedded } = suitesWithoutServer()
  return [...pure, ...embedded.filter((_, i) => i % names.length === names.indexOf(name))]
}

const [first = '', ...others] = process.argv.slice(2)
const isShift = Object.hasOwn(SHIFTS, first)
const names = isShift ? [first] : Object.keys(SHIFTS)
const jestArguments = isShift ? others : process.argv.slice(2)

installServers(['faketime'])
if (jestArguments.length > 0) installServers()
const { bundleService } = await import('./build.mjs')
await bundleService()

const passed = names.map((name) => {
  if (jestArguments.length > 0) return run(name, jestArguments.join(' '), jestArguments, { stdio: 'inherit' })
  const suites = suitesFor(names, name)
  return run(name, `${suites.length} suites`, ['--runTestsByPath', ...suites], {
    env: { TALLYMAN_TEST_SERVERS: 'none' },
  })
})
process.exit(passed.every(Boolean) ? 0 : 1)
