const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']

/** Numbers as a line of bars, from 0 to the largest number. */
export const sparkline = (values: readonly number[]): string => {
  const most = Math.max(1, ...values)
  return values.map((value) => BARS[Math.min(BARS.length - 1, Math.floor((value / most) * BARS.length))]).join('')
}
