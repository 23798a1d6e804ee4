/**
 * Source that another Node.js begins with to end when this process does, however that happens: its standard input closes then. A
 * thread of its own waits for that, since a statement of the embedded database blocks the event loop, and ends the process.
 */
export const END_WITH_PARENT = `
  const { Worker } = require('node:worker_threads')
  const END = "new (require('node:net').Socket)({ fd: 0 }).on('close', () => process.kill(process.pid, 'SIGKILL')).resume()"
  new Worker(END, { eval: true })
`
