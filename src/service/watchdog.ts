import inspector from 'node:inspector'
import { Worker } from 'node:worker_threads'
import type { RunningStatement } from '../storage/embedded/statement-limit.js'

export type Watchdog = {
  /** Ends the process after this time, whatever it does. */
  endWithin: (milliseconds: number) => void
  stop: () => Promise<unknown>
}

/** The messages when the process is ended, one for each reason. */
export type WatchdogLines = {
  /** The event loop was blocked. */
  blocked: string
  /** The time limit of `endWithin` is over. */
  late: string
}

type Watched = {
  limitMs: number
  lines: WatchdogLines
  note?: { file: string; text: SharedArrayBuffer } | undefined
  statement?: { running: RunningStatement; limitMs: number } | undefined
}

/** Indexes in the memory that both threads share. */
const [BEATS, REMAINING_MS] = [0, 1] as const
const BEAT_MS = 250

/**
 * Runs in a separate thread, because the watched thread may be in a statement that never ends. This thread counts its own steps
 * instead of time: after a pause of the whole machine, the watched thread has time to continue. The source is text, because a
 * bundle has no file for the thread.
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
    // The statement has ended meanwhile, so the request must not end the next one.
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
      // The process is ended in any case.
    }
  }
  const end = (line) => {
    const kill = () => process.kill(process.pid, 'SIGKILL')
    // A terminal or a pipe without room may keep the write waiting for ever.
    setTimeout(kill, step / 2)
    require('node:fs').write(2, line + '\\n', kill)
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
 * Ends a statement of the embedded database that takes too long. If the event loop stays blocked, ends the process: a blocked
 * process answers nothing and does not react to SIGTERM. A supervisor starts the process again. All confirmed writes are stored.
 * @param limitMs how long the event loop may be blocked
 * @param lines the messages; one is written to standard error before the process is killed
 * @param note the jobs that were running while the event loop was blocked (`WatchdogNote`), and the file for the note
 * @param statement the running statement and its time limit. If the next statement begins just when the previous one is ended,
 * the next one may be ended instead
 */
export const startWatchdog = ({ limitMs, lines, note, statement }: Watched): Watchdog => {
  // A debugger may stop the process for any time.
  if (inspector.url() !== undefined) return { endWithin: () => undefined, stop: async () => Promise.resolve() }
  const shared = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  const workerData = { shared, limit: limitMs, step: BEAT_MS * 2, lines, note, statement }
  // Options of this process, such as --input-type, do not fit that source.
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
