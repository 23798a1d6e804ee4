import { printable } from '../../runtime/printable.js'
import { context, type CommandContext } from '../command-context.js'
/** The stream for progress, which may be a terminal. */
type Target = Pick<CommandContext['stderr'], 'write' | 'isTTY' | 'columns'>

export type ProgressLine = {
  /** Shows the progress. If it is called often, some texts are skipped. */
  show: (text: string) => void
  /** Removes the line from the terminal. */
  end: () => void
}

const TERMINAL_EVERY_MS = 100
/** In a log, progress begins after LOG_AFTER_MS and is written every LOG_EVERY_MS. */
const LOG_AFTER_MS = 2_000
const LOG_EVERY_MS = 5_000

/** One line that is overwritten on a terminal; elsewhere a line every few seconds. Results go to another stream. */
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

/** A bar for a part of a whole, for example `[#####---------------]  25 %`. */
export const bar = (part: number, whole: number): string => {
  const share = whole === 0 ? 1 : part / whole
  const filled = Math.floor(share * WIDTH)
  return `[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`
}
