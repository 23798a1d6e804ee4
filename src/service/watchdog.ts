import inspector from 'node:inspector'
import { Worker } from 'node:worker_threads'
import type { RunningStatement } from '../storage/embedded/statement-limit.js'

export type Watchdog = {
  /** From now on the process may run this long at most, whatever it does. */
  endWithin: (milliseconds: number) => void
  stop: () => Promise<unknown>
}

/** Why a process was ended, a sentence each. */
export type WatchdogLines = {
  /** The event loop stood still. */
  blocked: string
  /** The time of `endWithin` is over. */
  late: string
}

type Watched = {
  limitMs: number
  lines: WatchdogLines
  note?: { file: string; text: SharedArrayBuffer } | undefined
  statement?: { running: RunningStatement; limitMs: number } | undefined
}

/** Positions in the memory that both threads share. */
const [BEATS, REMAINING_MS] = [0, 1] as const
const BEAT_MS = 250

/**
 * Runs in a thread of its own, as the watched one may be in a statement that never ends. Time is counted in this thread's own
 * steps: after a pause of the whole machine, the watched thread has time to go on. The source is text, because a bundle has no
 * file of its own for the thread.
 */
const WATCH = `
  const { workerData: { shared, limit, step, lines, note, statement } } = require('node:worker_threads')
  let beats = -1
  let silent = 0
  let count = 0
  let running = 0
  const limitStatement = ({ running: { count: counted, memory, flags }, limitMs }) => {
    const now = Atomics.load(counted, 0)
    running = now === count && now % 2 !== 0 ? running + step : 0
    count = now
    if (running < limitMs) return
    for (const flag of flags) Atomics.store(memory, flag, 1)
    // It ended meanwhile, and the next one is not meant.
    if (Atomics.load(counted, 0) !== now) for (const flag of flags) Atomics.store(memory, flag, 0)
  }
  const writeNote = ({ file, text }) => {
    try {
      const bytes = Buffer.from(new Uint8Array(text))
      const { kept, blocked } = JSON.parse(bytes.subarray(0, bytes.indexOf(0)).toString())
      const at = new Date().toISOString()
      const noted = [...kept, ...blocked.map((one) => ({ ...one, at }))]
      require('node:fs').writeFileSync(file, JSON.stringify(noted), { mode: 0o600 })
    } catch {
      // The process ends all the same.
    }
  }
  const end = (line) => {
    try {
      require('node:fs').writeSync(2, line + '\\n')
    } finally {
      process.kill(process.pid, 'SIGKILL')
    }
  }
  setInterval(() => {
    if (statement) limitStatement(statement)
    const now = Atomics.load(shared, ${BEATS})
    silent = now === beats ? silent + step : 0
    beats = now
    const remaining = Atomics.load(shared, ${REMAINING_MS})
    if (remaining > 0 && Atomics.sub(shared, ${REMAINING_MS}, step) <= step) end(lines.late)
    if (silent >= limit) {
      if (note) writeNote(note)
      end(lines.blocked)
    }
  }, step)
`

/**
 * Ends a statement of the embedded database that takes too long, and the process if its event loop does not turn for some time all the same. While
 * it stands still it answers nothing and hears no SIGTERM. A supervisor starts the process again; what was answered is stored.
 * @param limitMs how long the event loop may stand still
 * @param lines one of them is written to standard error before the process is killed
 * @param note what was under way while the event loop stood still (`WatchdogNote`), and the file that it is written to
 * @param statement the statement that runs, and how long it may; one that begins just when the previous one is ended may be ended in its place
 */
export const startWatchdog = ({ limitMs, lines, note, statement }: Watched): Watchdog => {
  // Who debugs the process stops it for as long as they like.
  if (inspector.url() !== undefined) return { endWithin: () => undefined, stop: async () => Promise.resolve() }
  const shared = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  const workerData = { shared, limit: limitMs, step: BEAT_MS * 2, lines, note, statement }
  // Options of this process, as --input-type, are not for that source.
  const worker = new Worker(WATCH, { eval: true, execArgv: [], workerData })
  worker.unref()
  const beat = setInterval(() => Atomics.add(shared, BEATS, 1), BEAT_MS).unref()
  return {
    endWithin: (milliseconds) => {
      Atomics.store(shared, REMAINING_MS, milliseconds)
    },
    stop: async () => {
      clearInterval(beat)
      await worker.terminate()
    },
  }
}
