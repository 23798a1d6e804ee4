const LINE_FEED = 0x0a
const RETURN = 0x0d

/** The largest line that is read. Of a longer one, only the beginning is handed on. */
const LONGEST_LINE = 64 * 1_024

/** Called with each line, without its line end. */
export type OnLine = (bytes: Buffer, start: number, end: number, isCut: boolean) => void

export type LineSplitter = {
  push: (chunk: Buffer) => void
  /** Hands on what follows the last line end, if anything does. @returns whether there was an incomplete line */
  end: () => boolean
}

/** Splits chunks of a file into lines. It keeps at most one line in memory. */
export const createLineSplitter = (onLine: OnLine): LineSplitter => {
  const rest = Buffer.alloc(LONGEST_LINE)
  let kept = 0
  let isCut = false

  const keep = (chunk: Buffer, start: number, end: number): void => {
    const room = LONGEST_LINE - kept
    isCut ||= end - start > room
    kept += chunk.copy(rest, kept, start, Math.min(end, start + room))
  }
  const handOn = (bytes: Buffer, start: number, end: number): void => {
    const isTooLong = isCut || end - start > LONGEST_LINE
    const cutEnd = Math.min(end, start + LONGEST_LINE)
    onLine(bytes, start, cutEnd > start && bytes[cutEnd - 1] === RETURN ? cutEnd - 1 : cutEnd, isTooLong)
    kept = 0
    isCut = false
  }
  return {
    push: (chunk) => {
      let start = 0
      for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, start)) {
        if (kept > 0 || isCut) {
          keep(chunk, start, at)
          handOn(rest, 0, kept)
        } else handOn(chunk, start, at)
        start = at + 1
      }
      keep(chunk, start, chunk.length)
    },
    end: () => {
      if (kept === 0) return false
      handOn(rest, 0, kept)
      return true
    },
  }
}
