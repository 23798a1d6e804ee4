import { printable } from '../../runtime/printable.js'
import { context, type CommandContext } from '../command-context.js'
/** Where progress is told: a stream that may be a terminal. */
type Target = Pick<CommandContext['stderr'], 'write' | 'isTTY' | 'columns'>

export type ProgressLine = {
  /** Tells how far it is; of many texts in a short time, some are left out. */
  show: (text: string) => void
  /** Leaves the terminal as it was. */
  end: () => void
}

const TERMINAL_EVERY_MS = 100
/** What is done in less needs no progress; a log needs it seldom. */
const LOG_AFTER_MS = 2_000
const LOG_EVERY_MS = 5_000

/** One line that is written over on a terminal; elsewhere a line every few seconds. Results go to another stream. */
export const progressLine = (
  target: Target = context().stderr,
  clock = (): number => performance.now(),
): ProgressLine => {
  const terminal = target.isTTY
  const every = terminal ? TERMINAL_EVERY_MS : LOG_EVERY_MS
  let next: number | undefined
  let shown = false
  return {
    show: (text) => {
      next ??= clock() + (terminal ? 0 : LOG_AFTER_MS)
      if (clock() < next) return
      next = clock() + every
      shown = true
      const line = printable(text)
      target.write(
        terminal
          ? `\r\u001b[2K${line.slice(0, Math.max(20, (target.columns ?? 0) || 80) - 1).toWellFormed()}`
          : `${line}\n`,
      )
    },
    end: () => {
      if (terminal && shown) target.write('\r\u001b[2K')
    },
  }
}

const WIDTH = 20

/** A bar for a part of a whole, as `[#####---------------]  25 %`. */
export const bar = (part: number, whole: number): string => {
  const share = whole === 0 ? 1 : part / whole
  const filled = Math.floor(share * WIDTH)
  return `[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`
}
