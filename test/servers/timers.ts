/** For jest's fake timers: all but the intervals, by which leases are renewed. The clients of databases need the others. */
export const ALL_BUT_INTERVALS: (
  | 'Date'
  | 'hrtime'
  | 'nextTick'
  | 'performance'
  | 'queueMicrotask'
  | 'setImmediate'
  | 'clearImmediate'
  | 'setTimeout'
  | 'clearTimeout'
)[] = [
  'Date',
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setTimeout',
  'clearTimeout',
]
